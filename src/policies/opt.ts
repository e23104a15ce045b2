/*
 * OPT, also MIN: evict the page whose next use lies farthest in the future. No demand-paged policy misses less often.
 *
 * Mechanism   The next use of every reference is known beforehand ({@link PolicyContext.nextUse}). Cached pages that will be used again
 *             form a heap with the farthest on top, those that never will a stack that is emptied first.
 * Paper       L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5(2), 1966 (MIN);
 *             optimality: R. L. Mattson et al., "Evaluation techniques for storage hierarchies", IBM Systems Journal 9(2), 1970.
 * Checked     libCacheSim aa0fc40, Belady.c: equal miss counts, test/policies/golden.test.ts. Which of several pages that are never
 *             used again leaves first is arbitrary and changes no count.
 * Deviations  none. As everywhere in foliolab a missing page is always brought in, even when it is never used again.
 * Memory      4 bytes a page, 8 bytes a frame; beside the 4 bytes a reference of the next uses.
 */
import { frameCount } from './frames.ts';
import { NEVER } from './next-use.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

/** Children of a heap node: with four, a node's children share a cache line and the heap is half as deep as a binary one. */
const SHIFT = 2;

export class Opt implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  private readonly frames: number;
  private readonly nextUse: Uint32Array;
  /** Index of the next reference this policy will be asked for. */
  private position = 0;
  /** pages[h] is used next at keys[h]; no node is used later than its parent, (h − 1) >> SHIFT. The stack grows down from the end. */
  private readonly pages: Int32Array;
  private readonly keys: Uint32Array;
  private heapPages = 0;
  private stackPages = 0;
  /** A page's index in `pages` plus one, 0 when it is not cached. */
  private readonly slot: Int32Array;

  constructor(context: PolicyContext) {
    this.frames = frameCount(context);
    const { nextUse } = context;
    if (nextUse === undefined) throw new RangeError('opt needs the next use of every reference');
    this.nextUse = nextUse;
    this.pages = new Int32Array(this.frames);
    this.keys = new Uint32Array(this.frames);
    this.slot = new Int32Array(context.universe);
  }

  get residentPages(): number {
    return this.heapPages + this.stackPages;
  }

  /** @throws RangeError after the last reference whose next use was given */
  access(page: number): number {
    const position = this.position;
    const nextUse = this.nextUse;
    if (position >= nextUse.length) throw new RangeError(`opt knows the next use of ${nextUse.length} references only`);
    this.position = position + 1;
    const key = nextUse[position];
    const at = this.slot[page] - 1;
    if (at >= 0) {
      if (this.keys[at] !== position) throw new RangeError(`opt: the next uses are not those of the pages replayed`);
      // The page is used now, so no other is used sooner and its node is a leaf: its key can only rise.
      if (key !== NEVER) this.rise(at, page, key);
      else {
        const last = --this.heapPages;
        if (at !== last) this.rise(at, this.pages[last], this.keys[last]);
        this.push(page);
      }
      return HIT;
    }

    let evicted = 0;
    if (this.residentPages === this.frames) {
      const victim = this.stackPages > 0 ? this.pages[this.frames - this.stackPages--] : this.pop();
      this.slot[victim] = 0;
      this.victims[0] = victim;
      evicted = 1;
    }
    if (key !== NEVER) this.rise(this.heapPages++, page, key);
    else this.push(page);
    return evicted;
  }

  /** Puts a page that is never used again on the stack. */
  private push(page: number): void {
    const at = this.frames - ++this.stackPages;
    this.keys[at] = NEVER;
    this.pages[at] = page;
    this.slot[page] = at + 1;
  }

  /** Places a page at the free node `at` or, passing those used sooner, above it. */
  private rise(at: number, page: number, key: number): void {
    const { pages, keys, slot } = this;
    let node = at;
    while (node > 0) {
      const parent = (node - 1) >> SHIFT;
      const above = keys[parent];
      if (above >= key) break;
      const moved = pages[parent];
      keys[node] = above;
      pages[node] = moved;
      slot[moved] = node + 1;
      node = parent;
    }
    keys[node] = key;
    pages[node] = page;
    slot[page] = node + 1;
  }

  /** Takes the page of the farthest use off the heap; its last page moves to the top and down past those used later. */
  private pop(): number {
    const { pages, keys, slot } = this;
    const heapPages = --this.heapPages;
    const farthestPage = pages[0];
    const page = pages[heapPages];
    const key = keys[heapPages];
    let node = 0;
    for (;;) {
      let child = (node << SHIFT) + 1;
      if (child >= heapPages) break;
      const end = Math.min(child + (1 << SHIFT), heapPages);
      let farthest = keys[child];
      for (let other = child + 1; other < end; other++) {
        if (keys[other] > farthest) {
          farthest = keys[other];
          child = other;
        }
      }
      if (farthest <= key) break;
      const moved = pages[child];
      keys[node] = farthest;
      pages[node] = moved;
      slot[moved] = node + 1;
      node = child;
    }
    keys[node] = key;
    pages[node] = page;
    slot[page] = node + 1;
    return farthestPage;
  }

  check(): void {
    const { pages, keys, slot, frames, heapPages, stackPages } = this;
    if (heapPages + stackPages > frames) throw new Error(`opt: ${heapPages + stackPages} pages in ${frames} frames`);
    for (let node = 1; node < heapPages; node++) {
      if (keys[(node - 1) >> SHIFT] < keys[node]) throw new Error(`opt: node ${node} is used after its parent`);
    }
    for (let at = 0; at < frames; at++) {
      if (at >= heapPages && at < frames - stackPages) continue;
      if (slot[pages[at]] !== at + 1)
        throw new Error(`opt: page ${pages[at]} is in slot ${at} but says ${slot[pages[at]] - 1}`);
    }
    const cached = slot.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (cached !== heapPages + stackPages) throw new Error(`opt: ${cached} pages have a slot`);
  }
}
