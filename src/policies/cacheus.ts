/*
 * Cacheus: LRU that resists scans and LFU that resists churn as two experts, weighed by regret at a rate that is learnt, too.
 *
 * Mechanism   Pages lie in two lists, S of those used again and Q of new ones and of those that S had no room for. The first expert names
 *             the oldest page of Q, the second among the pages of fewest uses the one used last. Where both name the same it leaves
 *             without trace; otherwise a draw decides by their weights, and the page is remembered as that expert's own. A miss
 *             on a remembered page lowers its expert's weight. S grows when a page that it had demoted is hit in Q, Q when a page comes
 *             back that was new when the first expert evicted it. The rate of learning follows the hit ratio of periods as long as the
 *             cache: it goes on as it went while that rises, turns where it falls, and is reset after ten periods without success.
 * Paper       L. V. Rodriguez et al., "Learning cache replacement with CACHEUS", FAST 2021, sections 4 and 5.
 * Checked     the authors' code, https://github.com/sylab/cacheus, 1eec63c, code/algs/cacheus.py: equal miss counts with the same draws,
 *             test/policies/golden.test.ts. A naive twin. Not libCacheSim aa0fc40, Cacheus.c, which is another policy: it divides hits
 *             by references as integers, so that the hit ratio is 0, begins with a rate that is drawn, and gives each list half of the
 *             frames. On the golden zipf trace it misses 1.4, 1.8 and 0.1 %
 *             more often at 1,586, 15,856 and 63,424 frames.
 * Deviations  As the authors' code: a page that comes back has the count of uses that it left with. Unlike it: caches of one or two
 *             frames work, without memory; weights are of double precision.
 * Parameters  none: Q begins with 1 % of the frames, the rate with √(2 ln 2 / frames), each memory has half of the frames.
 * Memory      17 bytes a page, 20 bytes a frame.
 */
import { frameCount } from './frames.ts';
import { PageHeap } from './heap.ts';
import { checkList, PageLists } from './lists.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';
import { RandomSource } from './random-source.ts';

/** A page's state: the list it is in, 0 for none, and flags. */
const S = 1;
const Q = 2;
const LRU_FAULT = 3;
const LFU_FAULT = 4;
const PLACE = 7;
/** It was new to the cache when that was full. */
const NEW = 8;
/** S had no room for it. */
const DEMOTED = 16;

const Q_SHARE = 0.01;
const PATIENCE = 10;

export class Cacheus implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  private readonly frames: number;
  private readonly capacity: number;
  private readonly historyLimit: number;
  private readonly lists: PageLists;
  /** Sentinels by place. */
  private readonly universe: number;
  private readonly state: Uint8Array;
  /** Cached pages by uses, then the one used last first. */
  private readonly heap: PageHeap;
  /** Uses of a remembered page. */
  private readonly uses: Uint32Array;
  private readonly random: RandomSource;
  /** Pages by place. */
  private readonly pagesIn = new Int32Array(5);
  private sLimit: number;
  private qLimit: number;
  private demotedPages = 0;
  /** New pages that the first expert evicted and that are remembered. */
  private newPages = 0;
  private lruWeight = 0.5;
  private now = 0;
  private hits = 0;
  private rate: number;
  private readonly firstRate: number;
  private ratePrevious = 0;
  private hitRatioPrevious = 0;
  private idlePeriods = 0;
  private fallingPeriods = 0;

  constructor(context: PolicyContext) {
    const { universe, capacityPages } = context;
    this.frames = frameCount(context);
    this.capacity = capacityPages;
    this.historyLimit = Math.floor(capacityPages / 2);
    this.qLimit = Math.max(1, Math.floor(Q_SHARE * capacityPages + 0.5));
    this.sLimit = capacityPages - this.qLimit;
    this.rate = Math.sqrt((2 * Math.log(2)) / capacityPages);
    this.firstRate = Math.min(Math.max(this.rate, 0.001), 1);
    this.universe = universe;
    this.lists = new PageLists(universe, 5);
    this.state = new Uint8Array(universe);
    this.heap = new PageHeap(this.frames, universe);
    this.uses = new Uint32Array(universe);
    this.random = new RandomSource(context.seed);
  }

  get residentPages(): number {
    return this.heap.size;
  }

  access(page: number): number {
    const { state, heap, pagesIn } = this;
    const now = ++this.now;
    if (now % this.capacity === 0) this.learnRate();
    const place = state[page] & PLACE;
    if (place === S || place === Q) {
      this.hits++;
      heap.change(page, heap.key(page) + 1, -now);
      if (place === S) this.lists.moveToFront(this.universe + S, page);
      else this.hitInQ(page);
      return HIT;
    }
    const full = heap.size === this.frames;
    if (place !== 0) {
      this.comeBack(page, place);
      if (full) this.evict();
      heap.add(page, this.uses[page], -now);
      this.put(page, S);
      this.demoteSurplus();
      return full ? 1 : 0;
    }
    if (pagesIn[Q] === 0 && pagesIn[S] < this.sLimit) this.put(page, S);
    else if (!full && pagesIn[Q] < this.qLimit) this.put(page, Q);
    else {
      if (full) this.evict();
      heap.add(page, 1, -now);
      this.put(page, Q | NEW);
      this.demoteSurplus();
      return full ? 1 : 0;
    }
    heap.add(page, 1, -now);
    return 0;
  }

  private put(page: number, state: number): void {
    this.state[page] = state;
    this.pagesIn[state & PLACE]++;
    this.lists.pushFront(this.universe + (state & PLACE), page);
  }

  private take(page: number): void {
    this.pagesIn[this.state[page] & PLACE]--;
    this.lists.remove(page);
  }

  private hitInQ(page: number): void {
    const was = this.state[page];
    if ((was & DEMOTED) !== 0) {
      const step = Math.max(1, Math.floor(this.newPages / Math.max(1, this.demotedPages) + 0.5));
      this.sLimit = Math.min(this.capacity - 1, this.sLimit + step);
      this.qLimit = this.capacity - this.sLimit;
      this.demotedPages--;
    }
    this.take(page);
    if (this.pagesIn[S] >= this.sLimit && this.pagesIn[S] > 0) this.demote();
    this.put(page, S | (was & NEW));
  }

  /** S gives its oldest page to Q. */
  private demote(): void {
    const page = this.lists.back(this.universe + S);
    this.take(page);
    this.put(page, (this.state[page] & NEW) | Q | DEMOTED);
    this.demotedPages++;
  }

  private demoteSurplus(): void {
    while (this.pagesIn[S] > 0 && this.pagesIn[S] >= this.sLimit) this.demote();
  }

  /** A remembered page is missed. */
  private comeBack(page: number, place: number): void {
    this.take(page);
    if (place === LRU_FAULT && (this.state[page] & NEW) !== 0) {
      this.newPages--;
      const step = Math.max(1, Math.floor(this.demotedPages / Math.max(1, this.newPages) + 0.5));
      this.qLimit = Math.min(this.capacity - 1, this.qLimit + step);
      this.sLimit = this.capacity - this.qLimit;
    }
    const factor = Math.exp(-this.rate);
    const lru = this.lruWeight * (place === LRU_FAULT ? factor : 1);
    const lfu = (1 - this.lruWeight) * (place === LRU_FAULT ? 1 : factor);
    this.lruWeight = Math.min(0.99, Math.max(0.01, lru / (lru + lfu)));
  }

  private evict(): void {
    const { heap, state, lists, universe } = this;
    const lruChoice = lists.back(universe + (this.pagesIn[Q] > 0 ? Q : S));
    const lfuChoice = heap.least();
    const byLru = this.random.next() / 2 ** 32 < this.lruWeight;
    const victim = byLru ? lruChoice : lfuChoice;
    this.take(victim);
    if ((state[victim] & DEMOTED) !== 0) this.demotedPages--;
    this.uses[victim] = heap.key(victim);
    heap.remove(victim);
    this.victims[0] = victim;
    if (lruChoice === lfuChoice || this.historyLimit === 0) {
      state[victim] = 0;
      return;
    }
    const history = byLru ? LRU_FAULT : LFU_FAULT;
    if (this.pagesIn[history] === this.historyLimit) {
      const forgotten = lists.back(universe + history);
      if (byLru && (state[forgotten] & NEW) !== 0) this.newPages--;
      this.take(forgotten);
      state[forgotten] = 0;
    }
    if (byLru && (state[victim] & NEW) !== 0) this.newPages++;
    this.put(victim, history | (state[victim] & NEW));
  }

  /** At the end of a period. */
  private learnRate(): void {
    const hitRatio = thousandths(this.hits / this.capacity);
    const gain = thousandths(hitRatio - this.hitRatioPrevious);
    const before = this.rate;
    const change = thousandths(before) - thousandths(this.ratePrevious);
    const direction = change * gain;
    if (direction !== 0) {
      if (direction > 0) this.rate = Math.min(before + Math.abs(before * change), 1);
      else this.rate = Math.max(before - Math.abs(before * change), 0.001);
      this.idlePeriods = 0;
      this.fallingPeriods = 0;
    } else if (gain < 0 || (gain === 0 && hitRatio === 0)) {
      this.idlePeriods++;
      if (gain < 0) this.fallingPeriods++;
      if (this.idlePeriods >= PATIENCE) {
        this.rate = this.firstRate;
        this.idlePeriods = 0;
      } else if (gain < 0) {
        if (this.fallingPeriods >= PATIENCE) {
          this.rate = this.firstRate;
          this.fallingPeriods = 0;
        } else this.rate = this.randomStep(before);
      }
    }
    this.ratePrevious = before;
    this.hitRatioPrevious = hitRatio;
    this.hits = 0;
  }

  private randomStep(rate: number): number {
    if (rate >= 1) return 0.9;
    if (rate <= 0.001) return 0.005;
    return this.random.below(2) === 0 ? Math.min(rate * 1.25, 1) : Math.max(rate * 0.75, 0.001);
  }

  check(): void {
    const { frames, heap, lists, state, universe, pagesIn, historyLimit } = this;
    if (heap.size > frames) throw new Error(`cacheus: ${heap.size} pages in ${frames} frames`);
    if (pagesIn[S] + pagesIn[Q] !== heap.size) throw new Error(`cacheus: ${heap.size} pages have uses`);
    if (Math.max(pagesIn[LRU_FAULT], pagesIn[LFU_FAULT]) > historyLimit)
      throw new Error('cacheus: a history is too long');
    heap.check('cacheus');
    for (const place of [S, Q, LRU_FAULT, LFU_FAULT])
      checkList('cacheus', lists, universe + place, pagesIn[place], (page) => (state[page] & PLACE) === place);
    const count = (place: number, flag: number) =>
      state.reduce((sum, value) => sum + ((value & PLACE) === place && (value & flag) !== 0 ? 1 : 0), 0);
    if (count(Q, DEMOTED) !== this.demotedPages) throw new Error(`cacheus: not ${this.demotedPages} demoted pages`);
    if (count(LRU_FAULT, NEW) !== this.newPages) throw new Error(`cacheus: not ${this.newPages} new pages remembered`);
  }
}

function thousandths(value: number): number {
  return Math.round(value * 1000) / 1000;
}
