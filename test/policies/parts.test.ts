import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import xxhash from 'xxhash-wasm';
import { FrequencySketch, xxh64 } from '../../src/policies/frequency-sketch.ts';
import { PageHeap } from '../../src/policies/heap.ts';
import { parsePolicy } from '../../src/policies/index.ts';
import { checkList, PageLists } from '../../src/policies/lists.ts';

const { h64Raw } = await xxhash();

it('xxh64 is the low half of the 64-bit xxHash of eight bytes', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.integer({ min: 0, max: 2 ** 31 - 1 }), (id, seed) => {
      const bytes = new Uint8Array(new BigUint64Array([id]).buffer);
      const [low, high] = new Uint32Array(bytes.buffer);
      expect(xxh64(low, high, seed)).toBe(Number(h64Raw(bytes, BigInt(seed)) & 0xffffffffn));
    }),
  );
});

describe('the frequency sketch', () => {
  it('counts a page alone exactly, past 255 and through halving', () => {
    const sketch = new FrequencySketch(10, 10_000);
    for (let i = 0; i < 1000; i++) sketch.add(3);
    expect(sketch.estimate(3)).toBe(1000);
    expect(sketch.estimate(4)).toBe(0);
    sketch.halve();
    expect(sketch.estimate(3)).toBe(500);
    sketch.halve();
    expect(sketch.estimate(3)).toBe(250);
    for (let i = 0; i < 6; i++) sketch.add(3);
    expect(sketch.estimate(3)).toBe(256);
    for (let i = 0; i < 9; i++) sketch.halve();
    expect(sketch.estimate(3)).toBe(0);
  });

  it('never counts a page too low', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(49), { maxLength: 2000 }), (pages) => {
        const sketch = new FrequencySketch(50, 3);
        const counts = new Map<number, number>();
        for (const page of pages) {
          sketch.add(page);
          counts.set(page, (counts.get(page) ?? 0) + 1);
        }
        for (const [page, count] of counts) expect(sketch.estimate(page)).toBeGreaterThanOrEqual(count);
      }),
    );
  });
});

it('the heap gives pages up in the order of their keys, ties included', () => {
  const operation = fc.record({ page: fc.nat(19), key: fc.nat(5), tie: fc.nat(5), remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 100 }), (operations) => {
      const heap = new PageHeap(20, 20);
      const entries = new Map<number, [number, number]>();
      for (const { page, key, tie, remove } of operations) {
        if (!heap.has(page)) heap.add(page, key, tie);
        else if (remove) heap.remove(page);
        else heap.change(page, key, tie);
        if (heap.has(page)) entries.set(page, [key, tie]);
        else entries.delete(page);
        heap.check('heap');
        expect(heap.size).toBe(entries.size);
      }
      const order = (a: [number, number], b: [number, number]) => a[0] - b[0] || a[1] - b[1];
      for (const expected of [...entries.values()].sort(order)) {
        const least = heap.least();
        expect(entries.get(least)).toEqual(expected);
        heap.remove(least);
      }
    }),
  );
});

describe('lists', () => {
  it('check notices a torn list, a wrong count and a stray page', () => {
    const lists = new PageLists(5, 2);
    for (const page of [0, 1, 2]) lists.pushFront(5, page);
    lists.pushFront(6, 3);
    expect(lists.pages(5)).toEqual([2, 1, 0]);
    expect(() => checkList('p', lists, 5, 3, () => true)).not.toThrow();
    expect(() => checkList('p', lists, 5, 2, () => true)).toThrow('p: 3 pages in a list, 2 counted');
    expect(() => checkList('p', lists, 5, 3, (page) => page !== 1)).toThrow(
      'p: page 1 is in a list it does not belong to',
    );
    lists.links[2 * 1] = 0;
    expect(() => checkList('p', lists, 5, 3, () => true)).toThrow('page 1 follows 2 but links back to 0');
  });
});

it.each([
  ['s3-fifo:small=2', 'small must be a number from 0 to 1, not 2'],
  ['s3-fifo:threshold=0', 'threshold must be an integer from 1 to 62, not 0'],
  ['2q:out=-1', 'out must be a number from 0 to 16, not -1'],
  ['lirs:demote=2', 'demote must be an integer from 0 to 1, not 2'],
  ['lru-k:k=0', 'k must be an integer from 1 to 16, not 0'],
  ['slru:segments=1.5', 'segments must be an integer from 1 to 64, not 1.5'],
  ['w-tinylfu:window=7', 'window must be a number from 0 to 1, not 7'],
])('refuses %s', (spec, message) => {
  expect(() => parsePolicy(spec)).toThrow(`policy '${spec}': ${message}`);
});
