/*
 * MGLRU: Linux's multi-generational LRU, in which pages that are read more often than others come back protect their kind.
 *
 * Mechanism   Pages lie in two to four generations, of which the oldest is scanned. A page that comes in goes to the second oldest
 *             generation, or the oldest while there are only three. Its reads are counted: the first four beyond that which brought it in
 *             make its tier, 0 to 3. An evicted page leaves its tier and the number of the oldest generation; it is a refault if that
 *             is still the oldest when it comes back. Evictions, refaults and protected pages are counted by tier, halved whenever the
 *             oldest generation has changed. Tiers of which more come back than twice what tier 0 has, for their size, are protected:
 *             their pages move on to the next generation and begin to count anew, as does always a page of the highest count. Where
 *             generations are few or badly filled, reclaim opens a new one.
 * Source      Linux 6.12.117: mm/vmscan.c (lru_gen_shrink_lruvec, get_nr_to_scan, should_run_aging, evict_folios, scan_folios, sort_folio,
 *             get_tier_idx, read_ctrl_pos, reset_ctrl_pos), mm/workingset.c (lru_gen_eviction, lru_gen_refault), mm/swap.c
 *             (folio_inc_refs), include/linux/mm_inline.h (lru_gen_add_folio, lru_tier_from_refs); without CONFIG_LRU_GEN_STATS.
 * Checked     a naive twin.
 * Modelled    Clean, unmapped file folios of one page, of one memory cgroup at its limit, without swap; the replay's cache is the lruvec.
 *             Every reference is a read(2) of its own.
 * Left out    Mappings, and with them what gives the youngest generations their pages: page table walks, look-around, the bloom filter, page
 *             faults that put a page into the youngest generation. Anonymous memory, and the choice between it and files. Dirty folios,
 *             write-back. Readahead. min_ttl_ms. Other memory cgroups and the order in which they are reclaimed; kswapd, and reclaim of a whole
 *             node, which stops earlier. The per-CPU batches and the charge batch of 64. Large folios. The number of the oldest
 *             generation is remembered whole, there its lowest bits are.
 * Deviations  none else known.
 * Parameters  batch=64  MIN_LRU_BATCH, pages that are isolated at once, of which 64 batches are scanned at most, and refaults below
 *             which no tier is protected; goal=32  SWAP_CLUSTER_MAX, pages that a reclaim is to free.
 * Memory      13 bytes a page, 4 bytes for each frame.
 */
import { frameCount } from './frames.ts';
import { checkList, PageLists } from './lists.ts';
import { integerParam } from './params.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

const MIN_NR_GENS = 2;
const MAX_NR_GENS = 4;
const MAX_NR_TIERS = 4;
const DEF_PRIORITY = 12;

/**
 * A page's state: its generation in the lowest bits, then LRU_REFS, and the flags. An evicted page keeps the counts that it had.
 */
const GEN = 3;
const REFS = 12;
const REFS_ONE = 4;
const REFS_SHIFT = 2;
const WORKINGSET = 16;
const REFERENCED = 32;
const CACHED = 64;
const SHADOW = 128;
/** BIT(LRU_REFS_WIDTH), the greatest count. */
const MOST_REFS = 4;
/** lru_tier_from_refs(): the binary logarithm of the count and one, rounded up. */
const TIER = [0, 1, 2, 2, 3];

export class Mglru implements EvictionPolicy {
  readonly victims: Uint32Array;
  residentPages = 0;
  private readonly frames: number;
  private readonly batch: number;
  private readonly goal: number;
  /** A list for each generation, its newest page in front. */
  private readonly lists: PageLists;
  private readonly universe: number;
  private readonly pagesOf = new Int32Array(MAX_NR_GENS);
  private readonly state: Uint8Array;
  /** Of an evicted page: the oldest generation's number at that time. */
  private readonly shadow: Uint32Array;
  private minSeq = 0;
  private maxSeq = MIN_NR_GENS + 1;
  /** By tier, since the oldest generation last changed; and the averages of before. */
  private readonly refaulted = new Float64Array(MAX_NR_TIERS);
  private readonly evicted = new Float64Array(MAX_NR_TIERS);
  private readonly guarded = new Float64Array(MAX_NR_TIERS);
  private readonly avgRefaulted = new Float64Array(MAX_NR_TIERS);
  private readonly avgTotal = new Float64Array(MAX_NR_TIERS);
  /** Victims of this access so far. */
  private reclaimed = 0;

  constructor(context: PolicyContext) {
    const { universe } = context;
    this.universe = universe;
    this.frames = frameCount(context);
    this.batch = integerParam(context, 'batch', 1, 4096);
    this.goal = integerParam(context, 'goal', 1, 4096);
    this.lists = new PageLists(universe, MAX_NR_GENS);
    this.state = new Uint8Array(universe);
    this.shadow = new Uint32Array(universe);
    this.victims = new Uint32Array(this.frames);
  }

  access(page: number): number {
    const { state } = this;
    const was = state[page];
    if ((was & CACHED) !== 0) {
      // folio_inc_refs()
      if ((was & REFERENCED) === 0) state[page] = was | REFERENCED;
      else if ((was & WORKINGSET) === 0) state[page] = was | WORKINGSET;
      else if ((was & REFS) !== REFS) state[page] = was + REFS_ONE;
      return HIT;
    }
    this.reclaimed = 0;
    while (this.residentPages === this.frames) this.reclaim();

    let flags = CACHED | REFERENCED;
    if (was !== 0 && this.shadow[page] === this.minSeq) {
      // lru_gen_refault()
      const refs = refsOf(was);
      this.refaulted[TIER[refs]]++;
      if (refs >= MOST_REFS - 1) flags |= REFS | WORKINGSET;
    }
    // lru_gen_add_folio()
    const seq = this.minSeq + MIN_NR_GENS >= this.maxSeq ? this.minSeq : this.minSeq + 1;
    const gen = seq % MAX_NR_GENS;
    state[page] = flags | gen;
    this.lists.pushFront(this.universe + gen, page);
    this.pagesOf[gen]++;
    this.residentPages++;
    return this.reclaimed;
  }

  /** A folio that is read ahead isn't marked accessed; a refault of the highest tier is marked all the same. */
  readAhead(page: number): number {
    const outcome = this.access(page);
    if (outcome !== HIT && (this.state[page] & WORKINGSET) === 0) this.state[page] &= ~REFERENCED;
    return outcome;
  }

  /** try_to_free_mem_cgroup_pages() */
  private reclaim(): void {
    const goal = this.reclaimed + this.goal;
    for (let priority = DEF_PRIORITY; priority >= 0 && this.reclaimed < goal; priority--) this.shrink(priority);
  }

  /** try_to_shrink_lruvec() */
  private shrink(priority: number): void {
    for (let scanned = 0; ; ) {
      const ageing = this.shouldRunAging();
      if (ageing && priority !== DEF_PRIORITY) {
        this.maxSeq++; // inc_max_seq()
        return;
      }
      // Without three generations there is nothing to scan.
      const pages = this.minSeq + MIN_NR_GENS > this.maxSeq ? 0 : this.residentPages;
      const wanted = Math.floor(pages / 2 ** priority);
      if (wanted === 0) return;
      const delta = this.evictFolios();
      scanned += delta;
      if (delta === 0 || scanned >= wanted) return;
    }
  }

  private shouldRunAging(): boolean {
    const { minSeq, maxSeq, pagesOf, residentPages } = this;
    if (minSeq + MIN_NR_GENS > maxSeq) return true;
    if (minSeq + MIN_NR_GENS < maxSeq) return false;
    const young = pagesOf[maxSeq % MAX_NR_GENS];
    const old = pagesOf[minSeq % MAX_NR_GENS];
    return young * MIN_NR_GENS > residentPages || old * (MIN_NR_GENS + 2) < residentPages;
  }

  /** @returns pages scanned, 0 if reclaim is to stop here */
  private evictFolios(): number {
    const first = this.reclaimed;
    let scanned = this.scanFolios();
    if (this.incMinSeq()) scanned++;
    if (this.maxSeq - this.minSeq + 1 === MIN_NR_GENS) scanned = 0;
    // The isolated pages are evicted only now, when the oldest generation may be another: lru_gen_eviction().
    for (let i = first; i < this.reclaimed; i++) {
      const page = this.victims[i];
      this.evicted[TIER[refsOf(this.state[page])]]++;
      this.shadow[page] = this.minSeq;
    }
    return scanned;
  }

  private scanFolios(): number {
    const { lists, state, pagesOf, minSeq, batch } = this;
    if (this.maxSeq - minSeq + 1 === MIN_NR_GENS) return 0;
    const gen = minSeq % MAX_NR_GENS;
    const next = (minSeq + 1) % MAX_NR_GENS;
    const lastTier = this.tierIndex();
    let isolated = 0;
    let scanned = 0;
    while (pagesOf[gen] > 0 && scanned < 64 * batch && isolated < batch) {
      const page = lists.back(this.universe + gen);
      const refs = refsOf(state[page]);
      const tier = TIER[refs];
      scanned++;
      lists.remove(page);
      pagesOf[gen]--;
      if (tier > lastTier || refs === MOST_REFS) {
        // sort_folio()
        this.guarded[tier]++;
        state[page] = CACHED | next;
        lists.insertBefore(this.universe + next, page);
        pagesOf[next]++;
        continue;
      }
      // isolate_folio(); a page without PG_referenced has no counts to lose.
      state[page] = (state[page] & (REFS | WORKINGSET)) | SHADOW;
      this.residentPages--;
      this.victims[this.reclaimed++] = page;
      isolated++;
    }
    return isolated > 0 || scanned === 64 * batch ? scanned : 0;
  }

  /** try_to_inc_min_seq() */
  private incMinSeq(): boolean {
    const before = this.minSeq;
    while (this.minSeq + MIN_NR_GENS <= this.maxSeq && this.pagesOf[this.minSeq % MAX_NR_GENS] === 0) this.minSeq++;
    if (this.minSeq === before) return false;
    // reset_ctrl_pos()
    for (let tier = 0; tier < MAX_NR_TIERS; tier++) {
      this.avgRefaulted[tier] = Math.floor((this.avgRefaulted[tier] + this.refaulted[tier]) / 2);
      this.avgTotal[tier] = Math.floor((this.avgTotal[tier] + this.evicted[tier] + this.guarded[tier]) / 2);
      this.refaulted[tier] = 0;
      this.evicted[tier] = 0;
      this.guarded[tier] = 0;
    }
    return true;
  }

  /** get_tier_idx(): the last tier that isn't protected. */
  private tierIndex(): number {
    const { refaulted, avgRefaulted, avgTotal, evicted, guarded, batch } = this;
    const wantedRefaulted = avgRefaulted[0] + refaulted[0];
    const wantedTotal = avgTotal[0] + evicted[0];
    let tier = 1;
    for (; tier < MAX_NR_TIERS; tier++) {
      const came = avgRefaulted[tier] + refaulted[tier];
      const total = avgTotal[tier] + evicted[tier] + guarded[tier];
      // positive_ctrl_err(), gains 1 and 2
      if (came >= batch && came * (wantedTotal + batch) > (wantedRefaulted + 1) * total * 2) break;
    }
    return tier - 1;
  }

  check(): void {
    const { frames, lists, state, pagesOf, residentPages, universe, minSeq, maxSeq } = this;
    if (residentPages > frames) throw new Error(`mglru: ${residentPages} pages in ${frames} frames`);
    const generations = maxSeq - minSeq + 1;
    if (generations < MIN_NR_GENS || generations > MAX_NR_GENS) throw new Error(`mglru: ${generations} generations`);
    let cached = 0;
    for (let gen = 0; gen < MAX_NR_GENS; gen++) {
      const belongs = (page: number) => (state[page] & (CACHED | SHADOW | GEN)) === (CACHED | gen);
      checkList('mglru', lists, universe + gen, pagesOf[gen], belongs);
      cached += pagesOf[gen];
    }
    if (cached !== residentPages) throw new Error(`mglru: ${cached} pages in generations, ${residentPages} counted`);
    if (state.reduce((sum, value) => sum + ((value & CACHED) === 0 ? 0 : 1), 0) !== cached)
      throw new Error('mglru: a page says that it is cached');
  }
}

/** folio_lru_refs() */
function refsOf(state: number): number {
  return ((state & REFS) >> REFS_SHIFT) + ((state & WORKINGSET) === 0 ? 0 : 1);
}
