/*
 * ARC: two LRU lists, of pages seen once and of pages seen again, whose shares follow the hits in what each has evicted.
 *
 * Mechanism   T1 holds pages referenced once since they came in, T2 the others; B1 and B2 remember what T1 and T2 evicted. A hit moves
 *             the page to the front of T2. A miss that B1 remembers raises T1's target p by max(1, |B2| / |B1|), one that B2 remembers
 *             lowers it by max(1, |B1| / |B2|); both bring the page into T2. The victim is T1's oldest page while T1 is over its
 *             target, else T2's; T1 and B1 together never exceed the frames, all four lists twice the frames.
 * Paper       N. Megiddo and D. S. Modha, "ARC: a self-tuning, low overhead replacement cache", FAST 2003, section III and figure 4.
 * Checked     libCacheSim aa0fc40, ARC.c: equal miss counts, test/policies/golden.test.ts.
 * Deviations  none from libCacheSim. Where the paper leaves open whether p is an integer, it is a double here as there.
 * Memory      9 bytes a page.
 */
import { frameCount } from './frames.ts';
import { checkList, PageLists } from './lists.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

/** State of a page: the list it is in, 0 for none. */
const T1 = 1;
const T2 = 2;
const B1 = 3;
const B2 = 4;

export class Arc implements EvictionPolicy {
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
    const { lists, state } = this;
    const was = state[page];
    if (was === T2) {
      lists.moveToFront(this.t2, page);
      return HIT;
    }
    if (was === T1) {
      this.t1Pages--;
      state[page] = T2;
      lists.moveToFront(this.t2, page);
      return HIT;
    }
    if (was === 0) return this.admit(page);

    if (was === B1) {
      this.p = Math.min(this.p + Math.max(this.b2Pages / this.b1Pages, 1), this.frames);
      this.b1Pages--;
    } else {
      this.p = Math.max(this.p - Math.max(this.b1Pages / this.b2Pages, 1), 0);
      this.b2Pages--;
    }
    lists.remove(page);
    // Only a full cache has evicted anything to remember.
    this.replace(was === B2);
    state[page] = T2;
    lists.pushFront(this.t2, page);
    return 1;
  }

  /** A page in none of the lists. */
  private admit(page: number): number {
    const { lists, state, frames } = this;
    let evicted = 0;
    if (this.residentPages < frames) this.residentPages++;
    else {
      evicted = 1;
      if (this.t1Pages + this.b1Pages >= frames) {
        if (this.b1Pages > 0) {
          this.forget(this.b1);
          this.b1Pages--;
          this.replace(false);
        } else {
          // T1 is the whole cache.
          const victim = lists.back(this.t1);
          lists.remove(victim);
          state[victim] = 0;
          this.t1Pages--;
          this.victims[0] = victim;
        }
      } else {
        if (this.residentPages + this.b1Pages + this.b2Pages >= 2 * frames && this.b2Pages > 0) {
          this.forget(this.b2);
          this.b2Pages--;
        }
        this.replace(false);
      }
    }
    state[page] = T1;
    lists.pushFront(this.t1, page);
    this.t1Pages++;
    return evicted;
  }

  private forget(ghost: number): void {
    const page = this.lists.back(ghost);
    this.lists.remove(page);
    this.state[page] = 0;
  }

  /** The paper's REPLACE: evicts from T1 or T2 into its ghost. */
  private replace(inB2: boolean): void {
    const { lists, state, t1Pages, p } = this;
    const fromT1 = (t1Pages > 0 && (t1Pages > p || (inB2 && t1Pages === p))) || t1Pages === this.residentPages;
    const victim = lists.back(fromT1 ? this.t1 : this.t2);
    lists.remove(victim);
    if (fromT1) {
      this.t1Pages--;
      this.b1Pages++;
      state[victim] = B1;
      lists.pushFront(this.b1, victim);
    } else {
      this.b2Pages++;
      state[victim] = B2;
      lists.pushFront(this.b2, victim);
    }
    this.victims[0] = victim;
  }

  check(): void {
    const { lists, state, frames, residentPages, t1Pages, b1Pages, b2Pages, p } = this;
    if (residentPages > frames) throw new Error(`arc: ${residentPages} pages in ${frames} frames`);
    if (t1Pages + b1Pages > frames) throw new Error(`arc: T1 and B1 have ${t1Pages + b1Pages} pages, above ${frames}`);
    if (residentPages + b1Pages + b2Pages > 2 * frames) throw new Error('arc: more pages than twice the frames');
    if (!(p >= 0 && p <= frames)) throw new Error(`arc: target ${p} of T1 is outside 0 to ${frames}`);
    checkList('arc', lists, this.t1, t1Pages, (page) => state[page] === T1);
    checkList('arc', lists, this.t2, residentPages - t1Pages, (page) => state[page] === T2);
    checkList('arc', lists, this.b1, b1Pages, (page) => state[page] === B1);
    checkList('arc', lists, this.b2, b2Pages, (page) => state[page] === B2);
    const placed = state.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (placed !== residentPages + b1Pages + b2Pages) throw new Error(`arc: ${placed} pages have a state`);
  }
}
