import { describe, expect, it } from 'vitest';
import { Clock } from '../../src/policies/clock.ts';
import { countMisses, internals, narrate, TEXTBOOK } from './trace.ts';

const clock = (capacityPages: number, bits = 1) => new Clock({ capacityPages, universe: 8, seed: 0, params: { bits } });

describe('clock', () => {
  it('is fifo while nothing is hit: a page enters with its bit clear', () => {
    expect(narrate(clock(3), [1, 2, 3, 4, 5, 6, 1])).toBe('+ + + 1 2 3 4');
  });

  it('passes over a referenced page once', () => {
    // reference                     1   2   3   1      4      5      6      7
    // ring (' referenced, > hand)               >1'23  14>3   >145   6>45   67>5
    // 4: the hand clears 1, evicts 2. 5: evicts 3. 6: 1 has had its round.
    expect(narrate(clock(3), [1, 2, 3, 1, 4, 5, 6, 7])).toBe('+ + + . 2 3 1 4');
  });

  it('comes back to the first page when every bit is set', () => {
    // All of 1'2'3' are cleared in one round; 1 is the oldest again and leaves.
    expect(narrate(clock(3), [1, 2, 3, 3, 2, 1, 4, 5])).toBe('+ + + . . . 1 2');
  });

  it('counts one hit with one bit, three with two', () => {
    // 1 is hit five times. bits=1: it survives one pass of the hand (4 evicts 2). bits=2: three passes.
    const pages = [1, 2, 1, 1, 1, 1, 1, 3, 4, 5, 6, 7];
    // 3: hand clears 1, evicts 2 → 1 3, hand on 1. 4: 1 leaves.
    expect(narrate(clock(2), pages)).toBe('+ + . . . . . 2 1 3 4 5');
    // 3: 1 falls to 2, 2 leaves. 4: 1 falls to 1, 3 leaves. 5: 1 falls to 0, 4 leaves. 6: 1 leaves.
    expect(narrate(clock(2, 2), pages)).toBe('+ + . . . . . 2 3 4 1 5');
  });

  it('misses 11 times on the textbook references', () => {
    // Three frames; ' referenced, > hand before the miss. Hits set the bit of 0 (twice), 2, 3, 1 …
    // 7 0 1      +++              >7 0 1
    // 2          7 leaves         2 >0 1
    // 0          hit              2 >0' 1
    // 3          0 pays, 1 leaves >2 0 3
    // 0          hit              >2 0' 3
    // 4          2 leaves         4 >0' 3
    // 2          0 pays, 3 leaves >4 0 2
    // 3          4 leaves         3 >0 2
    // 0          hit              3 >0' 2
    // 3 2        hits             3' >0' 2'
    // 1          all pay, 0 leaves 3 1 >2
    // 2          hit              3 1 >2'
    // 0          2 pays, 3 leaves 0 >1 2
    // 1          hit              0 >1' 2
    // 7          1 pays, 2 leaves >0 1 7
    // 0 1        hits
    expect(narrate(clock(3), TEXTBOOK)).toBe('+ + + 7 . 1 . 2 3 4 . . . 0 . 3 . 2 . .');
    expect(countMisses(clock(3), TEXTBOOK)).toBe(11);
  });

  it('refuses a counter width outside 1 to 7', () => {
    for (const bits of [0, 8, 1.5, Number.NaN]) {
      expect(() => clock(3, bits)).toThrow(new RangeError(`bits must be an integer from 1 to 7, not ${bits}`));
    }
  });

  it('check() notices a page flagged but not held, held twice, a counter too large and a hand out of place', () => {
    const flagged = clock(3);
    narrate(flagged, [1, 2, 3, 4]);
    internals(flagged).state[7] = 1;
    expect(() => flagged.check()).toThrow('clock: page 7 has state 1 but is not in the ring');

    const twice = clock(3);
    narrate(twice, [1, 2, 3, 4]);
    internals(twice).ring[1] = 3;
    expect(() => twice.check()).toThrow('clock: a page is in two frames');

    const large = clock(3);
    narrate(large, [1, 2, 3]);
    internals(large).state[2] = 3;
    expect(() => large.check()).toThrow('clock: page 2 has state 3, above 2');

    const astray = clock(3);
    narrate(astray, [1, 2]);
    Object.assign(astray, { hand: 1 });
    expect(() => astray.check()).toThrow('clock: hand at frame 1 with 2 of 3 frames in use');
  });
});
