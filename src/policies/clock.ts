/*
 * CLOCK: FIFO that gives a referenced page another round.
 *
 * Mechanism   One ring of frames, one small counter a page. A hit raises the counter up to 2^bits − 1. To evict, the hand walks from
 *             the oldest page: a page with a positive counter pays one and stays, the first page at zero leaves and the new page
 *             takes its frame. Walking past a frame is what "reinsert at the head of the queue" means in a ring.
 * Paper       F. J. Corbató, "A paging experiment with the Multics system", MIT Project MAC memo MAC-M-384, 1968: the ring, the hand
 *             and the usage bit. Counters in place of the bit: A. J. Smith, "Sequentiality and prefetching in database systems",
 *             ACM TODS 3(3), 1978 (generalised CLOCK).
 * Checked     libCacheSim aa0fc40, Clock.c, with its default n-bit-counter=1: equal miss counts,
 *             test/policies/golden.test.ts.
 * Deviations  from libCacheSim none; from textbooks that count the fault as a use: a page enters with its counter at zero.
 *             Corbató's k bits are a shift register of past rounds; ours count references.
 * Parameters  bits=1  width of the counter, 1 to 7.
 * Memory      1 byte a page, 4 bytes a frame.
 */
import { frameCount } from './frames.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

export class Clock implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  residentPages = 0;
  /** Page held by each frame; frames below `residentPages` are in use. */
  private readonly ring: Uint32Array;
  /** 0 for a page that is not cached, else its counter + 1: residency and counter in the one byte a hit has to touch. */
  private readonly state: Uint8Array;
  /** Largest value of `state`: 2^bits. */
  private readonly limit: number;
  /** `state` of a page as it comes in. */
  private readonly entering: number;
  /** Frame the next eviction looks at first, 0 while the cache is filling. */
  private hand = 0;

  /** @param entryUses counter of a page as it comes in */
  constructor(context: PolicyContext, entryUses = 0) {
    const { bits } = context.params;
    if (!Number.isInteger(bits) || bits < 1 || bits > 7) {
      throw new RangeError(`bits must be an integer from 1 to 7, not ${bits}`);
    }
    this.ring = new Uint32Array(frameCount(context));
    this.state = new Uint8Array(context.universe);
    this.limit = 2 ** bits;
    this.entering = 1 + entryUses;
  }

  access(page: number): number {
    const state = this.state;
    const value = state[page];
    if (value !== 0) {
      if (value < this.limit) state[page] = value + 1;
      return HIT;
    }
    state[page] = this.entering;

    const ring = this.ring;
    const frames = ring.length;
    if (this.residentPages < frames) {
      ring[this.residentPages++] = page;
      return 0;
    }
    let hand = this.hand;
    let victim = ring[hand];
    while (state[victim] > 1) {
      state[victim]--;
      if (++hand === frames) hand = 0;
      victim = ring[hand];
    }
    ring[hand] = page;
    this.hand = hand + 1 === frames ? 0 : hand + 1;
    state[victim] = 0;
    this.victims[0] = victim;
    return 1;
  }

  check(): void {
    const { ring, state, residentPages, hand, limit } = this;
    if (residentPages > ring.length) throw new Error(`clock: ${residentPages} pages in ${ring.length} frames`);
    if (hand !== 0 && (residentPages < ring.length || hand >= ring.length)) {
      throw new Error(`clock: hand at frame ${hand} with ${residentPages} of ${ring.length} frames in use`);
    }
    const held = new Set(ring.subarray(0, residentPages));
    if (held.size !== residentPages) throw new Error('clock: a page is in two frames');
    for (let page = 0; page < state.length; page++) {
      if (state[page] > limit) throw new Error(`clock: page ${page} has state ${state[page]}, above ${limit}`);
      if ((state[page] !== 0) !== held.has(page)) {
        throw new Error(
          `clock: page ${page} has state ${state[page]} but is ${held.has(page) ? '' : 'not '}in the ring`,
        );
      }
    }
  }
}
