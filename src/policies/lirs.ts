/*
 * LIRS: pages reused within a short distance of other pages keep the cache, the rest pass through one hundredth of it.
 *
 * Mechanism   Stack S orders pages by their last reference: LIR pages, which are cached, HIR pages still cached and HIR pages only
 *             remembered; queue Q holds the cached HIR pages, the next victim last. A HIR page referenced while it is in S has been
 *             reused sooner than the LIR page at the bottom of S: they exchange roles. HIR pages at the bottom of S are pruned.
 * Paper       S. Jiang and X. Zhang, "LIRS: an efficient low inter-reference recency set replacement policy to improve buffer cache
 *             performance", SIGMETRICS 2002, section 3.
 * Checked     libCacheSim aa0fc40, LIRS.c: equal miss counts, test/policies/golden.test.ts.
 * Deviations  As libCacheSim, and unlike the paper: a hit in Q on a page that S no longer has makes the oldest LIR page HIR while the
 *             LIR pages fill their share, which evicts the last page of Q when Q is full (`demote=0`: as in the paper, the hit evicts
 *             nothing); S is cut at twice the frames, the page longest evicted first. Unlike libCacheSim: where Q holds only the page
 *             that is hit (caches of under 200 frames) there is no demotion; there the page itself is evicted and yet counted as cached.
 *             A cache of one frame works.
 * Parameters  hir=0.01  Q's share of the frames, at least one; demote=1  see above.
 * Memory      17 bytes a page.
 */
import { frameCount } from './frames.ts';
import { checkList, PageLists } from './lists.ts';
import { integerParam, numberParam } from './params.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

/** Bits of a page's state: in S, LIR, in Q. A page in S that is neither LIR nor in Q is remembered only. */
const IN_S = 1;
const LIR = 2;
const IN_Q = 4;
const CACHED = LIR | IN_Q;

export class Lirs implements EvictionPolicy {
  /** The page that a hit evicted, if any, then the one that the miss evicts. */
  readonly victims = new Uint32Array(2);
  private readonly frames: number;
  private readonly lirLimit: number;
  private readonly hirLimit: number;
  private readonly stackLimit: number;
  private readonly demote: boolean;
  private readonly state: Uint8Array;
  private readonly stack: PageLists;
  /** Q and, for pages that are in S only, the order of their eviction: a page is in one of the two at most. */
  private readonly queues: PageLists;
  private readonly s: number;
  private readonly q: number;
  private readonly evicted: number;
  private lirPages = 0;
  private hirPages = 0;
  private rememberedPages = 0;
  private stackPages = 0;
  /** Victims not reported yet. */
  private pending = 0;

  constructor(context: PolicyContext) {
    const { universe, capacityPages } = context;
    this.frames = frameCount(context);
    this.hirLimit = Math.max(1, Math.trunc(capacityPages * numberParam(context, 'hir', 0, 1)));
    this.lirLimit = capacityPages - this.hirLimit;
    this.stackLimit = 2 * capacityPages;
    this.demote = integerParam(context, 'demote', 0, 1) === 1;
    this.state = new Uint8Array(universe);
    this.stack = new PageLists(universe, 1);
    this.queues = new PageLists(universe, 2);
    this.s = universe;
    this.q = universe;
    this.evicted = universe + 1;
  }

  get residentPages(): number {
    return this.lirPages + this.hirPages + this.pending;
  }

  access(page: number): number {
    const { stack, queues, state, s } = this;
    const was = state[page];
    if ((was & LIR) !== 0) {
      stack.moveToFront(s, page);
      this.prune();
      return HIT;
    }
    if ((was & IN_Q) !== 0) {
      if ((was & IN_S) !== 0) this.promote(page);
      else this.hitInQueue(page);
      return HIT;
    }

    if ((was & IN_S) !== 0) {
      stack.moveToFront(s, page);
      if (this.lirPages === this.lirLimit) this.demoteOldest();
      queues.remove(page);
      this.rememberedPages--;
      state[page] = IN_S | LIR;
      this.lirPages++;
    } else if (this.lirPages < this.lirLimit) {
      state[page] = LIR;
      this.lirPages++;
      this.pushOnStack(page);
    } else {
      if (this.hirPages === this.hirLimit) this.evict();
      state[page] = IN_Q;
      queues.pushFront(this.q, page);
      this.hirPages++;
      this.pushOnStack(page);
    }
    const reported = this.pending;
    this.pending = 0;
    return reported;
  }

  /** A hit on a HIR page that is in S: it becomes LIR. */
  private promote(page: number): void {
    this.stack.moveToFront(this.s, page);
    this.queues.remove(page);
    this.hirPages--;
    if (this.lirPages === this.lirLimit) this.demoteOldest();
    this.state[page] = IN_S | LIR;
    this.lirPages++;
  }

  /** A hit on a HIR page that S no longer has. */
  private hitInQueue(page: number): void {
    this.queues.moveToFront(this.q, page);
    if (this.lirLimit === 0) return;
    if (this.demote && this.hirLimit > 1 && this.lirPages === this.lirLimit) this.demoteOldest();
    this.pushOnStack(page);
  }

  private pushOnStack(page: number): void {
    if (this.lirLimit === 0) return; // without LIR pages to compare with, S would order nothing
    this.state[page] |= IN_S;
    this.stack.pushFront(this.s, page);
    if (++this.stackPages <= this.stackLimit || this.rememberedPages === 0) return;
    const forgotten = this.queues.back(this.evicted);
    this.stack.remove(forgotten);
    this.stackPages--;
    this.forget(forgotten);
  }

  /** The LIR page at the bottom of S becomes the newest page of Q. */
  private demoteOldest(): void {
    const { stack, state, s } = this;
    this.prune();
    const page = stack.back(s);
    stack.remove(page);
    this.stackPages--;
    this.lirPages--;
    if (this.hirPages === this.hirLimit) this.evict();
    state[page] = IN_Q;
    this.queues.pushFront(this.q, page);
    this.hirPages++;
    this.prune();
  }

  /** Evicts the oldest page of Q; S may go on remembering it. */
  private evict(): void {
    const { queues, state } = this;
    const victim = queues.back(this.q);
    queues.remove(victim);
    this.hirPages--;
    state[victim] &= IN_S;
    if (state[victim] !== 0) {
      queues.pushFront(this.evicted, victim);
      this.rememberedPages++;
    }
    this.victims[this.pending++] = victim;
  }

  /** Takes HIR pages off the bottom of S, but never its front. */
  private prune(): void {
    const { stack, state, s } = this;
    const front = stack.front(s);
    for (let page = stack.back(s); page !== front && (state[page] & LIR) === 0; page = stack.back(s)) {
      stack.remove(page);
      this.stackPages--;
      if ((state[page] & IN_Q) !== 0) state[page] = IN_Q;
      else this.forget(page);
    }
  }

  /** A remembered page that has left S. */
  private forget(page: number): void {
    this.queues.remove(page);
    this.rememberedPages--;
    this.state[page] = 0;
  }

  check(): void {
    const { frames, state, stack, queues, lirPages, hirPages, rememberedPages } = this;
    if (this.residentPages > frames) throw new Error(`lirs: ${this.residentPages} pages in ${frames} frames`);
    if (lirPages > this.lirLimit) throw new Error(`lirs: ${lirPages} LIR pages, above ${this.lirLimit}`);
    if (hirPages > this.hirLimit) throw new Error(`lirs: ${hirPages} pages in Q, above ${this.hirLimit}`);
    if (this.stackPages > this.stackLimit) throw new Error(`lirs: ${this.stackPages} pages in S`);
    checkList('lirs', stack, this.s, this.stackPages, (page) => (state[page] & IN_S) !== 0);
    checkList('lirs', queues, this.q, hirPages, (page) => (state[page] & CACHED) === IN_Q);
    checkList('lirs', queues, this.evicted, rememberedPages, (page) => state[page] === IN_S);
    const count = (belongs: (value: number) => boolean) =>
      state.reduce((sum, value) => sum + (belongs(value) ? 1 : 0), 0);
    if (count((value) => (value & IN_S) !== 0) !== this.stackPages) throw new Error('lirs: pages missing from S');
    if (count((value) => value === (IN_S | LIR)) !== lirPages) throw new Error(`lirs: not ${lirPages} LIR pages`);
    if (count((value) => value !== 0) !== lirPages + hirPages + rememberedPages)
      throw new Error('lirs: pages in no list');
  }
}
