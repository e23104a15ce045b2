/*
 * Linux's two lists: inactive and active file pages, with refault distances deciding what is activated as it comes back.
 *
 * Mechanism   A page that comes in goes to the front of the inactive list, marked as referenced by the read that asked for it; the next
 *             read moves it to the active list. A full cache reclaims 32 pages or a few more at once from the back of the inactive list;
 *             while that is shorter than the active list (by the factor that inactive_is_low() takes from the size), or refaults were
 *             activated since the last reclaim, the back of the active list moves to the front of the inactive one. An evicted page leaves
 *             its age, the count of evictions and activations; if it comes back before that has grown by more than the active list is
 *             long, it goes to the active list at once.
 * Source      Linux, mm/workingset.c (workingset_eviction, workingset_refault, workingset_activation), mm/vmscan.c (shrink_lruvec,
 *             get_scan_count, prepare_scan_control, shrink_active_list, shrink_inactive_list, inactive_is_low) and mm/swap.c
 *             (folio_mark_accessed), as in 6.12.117, where the multi-gen LRU is off; J. Weiner, "Thrash detection-based file cache
 *             sizing", 2012.
 * Checked     a naive twin.
 * Modelled    Clean, unmapped file folios of one page, of one memory cgroup at its limit or of one node without any: the replay's cache is
 *             the lruvec. Every reference is a read(2) of its own.
 * Left out    Mappings: a page used through page tables is kept or activated by the accessed bit that reclaim finds
 *             (folio_check_references), executable ones get another round on the active list; a trace doesn't say when the bit was
 *             cleared. Anonymous memory, swap and their balance, hence file_is_tiny. Dirty folios, write-back, locks. Readahead, its
 *             PG_readahead and what a second read of the same position does not mark. The per-CPU batches that put pages on the lists
 *             some 15 to 31 late, and the charge batch of 64. kswapd and its watermarks: reclaim is direct. Large folios. Limits of
 *             child cgroups. The shrinker of shadow entries: an age is remembered for ever, as one is in a file whose inode stays.
 * Deviations  none else known.
 * Parameters  batch=32  SWAP_CLUSTER_MAX, pages that a reclaim is to free; 1 is for the curious.
 * Memory      17 bytes a page, 4 bytes for each frame.
 */
import { frameCount } from './frames.ts';
import { checkList, PageLists } from './lists.ts';
import { integerParam } from './params.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

/** Bits of a page's state. REFERENCED is PG_referenced; SHADOW: evicted, its age is kept. */
const CACHED = 1;
const ACTIVE = 2;
const REFERENCED = 4;
const SHADOW = 8;

/** Priority that reclaim starts with: it scans the lists' sizes shifted right by it. */
const DEF_PRIORITY = 12;
/** Pages of a GiB. */
const GIB_SHIFT = 18;

export class LinuxLru implements EvictionPolicy {
  readonly victims: Uint32Array;
  private readonly frames: number;
  private readonly batch: number;
  private readonly lists: PageLists;
  private readonly inactive: number;
  private readonly active: number;
  private readonly state: Uint8Array;
  private inactivePages = 0;
  private activePages = 0;
  /** Evictions and activations so far: lruvec->nonresident_age. */
  private age = 0;
  /** The age at which each page was evicted. */
  private readonly shadow: Float64Array;
  /** Refaults activated since the last reclaim. */
  private activations = 0;
  /** Victims of this access so far. */
  private evicted = 0;

  constructor(context: PolicyContext) {
    const { universe } = context;
    this.frames = frameCount(context);
    this.batch = integerParam(context, 'batch', 1, 4096);
    this.lists = new PageLists(universe, 2);
    this.inactive = universe;
    this.active = universe + 1;
    this.state = new Uint8Array(universe);
    this.shadow = new Float64Array(universe);
    this.victims = new Uint32Array(this.frames);
  }

  get residentPages(): number {
    return this.inactivePages + this.activePages;
  }

  access(page: number): number {
    const { state, lists } = this;
    const was = state[page];
    if ((was & CACHED) !== 0) {
      this.markAccessed(page, was);
      return HIT;
    }
    this.evicted = 0;
    while (this.residentPages === this.frames) this.reclaim();

    if (was === SHADOW && this.age - this.shadow[page] <= this.activePages) {
      state[page] = CACHED | ACTIVE | REFERENCED;
      lists.pushFront(this.active, page);
      this.activePages++;
      this.age++;
      this.activations++;
    } else {
      state[page] = CACHED | REFERENCED;
      lists.pushFront(this.inactive, page);
      this.inactivePages++;
    }
    return this.evicted;
  }

  /** A folio that is read ahead isn't marked accessed. */
  readAhead(page: number): number {
    const outcome = this.access(page);
    if (outcome !== HIT) this.state[page] &= ~REFERENCED;
    return outcome;
  }

  /** folio_mark_accessed() */
  private markAccessed(page: number, was: number): void {
    if ((was & REFERENCED) === 0) this.state[page] = was | REFERENCED;
    else if ((was & ACTIVE) === 0) {
      this.state[page] = CACHED | ACTIVE;
      this.lists.moveToFront(this.active, page);
      this.inactivePages--;
      this.activePages++;
      this.age++;
    }
  }

  /** One attempt to free a batch, try_to_free_mem_cgroup_pages(): ever larger shares of the lists are scanned until it is free. */
  private reclaim(): void {
    const goal = this.evicted + this.batch;
    for (let priority = DEF_PRIORITY; priority >= 0 && this.evicted < goal; priority--) {
      const deactivate = this.activations > 0 || this.inactiveIsLow();
      // shrink_lruvec(): both lists are scanned in turn, a cluster at a time, as long as their sizes at the beginning say.
      let inactiveScan = Math.floor(this.inactivePages / 2 ** priority);
      let activeScan = Math.floor(this.activePages / 2 ** priority);
      while ((inactiveScan > 0 || activeScan > 0) && this.evicted < goal) {
        const fromInactive = Math.min(inactiveScan, this.batch);
        inactiveScan -= fromInactive;
        this.shrinkInactive(fromInactive);
        const fromActive = Math.min(activeScan, this.batch);
        activeScan -= fromActive;
        if (deactivate) this.shrinkActive(fromActive);
      }
    }
    this.activations = 0; // snapshot_refaults()
  }

  private inactiveIsLow(): boolean {
    const gib = (this.inactivePages + this.activePages) >> GIB_SHIFT;
    const ratio = gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1;
    return this.inactivePages * ratio < this.activePages;
  }

  private shrinkInactive(pages: number): void {
    const { lists, state } = this;
    for (let i = 0; i < pages && this.inactivePages > 0; i++) {
      const victim = lists.back(this.inactive);
      lists.remove(victim);
      this.inactivePages--;
      state[victim] = SHADOW;
      this.shadow[victim] = this.age++;
      this.victims[this.evicted++] = victim;
    }
  }

  private shrinkActive(pages: number): void {
    const { lists, state } = this;
    for (let i = 0; i < pages && this.activePages > 0; i++) {
      const page = lists.back(this.active);
      lists.moveToFront(this.inactive, page);
      state[page] &= ~ACTIVE;
      this.activePages--;
      this.inactivePages++;
    }
  }

  check(): void {
    const { lists, state, inactivePages, activePages } = this;
    if (this.residentPages > this.frames)
      throw new Error(`linux-lru: ${this.residentPages} pages in ${this.frames} frames`);
    const place = (page: number) => state[page] & (CACHED | ACTIVE);
    checkList('linux-lru', lists, this.inactive, inactivePages, (page) => place(page) === CACHED);
    checkList('linux-lru', lists, this.active, activePages, (page) => place(page) === (CACHED | ACTIVE));
    const cached = state.reduce((sum, value) => sum + (value & CACHED), 0);
    if (cached !== inactivePages + activePages) throw new Error(`linux-lru: ${cached} pages say that they are cached`);
  }
}
