import { describe, expect, it } from 'vitest';
import { Sieve } from '../../src/policies/sieve.ts';
import { internals, narrate } from './trace.ts';

const sieve = (capacityPages: number) => new Sieve({ capacityPages, universe: 8, seed: 0, params: {} });

describe('sieve', () => {
  it('is fifo while nothing is hit', () => {
    expect(narrate(sieve(3), [1, 2, 3, 4, 5, 6, 1])).toBe('+ + + 1 2 3 4');
  });

  it('leaves a visited page where it is, and goes on from the evicted one', () => {
    // newest first, ' visited, > hand  1     21    321   321'  43>1       5>31→     6>53…
    // 4: the hand clears 1 and evicts 2; 5: it stands on 3, evicts it; 6: evicts 4. 1 stays, behind the hand.
    expect(narrate(sieve(3), [1, 2, 3, 1, 4, 5, 6, 7])).toBe('+ + + . 2 3 4 5');
  });

  it('starts over at the oldest page after evicting the newest', () => {
    // 1' 2' 3: the hand clears 1 and 2 and evicts 3, the newest. The next eviction begins at 1, not at 4.
    expect(narrate(sieve(3), [1, 2, 1, 2, 3, 4, 5])).toBe('+ + . . + 3 1');
  });

  it('check() notices a broken link, a page outside the queue and a hand on no page', () => {
    const back = sieve(3);
    narrate(back, [1, 2, 3]);
    internals(back).entries[2 * 2] = 1 << 1;
    expect(() => back.check()).toThrow('sieve: page 2 follows 3 but links back to 1');
    const outside = sieve(3);
    narrate(outside, [1, 2, 3]);
    internals(outside).entries[2 * 7] = 2;
    expect(() => outside.check()).toThrow('sieve: 4 pages have links, 3 are in the queue');
    const astray = sieve(3);
    narrate(astray, [1, 2]);
    Object.assign(astray, { hand: 5 });
    expect(() => astray.check()).toThrow('sieve: the hand is on page 5, which is not cached');
  });
});
