import { describe, expect, it } from 'vitest';
import { Lru } from '../../src/policies/lru.ts';
import { ANOMALY, countMisses, internals, narrate, TEXTBOOK } from './trace.ts';

const lru = (capacityPages: number, universe = 8) => new Lru({ capacityPages, universe, seed: 0, params: {} });

describe('lru', () => {
  it('evicts the page unused longest', () => {
    // reference          1    2    3    1    4      1      5      2      4
    // most recent first  1   21  321  132  413    143    514    251    425
    expect(narrate(lru(3), [1, 2, 3, 1, 4, 1, 5, 2, 4])).toBe('+ + + . 2 . 3 4 1');
  });

  it('moves the last, the middle and the first page of the list to the front', () => {
    // reference          0    1    2    0     2     2     3      4      5
    // most recent first  0   10  210  021   201   201   320    432    543
    expect(narrate(lru(3), [0, 1, 2, 0, 2, 2, 3, 4, 5])).toBe('+ + + . . . 1 0 2');
  });

  it('misses 12 times on the textbook references', () => {
    expect(countMisses(lru(3), TEXTBOOK)).toBe(12);
  });

  it('gains from a fourth frame where fifo loses', () => {
    expect(countMisses(lru(3), ANOMALY)).toBe(10);
    expect(countMisses(lru(4), ANOMALY)).toBe(8);
  });

  it('check() notices a broken back link, a page outside the list, a list cut short', () => {
    const back = lru(3);
    narrate(back, [1, 2, 3]);
    internals(back).links[2 * 2] = 1;
    expect(() => back.check()).toThrow('lru: page 2 follows 3 but links back to 1');

    const outside = lru(3);
    narrate(outside, [1, 2, 3]);
    internals(outside).links[2 * 7] = 1;
    expect(() => outside.check()).toThrow('lru: 4 pages have links, 3 are in the list');

    const short = lru(3);
    narrate(short, [1, 2, 3]);
    Object.assign(short, { residentPages: 2 });
    expect(() => short.check()).toThrow('lru: the list is longer than 2 pages');
  });
});
