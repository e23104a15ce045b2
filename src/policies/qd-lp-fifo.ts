/*
 * QD-LP-FIFO: a small FIFO demotes quickly, a 2-bit CLOCK promotes lazily.
 *
 * Mechanism   A new page enters a small FIFO, or main when a ghost remembers it. When the cache is full, the FIFO's oldest page moves to
 *             main if it was used since, else it leaves and the ghost remembers it. Main is a CLOCK of two bits with frames of its own:
 *             what comes in beyond them makes it evict.
 * Paper       J. Yang, Z. Qiu, Y. Zhang, Y. Yue and K. V. Rashmi, "FIFO can be better than LRU: the power of lazy promotion and quick
 *             demotion", HotOS 2023, section 4.
 * Checked     libCacheSim aa0fc40, QDLP.c: equal miss counts, test/policies/golden.test.ts.
 * Deviations  As libCacheSim: the FIFO's share limits main, not the FIFO itself; main evicts when it is full, though the cache may not
 *             be, so that the cache may stay a page below its frames. Unlike libCacheSim: caches of under 20 frames work (there a FIFO
 *             of less than two frames admits nothing).
 * Parameters  small=0.1  main's share is what this leaves of the frames; ghost=0.9  pages remembered, as a share of the frames;
 *             threshold=1  uses that earn a place in main, 1 to 62.
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
/** The counter is the six bits above; main's ends at three. */
const ONE_USE = 4;
const MAIN_FULL = MAIN + 3 * ONE_USE;

export class QdLpFifo implements EvictionPolicy {
  readonly victims = new Uint32Array(2);
  private readonly frames: number;
  private readonly lists: PageLists;
  private readonly state: Uint8Array;
  private readonly small: number;
  private readonly main: number;
  private readonly ghost: Ghost;
  private readonly mainLimit: number;
  private readonly threshold: number;
  private smallPages = 0;
  private mainPages = 0;
  /** Victims of this access so far. */
  private evicted = 0;

  constructor(context: PolicyContext) {
    const { universe, capacityPages } = context;
    this.frames = frameCount(context);
    this.mainLimit = Math.max(1, capacityPages - Math.trunc(capacityPages * numberParam(context, 'small', 0, 1)));
    const ghostLimit = Math.trunc(capacityPages * numberParam(context, 'ghost', 0, 16));
    this.threshold = integerParam(context, 'threshold', 1, 62);
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
      const limit = (was & PLACE) === MAIN ? MAIN_FULL : SMALL + this.threshold * ONE_USE;
      if (was < limit) state[page] = was + ONE_USE;
      return HIT;
    }

    if (was === GHOST) {
      lists.remove(page);
      this.ghost.pages--;
    }
    this.evicted = 0;
    while (this.smallPages + this.mainPages === this.frames) this.makeRoom();
    if (was === GHOST) this.enterMain(page);
    else {
      state[page] = SMALL;
      lists.pushFront(this.small, page);
      this.smallPages++;
    }
    return this.evicted;
  }

  /** Asks the oldest page of small, which may move to main without making room. */
  private makeRoom(): void {
    if (this.smallPages === 0) {
      this.evictFromMain();
      return;
    }
    const page = this.lists.back(this.small);
    this.lists.remove(page);
    this.smallPages--;
    if (this.state[page] >= SMALL + this.threshold * ONE_USE) this.enterMain(page);
    else {
      this.ghost.remember(page);
      this.victims[this.evicted++] = page;
    }
  }

  private enterMain(page: number): void {
    if (this.mainPages === this.mainLimit) this.evictFromMain();
    this.state[page] = MAIN;
    this.lists.pushFront(this.main, page);
    this.mainPages++;
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
      throw new Error(`qd-lp-fifo: ${this.residentPages} pages in ${this.frames} frames`);
    if (mainPages > this.mainLimit) throw new Error(`qd-lp-fifo: main has ${mainPages} pages, above ${this.mainLimit}`);
    checkList('qd-lp-fifo', lists, this.small, smallPages, (page) => (state[page] & PLACE) === SMALL);
    checkList('qd-lp-fifo', lists, this.main, mainPages, (page) => (state[page] & PLACE) === MAIN);
    this.ghost.check('qd-lp-fifo');
    const placed = state.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (placed !== smallPages + mainPages + this.ghost.pages)
      throw new Error(`qd-lp-fifo: ${placed} pages have a state`);
  }
}
