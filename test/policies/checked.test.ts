import { describe, expect, it } from 'vitest';
import { Checked } from '../../src/policies/checked.ts';
import { Fifo } from '../../src/policies/fifo.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from '../../src/policies/policy.ts';

const CONTEXT: PolicyContext = { capacityPages: 4, universe: 16, seed: 0, params: {} };

/** FIFO that does as it should for ten accesses, and then something else. */
function turns(bad: (policy: Fifo, page: number) => number): Checked {
  const fifo = new Fifo(CONTEXT);
  let accesses = 0;
  const policy: EvictionPolicy = {
    victims: fifo.victims,
    get residentPages() {
      return fifo.residentPages;
    },
    access: (page) => (++accesses <= 10 ? fifo.access(page) : bad(fifo, page)),
    check: () => fifo.check(),
  };
  return new Checked(policy, './mine.js', CONTEXT);
}

describe('a policy in a file of its own', () => {
  it('passes while it keeps to the contract', () => {
    const policy = turns((fifo, page) => fifo.access(page));
    const plain = new Fifo(CONTEXT);
    for (let i = 0; i < 200; i++) expect(policy.access((i * 7) % 16)).toBe(plain.access((i * 7) % 16));
    policy.check();
  });

  it.each<[string, (fifo: Fifo, page: number) => number, RegExp]>([
    ['answers below −1', () => -7, /answers -7, which is neither/],
    ['answers no number', () => Number.NaN, /answers NaN/],
    ['answers a fraction', () => 0.5, /answers 0\.5/],
    ['answers more victims than it has room for', () => 100_000, /answers 100000/],
    ['never evicts', () => 0, /keeps 5 pages in 4 frames/],
    ['calls a page cached that isn’t', () => HIT, /is cached, which it isn't/],
    ['evicts a page that isn’t there', (fifo) => Math.sign(fifo.victims.fill(15).length), /evicts page 15/],
    [
      'throws',
      () => {
        throw new Error('boom');
      },
      /throws: boom/,
    ],
  ])('is stopped when it %s, by name and access', (_, bad, what) => {
    const policy = turns(bad);
    for (let page = 0; page < 10; page++) policy.access(page);
    expect(() => policy.access(10)).toThrow(what);
    expect(() => turns(bad).access(0)).not.toThrow();
  });
});
