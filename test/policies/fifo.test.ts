import { describe, expect, it } from 'vitest';
import { Fifo } from '../../src/policies/fifo.ts';
import { ANOMALY, countMisses, internals, narrate, TEXTBOOK } from './trace.ts';

const fifo = (capacityPages: number, universe = 8) => new Fifo({ capacityPages, universe, seed: 0, params: {} });

describe('fifo', () => {
  it('evicts in order of arrival, whatever was hit since', () => {
    // reference  1    2    3    1    4      1      5      1      2
    // queue      1   12  123  123  234    341    415    415    152
    expect(narrate(fifo(3), [1, 2, 3, 1, 4, 1, 5, 1, 2])).toBe('+ + + . 1 2 3 . 4');
  });

  it('misses 9 times with three frames and 10 times with four on the references of Belady, Nelson and Shedler', () => {
    expect(countMisses(fifo(3), ANOMALY)).toBe(9);
    expect(countMisses(fifo(4), ANOMALY)).toBe(10);
  });

  it('misses 15 times on the textbook references', () => {
    expect(countMisses(fifo(3), TEXTBOOK)).toBe(15);
  });

  it('check() notices a page flagged but not held, held twice, and a hand out of place', () => {
    const flagged = fifo(3);
    narrate(flagged, [1, 2, 3, 4]);
    internals(flagged).resident[7] = 1;
    expect(() => flagged.check()).toThrow('fifo: page 7 has flag 1 but is not in the ring');

    const twice = fifo(3);
    narrate(twice, [1, 2, 3, 4]);
    internals(twice).ring[1] = 3;
    expect(() => twice.check()).toThrow('fifo: a page is in two frames');

    const astray = fifo(3);
    narrate(astray, [1, 2]);
    Object.assign(astray, { hand: 1 });
    expect(() => astray.check()).toThrow('fifo: hand at frame 1 with 2 of 3 frames in use');
  });
});
