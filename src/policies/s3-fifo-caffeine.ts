/*
 * S3-FIFO as Caffeine's simulator has it: small evicts when it has its share, main when small is below it.
 *
 * Mechanism   As {@link S3Fifo}, with four differences. Small evicts while it holds its share or more, main otherwise; in libCacheSim main
 *             evicts while it is over its share, small otherwise. A page that small moves into a main over its share makes main evict at
 *             once. A page is looked up in the ghost after the eviction for it, which may just have pushed it out. Counters end at three
 *             in both queues; in libCacheSim main cuts them to three when they come round, which is the same.
 * Paper       J. Yang, Y. Zhang, Z. Qiu, Y. Yue and K. V. Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023.
 * Source      B. Manes, Caffeine's simulator, two_queue/S3FifoPolicy.java.
 * Checked     a naive twin.
 * Deviations  Small's share is at least one page: without any, Caffeine looks for its victim in an empty small for ever.
 * Parameters  small=0.1  small's share of the frames; ghost=0.9  pages remembered, as a share of the frames; threshold=1  uses beyond
 *             which a page has earned a place in main, 0 to 2; max=3  largest counter, 1 to 63. These defaults are chosen: the paper's
 *             shares and counters of two bits; they were not read from Caffeine's configuration.
 * Memory      9 bytes a page, 4 bytes a frame.
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

export class S3FifoCaffeine implements EvictionPolicy {
  /** Moving pages into a full main may evict as many. */
  readonly victims: Uint32Array;
  private readonly frames: number;
  private readonly lists: PageLists;
  private readonly state: Uint8Array;
  private readonly small: number;
  private readonly main: number;
  private readonly ghost: Ghost;
  private readonly smallLimit: number;
  private readonly mainLimit: number;
  private readonly threshold: number;
  /** State of a page from which its counter no longer rises. */
  private readonly saturated: number;
  private smallPages = 0;
  private mainPages = 0;
  /** Victims of this access so far. */
  private evicted = 0;

  constructor(context: PolicyContext) {
    const { universe, capacityPages } = context;
    this.frames = frameCount(context);
    this.smallLimit = Math.max(1, Math.trunc(capacityPages * numberParam(context, 'small', 0, 1)));
    this.mainLimit = capacityPages - this.smallLimit;
    const ghostLimit = Math.trunc(capacityPages * numberParam(context, 'ghost', 0, 16));
    this.threshold = integerParam(context, 'threshold', 0, 2);
    this.saturated = integerParam(context, 'max', 1, 63) * ONE_USE;
    this.victims = new Uint32Array(this.frames);
    this.lists = new PageLists(universe, 3);
    this.small = universe;
    this.main = universe + 1;
    this.state = new Uint8Array(universe);
    this.ghost = new Ghost(this.lists, universe + 2, ghostLimit, this.state, GHOST);
  }

  get residentPages(): number {
    return this.smallPages + this.mainPages;
  }

  access(page: number): number {
    const { lists, state } = this;
    const was = state[page];
    if ((was & CACHED) !== 0) {
      if (was < this.saturated) state[page] = was + ONE_USE;
      return HIT;
    }

    this.evicted = 0;
    while (this.smallPages + this.mainPages === this.frames) {
      if (this.smallPages >= this.smallLimit || this.mainPages === 0) this.evictFromSmall();
      else this.evictFromMain();
    }
    if (state[page] === GHOST) {
      this.ghost.pages--;
      state[page] = MAIN;
      lists.moveToFront(this.main, page);
      this.mainPages++;
    } else {
      state[page] = SMALL;
      lists.pushFront(this.small, page);
      this.smallPages++;
    }
    return this.evicted;
  }

  private evictFromSmall(): void {
    const { lists, state } = this;
    const promoted = SMALL + (this.threshold + 1) * ONE_USE;
    while (this.smallPages > 0) {
      const page = lists.back(this.small);
      lists.remove(page);
      this.smallPages--;
      if (state[page] < promoted) {
        this.ghost.remember(page);
        this.victims[this.evicted++] = page;
        return;
      }
      state[page] = MAIN;
      lists.pushFront(this.main, page);
      if (++this.mainPages > this.mainLimit) this.evictFromMain();
    }
  }

  private evictFromMain(): void {
    const { lists, state, main } = this;
    let victim = lists.back(main);
    while (state[victim] >= ONE_USE) {
      state[victim] -= ONE_USE;
      lists.moveToFront(main, victim);
      victim = lists.back(main);
    }
    lists.remove(victim);
    state[victim] = 0;
    this.mainPages--;
    this.victims[this.evicted++] = victim;
  }

  check(): void {
    const { lists, state, smallPages, mainPages } = this;
    if (this.residentPages > this.frames)
      throw new Error(`s3-fifo-caffeine: ${this.residentPages} pages in ${this.frames} frames`);
    checkList('s3-fifo-caffeine', lists, this.small, smallPages, (page) => (state[page] & PLACE) === SMALL);
    checkList('s3-fifo-caffeine', lists, this.main, mainPages, (page) => (state[page] & PLACE) === MAIN);
    this.ghost.check('s3-fifo-caffeine');
    const placed = state.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (placed !== smallPages + mainPages + this.ghost.pages)
      throw new Error(`s3-fifo-caffeine: ${placed} pages have a state`);
  }
}
