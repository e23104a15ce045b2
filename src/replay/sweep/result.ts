import { type Columns, csvTable } from '../report/columns.ts';
import type { ReplayInput } from '../result.ts';
import type { Relative } from './relative.ts';

/** The result of a sweep, `foliolab.sweep/1`. All cells are plain numbers. */
export const SWEEP_SCHEMA = 'foliolab.sweep/1';

export interface SweepRow {
  trace: string;
  mounts: string;
  /** `none`: what the trace itself calls a page of a file, or an object */
  sharing: string;
  policy: string;
  /** as the study has it */
  memory: string;
  /** null: unlimited */
  capacityPages: number | null;
  seed: number;
  /** counted, after the warm-up */
  references: number;
  misses: number;
  coldMisses: number;
  /** misses on pages that had been cached before */
  refaults: number;
  missRatio: number;
  footprintPages: number;
}

export interface SweepResult {
  schema: typeof SWEEP_SCHEMA;
  title: string;
  command: string;
  versions: { foliolab: string; node: string };
  inputs: ReplayInput[];
  parameters: Record<string, unknown>;
  notes: string[];
  rows: SweepRow[];
  /** null: nothing was compared */
  relative: Relative | null;
}

/** New columns go to the end. */
export const SWEEP_COLUMNS = {
  trace: 'text',
  mounts: 'text',
  sharing: 'text',
  policy: 'text',
  memory: 'text',
  capacityPages: 'whole?',
  seed: 'whole',
  references: 'whole',
  misses: 'whole',
  coldMisses: 'whole',
  refaults: 'whole',
  missRatio: 'number',
  footprintPages: 'whole',
} as const satisfies Columns<SweepRow>;

/** One line a cell. */
export function sweepCsv(result: SweepResult): string {
  return csvTable(SWEEP_COLUMNS, result.rows);
}

/** The rows' order, whatever the order in which they were counted. */
export function byCell(a: SweepRow, b: SweepRow): number {
  for (const key of ['trace', 'mounts', 'sharing', 'policy'] as const)
    if (a[key] !== b[key]) return a[key] < b[key] ? -1 : 1;
  return byCapacity(a, b) || (a.memory < b.memory ? -1 : a.memory > b.memory ? 1 : a.seed - b.seed);
}

/** From the least memory to the most; unlimited last. */
export function byCapacity(a: SweepRow, b: SweepRow): number {
  return bySize(a.capacityPages, b.capacityPages);
}

function bySize(a: number | null, b: number | null): number {
  return a === b ? 0 : a === null ? 1 : b === null ? -1 : a - b;
}
