/*
 * 2Q, the full version: a FIFO of new pages, a memory of those it turned away, an LRU list of pages that came back.
 *
 * Mechanism   A new page enters A1in, or Am when A1out remembers it. A hit in A1in changes nothing, in Am it moves the page to the
 *             front. When the cache is full and A1in is over its share, A1in's oldest page leaves and A1out remembers it; otherwise
 *             Am's least recently used page leaves.
 * Paper       T. Johnson and D. Shasha, "2Q: a low overhead high performance buffer management replacement algorithm", VLDB 1994,
 *             section 3 ("full version"), with its recommended Kin = 25 % and Kout = 50 %.
 * Checked     libCacheSim aa0fc40, TwoQ.c: equal miss counts, test/policies/golden.test.ts.
 * Deviations  from libCacheSim: caches of under 4 frames work (there an A1in without a frame admits nothing).
 * Parameters  in=0.25  A1in's share of the frames; out=0.5  pages remembered, as a share of the frames.
 * Memory      9 bytes a page.
 */
import { frameCount } from './frames.ts';
import { checkList, PageLists } from './lists.ts';
import { numberParam } from './params.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

/** State of a page: the list it is in, 0 for none. */
const IN = 1;
const OUT = 2;
const AM = 3;

export class TwoQ implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  residentPages = 0;
  private readonly frames: number;
  private readonly lists: PageLists;
  private readonly state: Uint8Array;
  private readonly a1in: number;
  private readonly a1out: number;
  private readonly am: number;
  private readonly inLimit: number;
  private readonly outLimit: number;
  private inPages = 0;
  private outPages = 0;

  constructor(context: PolicyContext) {
    const { universe, capacityPages } = context;
    this.frames = frameCount(context);
    // A share of everything would leave Am to evict what it does not have.
    this.inLimit = Math.min(Math.trunc(capacityPages * numberParam(context, 'in', 0, 1)), capacityPages - 1);
    this.outLimit = Math.trunc(capacityPages * numberParam(context, 'out', 0, 16));
    this.lists = new PageLists(universe, 3);
    this.state = new Uint8Array(universe);
    this.a1in = universe;
    this.a1out = universe + 1;
    this.am = universe + 2;
  }

  access(page: number): number {
    const { lists, state } = this;
    const was = state[page];
    if (was === AM) {
      lists.moveToFront(this.am, page);
      return HIT;
    }
    if (was === IN) return HIT;

    if (was === OUT) {
      lists.remove(page);
      this.outPages--;
    }
    let evicted = 0;
    if (this.residentPages < this.frames) this.residentPages++;
    else {
      evicted = 1;
      const fromIn = this.inPages > this.inLimit;
      const victim = lists.back(fromIn ? this.a1in : this.am);
      lists.remove(victim);
      state[victim] = 0;
      if (fromIn) {
        this.inPages--;
        this.remember(victim);
      }
      this.victims[0] = victim;
    }
    if (was === OUT) {
      state[page] = AM;
      lists.pushFront(this.am, page);
    } else {
      state[page] = IN;
      lists.pushFront(this.a1in, page);
      this.inPages++;
    }
    return evicted;
  }

  private remember(page: number): void {
    const { lists, state, a1out, outLimit } = this;
    if (outLimit === 0) return;
    if (this.outPages === outLimit) {
      const forgotten = lists.back(a1out);
      lists.remove(forgotten);
      state[forgotten] = 0;
    } else this.outPages++;
    state[page] = OUT;
    lists.pushFront(a1out, page);
  }

  check(): void {
    const { lists, state, frames, residentPages, inPages, outPages } = this;
    if (residentPages > frames) throw new Error(`2q: ${residentPages} pages in ${frames} frames`);
    if (outPages > this.outLimit) throw new Error(`2q: A1out remembers ${outPages} pages, above ${this.outLimit}`);
    checkList('2q', lists, this.a1in, inPages, (page) => state[page] === IN);
    checkList('2q', lists, this.a1out, outPages, (page) => state[page] === OUT);
    checkList('2q', lists, this.am, residentPages - inPages, (page) => state[page] === AM);
    const placed = state.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (placed !== residentPages + outPages) throw new Error(`2q: ${placed} pages have a state`);
  }
}
