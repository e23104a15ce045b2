/*
 * SLRU: a ladder of LRU segments; a hit climbs one, what a segment has too much climbs down.
 *
 * Mechanism   Equal segments, each an LRU list. A new page enters the lowest that has room, the lowest of all when none has. A hit moves
 *             the page to the front of the next segment up, or of its own at the top; a segment over its share hands its last page to
 *             the front of the one below. The victim is the last page of the lowest segment that has any.
 * Paper       R. Karedla, J. S. Love and B. G. Wherry, "Caching strategies to improve disk system performance", IEEE Computer 27(3), 1994:
 *             two segments, probationary and protected.
 * Checked     libCacheSim aa0fc40, SLRU.c: equal miss counts, test/policies/golden.test.ts.
 * Deviations  As libCacheSim, and unlike the paper: four segments by default; a new page may enter a higher segment while the cache
 *             fills; where the frames are no multiple of the segments the lowest holds the rest, which the next hit that fills it from
 *             above evicts. Unlike libCacheSim: a cache of fewer frames than segments works, with one frame a segment.
 * Parameters  segments=4  1 to 64.
 * Memory      9 bytes a page.
 */
import { frameCount } from './frames.ts';
import { checkList, PageLists } from './lists.ts';
import { integerParam } from './params.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

export class Slru implements EvictionPolicy {
  readonly victims: Uint32Array;
  private readonly frames: number;
  private readonly universe: number;
  private readonly segments: number;
  private readonly segmentLimit: number;
  private readonly lists: PageLists;
  /** A page's segment plus one, 0 when it is not cached. */
  private readonly state: Uint8Array;
  /** Pages in each segment. */
  private readonly counts: Int32Array;
  private cachedPages = 0;
  /** Victims not reported yet. */
  private pending = 0;

  constructor(context: PolicyContext) {
    const { universe, capacityPages } = context;
    this.frames = frameCount(context);
    this.universe = universe;
    this.segments = Math.min(integerParam(context, 'segments', 1, 64), capacityPages);
    this.segmentLimit = Math.trunc(capacityPages / this.segments);
    this.lists = new PageLists(universe, this.segments);
    this.state = new Uint8Array(universe);
    this.counts = new Int32Array(this.segments);
    this.victims = new Uint32Array(this.segments + 1); // the rest of the division, then the miss's own
  }

  get residentPages(): number {
    return this.cachedPages + this.pending;
  }

  access(page: number): number {
    const { lists, state, counts, universe, segmentLimit } = this;
    const top = this.segments - 1;
    const was = state[page] - 1;
    if (was === top) {
      lists.moveToFront(universe + top, page);
      return HIT;
    }
    if (was >= 0) {
      counts[was]--;
      lists.remove(page);
      this.place(page, was + 1);
      if (counts[was + 1] > segmentLimit) {
        const moved = lists.back(universe + was + 1);
        lists.remove(moved);
        counts[was + 1]--;
        this.place(moved, was);
        // Only the lowest segment can have been over its share before.
        while (counts[was] > segmentLimit) this.evict(was);
      }
      return HIT;
    }

    if (this.cachedPages === this.frames) {
      let lowest = 0;
      while (counts[lowest] === 0) lowest++;
      this.evict(lowest);
    }
    let segment = 0;
    while (segment <= top && counts[segment] >= segmentLimit) segment++;
    this.place(page, segment > top ? 0 : segment);
    this.cachedPages++;
    const reported = this.pending;
    this.pending = 0;
    return reported;
  }

  private place(page: number, segment: number): void {
    this.state[page] = segment + 1;
    this.lists.pushFront(this.universe + segment, page);
    this.counts[segment]++;
  }

  private evict(segment: number): void {
    const victim = this.lists.back(this.universe + segment);
    this.lists.remove(victim);
    this.state[victim] = 0;
    this.counts[segment]--;
    this.cachedPages--;
    this.victims[this.pending++] = victim;
  }

  check(): void {
    const { frames, lists, state, counts, universe } = this;
    if (this.residentPages > frames) throw new Error(`slru: ${this.residentPages} pages in ${frames} frames`);
    for (let segment = 0; segment < this.segments; segment++) {
      if (segment > 0 && counts[segment] > this.segmentLimit)
        throw new Error(`slru: segment ${segment} is over its share`);
      checkList('slru', lists, universe + segment, counts[segment], (page) => state[page] === segment + 1);
    }
    const cached = state.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (cached !== this.cachedPages) throw new Error(`slru: ${cached} pages have a state, ${this.cachedPages} counted`);
  }
}
