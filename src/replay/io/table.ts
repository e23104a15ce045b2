import { type CsvError, type Options, parse } from 'csv-parse/sync';
import { DataError } from '../../error.ts';

/**
 * The records of a small CSV or TSV table; how many fields each has is for the caller to judge.
 * @throws DataError when the parser can't make records of the bytes
 */
export function tableRecords(path: string, bytes: Buffer, options: Options = {}): string[][] {
  try {
    return parse(bytes, { relax_column_count: true, ...options }) as string[][];
  } catch (error) {
    throw new DataError(path, (error as CsvError).message, { cause: error });
  }
}
