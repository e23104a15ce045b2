import { DataError, UsageError } from '../../error.ts';
import { openInput } from '../io/input.ts';
import { ArrowTraceReader } from './arrow/reader.ts';
import { ArrowTraceWriter } from './arrow/writer.ts';
import { BadRecords, type ReadOptions, type TraceFormat } from './formats/format.ts';
import { TRACE_FORMATS } from './formats/index.ts';
import { pump } from './pump.ts';
import type { TraceFacts, TraceSink } from './trace.ts';

/** Our own format, beside those of others. */
export const ARROW = 'arrow';
const HEAD_BYTES = 64 * 1024;

/** Names of the formats that can be read, or written. */
export function formatNames(how: 'read' | 'write'): string[] {
  return [ARROW, ...TRACE_FORMATS.filter((format) => format[how] !== undefined).map(({ name }) => name)];
}

/** @returns null for the Arrow stream. @throws UsageError when no format has that name, or it can't be read or written */
export function formatOf(name: string, how: 'read' | 'write'): TraceFormat | null {
  if (name === ARROW) return null;
  const format = TRACE_FORMATS.find((one) => one.name === name);
  if (format?.[how] !== undefined) return format;
  const verb = how === 'read' ? 'read' : 'written';
  throw new UsageError(`'${name}' is no format that is ${verb}: ${formatNames(how).join(', ')}`);
}

/**
 * What format a file is in, by how it begins once it is decompressed.
 * @throws DataError when none is known by that
 */
export async function recognise(path: string): Promise<TraceFormat | null> {
  const head = await headOf(path);
  if (head.length >= 4 && head.readUInt32LE(0) === 0xffffffff) return null;
  const found = TRACE_FORMATS.find((format) => format.read !== undefined && format.detect?.(head));
  if (found !== undefined) return found;
  throw new DataError(
    path,
    `is in no format that is known by its beginning: --format names it, of ${formatNames('read').join(', ')}`,
  );
}

async function headOf(path: string): Promise<Buffer> {
  const { stream } = await openInput(path);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= HEAD_BYTES) break;
    }
  } finally {
    stream.destroy();
  }
  return Buffer.concat(chunks).subarray(0, HEAD_BYTES);
}

export interface ConvertOptions {
  /** of the input; recognised if left out */
  readonly format?: string | undefined;
  readonly to: string;
  readonly output: string;
  readonly skipBad: boolean;
  readonly columns?: ReadonlyMap<string, string>;
}

/** What came of a conversion. */
export interface Converted {
  /** how the input was read; null: the Arrow stream */
  from: TraceFormat | null;
  to: TraceFormat | null;
  skipped: number;
  firstSkipped: string | null;
  /** whether the input says that it is whole; true where its format can't say */
  whole: boolean;
}

/** Converts a trace, streaming. The output appears when it is whole. @throws DataError, UsageError; nothing is left behind then */
export async function convert(path: string, options: ConvertOptions): Promise<Converted> {
  const to = formatOf(options.to, 'write');
  const from = options.format === undefined ? await recognise(path) : formatOf(options.format, 'read');
  const bad = new BadRecords(path, options.skipBad);
  const sink: TraceSink = to === null ? await ArrowTraceWriter.create(options.output) : await to.write!(options.output);
  try {
    let end: TraceFacts | null | undefined;
    if (from === null) {
      end = await pump(await ArrowTraceReader.open(path), sink);
    } else {
      const { stream } = await openInput(path);
      const read: ReadOptions = { bad, ...(options.columns && { columns: options.columns }) };
      end = (await from.read!({ path, stream }, sink, read)) as TraceFacts | null | undefined;
    }
    await sink.end({ ...end, ...(bad.count > 0 && { skippedRecords: bad.count }) });
    return { from, to, skipped: bad.count, firstSkipped: bad.first, whole: end !== null };
  } catch (error) {
    await sink.abort();
    throw error;
  }
}
