import { line } from '../report/csv.ts';
import type { MrcResult, MrcRow } from './result.ts';

/** New columns go to the end. */
export const MRC_COLUMNS = [
  'policy',
  'size',
  'requests',
  'misses',
  'missRatio',
  'method',
  'container',
] as const satisfies readonly (keyof MrcRow)[];

/** One line a row. */
export function mrcCsv(result: MrcResult): string {
  return line(MRC_COLUMNS) + result.rows.map((row) => line(MRC_COLUMNS.map((column) => row[column]))).join('');
}
