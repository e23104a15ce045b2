/*
 * CLOCK-Pro: LIRS' reuse distances on a clock, whose hands find cold pages to evict, hot ones to demote and tests that have failed.
 *
 * Mechanism   All pages that are hot, cold or remembered lie on one clock. A new page is cold and in its test period; if it is used again
 *             within that, though it may have been evicted meanwhile, it becomes hot. The cold hand evicts cold pages that were not used,
 *             of which those in their test stay on the clock without a frame. The hot hand demotes hot pages not used, and ends the
 *             tests of the cold pages that it passes; so does the test hand while more evicted pages are remembered than there are
 *             frames. A page that passes its test gives the cold pages one frame more, one that fails takes one back.
 * Paper       S. Jiang, F. Chen and X. Zhang, "CLOCK-Pro: an effective improvement of the CLOCK replacement", USENIX ATC 2005, section 4.
 * Checked     a naive twin.
 * Deviations  where the paper leaves it open: the reference bit is clear when a page comes in; the cold pages' share begins at `cold`, and
 *             stays between one frame and all; a hand whose page leaves its place moves on first.
 * Parameters  cold=0.01  the cold pages' share of the frames at the beginning, as of LIRS' resident HIR pages (chosen).
 * Memory      9 bytes a page.
 */
import { frameCount } from './frames.ts';
import { PageLists } from './lists.ts';
import { numberParam } from './params.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

/** Bits of a page's state, 0 when it is not on the clock. */
const RESIDENT = 1;
const HOT = 2;
/** Cold, and in its test period. */
const TEST = 4;
const USED = 8;

export class ClockPro implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  residentPages = 0;
  private readonly frames: number;
  /** The clock. The hot hand is at its back: what it passes goes to the front. */
  private readonly lists: PageLists;
  private readonly clock: number;
  private readonly state: Uint8Array;
  /** Pages the other hands point at; the sentinel on an empty clock. */
  private coldHand: number;
  private testHand: number;
  private hotPages = 0;
  private rememberedPages = 0;
  /** Frames for cold pages. */
  private coldTarget: number;

  constructor(context: PolicyContext) {
    const { universe } = context;
    this.frames = frameCount(context);
    this.coldTarget = Math.max(1, Math.floor(this.frames * numberParam(context, 'cold', 0, 1)));
    this.lists = new PageLists(universe, 1);
    this.clock = universe;
    this.coldHand = universe;
    this.testHand = universe;
    this.state = new Uint8Array(universe);
  }

  access(page: number): number {
    const { state, lists, clock, frames } = this;
    if ((state[page] & RESIDENT) !== 0) {
      state[page] |= USED;
      return HIT;
    }
    let evicted = 0;
    if (this.residentPages === frames) {
      this.victims[0] = this.runColdHand();
      evicted = 1;
    }
    this.residentPages++;
    if (state[page] !== 0) {
      // Remembered: back within its test period.
      this.takeOut(page);
      this.rememberedPages--;
      this.coldTarget = Math.min(frames, this.coldTarget + 1);
      state[page] = RESIDENT | HOT;
      this.hotPages++;
    } else state[page] = RESIDENT | TEST;
    lists.pushFront(clock, page);
    this.demoteSurplus();
    return evicted;
  }

  /** The next place on the clock for a hand. */
  private next(place: number): number {
    const next = this.lists.links[place << 1];
    return next === this.clock ? this.lists.back(this.clock) : next;
  }

  /** Moves the hands off a page that leaves its place. */
  private release(page: number): void {
    let next = this.next(page);
    if (next === page) next = this.clock;
    if (this.coldHand === page) this.coldHand = next;
    if (this.testHand === page) this.testHand = next;
  }

  private takeOut(page: number): void {
    this.release(page);
    this.lists.remove(page);
  }

  private toFront(page: number): void {
    this.takeOut(page);
    this.lists.pushFront(this.clock, page);
  }

  /** @returns the page that was evicted */
  private runColdHand(): number {
    const { state } = this;
    for (;;) {
      let page = this.coldHand === this.clock ? this.lists.back(this.clock) : this.coldHand;
      while ((state[page] & (RESIDENT | HOT)) !== RESIDENT) page = this.next(page);
      this.coldHand = page;
      const was = state[page];
      if ((was & USED) === 0) {
        this.residentPages--;
        if ((was & TEST) === 0) {
          this.takeOut(page);
          state[page] = 0;
        } else {
          state[page] = TEST;
          this.rememberedPages++;
          this.coldHand = this.next(page);
          while (this.rememberedPages > this.frames) this.runTestHand();
        }
        return page;
      }
      this.toFront(page);
      if ((was & TEST) === 0) state[page] = RESIDENT | TEST;
      else {
        state[page] = RESIDENT | HOT;
        this.hotPages++;
        this.coldTarget = Math.min(this.frames, this.coldTarget + 1);
        this.demoteSurplus();
      }
    }
  }

  private demoteSurplus(): void {
    while (this.hotPages > this.frames - this.coldTarget) this.runHotHand();
  }

  /** Demotes one hot page, and goes on to the next hot one. */
  private runHotHand(): void {
    const { state, lists, clock } = this;
    for (let demoted = false; this.hotPages > 0; ) {
      const page = lists.back(clock);
      const was = state[page];
      if ((was & HOT) === 0) this.endTest(page);
      else if (demoted) return;
      else if ((was & USED) !== 0) state[page] = RESIDENT | HOT;
      else {
        state[page] = RESIDENT;
        this.hotPages--;
        demoted = true;
      }
      if (state[page] !== 0) this.toFront(page);
    }
  }

  /** Ends one test. */
  private runTestHand(): void {
    const { state } = this;
    let page = this.testHand === this.clock ? this.lists.back(this.clock) : this.testHand;
    while ((state[page] & TEST) === 0) page = this.next(page);
    this.testHand = this.next(page);
    this.endTest(page);
  }

  /** A cold page's test is over; without a frame it leaves the clock. */
  private endTest(page: number): void {
    const { state } = this;
    if ((state[page] & TEST) === 0) return;
    this.coldTarget = Math.max(1, this.coldTarget - 1);
    state[page] &= ~TEST;
    if (state[page] !== 0) return;
    this.takeOut(page);
    this.rememberedPages--;
  }

  check(): void {
    const { frames, lists, clock, state, hotPages, rememberedPages, residentPages, coldTarget } = this;
    if (residentPages > frames) throw new Error(`clock-pro: ${residentPages} pages in ${frames} frames`);
    if (rememberedPages > frames) throw new Error(`clock-pro: ${rememberedPages} pages remembered`);
    if (hotPages > Math.max(0, frames - coldTarget)) throw new Error('clock-pro: the hot pages are over their share');
    const pages = lists.pages(clock);
    if (pages.length !== residentPages + rememberedPages)
      throw new Error(`clock-pro: ${pages.length} pages on the clock, ${residentPages + rememberedPages} counted`);
    const count = (bits: number, value: number) => state.reduce((sum, of) => sum + ((of & bits) === value ? 1 : 0), 0);
    if (count(RESIDENT, RESIDENT) !== residentPages) throw new Error('clock-pro: pages say that they are cached');
    if (count(HOT, HOT) !== hotPages) throw new Error(`clock-pro: not ${hotPages} hot pages`);
    if (count(RESIDENT | TEST, TEST) !== rememberedPages)
      throw new Error(`clock-pro: not ${rememberedPages} remembered`);
    for (const hand of [this.coldHand, this.testHand])
      if (hand !== clock && state[hand] === 0)
        throw new Error(`clock-pro: a hand points at page ${hand}, which is gone`);
  }
}
