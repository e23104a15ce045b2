/** The rows of a result as a flat table: the same columns in CSV and in Parquet. */
import { line } from './csv.ts';

/** What a column holds: text, a whole number, or a number; with `?` a cell may be null. */
export type ColumnKind = 'text' | 'text?' | 'whole' | 'whole?' | 'number' | 'number?';

/** Name → kind, in the order of the table. New columns go to the end. */
export type Columns<Row> = { readonly [Name in keyof Row]?: KindOf<Row[Name]> };

type KindOf<Cell> = null extends Cell
  ? Cell extends string | null
    ? 'text?'
    : 'whole?' | 'number?'
  : Cell extends string
    ? 'text'
    : 'whole' | 'number';

/** One line a row, null as the empty field. */
export function csvTable<Row extends object>(columns: Columns<Row>, rows: readonly Row[]): string {
  const names = Object.keys(columns) as (keyof Row & string)[];
  return line(names) + rows.map((row) => line(names.map((name) => row[name] as string | number | null))).join('');
}
