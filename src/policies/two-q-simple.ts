/*
 * 2Q, the simplified version: a page is let into the LRU list by a second reference while a FIFO still holds it.
 *
 * Mechanism   A new page enters A1, a FIFO. A hit in A1 moves the page to Am, an LRU list; a hit in Am to its front. When the cache is
 *             full, A1's oldest page leaves if A1 is over its share, else Am's least recently used page.
 * Paper       T. Johnson and D. Shasha, "2Q: a low overhead high performance buffer management replacement algorithm", VLDB 1994,
 *             section 2 ("simplified 2Q").
 * Checked     a naive twin.
 * Deviations  none; the paper leaves A1's share open.
 * Parameters  in=0.25  A1's share of the frames.
 * Memory      9 bytes a page.
 */
import { frameCount } from './frames.ts';
import { checkList, PageLists } from './lists.ts';
import { numberParam } from './params.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

/** State of a page: the list it is in, 0 for none. */
const A1 = 1;
const AM = 2;

export class TwoQSimple implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  residentPages = 0;
  private readonly frames: number;
  private readonly lists: PageLists;
  private readonly state: Uint8Array;
  private readonly a1: number;
  private readonly am: number;
  private readonly a1Limit: number;
  private a1Pages = 0;

  constructor(context: PolicyContext) {
    const { universe, capacityPages } = context;
    this.frames = frameCount(context);
    // A share of everything would leave Am to evict what it does not have.
    this.a1Limit = Math.min(Math.trunc(capacityPages * numberParam(context, 'in', 0, 1)), capacityPages - 1);
    this.lists = new PageLists(universe, 2);
    this.state = new Uint8Array(universe);
    this.a1 = universe;
    this.am = universe + 1;
  }

  access(page: number): number {
    const { lists, state } = this;
    const was = state[page];
    if (was !== 0) {
      if (was === A1) {
        state[page] = AM;
        this.a1Pages--;
      }
      lists.moveToFront(this.am, page);
      return HIT;
    }
    let evicted = 0;
    if (this.residentPages < this.frames) this.residentPages++;
    else {
      const fromA1 = this.a1Pages > this.a1Limit;
      const victim = lists.back(fromA1 ? this.a1 : this.am);
      lists.remove(victim);
      state[victim] = 0;
      if (fromA1) this.a1Pages--;
      this.victims[0] = victim;
      evicted = 1;
    }
    state[page] = A1;
    lists.pushFront(this.a1, page);
    this.a1Pages++;
    return evicted;
  }

  check(): void {
    const { lists, state, residentPages, a1Pages, frames } = this;
    if (residentPages > frames) throw new Error(`2q-simple: ${residentPages} pages in ${frames} frames`);
    checkList('2q-simple', lists, this.a1, a1Pages, (page) => state[page] === A1);
    checkList('2q-simple', lists, this.am, residentPages - a1Pages, (page) => state[page] === AM);
    const placed = state.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (placed !== residentPages) throw new Error(`2q-simple: ${placed} pages have a state`);
  }
}
