/*
 * LeCaR: LRU and LFU as two experts; which of them may choose the victim is drawn by weights that regret moves.
 *
 * Mechanism   A page is in an LRU list and ordered by uses. Where both experts name the same victim it leaves without trace; otherwise a
 *             draw decides, and the page is remembered as the expert's own. A miss on a remembered page was the expert's fault: its
 *             weight is multiplied by e^(−0.45 d), where d = 0.005^(t / frames) and t the references since the eviction.
 * Paper       G. Vietri et al., "Driving cache replacement with ML-based LeCaR", HotStorage 2018, section 3 and algorithm 1.
 * Checked     libCacheSim aa0fc40, LeCaR.c: equal miss counts where we draw its numbers, test/policies/golden.test.ts. A naive twin.
 * Deviations  As libCacheSim: each expert's memory is half as long as the cache; the draw knows hundredths.
 * Parameters  rate=0.45  of learning; discount=0.005  d of a page that returns after as many references as there are frames.
 * Memory      21 bytes a page, 20 bytes a frame.
 */
import { frameCount } from './frames.ts';
import { PageHeap } from './heap.ts';
import { checkList, PageLists } from './lists.ts';
import { numberParam } from './params.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';
import { RandomSource } from './random-source.ts';

/** State of a page: the list it is in, 0 for none. */
const CACHED = 1;
const LRU_FAULT = 2;
const LFU_FAULT = 3;

export class LeCaR implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  private readonly frames: number;
  private readonly historyLimit: number;
  private readonly rate: number;
  private readonly discount: number;
  private readonly lists: PageLists;
  private readonly lru: number;
  private readonly lruHistory: number;
  private readonly lfuHistory: number;
  private readonly state: Uint8Array;
  /** Cached pages by uses, then by last use. */
  private readonly heap: PageHeap;
  /** When a remembered page was evicted. */
  private readonly evictedAt: Float64Array;
  private readonly random: RandomSource;
  private lruHistoryPages = 0;
  private lfuHistoryPages = 0;
  private lruWeight = 0.5;
  private lfuWeight = 0.5;
  /** References so far. */
  private now = 0;

  constructor(context: PolicyContext) {
    const { universe, capacityPages } = context;
    this.frames = frameCount(context);
    this.historyLimit = Math.trunc(capacityPages / 2);
    this.rate = numberParam(context, 'rate', 0, 100);
    this.discount = numberParam(context, 'discount', 0, 1) ** (1 / capacityPages);
    this.lists = new PageLists(universe, 3);
    this.lru = universe;
    this.lruHistory = universe + 1;
    this.lfuHistory = universe + 2;
    this.state = new Uint8Array(universe);
    this.heap = new PageHeap(this.frames, universe);
    this.evictedAt = new Float64Array(universe);
    this.random = new RandomSource(context.seed);
  }

  get residentPages(): number {
    return this.heap.size;
  }

  access(page: number): number {
    const { lists, state, heap } = this;
    const now = ++this.now;
    const was = state[page];
    if (was === CACHED) {
      lists.moveToFront(this.lru, page);
      heap.change(page, heap.key(page) + 1, now);
      return HIT;
    }
    if (was === LRU_FAULT) {
      this.learn(now - this.evictedAt[page], true);
      lists.remove(page);
      this.lruHistoryPages--;
    } else if (was === LFU_FAULT) {
      this.learn(now - this.evictedAt[page], false);
      lists.remove(page);
      this.lfuHistoryPages--;
    }
    let evicted = 0;
    if (heap.size === this.frames) {
      this.evict();
      evicted = 1;
    }
    state[page] = CACHED;
    lists.pushFront(this.lru, page);
    heap.add(page, 1, now);
    return evicted;
  }

  /** Lowers the weight of the expert that evicted a page which returns after `distance` references. */
  private learn(distance: number, lruErred: boolean): void {
    const factor = Math.exp(-this.rate * this.discount ** distance);
    const lru = this.lruWeight * (lruErred ? factor : 1) + 1e-10;
    const lfu = this.lfuWeight * (lruErred ? 1 : factor) + 1e-10;
    this.lruWeight = lru / (lru + lfu);
    this.lfuWeight = lfu / (lru + lfu);
  }

  private evict(): void {
    const { lists, state, heap } = this;
    const lruChoice = lists.back(this.lru);
    const lfuChoice = heap.least();
    const byLru = lruChoice === lfuChoice || this.random.below(100) / 100 < this.lruWeight;
    const victim = byLru ? lruChoice : lfuChoice;
    lists.remove(victim);
    heap.remove(victim);
    this.evictedAt[victim] = this.now;
    this.victims[0] = victim;
    if (lruChoice === lfuChoice || this.historyLimit === 0) {
      state[victim] = 0;
      return;
    }
    const history = byLru ? this.lruHistory : this.lfuHistory;
    state[victim] = byLru ? LRU_FAULT : LFU_FAULT;
    lists.pushFront(history, victim);
    const remembered = byLru ? ++this.lruHistoryPages : ++this.lfuHistoryPages;
    if (remembered <= this.historyLimit) return;
    const forgotten = lists.back(history);
    lists.remove(forgotten);
    state[forgotten] = 0;
    if (byLru) this.lruHistoryPages--;
    else this.lfuHistoryPages--;
  }

  check(): void {
    const { lists, state, heap, lruHistoryPages, lfuHistoryPages } = this;
    if (heap.size > this.frames) throw new Error(`lecar: ${heap.size} pages in ${this.frames} frames`);
    if (Math.max(lruHistoryPages, lfuHistoryPages) > this.historyLimit) throw new Error('lecar: a history is too long');
    heap.check('lecar');
    checkList('lecar', lists, this.lru, heap.size, (page) => state[page] === CACHED && heap.has(page));
    checkList('lecar', lists, this.lruHistory, lruHistoryPages, (page) => state[page] === LRU_FAULT);
    checkList('lecar', lists, this.lfuHistory, lfuHistoryPages, (page) => state[page] === LFU_FAULT);
    const placed = state.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (placed !== heap.size + lruHistoryPages + lfuHistoryPages)
      throw new Error(`lecar: ${placed} pages have a state`);
  }
}
