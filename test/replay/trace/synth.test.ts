import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { KINDS } from '../../../src/replay/trace/synth/generators.ts';
import { exp, exponential, inversePower, log } from '../../../src/replay/trace/synth/power.ts';
import { Random } from '../../../src/replay/trace/synth/random.ts';
import { synthesize } from '../../../src/replay/trace/synth/synth.ts';
import { wholePage } from '../../../src/replay/trace/trace.ts';
import { MemorySink } from './memory-sink.ts';

const DEFAULTS = { seed: 7, references: 100_000, pages: 1000, containers: 1, intervalNs: 1000 };

async function made(name: string, parameters: Record<string, number> = {}, options: Partial<typeof DEFAULTS> = {}) {
  const kind = KINDS.find((one) => one.name === name)!;
  const all = Object.fromEntries(Object.entries(kind.parameters).map(([key, { otherwise }]) => [key, otherwise]));
  const sink = new MemorySink();
  await synthesize({ ...DEFAULTS, ...options, kind, parameters: { ...all, ...parameters } }, sink);
  return sink;
}

async function pagesOf(...args: Parameters<typeof made>): Promise<number[]> {
  return (await made(...args)).events.map(wholePage);
}

/** How often each page, the most frequent first. */
function frequencies(pages: readonly number[]): number[] {
  const count = new Map<number, number>();
  for (const page of pages) count.set(page, (count.get(page) ?? 0) + 1);
  return [...count.values()].sort((a, b) => b - a);
}

/** Pearson's statistic, less its mean and divided by its standard deviation: within ±5 unless the counts are of another distribution. */
function chiSquareDeviation(counts: readonly number[], expected: readonly number[]): number {
  let sum = 0;
  expected.forEach((e, i) => {
    sum += (counts[i]! - e) ** 2 / e;
  });
  const degrees = expected.length - 1;
  return (sum - degrees) / Math.sqrt(2 * degrees);
}

describe('random numbers', () => {
  // sfc32 written out again, from the recurrence of PractRand's sfc.cpp, in BigInt.
  test('are those of sfc32', () => {
    const mask = 0xffffffffn;
    let [a, b, c, counter] = [12345n, 1n, 0x9e3779b9n + 3n, 1n];
    const next = (): number => {
      const t = (a + b + counter++) & mask;
      a = b ^ (b >> 9n);
      b = (c + (c << 3n)) & mask;
      c = ((((c << 21n) | (c >> 11n)) & mask) + t) & mask;
      return Number(t);
    };
    for (let i = 0; i < 15; i++) next();
    const random = new Random(2 ** 32 + 12345, 3);
    for (let i = 0; i < 1000; i++) expect(random.u32()).toBe(next());
  });

  test('below n are evenly spread, and a permutation has each number once', () => {
    const random = new Random(1);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[random.below(10)]!++;
    expect(Math.abs(chiSquareDeviation(counts, new Array(10).fill(10_000)))).toBeLessThan(5);
    expect([...random.permutation(1000)].sort((x, y) => x - y)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  test('logarithm, exponential and power are those of Math to 2^-49', () => {
    const random = new Random(5);
    const near = (value: number, expected: number): void =>
      expect(Math.abs(value - expected)).toBeLessThanOrEqual(Math.abs(expected) * 2 ** -49);
    for (let i = 0; i < 20_000; i++) {
      const x = 1 + random.below(2 ** (1 + random.below(40)));
      near(log(x), Math.log(x));
      const y = -700 * random.unit();
      near(exp(y), Math.exp(y));
      const alpha = 3 * random.unit();
      expect(Math.abs(inversePower(x, alpha) / x ** -alpha - 1)).toBeLessThan(2 ** -44);
    }
    expect([log(1), exp(0), inversePower(3, 1), inversePower(3, 0), exp(-800)]).toEqual([0, 1, 1 / 3, 1, 0]);
  });

  test('exponential ones have the distribution 1 − e^−x', () => {
    const random = new Random(9);
    const sorted = Array.from({ length: 50_000 }, () => exponential(random)).sort((a, b) => a - b);
    let furthest = 0;
    sorted.forEach((x, i) => {
      furthest = Math.max(furthest, Math.abs(1 - Math.exp(-x) - (i + 0.5) / sorted.length));
    });
    // Kolmogorov and Smirnov: beyond 1.95 / √n once in a thousand
    expect(furthest).toBeLessThan(1.95 / Math.sqrt(sorted.length));
  });
});

describe('synthetic traces', () => {
  test('zipf: the frequencies are r^-alpha', async () => {
    for (const alpha of [0, 0.6, 1, 1.4]) {
      const pages = await pagesOf('zipf', { alpha });
      // Pages by rank: the permutation that the seed gives.
      const rank = new Random(DEFAULTS.seed, 0).permutation(DEFAULTS.pages);
      const count = new Map<number, number>();
      for (const page of pages) count.set(page, (count.get(page) ?? 0) + 1);
      let sum = 0;
      for (let r = 1; r <= DEFAULTS.pages; r++) sum += r ** -alpha;
      const expected: number[] = [];
      const counts: number[] = [];
      for (let r = 1; r <= DEFAULTS.pages; r++) {
        const e = (pages.length * r ** -alpha) / sum;
        // what is rarer than that no chi-square says anything of
        if (e < 10) break;
        expected.push(e);
        counts.push(count.get(rank[r - 1]!) ?? 0);
      }
      expect(expected.length).toBeGreaterThan(50);
      expect(Math.abs(chiSquareDeviation(counts, expected))).toBeLessThan(5);
    }
  });

  test('scan: each page once, in order; loop: in order, over and over', async () => {
    expect(await pagesOf('scan', {}, { references: 2500 })).toEqual(Array.from({ length: 2500 }, (_, i) => i));
    expect(await pagesOf('loop', {}, { references: 2500 })).toEqual(Array.from({ length: 2500 }, (_, i) => i % 1000));
  });

  test('hot-cold: nine in ten references go to a tenth of the pages, evenly', async () => {
    const counts = frequencies(await pagesOf('hot-cold'));
    expect(counts.length).toBe(1000);
    const hot = counts.slice(0, 100);
    const share = hot.reduce((a, b) => a + b) / DEFAULTS.references;
    expect(Math.abs(share - 0.9)).toBeLessThan(5 * Math.sqrt((0.9 * 0.1) / DEFAULTS.references));
    expect(Math.abs(chiSquareDeviation(hot, new Array(100).fill(900)))).toBeLessThan(5);
    expect(Math.abs(chiSquareDeviation(counts.slice(100), new Array(900).fill(10_000 / 900)))).toBeLessThan(5);
    expect(frequencies(await pagesOf('hot-cold', { hot: 1 })).length).toBe(1000);
    expect(frequencies(await pagesOf('hot-cold', { hot: 0, probability: 1 })).length).toBe(1);
  });

  test('phase-change: in every phase other pages are the popular ones', async () => {
    const pages = await pagesOf('phase-change', { every: 20_000, alpha: 1.2 });
    const top = (from: number): number => {
      const count = new Map<number, number>();
      for (const page of pages.slice(from, from + 20_000)) count.set(page, (count.get(page) ?? 0) + 1);
      return [...count].sort((a, b) => b[1] - a[1])[0]![0];
    };
    const tops = [0, 20_000, 40_000, 60_000, 80_000].map(top);
    expect(tops).toEqual([1, 2, 3, 4, 5].map((_, i) => new Random(7, 2 ** 31 + i).permutation(1000)[0]));
    expect(new Set(tops).size).toBe(5);
  });

  test('containers take turns, each with references of its own to the pages that are popular for all', async () => {
    for (const name of ['zipf', 'phase-change']) {
      const { events, containers } = await made(name, {}, { containers: 3 });
      expect(containers).toEqual(['c1', 'c2', 'c3']);
      expect(events.slice(0, 7).map((e) => e.container)).toEqual([0, 1, 2, 0, 1, 2, 0]);
      const of = (who: number): number[] => events.filter((e) => e.container === who).map(wholePage);
      expect(of(0)).not.toEqual(of(1));
      const most = (pages: number[]): number => {
        const count = new Map<number, number>();
        for (const page of pages) count.set(page, (count.get(page) ?? 0) + 1);
        return [...count].sort((a, b) => b[1] - a[1])[0]![0];
      };
      expect([most(of(1)), most(of(2))]).toEqual([most(of(0)), most(of(0))]);
    }
  });

  // Taken on x86-64 with Node 20; the same everywhere, or a seed means nothing.
  test('are the same bytes on every machine', async () => {
    const hashes: Record<string, string> = {};
    for (const { name } of KINDS) {
      const { events } = await made(name, name === 'zipf' ? { alpha: 0.8 } : {}, {
        containers: 2,
        references: 250_000,
      });
      const hash = createHash('sha256');
      for (const e of events) hash.update(`${e.timeNs} ${e.container} ${wholePage(e)}\n`);
      hashes[name] = hash.digest('hex').slice(0, 16);
    }
    expect(hashes).toEqual({
      zipf: '65da7bfaedd64f86',
      scan: '590bb3e0d4af4c6c',
      loop: '846e42ccf5ea725f',
      'hot-cold': '008e6e123e20b92f',
      'phase-change': '8f287c15889c7dcc',
    });
  });
});
