/*
 * MRU: evict the page used most recently. Right for loops longer than the cache, and for little else.
 *
 * Mechanism   The page used last is always cached, so the victim is the page of the reference before: no list is kept.
 * Paper       H.-T. Chou and D. J. DeWitt, "An evaluation of buffer management strategies for relational database systems", VLDB 1985,
 *             section 3.
 * Checked     a naive twin.
 * Deviations  none.
 * Memory      1 byte a page.
 */
import { frameCount } from './frames.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

export class Mru implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  residentPages = 0;
  private readonly frames: number;
  /** 1 for a cached page. */
  private readonly resident: Uint8Array;
  /** Page of the reference before, −1 at the beginning. */
  private last = -1;

  constructor(context: PolicyContext) {
    this.frames = frameCount(context);
    this.resident = new Uint8Array(context.universe);
  }

  access(page: number): number {
    const { resident, last } = this;
    this.last = page;
    if (resident[page] !== 0) return HIT;
    resident[page] = 1;
    if (this.residentPages < this.frames) {
      this.residentPages++;
      return 0;
    }
    resident[last] = 0;
    this.victims[0] = last;
    return 1;
  }

  check(): void {
    const cached = this.resident.reduce((sum, value) => sum + value, 0);
    if (cached !== this.residentPages)
      throw new Error(`mru: ${cached} pages have a flag, ${this.residentPages} counted`);
    if (cached > this.frames) throw new Error(`mru: ${cached} pages in ${this.frames} frames`);
    if (this.last >= 0 && this.resident[this.last] === 0)
      throw new Error(`mru: page ${this.last}, used last, is not cached`);
  }
}
