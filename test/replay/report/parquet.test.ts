import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import { type Columns, csvTable } from '../../../src/replay/report/columns.ts';
import { parquetTable } from '../../../src/replay/report/parquet.ts';

interface Row {
  name: string;
  who: string | null;
  pages: number;
  limit: number | null;
  ratio: number;
}

const columns = {
  name: 'text',
  who: 'text?',
  pages: 'whole',
  limit: 'whole?',
  ratio: 'number',
} as const satisfies Columns<Row>;

const rows: fc.Arbitrary<Row[]> = fc.array(
  fc.record({
    name: fc.string({ unit: 'grapheme' }),
    who: fc.option(fc.string({ minLength: 1 })),
    pages: fc.maxSafeInteger(),
    limit: fc.option(fc.maxSafeNat()),
    ratio: fc.double({ noNaN: true }),
  }),
  { maxLength: 40 },
);

const bufferOf = (bytes: Uint8Array) => bytes.slice().buffer as ArrayBuffer;

describe('parquetTable', () => {
  it('holds what the CSV holds, typed, and null where a field is empty', async () => {
    await fc.assert(
      fc.asyncProperty(rows, async (rows) => {
        const file = bufferOf(parquetTable('test/1', columns, rows));
        const read = await parquetReadObjects({ file });
        expect(read).toEqual(
          rows.map((row) => ({
            ...row,
            pages: BigInt(row.pages),
            limit: row.limit === null ? null : BigInt(row.limit),
          })),
        );
        const csv = parse(csvTable(columns, rows), { columns: true }) as Record<string, string>[];
        expect(csv).toEqual(
          read.map((row) => Object.fromEntries(Object.entries(row).map(([key, cell]) => [key, String(cell ?? '')]))),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('says of what result it is, in the same bytes each time', async () => {
    const some: Row[] = [
      { name: 'a', who: null, pages: 1, limit: null, ratio: 0.5 },
      { name: 'b', who: 'c', pages: 2 ** 53 - 1, limit: 0, ratio: 1 },
    ];
    const bytes = parquetTable('foliolab.sweep/1', columns, some);
    expect(parquetTable('foliolab.sweep/1', columns, structuredClone(some))).toEqual(bytes);
    const { key_value_metadata, schema } = await parquetMetadataAsync(bufferOf(bytes));
    expect(key_value_metadata![0]).toEqual({ key: 'foliolab.schema', value: 'foliolab.sweep/1' });
    expect(schema.slice(1).map(({ type, repetition_type }) => `${type} ${repetition_type}`)).toEqual([
      'BYTE_ARRAY REQUIRED',
      'BYTE_ARRAY OPTIONAL',
      'INT64 REQUIRED',
      'INT64 OPTIONAL',
      'DOUBLE REQUIRED',
    ]);
  });
});
