import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FILL, MappingPages } from '../../../src/replay/page-cache/mapping-pages.ts';
import { type Folio, nextMiss, previousMiss, XArray } from './xarray.ts';

const PAGES = 4 * 4096;

const parts = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ order: fc.nat(9) }) },
    { weight: 5, arbitrary: fc.record({ order: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ gap: fc.integer({ min: 1, max: 40 }) }) },
  ),
  { minLength: 1, maxLength: 60 },
);

/**
 * Two runs of folios and gaps: one near the file's start, one anywhere, and about multiples of 64 and 4096, where the cursor changes
 * nodes, as often as elsewhere. `from` and `end` are the second's.
 */
const layouts = fc
  .record({
    first: parts,
    from: fc.oneof(fc.constantFrom(0, 3584, 4000, 4096, 7680, 12_288), fc.nat(PAGES - 2048)),
    second: parts,
  })
  .map(({ first, from, second }) => {
    const folios: Folio[] = [];
    let page = 0;
    const add = (parts: typeof first, end: number): void => {
      for (const part of parts) {
        if ('gap' in part) {
          page += part.gap;
          continue;
        }
        // As large as where it begins allows: folios lie at multiples of their size.
        let { order } = part;
        while (page % 2 ** order !== 0) order--;
        if (page + 2 ** order > end) break;
        folios.push({ page, order });
        page += 2 ** order;
      }
    };
    add(first, from);
    page = from;
    add(second, PAGES);
    return { folios, from, end: page };
  });

function mapped(folios: readonly Folio[]): MappingPages {
  const pages = new MappingPages(PAGES);
  for (const { page, order } of folios) pages.add(page, order, false, FILL.initial);
  return pages;
}

describe('the search for a missing page', () => {
  it('finds what a cursor over Linux’s XArray finds, its skew inside large folios and all', () => {
    let skewed = 0;
    fc.assert(
      fc.property(
        layouts,
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(1, 31, 32, 640, 5000)), {
          minLength: 8,
          maxLength: 8,
        }),
        ({ folios, from, end }, asked) => {
          const pages = mapped(folios);
          const xa = new XArray(folios);
          for (const [where, most] of asked) {
            const page = Math.min(PAGES - 1, from + Math.floor(where * (end - from + 1)));
            const expected = [nextMiss(xa, page, most), previousMiss(xa, page, most)];
            expect([pages.nextMiss(page, most), pages.previousMiss(page, most)]).toEqual(expected);
            if (expected[0]! < page + most && pages.has(expected[0]!)) skewed++;
            if (expected[1]! > page - most + 1 && pages.has(expected[1]!)) skewed++;
          }
        },
      ),
      { numRuns: 1000 },
    );
    // Layouts in which it reports a page that is there: what sets it apart from a search without the skew.
    expect(skewed).toBeGreaterThan(50);
  });

  it('backwards over node boundaries goes down where the count is, worked by hand at 64 and at 4096', () => {
    // Folios of 32 pages from 4000 to 4127; asked at 4100, in the folio of 4096: the cursor is in slot 0 of its node, the count 4 further.
    // One back, it goes up two levels and down along 4099: to slot 3 of the array's first node, where nothing is cached.
    const folios = [4000, 4032, 4064, 4096].map((page) => ({ page, order: 5 }));
    expect(mapped(folios).previousMiss(4100, 64)).toBe(4099);
    expect(previousMiss(new XArray(folios), 4100, 64)).toBe(4099);
    // At 4164 the node before is a neighbour: slot 3 of it, 4099, is cached, and the search goes on.
    folios.push({ page: 4128, order: 5 }, { page: 4160, order: 5 });
    expect(mapped(folios).previousMiss(4164, 64)).toBe(previousMiss(new XArray(folios), 4164, 64));
    expect(mapped(folios).previousMiss(4164, 5)).toBe(4160);
  });

  it('backwards returns the last page that it looked at when none is missing, as Linux does', () => {
    const pages = mapped(Array.from({ length: 40 }, (_, page) => ({ page: 100 + page, order: 0 })));
    expect(pages.previousMiss(139, 32)).toBe(108);
  });

  it('counts pages, folios and drops as they come', () => {
    fc.assert(
      fc.property(layouts, fc.nat(PAGES - 1), fc.integer({ min: 1, max: 300 }), ({ folios }, from, count) => {
        const pages = mapped(folios);
        const set = new Set(
          folios.flatMap(({ page, order }) => Array.from({ length: 2 ** order }, (_, i) => page + i)),
        );
        expect(pages.cached).toBe(set.size);
        for (const { page, order } of folios) {
          const last = page + 2 ** order - 1;
          expect([pages.head(last), pages.folioPages(last)]).toEqual([page, 2 ** order]);
        }
        pages.drop(from, count);
        for (let p = from; p < from + count; p++) set.delete(p);
        expect(pages.cached).toBe(set.size);
        for (let p = Math.max(0, from - 2); p < from + count + 2; p++) expect(pages.has(p)).toBe(set.has(p));
      }),
      { numRuns: 50 },
    );
  });
});
