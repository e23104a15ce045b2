import { quantileSorted } from 'simple-statistics';
import { RandomSource } from '../../policies/random-source.ts';

export const RESAMPLES = 2000;
const TAIL = 0.025;

/** Mean of the means of the groups, and where 95 % of the resampled ones lie. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/**
 * A percentile bootstrap of two levels (Efron 1979; Davison and Hinkley 1997, § 3.8): groups are drawn with replacement, then the values within each
 * drawn group. Values that are all equal give an interval without width.
 * @param groups none of them empty
 * @param seed the same one gives the same interval
 */
export function bootstrap(groups: readonly (readonly number[])[], seed: number, resamples = RESAMPLES): Interval {
  // Differences from one of the values: of equal values they are 0, whatever is summed in whatever order.
  const origin = groups[0]![0]!;
  const own = groups.map((values) => Float64Array.from(values, (value) => value - origin));
  let sum = 0;
  for (const values of own) sum += values.reduce((a, b) => a + b, 0) / values.length;
  const random = new RandomSource(seed);
  const means = new Float64Array(resamples);
  for (let at = 0; at < resamples; at++) {
    let total = 0;
    for (let group = 0; group < own.length; group++) {
      const values = own[random.below(own.length)]!;
      let within = 0;
      for (let value = 0; value < values.length; value++) within += values[random.below(values.length)]!;
      total += within / values.length;
    }
    means[at] = total / own.length;
  }
  const sorted = Array.from(means.sort());
  return {
    mean: origin + sum / own.length,
    low: origin + quantileSorted(sorted, TAIL),
    high: origin + quantileSorted(sorted, 1 - TAIL),
  };
}
