/** The rows of a result as Apache Parquet, for DuckDB and pandas. */
import { ByteWriter, parquetWrite } from 'hyparquet-writer';
import { VERSION } from '../../version.ts';
import type { ColumnKind, Columns } from './columns.ts';

const TYPES = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  whole: { type: 'INT64' },
  number: { type: 'DOUBLE' },
} as const;

/**
 * The columns of the CSV, typed: text as UTF8, whole numbers as INT64, others as DOUBLE; null where the CSV's field is empty. Snappy. The keys
 * `foliolab.schema` and `foliolab.version` of the file's metadata say of what result. The same rows give the same bytes.
 */
export function parquetTable<Row extends object>(
  schema: string,
  columns: Columns<Row>,
  rows: readonly Row[],
): Uint8Array {
  const of = Object.entries(columns) as [keyof Row & string, ColumnKind][];
  const writer = new ByteWriter();
  parquetWrite({
    writer,
    schema: [
      { name: 'results', num_children: of.length },
      ...of.map(([name, kind]) => ({
        name,
        ...TYPES[kind.replace('?', '') as keyof typeof TYPES],
        repetition_type: kind.endsWith('?') ? ('OPTIONAL' as const) : ('REQUIRED' as const),
      })),
    ],
    columnData: of.map(([name, kind]) => ({ name, data: rows.map((row) => cell(row[name], kind)) })),
    kvMetadata: [
      { key: 'foliolab.schema', value: schema },
      { key: 'foliolab.version', value: VERSION },
    ],
    createdBy: 'foliolab',
  });
  return writer.getBytes();
}

function cell(value: unknown, kind: ColumnKind): unknown {
  return typeof value === 'number' && kind.startsWith('whole') ? BigInt(value) : value;
}
