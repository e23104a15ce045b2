/*
 * LRU-K: evict the page whose K-th last use lies farthest back.
 *
 * Mechanism   Of every page the times of its last K references are kept, cached or not. The victim is the page whose K-th last reference
 *             is oldest; pages referenced less than K times go first, among them the one unused longest.
 * Paper       E. J. O'Neil, P. E. O'Neil and G. Weikum, "The LRU-K page replacement algorithm for database disk buffering", SIGMOD 1993,
 *             section 2.
 * Checked     a naive twin. (libCacheSim aa0fc40 has LRU_K.cpp, but doesn't offer it.)
 * Deviations  The paper's retained information period is endless, its correlated reference period zero.
 * Parameters  k=2  1 to 16.
 * Memory      4 + 8 k bytes a page, 20 bytes a frame.
 */
import { frameCount } from './frames.ts';
import { PageHeap } from './heap.ts';
import { integerParam } from './params.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

export class LruK implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  private readonly frames: number;
  private readonly k: number;
  /** By K-th last reference, then by last reference. */
  private readonly heap: PageHeap;
  /** Times of the last K references of each page, the last first; 0 for none. */
  private readonly history: Float64Array;
  /** References so far. */
  private now = 0;

  constructor(context: PolicyContext) {
    this.frames = frameCount(context);
    this.k = integerParam(context, 'k', 1, 16);
    this.heap = new PageHeap(this.frames, context.universe);
    this.history = new Float64Array(this.k * context.universe);
  }

  get residentPages(): number {
    return this.heap.size;
  }

  access(page: number): number {
    const { heap, history, k } = this;
    const now = ++this.now;
    const first = page * k;
    history.copyWithin(first + 1, first, first + k - 1);
    history[first] = now;
    const key = history[first + k - 1];
    if (heap.has(page)) {
      heap.change(page, key, now);
      return HIT;
    }
    let evicted = 0;
    if (heap.size === this.frames) {
      const victim = heap.least();
      heap.remove(victim);
      this.victims[0] = victim;
      evicted = 1;
    }
    heap.add(page, key, now);
    return evicted;
  }

  check(): void {
    if (this.heap.size > this.frames) throw new Error(`lru-k: ${this.heap.size} pages in ${this.frames} frames`);
    this.heap.check('lru-k');
  }
}
