import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type MrcOptions, missRatioCurves } from '../../../src/replay/curves/mrc.ts';
import { parseSize } from '../../../src/replay/curves/sizes.ts';
import { naiveLru, naiveOpt, sourceOf } from './support.ts';

const OPTIONS: MrcOptions = {
  policies: ['lru'],
  sizes: null,
  points: Infinity,
  sample: null,
  checkError: undefined,
  warmup: 0,
  seed: 1,
  perContainer: false,
  refaults: false,
  window: null,
  bounds: false,
  stream: false,
};

/** Pages with locality: most are among those seen lately. */
const traces = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.array(fc.nat(10_000), { minLength: 1, maxLength: 400 }))
  .map(([pages, numbers]) => numbers.map((n) => Math.floor(((n / 10_000) * (n % 97) * pages) / 97)));

async function misses(pages: readonly number[], options: Partial<MrcOptions>): Promise<number[]> {
  const { rows } = await missRatioCurves(sourceOf(pages), { ...OPTIONS, ...options });
  return rows.map((row) => row.misses);
}

describe('exact curves', () => {
  test('of lru and opt equal a list and a look ahead, at every size', async () => {
    await fc.assert(
      fc.asyncProperty(traces, async (pages) => {
        const every = Array.from({ length: new Set(pages).size }, (_, i) => i + 1);
        expect(await misses(pages, { policies: ['lru'] })).toEqual(every.map((size) => naiveLru(pages, size)));
        expect(await misses(pages, { policies: ['opt'] })).toEqual(every.map((size) => naiveOpt(pages, size)));
      }),
    );
  });

  test('leave out the references of the warm-up, for lru, opt and a policy that is run', async () => {
    await fc.assert(
      fc.asyncProperty(traces, fc.double({ min: 0, max: 0.99, noNaN: true }), async (pages, share) => {
        const warmup = Math.floor(share * pages.length);
        const sizes = ['1', '2', '3', '5', '8', '13', '21'].map((text) => parseSize(text, 'pages'));
        const counted = { warmup, sizes };
        const expected = sizes.map((size) => naiveLru(pages, (size as { pages: number }).pages, warmup));
        expect(await misses(pages, { ...counted, policies: ['lru'] })).toEqual(expected);
        // Refaults are counted by running the policy.
        expect(await misses(pages, { ...counted, policies: ['lru'], refaults: true })).toEqual(expected);
        expect(await misses(pages, { ...counted, policies: ['opt'] })).toEqual(
          sizes.map((size) => naiveOpt(pages, (size as { pages: number }).pages, warmup)),
        );
      }),
    );
  });

  test('are the same from memory and from a trace that is read twice', async () => {
    await fc.assert(
      fc.asyncProperty(traces, fc.nat(50), async (pages, wanted) => {
        const warmup = Math.min(wanted, pages.length - 1);
        const options = { policies: ['lru', 'fifo', 'clock', 'w-tinylfu'], points: 8, warmup };
        expect(await misses(pages, { ...options, stream: true })).toEqual(await misses(pages, options));
      }),
    );
  });

  test('of a container alone are those of its references alone', async () => {
    await fc.assert(
      fc.asyncProperty(traces, fc.nat(50), async (pages, wanted) => {
        const warmup = Math.min(wanted, pages.length - 1);
        const who = pages.map((_, i) => (i * i) % 3);
        const sizes = ['1', '4', '9'].map((text) => parseSize(text, 'pages'));
        const source = sourceOf(pages, who, ['a', 'b', 'c']);
        const { rows } = await missRatioCurves(source, { ...OPTIONS, sizes, warmup, perContainer: true });
        const named = [null, ...['a', 'b', 'c'].filter((_, at) => who.includes(at))];
        const expected = named.flatMap((name) =>
          [1, 4, 9].map((size) => {
            const mine = pages.flatMap((page, i) =>
              name === null || who[i] === 'abc'.indexOf(name) ? [{ page, i }] : [],
            );
            const before = mine.filter(({ i }) => i < warmup).length;
            return [
              name,
              size,
              mine.length - before,
              naiveLru(
                mine.map(({ page }) => page),
                size,
                before,
              ),
            ];
          }),
        );
        expect(rows.map((row) => [row.container, row.size, row.requests, row.misses])).toEqual(expected);
      }),
    );
  });

  test('refault distances count the evictions from a page’s own to its next miss', async () => {
    await fc.assert(
      fc.asyncProperty(traces, async (pages) => {
        const size = 5;
        const list: number[] = [];
        const evicted: number[] = [];
        const bins = new Map<number, number>();
        for (const page of pages) {
          const at = list.indexOf(page);
          if (at >= 0) list.splice(at, 1);
          else if (evicted.includes(page)) {
            const from = 2 ** Math.floor(Math.log2(evicted.length - evicted.lastIndexOf(page)));
            bins.set(from, (bins.get(from) ?? 0) + 1);
          }
          list.unshift(page);
          if (list.length > size) evicted.push(list.pop()!);
        }
        const { rows } = await missRatioCurves(sourceOf(pages), {
          ...OPTIONS,
          sizes: [parseSize(String(size), 'pages')],
          refaults: true,
        });
        expect(rows[0]!.refaultDistances).toEqual(
          [...bins].sort(([a], [b]) => a - b).map(([from, refaults]) => ({ from, refaults })),
        );
      }),
    );
  });

  test('the working set of each window is what its references name', async () => {
    await fc.assert(
      fc.asyncProperty(traces, fc.integer({ min: 1, max: 50 }), async (pages, window) => {
        const { workingSet } = await missRatioCurves(sourceOf(pages), { ...OPTIONS, points: 3, window });
        const expected = [];
        for (let from = 0; from < pages.length; from += window) {
          const end = Math.min(pages.length, from + window);
          const before = new Set(pages.slice(0, from));
          const distinct = [...new Set(pages.slice(from, end))];
          expected.push({ end, pages: distinct.length, newPages: distinct.filter((page) => !before.has(page)).length });
        }
        expect(workingSet).toEqual({ windowReferences: window, windows: expected });
      }),
    );
  });
});
