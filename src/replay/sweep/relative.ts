import { type Columns, csvTable } from '../report/columns.ts';
import { bootstrap, RESAMPLES } from './bootstrap.ts';
import { byCapacity, byCell, type SweepRow } from './result.ts';

/** How many misses fewer than the baseline's, as a share of the baseline's: above 0 is better. */
export interface RelativeRow {
  mounts: string;
  sharing: string;
  policy: string;
  memory: string;
  /** mean over the traces of the means over their seeds of 1 − miss ratio / the baseline's */
  reduction: number;
  /** of a 95 % bootstrap interval; null where there is one value only, and nothing to resample */
  low: number | null;
  high: number | null;
  /** traces that were compared, and cells over all of them; left out are those where the baseline misses nothing */
  traces: number;
  cells: number;
}

export interface Relative {
  baseline: string;
  resamples: number;
  /** of the resampling: the least seed of the sweep */
  seed: number;
  rows: RelativeRow[];
}

/** New columns go to the end. */
const COLUMNS = {
  mounts: 'text',
  sharing: 'text',
  policy: 'text',
  memory: 'text',
  reduction: 'number',
  low: 'number?',
  high: 'number?',
  traces: 'whole',
  cells: 'whole',
} as const satisfies Columns<RelativeRow>;

export function relativeCsv({ rows }: Relative): string {
  return csvTable(COLUMNS, rows);
}

/** Each policy against one of them: in the same trace, under the same sharing, with the same memory and seed. */
export function relativeTo(baseline: string, rows: readonly SweepRow[]): Relative {
  const cell = ({ trace, mounts, sharing, memory, seed }: SweepRow) =>
    JSON.stringify([trace, mounts, sharing, memory, seed]);
  const base = new Map(rows.filter(({ policy }) => policy === baseline).map((row) => [cell(row), row.missRatio]));
  const seed = rows.reduce((least, row) => Math.min(least, row.seed), Infinity);
  const groups = new Map<string, { row: SweepRow; traces: Map<string, number[]> }>();
  for (const row of [...rows].sort(byCell).sort(byCapacity)) {
    const { mounts, sharing, policy, memory, trace, missRatio } = row;
    const reference = base.get(cell(row));
    // Without a limit a policy decides nothing.
    if (policy === baseline || row.capacityPages === null || reference === undefined || reference === 0) continue;
    const key = JSON.stringify([mounts, sharing, policy, memory]);
    const group = groups.get(key) ?? { row, traces: new Map<string, number[]>() };
    groups.set(key, group);
    group.traces.set(trace, [...(group.traces.get(trace) ?? []), 1 - missRatio / reference]);
  }
  const compared = [...groups.values()].map(({ row: { mounts, sharing, policy, memory }, traces }): RelativeRow => {
    const values = [...traces.values()];
    const { mean, low, high } = bootstrap(values, seed);
    const cells = values.flat().length;
    const interval = cells > 1 ? { low, high } : { low: null, high: null };
    return { mounts, sharing, policy, memory, reduction: mean, ...interval, traces: traces.size, cells };
  });
  const place = ({ mounts, sharing, policy }: RelativeRow) => JSON.stringify([mounts, sharing, policy]);
  // Within a place they are in the order of capacity already.
  compared.sort((a, b) => (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0));
  return { baseline, resamples: RESAMPLES, seed, rows: compared };
}
