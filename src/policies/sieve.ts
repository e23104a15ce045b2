/*
 * SIEVE: one FIFO queue whose hand removes from the middle and leaves survivors where they are.
 *
 * Mechanism   A queue from the newest to the oldest page and a visited bit a page. A hit sets the bit and moves nothing. To evict, the
 *             hand walks from where it stopped towards newer pages, wrapping from the newest to the oldest: a visited page loses its
 *             bit and stays, the first unvisited one leaves. Because survivors stay behind the hand, new pages are looked at soon.
 * Paper       Y. Zhang, J. Yang, Y. Yue, Y. Vigfusson and K. V. Rashmi, "SIEVE is simpler than LRU: an efficient turn-key eviction
 *             algorithm for web caches", NSDI 2024, section 3.1 and algorithm 1.
 * Checked     libCacheSim aa0fc40, Sieve.c: equal miss counts, test/policies/golden.test.ts.
 * Deviations  none.
 * Memory      8 bytes a page.
 */
import { frameCount } from './frames.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

const ABSENT = -1;

export class Sieve implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  residentPages = 0;
  private readonly frames: number;
  /**
   * entries[2p] is ABSENT when page p is not cached, else the next newer page shifted left by one, its visited bit below; entries[2p + 1]
   * is the next older page. Page number `universe` is the sentinel on both sides of the queue. With the bit inside the link, a hit
   * touches one word.
   */
  private readonly entries: Int32Array;
  /** Page the next eviction looks at first; the sentinel stands for the oldest. */
  private hand: number;

  constructor(context: PolicyContext) {
    const { universe } = context;
    this.frames = frameCount(context);
    this.entries = new Int32Array(2 * universe + 2).fill(ABSENT);
    this.entries[2 * universe] = universe << 1;
    this.entries[2 * universe + 1] = universe;
    this.hand = universe;
  }

  access(page: number): number {
    const entries = this.entries;
    const node = page << 1;
    const entry = entries[node];
    if (entry !== ABSENT) {
      entries[node] = entry | 1;
      return HIT;
    }

    const end = entries.length - 2;
    const sentinel = end >> 1;
    let evicted = 0;
    if (this.residentPages < this.frames) this.residentPages++;
    else {
      let victim = this.hand;
      if (victim === sentinel) victim = entries[end] >> 1;
      let link = entries[victim << 1];
      while ((link & 1) !== 0) {
        entries[victim << 1] = link ^ 1;
        victim = link >> 1;
        if (victim === sentinel) victim = entries[end] >> 1;
        link = entries[victim << 1];
      }
      const newer = link >> 1;
      const older = entries[(victim << 1) + 1];
      entries[(newer << 1) + 1] = older;
      entries[older << 1] = (newer << 1) | (entries[older << 1] & 1);
      entries[victim << 1] = ABSENT;
      this.hand = newer;
      this.victims[0] = victim;
      evicted = 1;
    }
    // The newest page is the sentinel's older neighbour.
    const newest = entries[end + 1];
    entries[node] = sentinel << 1;
    entries[node + 1] = newest;
    entries[newest << 1] = (page << 1) | (entries[newest << 1] & 1);
    entries[end + 1] = page;
    return evicted;
  }

  check(): void {
    const { entries, residentPages, frames, hand } = this;
    const sentinel = (entries.length - 2) / 2;
    if (residentPages > frames) throw new Error(`sieve: ${residentPages} pages in ${frames} frames`);
    if ((entries[2 * sentinel] & 1) !== 0) throw new Error('sieve: the sentinel is marked as visited');
    let length = 0;
    for (let page = entries[2 * sentinel + 1], newer = sentinel; ; newer = page, page = entries[2 * page + 1]) {
      if (entries[2 * page] >> 1 !== newer) {
        throw new Error(`sieve: page ${page} follows ${newer} but links back to ${entries[2 * page] >> 1}`);
      }
      if (page === sentinel) break;
      if (++length > residentPages) throw new Error(`sieve: the queue is longer than ${residentPages} pages`);
    }
    if (length !== residentPages) throw new Error(`sieve: ${length} pages in the queue, ${residentPages} counted`);
    let present = 0;
    for (let page = 0; page < sentinel; page++) if (entries[2 * page] !== ABSENT) present++;
    if (present !== residentPages)
      throw new Error(`sieve: ${present} pages have links, ${residentPages} are in the queue`);
    if (entries[2 * hand] === ABSENT) throw new Error(`sieve: the hand is on page ${hand}, which is not cached`);
  }
}
