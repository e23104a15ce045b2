import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { threshold } from '../../../src/replay/curves/dense.ts';
import { FixedSizeShards } from '../../../src/replay/curves/fixed-size.ts';
import { spatialHash } from '../../../src/replay/curves/ids.ts';
import { type MrcOptions, missRatioCurves } from '../../../src/replay/curves/mrc.ts';
import { parseSize } from '../../../src/replay/curves/sizes.ts';
import { goldenTraces } from '../../policies/golden-traces.ts';
import { naiveLru, sourceOf } from './support.ts';

const OPTIONS: MrcOptions = {
  policies: ['lru'],
  sizes: null,
  points: 24,
  sample: null,
  checkError: false,
  warmup: 0,
  seed: 1,
  perContainer: false,
  refaults: false,
  window: null,
  bounds: false,
  stream: false,
};
const SIZES = [1, 3, 10, 30, 100];
const traces = fc.array(fc.nat(120), { minLength: 1, maxLength: 600 });

/** Distances by a list: 0 the first time. */
function naiveDistances(pages: readonly number[]): number[] {
  const list: number[] = [];
  return pages.map((page) => {
    const at = list.indexOf(page);
    if (at >= 0) list.splice(at, 1);
    list.unshift(page);
    return at + 1;
  });
}

describe('SHARDS', () => {
  test('of fixed rate scales the distances of the ids whose hash is low, and corrects by the references expected', async () => {
    await fc.assert(
      fc.asyncProperty(traces, fc.constantFrom(0.1, 0.3, 0.7), fc.nat(100), async (pages, wanted, before) => {
        const warmup = Math.min(before, pages.length - 1);
        const below = threshold(wanted);
        const rate = below / 2 ** 32;
        const inSample = (page: number): boolean => spatialHash(page, 0) < below;
        const mine = pages.filter(inSample);
        const skip = pages.slice(0, warmup).filter(inSample).length;
        const distances = naiveDistances(mine).slice(skip);
        const expected = (pages.length - warmup) * rate;
        const ratios = SIZES.map((size) => {
          const missed = distances.filter((d) => d === 0 || 1 + (d - 1) / rate > size).length;
          return Math.min(1, missed / expected);
        });
        const { rows } = await missRatioCurves(sourceOf(pages), {
          ...OPTIONS,
          warmup,
          sizes: SIZES.map((size) => parseSize(String(size), 'pages')),
          sample: { rate: wanted, atLeast: 0 },
        });
        for (const [at, row] of rows.entries()) expect(row.missRatio).toBeCloseTo(ratios[at]!, 9);
      }),
    );
  });

  test('of fixed rate takes more ids where there are few: as if their share had been asked for', async () => {
    await fc.assert(
      fc.asyncProperty(traces, fc.integer({ min: 1, max: 40 }), fc.nat(100), async (pages, atLeast, before) => {
        const warmup = Math.min(before, pages.length - 1);
        const who = pages.map((_, i) => i % 2);
        const options = { ...OPTIONS, warmup, perContainer: true, sizes: SIZES.map((n) => parseSize(`${n}`, 'pages')) };
        const source = sourceOf(pages, who, ['a', 'b']);
        const wide = await missRatioCurves(source, { ...options, sample: { rate: 0.001, atLeast } });
        const { rate } = wide.sample!;
        const distinct = new Set(pages);
        const inSample = [...distinct].filter((page) => spatialHash(page, 0) < rate * 2 ** 32).length;
        if (rate > 0.001) expect(inSample).toBeLessThanOrEqual(2 * atLeast);
        if (rate < 1) {
          const doubled = [...distinct].filter((page) => spatialHash(page, 0) < 2 * rate * 2 ** 32).length;
          expect(doubled).toBeGreaterThan(2 * atLeast);
        }
        const asked = await missRatioCurves(source, { ...options, sample: { rate, atLeast: 0 } });
        expect(wide.rows).toEqual(asked.rows);
        expect(wide.trace).toEqual(asked.trace);
      }),
    );
  });

  test('in miniature runs a policy on the sample with its share of the size', async () => {
    await fc.assert(
      fc.asyncProperty(traces, async (pages) => {
        const below = threshold(0.4);
        const rate = below / 2 ** 32;
        const mine = pages.filter((page) => spatialHash(page, 0) < below);
        const sizes = SIZES.map((size) => parseSize(String(size), 'pages'));
        const { rows } = await missRatioCurves(sourceOf(pages), {
          ...OPTIONS,
          policies: ['lru'],
          refaults: true,
          sizes,
          sample: { rate: 0.4, atLeast: 0 },
        });
        rows.forEach((row, at) => {
          const size = Math.max(1, Math.round(SIZES[at]! * rate));
          expect(row.method).toBe('miniature-simulation');
          expect(row.missRatio).toBeCloseTo(Math.min(1, naiveLru(mine, size) / (pages.length * rate)), 9);
        });
      }),
    );
  });

  test('of fixed size keeps the ids of the lowest hashes and weighs references by the rate of their time', () => {
    fc.assert(
      fc.property(traces, fc.integer({ min: 1, max: 60 }), fc.nat(100), (pages, size, warmup) => {
        let below = 2 ** 32;
        let stack: number[] = [];
        const counted: { distance: number; weight: number }[] = [];
        pages.forEach((page, i) => {
          if (spatialHash(page, 0) >= below) return;
          const at = stack.indexOf(page);
          const weight = 2 ** 32 / below;
          if (i >= warmup) counted.push({ distance: at < 0 ? Infinity : 1 + at * weight, weight });
          stack = [page, ...stack.filter((one) => one !== page)];
          if (stack.length > size) {
            below = Math.max(...stack.map((one) => spatialHash(one, 0)));
            stack = stack.filter((one) => spatialHash(one, 0) < below);
          }
        });
        const shards = new FixedSizeShards(size, warmup);
        sourceOf(pages).read((block) => shards.take(block));
        const references = Math.max(0, pages.length - warmup);
        const weighed = counted.reduce((sum, { weight }) => sum + weight, 0);
        for (const at of SIZES) {
          // Distances are kept in bins, 128 to a doubling.
          const last = Math.floor(Math.log2(at) * 128);
          const hits = counted.filter(({ distance }) => Math.floor(Math.log2(distance) * 128) <= last);
          const missed = references - hits.reduce((sum, { weight }) => sum + weight, 0) - (references - weighed);
          expect(shards.misses(at)).toBeCloseTo(Math.min(references, Math.max(0, missed)), 6);
        }
        expect(shards.rate).toBe(below / 2 ** 32);
      }),
    );
  });

  test('at 1 % is within 0.003 of the exact curve of the golden traces, as the errors it reports say', async () => {
    for (const make of Object.values(goldenTraces)) {
      const { sample } = await missRatioCurves(sourceOf(make().ids), {
        ...OPTIONS,
        checkError: true,
        sample: { rate: 0.01, atLeast: 16_384 },
      });
      expect(sample!.errors![0]).toMatchObject({ policy: 'lru', sizes: 1000 });
      expect(sample!.errors![0]!.meanAbsoluteError).toBeLessThan(0.003);
    }
  });
});
