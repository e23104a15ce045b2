import fc from 'fast-check';
import { mean, quantileSorted } from 'simple-statistics';
import { describe, expect, test } from 'vitest';
import { RandomSource } from '../../src/policies/random-source.ts';
import { draw } from '../../src/replay/report/draw.ts';
import { bootstrap, RESAMPLES } from '../../src/replay/sweep/bootstrap.ts';
import { heatMapChart, relativeChart, sweepCharts } from '../../src/replay/sweep/chart.ts';
import { heatMaps } from '../../src/replay/sweep/heat-map.ts';
import { relativeTo } from '../../src/replay/sweep/relative.ts';
import { SWEEP_SCHEMA, type SweepResult, type SweepRow } from '../../src/replay/sweep/result.ts';

/** About normal: the sum of twelve uniform numbers, less six. */
function normal(random: RandomSource): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random.next() / 2 ** 32;
  return sum;
}

/** Every list of `length` out of `values`. */
function lists<T>(values: readonly T[], length: number): T[][] {
  return length === 0 ? [[]] : lists(values, length - 1).flatMap((list) => values.map((value) => [...list, value]));
}

/** The means of all resamples there are, each as likely as any other. */
function allMeans(groups: readonly (readonly number[])[]): number[] {
  const size = groups[0]!.length;
  const groupMeans = groups.map((values) => lists(values, size).map((drawn) => mean(drawn)));
  return lists(groupMeans, groups.length)
    .flatMap((drawn) =>
      drawn.reduce<number[][]>((done, means) => done.flatMap((list) => means.map((one) => [...list, one])), [[]]),
    )
    .map((means) => mean(means))
    .sort((a, b) => a - b);
}

describe('bootstrap', () => {
  // Of 2,000 draws four standard deviations of the share below a point that 2.5 % are below.
  const slack = 4 * Math.sqrt((0.025 * 0.975) / RESAMPLES);

  test.each([
    ['five values', [[0.11, 0.42, 0.18, 0.73, 0.3]]],
    ['five groups of one', [[0.11], [0.42], [0.18], [0.73], [0.3]]],
    [
      'three groups of two',
      [
        [0.11, 0.42],
        [0.18, 0.73],
        [0.3, -0.2],
      ],
    ],
  ])('of %s leaves 2.5 %% of all possible resamples on either side', (_, groups) => {
    const every = allMeans(groups);
    const { mean: middle, low, high } = bootstrap(groups, 1);
    expect(middle).toBeCloseTo(mean(groups.flat()), 12);
    const share = (count: number) => count / every.length;
    // Resamples that equal the end of the interval are on both sides of it.
    expect(share(every.filter((one) => one < low - 1e-9).length)).toBeLessThan(0.025 + slack);
    expect(share(every.filter((one) => one <= low + 1e-9).length)).toBeGreaterThan(0.025 - slack);
    expect(share(every.filter((one) => one > high + 1e-9).length)).toBeLessThan(0.025 + slack);
    expect(share(every.filter((one) => one >= high - 1e-9).length)).toBeGreaterThan(0.025 - slack);
  });

  test('covers the true mean of normal values as often as theory says', () => {
    // The percentile interval is narrower than Student's by the factor sqrt((n - 1) / n) * 1.960 / t(n - 1): of 20 values it covers 92.9 %,
    // for P(|t(19)| < 1.960 * sqrt(19 / 20)) = 0.929; of 600 trials 4 standard deviations are 4.2 %.
    const random = new RandomSource(7);
    let covered = 0;
    for (let trial = 0; trial < 600; trial++) {
      const { low, high } = bootstrap([Array.from({ length: 20 }, () => 3 + normal(random))], trial, 400);
      if (low <= 3 && 3 <= high) covered++;
    }
    expect(Math.abs(covered / 600 - 0.929)).toBeLessThan(0.042);
  });

  test('of equal values has no width, whatever their number', () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, min: -1e9, max: 1e9 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
        (value, sizes) => {
          const interval = bootstrap(
            sizes.map((size) => Array<number>(size).fill(value)),
            3,
            20,
          );
          expect([interval.mean, interval.low, interval.high].every((one) => one === value)).toBe(true);
        },
      ),
    );
  });

  test('is the same for the same seed, and another for another', () => {
    const groups = [Array.from({ length: 30 }, (_, i) => Math.sin(i))];
    expect(bootstrap(groups, 5)).toEqual(bootstrap(groups, 5));
    expect(bootstrap(groups, 6)).not.toEqual(bootstrap(groups, 5));
  });

  test('draws as one does that draws one list after the other', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 5 }), {
          minLength: 1,
          maxLength: 5,
        }),
        fc.nat(),
        (groups, seed) => {
          const random = new RandomSource(seed);
          const draw = <T>(from: readonly T[]): T => from[random.below(from.length)]!;
          const means = Array.from({ length: 50 }, () =>
            mean(
              groups.map(() => {
                const values = draw(groups);
                return mean(values.map(() => draw(values)));
              }),
            ),
          ).sort((a, b) => a - b);
          const { low, high } = bootstrap(groups, seed, 50);
          expect(low).toBeCloseTo(quantileSorted(means, 0.025), 9);
          expect(high).toBeCloseTo(quantileSorted(means, 0.975), 9);
        },
      ),
    );
  });
});

/** Of a trace of a thousand references. */
function row(trace: string, policy: string, memory: string, misses: number, seed = 1): SweepRow {
  return {
    ...{ trace, mounts: 'recorded', sharing: 'none', policy, memory, seed, misses },
    capacityPages: memory === 'unlimited' ? null : Number.parseInt(memory, 10),
    references: 1000,
    coldMisses: 10,
    refaults: misses - 10,
    missRatio: misses / 1000,
    footprintPages: 10,
  };
}

describe('relativeTo', () => {
  test('compares cells of one trace, memory and seed, and takes the mean of the traces', () => {
    // a: 1 − 100/200 and 1 − 150/200; b: 1 − 90/100, 1 − 100/100. The baseline misses nothing in c.
    const { rows, baseline, seed } = relativeTo('lru', [
      ...[row('a', 'lru', '9p', 200, 4), row('a', 'fifo', '9p', 100, 4)],
      ...[row('a', 'lru', '9p', 200, 5), row('a', 'fifo', '9p', 150, 5)],
      ...[row('b', 'lru', '9p', 100, 4), row('b', 'fifo', '9p', 90, 4)],
      ...[row('b', 'lru', '9p', 100, 5), row('b', 'fifo', '9p', 100, 5)],
      ...[row('c', 'lru', '9p', 0, 4), row('c', 'fifo', '9p', 90, 4)],
    ]);
    expect([baseline, seed]).toEqual(['lru', 4]);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ policy: 'fifo', memory: '9p', traces: 2, cells: 4 });
    expect(rows[0]!.reduction).toBeCloseTo(((0.5 + 0.25) / 2 + (0.1 + 0) / 2) / 2, 12);
    // No resample is below the worst or above the best of both traces.
    expect(rows[0]!.low).toBeGreaterThanOrEqual(0);
    expect(rows[0]!.high).toBeLessThanOrEqual(0.5);
    expect(rows[0]!.low).toBeLessThan(rows[0]!.reduction);
  });

  test('has no interval of a single cell, one without width of seeds that change nothing', () => {
    const of = (seeds: number[]) =>
      relativeTo(
        'lru',
        seeds.flatMap((seed) => [row('a', 'lru', '9p', 300, seed), row('a', 'fifo', '9p', 200, seed)]),
      ).rows[0]!;
    expect(of([1])).toMatchObject({ low: null, high: null, cells: 1 });
    const { reduction, low, high } = of([1, 2, 3]);
    expect([low, high]).toEqual([reduction, reduction]);
  });

  test('does not depend on the order of the rows, nor one policy on another', () => {
    const rows = ['a', 'b', 'c'].flatMap((trace, t) =>
      ['lru', 'fifo', 'clock'].flatMap((policy, p) =>
        ['100p', '9p', 'unlimited'].flatMap((memory, m) =>
          [1, 2].map((seed) => row(trace, policy, memory, 100 + ((17 * t + 31 * p + 5 * m + 3 * seed) % 40), seed)),
        ),
      ),
    );
    const all = relativeTo('lru', rows);
    expect(all.rows.map(({ policy, memory }) => `${policy} ${memory}`)).toEqual(
      ['clock', 'fifo'].flatMap((policy) => ['9p', '100p'].map((memory) => `${policy} ${memory}`)),
    );
    const without = relativeTo(
      'lru',
      rows.filter(({ policy }) => policy !== 'clock'),
    );
    expect(without.rows).toEqual(all.rows.filter(({ policy }) => policy === 'fifo'));
    fc.assert(
      fc.property(fc.shuffledSubarray(rows, { minLength: rows.length }), (shuffled) => {
        expect(relativeTo('lru', shuffled)).toEqual(all);
      }),
      { numRuns: 5 },
    );
  });
});

function resultOf(rows: SweepRow[]): SweepResult {
  return {
    ...{ schema: SWEEP_SCHEMA, title: 'Sweep', command: 'foliolab sweep', versions: { foliolab: '0', node: '0' } },
    ...{ inputs: [], parameters: {}, notes: [], rows, relative: relativeTo('lru', rows) },
  };
}

/** Rows of every combination, whose misses depend on all of it. */
function grid(traces: string[], policies: string[], memories: string[], seeds: number[]): SweepRow[] {
  const random = new RandomSource(11);
  return traces.flatMap((trace) =>
    policies.flatMap((policy) =>
      memories.flatMap((memory) => seeds.map((seed) => row(trace, policy, memory, 20 + random.below(900), seed))),
    ),
  );
}

interface Value {
  panel: string;
  policy: string;
  memory: string;
  ratio: number;
  reduction: number;
  best: boolean;
}

function valuesOf(spec: ReturnType<typeof heatMapChart>): Value[] {
  return (spec as unknown as { data: { values: Value[] } }).data.values;
}

describe('charts of a sweep', () => {
  const rows = grid(['a', 'b'], ['lru', 'fifo', 'opt', 'clock'], ['10p', '9p', 'unlimited'], [1, 2]);

  test('the heat map has the mean of the seeds in every cell, and marks the lowest of a column but for opt', () => {
    const values = valuesOf(heatMapChart(resultOf(rows)));
    expect(values).toHaveLength(2 * 4 * 3);
    for (const { panel, policy, memory, ratio, best } of values) {
      const ratioOf = (policy: string) =>
        mean(
          rows
            .filter((one) => one.trace === panel && one.policy === policy && one.memory === memory)
            .map(({ missRatio }) => missRatio),
        );
      expect(ratio).toBe(ratioOf(policy));
      expect(best).toBe(policy !== 'opt' && ratio === Math.min(...['lru', 'fifo', 'clock'].map(ratioOf)));
    }
    const [map] = heatMaps(rows);
    expect(map!.memories).toEqual(['9p', '10p', 'unlimited']);
    const means = map!.policies.map((policy) =>
      mean(rows.filter((one) => one.policy === policy).map(({ missRatio }) => missRatio)),
    );
    expect(means).toEqual([...means].sort((a, b) => a - b));
  });

  test('no cell of a column in which all are equal is the lowest', () => {
    const same = ['lru', 'fifo'].map((policy) => row('a', policy, 'unlimited', 10));
    expect(valuesOf(heatMapChart(resultOf(same))).map(({ best }) => best)).toEqual([false, false]);
  });

  test('the relative chart has a point for each policy but the baseline, and memory but the unlimited', () => {
    const values = valuesOf(relativeChart(resultOf(rows)));
    expect(values.map(({ policy, memory }) => `${policy} ${memory}`)).toEqual(
      ['clock', 'fifo', 'opt'].flatMap((policy) => ['9p', '10p'].map((memory) => `${policy} ${memory}`)),
    );
    expect(relativeChart({ ...resultOf(rows), relative: null })).toBeNull();
    expect(relativeChart(resultOf(rows.filter(({ policy }) => policy === 'lru')))).toBeNull();
  });

  test('are the same bytes each time, with names that are no markup', async () => {
    const odd = resultOf(grid(['<b>&"', '__proto__'], ['lru', './x<y>.js'], ['9p', '10p'], [1]));
    const files = await draw(sweepCharts(odd));
    expect([...files.keys()]).toEqual(['heat-map.svg', 'heat-map.png', 'relative.svg', 'relative.png']);
    expect(await draw(sweepCharts(structuredClone(odd)))).toEqual(files);
    const svg = files.get('heat-map.svg') as string;
    expect(svg).toContain('&lt;b&gt;&amp;');
    expect(svg).not.toContain('<b>');
    expect(svg).toContain('__proto__');
  });

  test.each([
    ['panels', 50, ['9p'], 40],
    ['cells', 6, Array.from({ length: 2000 }, (_, i) => `${i + 1}p`), 2],
  ])('draw no more %s than can be read, and say so', (_, count, memories, drawn) => {
    const traces = Array.from({ length: count }, (_, i) => `t${i}`);
    const spec = heatMapChart({ ...resultOf([]), rows: grid(traces, ['lru', 'fifo'], memories, [1]) })!;
    expect(new Set(valuesOf(spec).map(({ panel }) => panel)).size).toBe(drawn);
    expect((spec.title as { subtitle: string[] }).subtitle.join(' ')).toContain(
      `The first ${drawn} of ${count} panels; results.csv has all.`,
    );
  });
});
