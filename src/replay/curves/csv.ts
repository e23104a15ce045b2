import { type Columns, csvTable } from '../report/columns.ts';
import type { MrcResult, MrcRow } from './result.ts';

/** New columns go to the end. */
export const MRC_COLUMNS = {
  policy: 'text',
  size: 'whole',
  requests: 'whole',
  misses: 'whole',
  missRatio: 'number',
  method: 'text',
  container: 'text?',
} as const satisfies Columns<MrcRow>;

/** One line a row. */
export function mrcCsv(result: MrcResult): string {
  return csvTable(MRC_COLUMNS, result.rows);
}
