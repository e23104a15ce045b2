import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StackDistances } from '../../../src/replay/trace/stack-distance.ts';
import { random } from '../../erofs/random.ts';

/** The same by a stack of pages, the last one first: where the page is in it. */
function naive(pages: readonly number[]): number[] {
  const stack: number[] = [];
  return pages.map((page) => {
    const at = stack.indexOf(page);
    if (at >= 0) stack.splice(at, 1);
    stack.unshift(page);
    return at + 1;
  });
}

function distances(pages: readonly number[]): number[] {
  const stack = new StackDistances();
  return pages.map((page) => stack.reference(page));
}

describe('re-use distances', () => {
  test('of a short trace, as worked out by hand', () => {
    expect(distances([0, 0, 1, 2, 1, 0, 0, 3, 2])).toEqual([0, 1, 0, 0, 2, 3, 1, 0, 4]);
  });

  test('equal those of a stack that is searched', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.array(fc.nat(10_000), { maxLength: 3000 }), (pages, numbers) => {
        const trace = numbers.map((n) => n % pages);
        expect(distances(trace)).toEqual(naive(trace));
      }),
    );
  });

  test('stay right when the times have run out many times over, with many pages and with few', () => {
    for (const [pages, references] of [
      [3, 30_000],
      [700, 40_000],
      [5_000, 40_000],
    ] as const) {
      const next = random(pages);
      const trace = Array.from({ length: references }, () => Math.min(next(pages), next(pages)));
      expect(distances(trace)).toEqual(naive(trace));
    }
  });
});
