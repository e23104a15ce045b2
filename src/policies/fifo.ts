/*
 * FIFO: evict the page that has been cached longest; a hit changes nothing.
 *
 * Mechanism   One ring of frames. The hand stands on the oldest page, whose frame the next page takes.
 * Paper       L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5(2), 1966
 *             (its FIFO rule among the "class 1" algorithms, those that use no reference information).
 * Checked     libCacheSim aa0fc40, FIFO.c: equal miss counts, test/policies/golden.test.ts.
 * Deviations  none.
 * Memory      1 byte a page, 4 bytes a frame.
 */
import { frameCount } from './frames.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

export class Fifo implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  residentPages = 0;
  /** Page held by each frame; frames below `residentPages` are in use. */
  private readonly ring: Uint32Array;
  /** 1 for a cached page. */
  private readonly resident: Uint8Array;
  /** Frame of the oldest page, 0 while the cache is filling. */
  private hand = 0;

  constructor(context: PolicyContext) {
    this.ring = new Uint32Array(frameCount(context));
    this.resident = new Uint8Array(context.universe);
  }

  access(page: number): number {
    const resident = this.resident;
    if (resident[page] !== 0) return HIT;
    resident[page] = 1;

    const ring = this.ring;
    if (this.residentPages < ring.length) {
      ring[this.residentPages++] = page;
      return 0;
    }
    const hand = this.hand;
    const victim = ring[hand];
    ring[hand] = page;
    this.hand = hand + 1 === ring.length ? 0 : hand + 1;
    resident[victim] = 0;
    this.victims[0] = victim;
    return 1;
  }

  check(): void {
    const { ring, resident, residentPages, hand } = this;
    if (residentPages > ring.length) throw new Error(`fifo: ${residentPages} pages in ${ring.length} frames`);
    if (hand !== 0 && (residentPages < ring.length || hand >= ring.length)) {
      throw new Error(`fifo: hand at frame ${hand} with ${residentPages} of ${ring.length} frames in use`);
    }
    const held = new Set(ring.subarray(0, residentPages));
    if (held.size !== residentPages) throw new Error('fifo: a page is in two frames');
    for (let page = 0; page < resident.length; page++) {
      if ((resident[page] === 1) !== held.has(page)) {
        throw new Error(
          `fifo: page ${page} has flag ${resident[page]} but is ${held.has(page) ? '' : 'not '}in the ring`,
        );
      }
    }
  }
}
