import { DataError } from '../../error.ts';
import { openInput } from '../io/input.ts';
import { csv } from '../trace/formats/csv.ts';
import { formatOf, recognise } from '../trace/open.ts';
import type { BoundOptions } from './bound.ts';
import { EventSource } from './events.ts';
import type { IdSource } from './ids.ts';
import { RequestSource } from './requests.ts';

export interface SourceOptions {
  /** recognised if left out */
  readonly format?: string | undefined;
  /** generic CSV: which column is what */
  readonly columns?: ReadonlyMap<string, string> | undefined;
  readonly maxReferences?: number | undefined;
  /** identify pages by a sharing model, over images */
  readonly bound?: BoundOptions | undefined;
}

/** Names of the column of ids in the CSV files of cache traces. */
const ID_COLUMNS = ['id', 'obj_id', 'object_id', 'object', 'obj', 'key', 'lba', 'block'];
const HEAD_BYTES = 64 * 1024;

/** The references of a trace in any readable format. @throws DataError, UsageError */
export async function openSource(path: string, options: SourceOptions = {}): Promise<IdSource> {
  // Loaded where it is wanted: images' indexes take half of the time that the command needs to begin.
  if (options.bound !== undefined) return new (await import('./bound.ts')).BoundSource(path, options.bound);
  const format = options.format === undefined ? await recognise(path) : formatOf(options.format, 'read');
  if (format?.name === 'oracle-general' || format?.name === 'lcs') return new RequestSource(path, format.name);
  const { columns, maxReferences } = options;
  if (format === csv && columns === undefined) {
    const head = await beginning(path);
    if (csv.detect?.(head) === false)
      return new EventSource(path, { format: 'generic-csv', columns: foreignColumns(path, head), maxReferences });
  }
  return new EventSource(path, { format: format === null ? undefined : format.name, columns, maxReferences });
}

async function beginning(path: string): Promise<Buffer> {
  const { stream } = await openInput(path);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= HEAD_BYTES) break;
  }
  stream.destroy();
  return Buffer.concat(chunks).subarray(0, HEAD_BYTES);
}

/**
 * A CSV of requests that is not our own: by the header's name of the column of ids; without one the second of several columns, which follows
 * the time in libCacheSim's and most others, or the only one.
 */
function foreignColumns(path: string, head: Buffer): Map<string, string> {
  const first = /^(?:#.*\r?\n)*([^\r\n]*)/.exec(head.toString('utf8').replace(/^\ufeff/, ''))![1]!;
  const delimiter = [',', '\t', ';', '|', ' '].find((one) => first.includes(one)) ?? ',';
  const cells = first.split(delimiter).map((cell) => cell.trim());
  const named = cells.findIndex((cell) => ID_COLUMNS.includes(cell.toLowerCase().replaceAll(/[ -]/g, '_')));
  const header = cells.every((cell) => !/^[\d.+-]/.test(cell)) && cells.some((cell) => cell !== '');
  if (header && named < 0 && cells.length > 1)
    throw new DataError(
      path,
      `line 1: no column is called ${ID_COLUMNS.slice(0, 4).join(', ')} …: say which holds the ids: --map id=NAME`,
    );
  const column = named >= 0 ? named : Math.min(1, cells.length - 1);
  const name = { '\t': 'tab', ' ': 'space', ',': 'comma' }[delimiter] ?? delimiter;
  return new Map([
    ['id', String(column + 1)],
    ['delimiter', name],
    ['header', header ? 'yes' : 'no'],
  ]);
}
