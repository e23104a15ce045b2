/*
 * S3-FIFO: a small FIFO filters what the main FIFO keeps, a ghost FIFO remembers what the filter turned away.
 *
 * Mechanism   A new page enters the small queue, or the main one when the ghost remembers it. A hit raises a counter and moves nothing.
 *             While main is over its share, or small is empty, main evicts: its oldest page re-enters with its counter, at most 3, less
 *             one, until one at zero leaves. Otherwise small evicts: its oldest page moves to main, counter reset, if it was used at
 *             least `threshold` times, until one leaves that was not; the ghost remembers that one.
 * Paper       J. Yang, Y. Zhang, Z. Qiu, Y. Yue and K. V. Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023,
 *             section 4.1 and algorithm 1.
 * Checked     libCacheSim aa0fc40, S3FIFO.c: equal miss counts, test/policies/golden.test.ts.
 * Deviations  from libCacheSim: caches of under 20 frames work (there a small queue of less than two frames admits nothing). From the
 *             paper, as libCacheSim: the ghost remembers 0.9 of the frames, not as many as main holds; small evicts when main is
 *             exactly at its share; a page moves to main after two uses in small.
 * Parameters  small=0.1  main's share is what this leaves of the frames; ghost=0.9  pages remembered, as a share of the frames;
 *             threshold=2  uses that earn a place in main, 1 to 62.
 * Memory      9 bytes a page.
 */
import { frameCount } from './frames.ts';
import { checkList, Ghost, PageLists } from './lists.ts';
import { integerParam, numberParam } from './params.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

/** Where a page is: the two low bits of its state. CACHED is set for both queues of the cache. */
const GHOST = 1;
const SMALL = 2;
const MAIN = 3;
const CACHED = 2;
const PLACE = 3;
/** The counter is the six bits above. */
const ONE_USE = 4;

export class S3Fifo implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  residentPages = 0;
  private readonly frames: number;
  private readonly lists: PageLists;
  private readonly state: Uint8Array;
  private readonly small: number;
  private readonly main: number;
  private readonly ghost: Ghost;
  private readonly mainLimit: number;
  private readonly threshold: number;
  /** State of a page at the largest counter that is ever asked for, from which it no longer rises. */
  private readonly saturated: number;
  private smallPages = 0;

  constructor(context: PolicyContext) {
    const { universe, capacityPages } = context;
    this.frames = frameCount(context);
    this.mainLimit = capacityPages - Math.trunc(capacityPages * numberParam(context, 'small', 0, 1));
    const ghostLimit = Math.trunc(capacityPages * numberParam(context, 'ghost', 0, 16));
    this.threshold = integerParam(context, 'threshold', 1, 62);
    this.saturated = Math.max(3, this.threshold) * ONE_USE;
    this.lists = new PageLists(universe, 3);
    this.small = universe;
    this.main = universe + 1;
    this.state = new Uint8Array(universe);
    this.ghost = new Ghost(this.lists, universe + 2, ghostLimit, this.state, GHOST);
  }

  access(page: number): number {
    const state = this.state;
    const was = state[page];
    if ((was & CACHED) !== 0) {
      if (was < this.saturated) state[page] = was + ONE_USE;
      return HIT;
    }

    const lists = this.lists;
    if (was === GHOST) {
      lists.remove(page);
      this.ghost.pages--;
    }
    let evicted = 0;
    if (this.residentPages < this.frames) this.residentPages++;
    else {
      this.evict();
      evicted = 1;
    }
    if (was === GHOST) {
      state[page] = MAIN;
      lists.pushFront(this.main, page);
    } else {
      state[page] = SMALL;
      lists.pushFront(this.small, page);
      this.smallPages++;
    }
    return evicted;
  }

  /** Makes room for one page. */
  private evict(): void {
    const { lists, state, small, main } = this;
    if (this.residentPages - this.smallPages <= this.mainLimit) {
      const promoted = this.threshold * ONE_USE;
      while (this.smallPages !== 0) {
        const page = lists.back(small);
        lists.remove(page);
        this.smallPages--;
        if (state[page] < promoted) {
          this.ghost.remember(page);
          this.victims[0] = page;
          return;
        }
        state[page] = MAIN;
        lists.pushFront(main, page);
      }
    }
    for (;;) {
      const page = lists.back(main);
      const was = state[page];
      if (was < ONE_USE) {
        lists.remove(page);
        state[page] = 0;
        this.victims[0] = page;
        return;
      }
      state[page] = Math.min(was, 3 * ONE_USE + MAIN) - ONE_USE;
      lists.moveToFront(main, page);
    }
  }

  check(): void {
    const { lists, state, residentPages, smallPages } = this;
    const mainPages = residentPages - smallPages;
    if (residentPages > this.frames) throw new Error(`s3-fifo: ${residentPages} pages in ${this.frames} frames`);
    checkList('s3-fifo', lists, this.small, smallPages, (page) => (state[page] & PLACE) === SMALL);
    checkList('s3-fifo', lists, this.main, mainPages, (page) => (state[page] & PLACE) === MAIN);
    this.ghost.check('s3-fifo');
    const placed = state.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (placed !== residentPages + this.ghost.pages) throw new Error(`s3-fifo: ${placed} pages have a state`);
  }
}
