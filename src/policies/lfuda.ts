/*
 * LFU with dynamic aging: what was frequent once is outlived by what is frequent now.
 *
 * Mechanism   As LFU, but a page's key is its count plus the age of the cache when it was last used; the age is the key of the page
 *             evicted last. The victim has the least key, among equal ones the page unused longest.
 * Paper       M. Arlitt, L. Cherkasova, J. Dilley, R. Friedrich and T. Jin, "Evaluating content management techniques for web proxy
 *             caches", Performance Evaluation Review 27(4), 2000, section 3.2 (LFU-DA).
 * Checked     a naive twin, and libCacheSim aa0fc40, GDSF.cpp, which is LFU-DA where all sizes are equal: equal miss counts,
 *             test/policies/golden.test.ts.
 * Deviations  from libCacheSim's LFUDA.c, by its faults: there a hit adds the age to a key that holds an older
 *             age already, and not the one use; the age follows the least key, not the last evicted one; and a page whose new key lies
 *             below the next one is never evicted again. test/policies/golden.test.ts has those three in a few lines that count what
 *             libCacheSim counts. (It doesn't finish where all keys exceed the largest one it noted.)
 * Memory      12 bytes a page, 20 bytes a frame.
 */
import { frameCount } from './frames.ts';
import { PageHeap } from './heap.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

export class Lfuda implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  private readonly frames: number;
  /** By key, then by last use. */
  private readonly heap: PageHeap;
  private readonly counts: Float64Array;
  private age = 0;
  /** References so far. */
  private now = 0;

  constructor(context: PolicyContext) {
    this.frames = frameCount(context);
    this.heap = new PageHeap(this.frames, context.universe);
    this.counts = new Float64Array(context.universe);
  }

  get residentPages(): number {
    return this.heap.size;
  }

  access(page: number): number {
    const { heap, counts } = this;
    const now = this.now++;
    if (heap.has(page)) {
      heap.change(page, ++counts[page] + this.age, now);
      return HIT;
    }
    let evicted = 0;
    if (heap.size === this.frames) {
      const victim = heap.least();
      this.age = heap.key(victim);
      heap.remove(victim);
      this.victims[0] = victim;
      evicted = 1;
    }
    counts[page] = 1;
    heap.add(page, 1 + this.age, now);
    return evicted;
  }

  check(): void {
    if (this.heap.size > this.frames) throw new Error(`lfuda: ${this.heap.size} pages in ${this.frames} frames`);
    this.heap.check('lfuda');
  }
}
