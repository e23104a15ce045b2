/*
 * LFU: evict the page used least often since it came in; among those the one unused longest.
 *
 * Mechanism   A count a page, one when it comes in and one more with every hit. The victim has the least count; equal counts are
 *             ordered by the last use, which is when each of them reached it.
 * Paper       The rule is folklore; J. T. Robinson and M. V. Devarakonda, "Data cache management using frequency-based replacement",
 *             SIGMETRICS 1990, section 2, states it and what is wrong with it: counts never fall.
 * Checked     libCacheSim aa0fc40, LFU.c: equal miss counts, test/policies/golden.test.ts.
 * Deviations  none.
 * Memory      4 bytes a page, 20 bytes a frame.
 */
import { frameCount } from './frames.ts';
import { PageHeap } from './heap.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

export class Lfu implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  private readonly frames: number;
  /** By count, then by last use. */
  private readonly heap: PageHeap;
  /** References so far. */
  private now = 0;

  constructor(context: PolicyContext) {
    this.frames = frameCount(context);
    this.heap = new PageHeap(this.frames, context.universe);
  }

  get residentPages(): number {
    return this.heap.size;
  }

  access(page: number): number {
    const { heap } = this;
    const now = this.now++;
    if (heap.has(page)) {
      heap.change(page, heap.key(page) + 1, now);
      return HIT;
    }
    let evicted = 0;
    if (heap.size === this.frames) {
      const victim = heap.least();
      heap.remove(victim);
      this.victims[0] = victim;
      evicted = 1;
    }
    heap.add(page, 1, now);
    return evicted;
  }

  check(): void {
    if (this.heap.size > this.frames) throw new Error(`lfu: ${this.heap.size} pages in ${this.frames} frames`);
    this.heap.check('lfu');
  }
}
