import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IdInterner } from '../../../src/replay/trace/intern.ts';
import { random } from '../../erofs/random.ts';

/** The same by a Map of texts. */
function naive(ids: readonly (readonly [number, number])[]): number[] {
  const known = new Map<string, number>();
  return ids.map(([low, high]) => {
    const key = `${high}:${low}`;
    if (!known.has(key)) known.set(key, known.size);
    return known.get(key)!;
  });
}

function interned(ids: readonly (readonly [number, number])[], expected?: number): number[] {
  const interner = new IdInterner(expected);
  return ids.map(([low, high]) => interner.intern(low, high));
}

describe('64-bit ids to dense numbers', () => {
  test('numbers what a Map numbers', () => {
    const half = fc.oneof(fc.nat(3), fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constant(2 ** 32 - 1));
    fc.assert(
      fc.property(fc.array(fc.tuple(half, half), { maxLength: 2000 }), (ids) => {
        expect(interned(ids)).toEqual(naive(ids));
      }),
    );
  });

  test('numbers 300 000 ids alike after growing nine times, whatever their pattern', () => {
    const next = random(5);
    for (const id of [
      (i: number) => [i, 0] as const,
      (i: number) => [(i * 4096) % 2 ** 32, i >>> 20] as const,
      (i: number) => [0, i] as const,
      () => [next(2 ** 17), next(3)] as const,
    ]) {
      const ids = Array.from({ length: 300_000 }, (_, i) => id(i));
      expect(interned(ids)).toEqual(naive(ids));
    }
  });

  test('many at a time are numbered as one by one, and the two can be mixed', () => {
    const next = random(8);
    for (const distinct of [3, 1000, 60_000]) {
      const ids = Array.from({ length: 100_000 }, () => [Math.imul(next(distinct), 4096) >>> 0, next(3)] as const);
      const low = Uint32Array.from(ids, ([l]) => l);
      const high = Uint32Array.from(ids, ([, h]) => h);
      const interner = new IdInterner();
      const out = new Uint32Array(ids.length);
      const half = 33_333;
      interner.internAll(low, high, half, out);
      for (let i = half; i < 2 * half; i++) out[i] = interner.intern(low[i]!, high[i]!);
      interner.internAll(
        low.subarray(2 * half),
        high.subarray(2 * half),
        ids.length - 2 * half,
        out.subarray(2 * half),
      );
      const expected = naive(ids);
      expect([...out]).toEqual(expected);
      expect(interner.size).toBe(Math.max(...new Set(expected)) + 1);
    }
  });

  test('ids of one hash are kept apart, one by one and many at a time', () => {
    // The high half is mixed into the low one without its two lowest bits: what it changes there is undone.
    const ids: (readonly [number, number])[] = [];
    for (let high = 0; ids.length < 20_000; high++) {
      const mixed = Math.imul(high ^ (high >>> 15), 0x9e3779b1);
      if (mixed >>> 30 === 0) ids.push([(((ids.length & 0xff0) ^ mixed) << 2) >>> 0, high]);
    }
    const twice = [...ids, ...ids.toReversed()];
    expect(interned(twice)).toEqual(naive(twice));
    const out = new Uint32Array(twice.length);
    const columns = [0, 1].map((half) => Uint32Array.from(twice, (id) => id[half]!)) as [Uint32Array, Uint32Array];
    new IdInterner(10).internAll(...columns, twice.length, out);
    expect([...out]).toEqual(naive(twice));
  });

  test('an expected number of ids makes no difference', () => {
    const ids = Array.from({ length: 5000 }, (_, i) => [(i * i) % 3001, 0] as const);
    expect(interned(ids, 5000)).toEqual(interned(ids));
  });
});
