/*
 * Random: evict any page.
 *
 * Mechanism   The victim's frame is drawn from all frames alike; the new page takes it.
 * Paper       L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5(2), 1966 (RAND).
 * Checked     a naive twin that draws the same numbers; on independent references its hit ratio is FIFO's (E. Gelenbe, "A unified
 *             approach to the evaluation of a class of replacement algorithms", IEEE Transactions on Computers 22(6), 1973).
 * Deviations  from libCacheSim's Random.c: there the draw is of a bucket of a hash table, which favours pages alone in theirs.
 * Memory      1 byte a page, 4 bytes a frame.
 */
import { frameCount } from './frames.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';
import { RandomSource } from './random-source.ts';

export class Random implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  residentPages = 0;
  /** Page held by each frame; frames below `residentPages` are in use. */
  private readonly pages: Uint32Array;
  /** 1 for a cached page. */
  private readonly resident: Uint8Array;
  private readonly random: RandomSource;

  constructor(context: PolicyContext) {
    this.pages = new Uint32Array(frameCount(context));
    this.resident = new Uint8Array(context.universe);
    this.random = new RandomSource(context.seed);
  }

  access(page: number): number {
    const { resident, pages } = this;
    if (resident[page] !== 0) return HIT;
    resident[page] = 1;
    if (this.residentPages < pages.length) {
      pages[this.residentPages++] = page;
      return 0;
    }
    const frame = this.random.below(pages.length);
    const victim = pages[frame];
    pages[frame] = page;
    resident[victim] = 0;
    this.victims[0] = victim;
    return 1;
  }

  check(): void {
    const { pages, resident, residentPages } = this;
    const held = new Set(pages.subarray(0, residentPages));
    if (held.size !== residentPages) throw new Error('random: a page is in two frames');
    for (let page = 0; page < resident.length; page++) {
      if ((resident[page] === 1) !== held.has(page)) throw new Error(`random: page ${page} has flag ${resident[page]}`);
    }
  }
}
