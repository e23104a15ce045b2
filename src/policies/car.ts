/*
 * CAR: ARC with clocks: the adaptation of ARC at the price of a bit a hit.
 *
 * Mechanism   Two clocks, T1 of pages seen once and T2 of pages seen again, and what each has evicted, B1 and B2. A hit sets a bit. To
 *             evict, T1's hand is asked while T1 is at its target, else T2's: a page with its bit set loses it and goes to the tail of
 *             T2, one without leaves into the memory of its clock. B1 and B2 move the target as in ARC.
 * Paper       S. Bansal and D. S. Modha, "CAR: clock with adaptive replacement", FAST 2004, section III and figure 2.
 * Checked     a naive twin.
 * Deviations  none; the target is a double.
 * Memory      9 bytes a page.
 */
import { frameCount } from './frames.ts';
import { checkList, PageLists } from './lists.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

/** State of a page: the list it is in, 0 for none; for T1 and T2 the bit of a use is added. */
const B1 = 1;
const B2 = 2;
const T1 = 4;
const T2 = 6;
const USED = 1;

export class Car implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  residentPages = 0;
  private readonly frames: number;
  private readonly lists: PageLists;
  private readonly state: Uint8Array;
  private readonly t1: number;
  private readonly t2: number;
  private readonly b1: number;
  private readonly b2: number;
  private t1Pages = 0;
  private b1Pages = 0;
  private b2Pages = 0;
  /** Target of T1, 0 to the frames. */
  private p = 0;

  constructor(context: PolicyContext) {
    const { universe } = context;
    this.frames = frameCount(context);
    this.lists = new PageLists(universe, 4);
    this.state = new Uint8Array(universe);
    this.t1 = universe;
    this.t2 = universe + 1;
    this.b1 = universe + 2;
    this.b2 = universe + 3;
  }

  access(page: number): number {
    const { lists, state, frames } = this;
    const was = state[page];
    if (was >= T1) {
      state[page] = was | USED;
      return HIT;
    }

    let evicted = 0;
    if (this.residentPages === frames) {
      this.replace();
      evicted = 1;
      if (was === 0) {
        if (this.t1Pages + this.b1Pages === frames) {
          this.forget(this.b1);
          this.b1Pages--;
        } else if (this.residentPages + this.b1Pages + this.b2Pages === 2 * frames) {
          this.forget(this.b2);
          this.b2Pages--;
        }
      }
    }
    this.residentPages++;
    if (was === 0) {
      state[page] = T1;
      lists.pushFront(this.t1, page);
      this.t1Pages++;
      return evicted;
    }
    if (was === B1) {
      this.p = Math.min(this.p + Math.max(1, this.b2Pages / this.b1Pages), frames);
      this.b1Pages--;
    } else {
      this.p = Math.max(this.p - Math.max(1, this.b1Pages / this.b2Pages), 0);
      this.b2Pages--;
    }
    state[page] = T2;
    lists.moveToFront(this.t2, page);
    return evicted;
  }

  private forget(ghost: number): void {
    const page = this.lists.back(ghost);
    this.lists.remove(page);
    this.state[page] = 0;
  }

  /** The paper's replace(). */
  private replace(): void {
    const { lists, state } = this;
    for (;;) {
      const fromT1 = this.t1Pages >= Math.max(1, this.p);
      const page = lists.back(fromT1 ? this.t1 : this.t2);
      const used = (state[page] & USED) !== 0;
      if (fromT1) this.t1Pages--;
      if (used) {
        state[page] = T2;
        lists.moveToFront(this.t2, page);
        continue;
      }
      this.residentPages--;
      state[page] = fromT1 ? B1 : B2;
      lists.moveToFront(fromT1 ? this.b1 : this.b2, page);
      if (fromT1) this.b1Pages++;
      else this.b2Pages++;
      this.victims[0] = page;
      return;
    }
  }

  check(): void {
    const { lists, state, frames, residentPages, t1Pages, b1Pages, b2Pages, p } = this;
    if (residentPages > frames) throw new Error(`car: ${residentPages} pages in ${frames} frames`);
    if (t1Pages + b1Pages > frames) throw new Error(`car: T1 and B1 have ${t1Pages + b1Pages} pages, above ${frames}`);
    if (residentPages + b1Pages + b2Pages > 2 * frames) throw new Error('car: more pages than twice the frames');
    if (!(p >= 0 && p <= frames)) throw new Error(`car: target ${p} of T1 is outside 0 to ${frames}`);
    checkList('car', lists, this.t1, t1Pages, (page) => (state[page] & ~USED) === T1);
    checkList('car', lists, this.t2, residentPages - t1Pages, (page) => (state[page] & ~USED) === T2);
    checkList('car', lists, this.b1, b1Pages, (page) => state[page] === B1);
    checkList('car', lists, this.b2, b2Pages, (page) => state[page] === B2);
    const placed = state.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (placed !== residentPages + b1Pages + b2Pages) throw new Error(`car: ${placed} pages have a state`);
  }
}
