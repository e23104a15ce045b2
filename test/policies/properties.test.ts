import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type EvictionPolicy,
  HIT,
  nextUses,
  type PolicySpec,
  parsePolicy,
  policies,
} from '../../src/policies/index.ts';
import { naive, variants } from './naive.ts';

const specs = [...Object.keys(policies), ...variants];
const SEED = 7;
/** Policies that evict on a hit and report it with the next miss, which may be the victim's own. Their headers say why. */
const evictOnHit = new Set(['lirs', 'slru', 'w-tinylfu']);
/** Policies that evict although the cache is not full. */
const evictEarly = new Set([...evictOnHit, 'qd-lp-fifo']);

/** What a policy needs that keeps more than links; every other has 24 bytes. */
const BYTES_A_PAGE = new Map([
  ['cacheus', 38],
  ['gdsf', 32],
  ['lecar', 41],
  ['lfuda', 32],
  ['lru-k', 40],
  ['lru-k:k=1', 32],
  ['lru-k:k=3', 48],
  ['w-tinylfu', 38],
  ['w-tinylfu:ratio=1', 38],
  ['w-tinylfu:window=0.3', 38],
]);

/** A universe, a cache that may be larger than it, and references half of which go to a few favourite pages. */
const replay = fc.integer({ min: 1, max: 40 }).chain((universe) =>
  fc.record({
    universe: fc.constant(universe),
    capacityPages: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 50 })),
    pages: fc.array(
      fc.oneof(fc.integer({ min: 0, max: universe - 1 }), fc.integer({ min: 0, max: Math.min(4, universe - 1) })),
      { maxLength: 400 },
    ),
  }),
);

/** The policy, told the references to come. */
function create(spec: PolicySpec, capacityPages: number, universe: number, pages: readonly number[], seed = SEED) {
  return spec.create(capacityPages, universe, seed, nextUses(Uint32Array.from(pages), universe));
}

/** What one access did, in the naive implementations' terms. */
function step(policy: EvictionPolicy, page: number): number[] | null {
  const evicted = policy.access(page);
  return evicted === HIT ? null : [...policy.victims.subarray(0, evicted)];
}

/** The policy's own answers, from which residency follows. */
class Residency {
  readonly pages = new Set<number>();
  apply(page: number, outcome: number[] | null): void {
    for (const victim of outcome ?? []) this.pages.delete(victim);
    this.pages.add(page);
  }
}

/** Bytes of the typed arrays that an object holds, itself or in the objects it is made of. */
function arrayBytes(object: object): number {
  return Object.values(object).reduce<number>((sum, field) => {
    if (ArrayBuffer.isView(field)) return sum + field.byteLength;
    return sum + (typeof field === 'object' && field !== null ? arrayBytes(field) : 0);
  }, 0);
}

it('every policy of the registry has a naive twin', () => {
  expect(Object.keys(naive).sort()).toEqual(Object.keys(policies).sort());
});

describe.each(specs)('%s', (spec) => {
  const parsed = parsePolicy(spec);

  it('hits, misses and evicts the very pages its naive twin does', () => {
    fc.assert(
      fc.property(replay, ({ universe, capacityPages, pages }) => {
        const policy = create(parsed, capacityPages, universe, pages);
        const twin = naive[parsed.name as keyof typeof naive](capacityPages, parsed.params, pages, SEED);
        for (const page of pages) {
          const expected = twin.access(page);
          expect(step(policy, page)).toEqual(expected);
          expect(policy.residentPages).toBe(twin.resident().length);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('keeps within its frames, evicts only what is cached, and its invariants hold', () => {
    fc.assert(
      fc.property(replay, ({ universe, capacityPages, pages }) => {
        const policy = create(parsed, capacityPages, universe, pages);
        const cached = new Residency();
        policy.check();
        for (const page of pages) {
          const outcome = step(policy, page);
          const late = evictOnHit.has(parsed.name) && outcome?.includes(page);
          if (!late) expect(outcome === null).toBe(cached.pages.has(page));
          for (const victim of outcome ?? []) {
            expect(cached.pages.has(victim)).toBe(true);
            if (!late) expect(victim).not.toBe(page);
          }
          if (outcome !== null && cached.pages.size < capacityPages && !evictEarly.has(parsed.name)) {
            expect(outcome).toEqual([]);
          }
          cached.apply(page, outcome);
          expect(cached.pages.size).toBeLessThanOrEqual(capacityPages);
          expect(policy.residentPages).toBe(cached.pages.size);
          policy.check();
        }
      }),
      { numRuns: 100 },
    );
  });

  it('answers the same to the same references and seed', () => {
    fc.assert(
      fc.property(replay, fc.integer(), ({ universe, capacityPages, pages }, seed) => {
        const first = create(parsed, capacityPages, universe, pages, seed);
        const second = create(parsed, capacityPages, universe, pages, seed);
        expect(pages.map((page) => step(first, page))).toEqual(pages.map((page) => step(second, page)));
      }),
    );
  });

  it('misses each page once when everything fits', () => {
    fc.assert(
      fc.property(replay, ({ universe, pages }) => {
        for (const capacityPages of [...(evictOnHit.has(parsed.name) ? [] : [universe, universe + 1]), 2 ** 40]) {
          const policy = create(parsed, capacityPages, universe, pages);
          const misses = pages.filter((page) => step(policy, page) !== null).length;
          expect(misses).toBe(new Set(pages).size);
        }
      }),
    );
  });

  it('with one frame hits only repetitions', () => {
    fc.assert(
      fc.property(replay, ({ universe, pages }) => {
        const policy = create(parsed, 1, universe, pages);
        pages.forEach((page, i) => {
          const previous = pages.slice(i - 1, i);
          const expected = i === 0 ? [] : previous[0] === page ? null : previous;
          expect(step(policy, page)).toEqual(expected);
        });
      }),
    );
  });

  const bytesAPage = BYTES_A_PAGE.get(spec) ?? 24;
  it(`takes at most ${bytesAPage} bytes a page, its frames included`, () => {
    const universe = 10_000;
    for (const capacityPages of [100, universe - 1, universe, 10 * universe]) {
      const sizeBytes = arrayBytes(create(parsed, capacityPages, universe, []));
      expect(sizeBytes).toBeGreaterThan(0);
      // lhd has counts of 16 classes by age, whatever the universe.
      const fixedBytes = 1024 + 16 * 12 * (parsed.params.ages ?? 0);
      expect(sizeBytes).toBeLessThanOrEqual(bytesAPage * universe + fixedBytes);
    }
  });

  it('refuses a cache that cannot be', () => {
    for (const capacityPages of [0, -1, 1.5, Number.NaN]) {
      expect(() => create(parsed, capacityPages, 10, [])).toThrow(
        new RangeError(`capacityPages must be an integer of at least 1, not ${capacityPages}`),
      );
    }
    for (const universe of [-1, 1.5, 2 ** 30]) {
      expect(() => parsed.create(10, universe, SEED, new Uint32Array(0))).toThrow(
        new RangeError(`universe must be an integer from 0 to 1073741823, not ${universe}`),
      );
    }
    expect(create(parsed, 10, 0, []).residentPages).toBe(0);
  });
});

it.each(specs.filter((spec) => spec !== 'opt'))('%s never misses less often than opt', (spec) => {
  const parsed = parsePolicy(spec);
  fc.assert(
    fc.property(replay, ({ universe, capacityPages, pages }) => {
      const misses = [parsed, parsePolicy('opt')].map((each) => {
        const policy = create(each, capacityPages, universe, pages);
        return pages.filter((page) => policy.access(page) !== HIT).length;
      });
      expect(misses[0]).toBeGreaterThanOrEqual(misses[1]);
    }),
  );
});

// Mattson et al. 1970: a smaller LRU cache always holds a subset of a larger one, so hits never fall as the cache grows.
it('lru caches at every moment a subset of what one more frame would cache', () => {
  fc.assert(
    fc.property(replay, ({ universe, capacityPages, pages }) => {
      const small = parsePolicy('lru').create(capacityPages, universe, SEED);
      const large = parsePolicy('lru').create(capacityPages + 1, universe, SEED);
      const inSmall = new Residency();
      const inLarge = new Residency();
      for (const page of pages) {
        inSmall.apply(page, step(small, page));
        inLarge.apply(page, step(large, page));
        expect([...inSmall.pages].every((cached) => inLarge.pages.has(cached))).toBe(true);
      }
    }),
  );
});

it('lru hits never fall as the cache grows', () => {
  fc.assert(
    fc.property(replay, ({ universe, pages }) => {
      let previous = 0;
      for (let capacityPages = 1; capacityPages <= universe + 1; capacityPages++) {
        const policy = parsePolicy('lru').create(capacityPages, universe, SEED);
        const hits = pages.filter((page) => policy.access(page) === HIT).length;
        expect(hits).toBeGreaterThanOrEqual(previous);
        previous = hits;
      }
    }),
  );
});
