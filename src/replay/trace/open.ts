import { DataError, UsageError } from '../../error.ts';
import { hashFile, openInput } from '../io/input.ts';
import { ArrowTraceReader } from './arrow/reader.ts';
import { ArrowTraceWriter } from './arrow/writer.ts';
import { TraceBudget, within } from './budget.ts';
import { BadRecords, type ReadOptions, type TraceFormat } from './formats/format.ts';
import { TRACE_FORMATS } from './formats/index.ts';
import { lcs } from './formats/lcs.ts';
import { oracleGeneral } from './formats/oracle-general.ts';
import { Enough, HeadSink, type NamedEvent } from './head.ts';
import { type TraceInfo, TraceSummary } from './info.ts';
import { pump } from './pump.ts';
import type { TraceFacts, TraceSink } from './trace.ts';

/** Our own format, beside those of others. */
export const ARROW = 'arrow';
const HEAD_BYTES = 64 * 1024;
const EXTENSION = /\.([^./\\]+?)(?:\.bin)?(?:\.zst|\.gz)?$/i;

/** A format as the command line tells of it. */
export interface FormatFacts {
  name: string;
  title: string;
  reads: boolean;
  writes: boolean;
  /** what its events lack, and what can't be asked of it therefore; empty if nothing */
  lacks: string;
}

/** Every format that is read or written. */
export function traceFormats(): FormatFacts[] {
  return [
    { name: ARROW, title: 'foliolab’s own Arrow stream', reads: true, writes: true, lacks: '' },
    ...TRACE_FORMATS.map(({ name, title, lacks, read, write }) => ({
      name,
      title,
      reads: read !== undefined,
      writes: write !== undefined,
      lacks,
    })),
  ];
}

/** Names of the formats that can be read, or written. */
export function formatNames(how: 'read' | 'write'): string[] {
  return traceFormats()
    .filter(({ reads, writes }) => (how === 'read' ? reads : writes))
    .map(({ name }) => name);
}

/** `oracleGeneral`, `oracle-general` and `ORACLEGENERAL` are one name. */
function sameName(a: string, b: string): boolean {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  return plain(a) === plain(b);
}

/** @returns null for the Arrow stream, undefined when no format has that name, or it can't be read or written */
function find(name: string, how: 'read' | 'write'): TraceFormat | null | undefined {
  if (sameName(name, ARROW) || sameName(name, 'arrows')) return null;
  return TRACE_FORMATS.find((one) => one[how] !== undefined && sameName(name, one.name));
}

/** @returns null for the Arrow stream. @throws UsageError when no format has that name, or it can't be read or written */
export function formatOf(name: string, how: 'read' | 'write'): TraceFormat | null {
  const format = find(name, how);
  if (format !== undefined) return format;
  const verb = how === 'read' ? 'read' : 'written';
  throw new UsageError(`'${name}' is no format that is ${verb}: ${formatNames(how).join(', ')}`);
}

/** The format that a file's name ends with: `x.arrows`, `x.oracleGeneral.zst`; undefined when it is none. */
export function formatOfName(path: string, how: 'read' | 'write'): TraceFormat | null | undefined {
  const end = EXTENSION.exec(path)?.[1];
  return end === undefined ? undefined : find(end, how);
}

/**
 * What format a file is in, by how it begins once it is decompressed, else by the end of its name.
 * @throws DataError when neither tells
 */
export async function recognise(path: string): Promise<TraceFormat | null> {
  const head = await headOf(path);
  if (head.length >= 4 && head.readUInt32LE(0) === 0xffffffff) return null;
  const found = TRACE_FORMATS.find((format) => format.read !== undefined && format.detect?.(head));
  const format = found ?? formatOfName(path, 'read');
  if (format !== undefined && format !== null) return format;
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

export interface ReadTraceOptions {
  /** recognised if left out */
  readonly format?: string | undefined;
  /**
   * leave out, and count, what can't be read; of an Arrow stream that is all behind the fault
   */
  readonly skipBad?: boolean;
  /** generic CSV: which column is what */
  readonly columns?: ReadonlyMap<string, string> | undefined;
}

/** What came of reading a trace. */
export interface ReadTrace {
  /** null: the Arrow stream */
  readonly format: TraceFormat | null;
  /** what the trace says at its end; null: it has none, though its format has one; undefined: its format has none */
  readonly end: TraceFacts | null | undefined;
  readonly skipped: number;
  readonly firstSkipped: string | null;
  /** of the file as it lies there */
  readonly sha256: string;
}

/** Pushes a trace of any format into a sink, all but its end. @throws DataError, UsageError; whatever the sink throws */
export async function readTrace(path: string, sink: TraceSink, options: ReadTraceOptions = {}): Promise<ReadTrace> {
  const format = options.format === undefined ? await recognise(path) : formatOf(options.format, 'read');
  if (format === null) {
    const reader = await ArrowTraceReader.open(path);
    const faults: string[] = [];
    const end = await pump(reader, sink, options.skipBad ? (what) => faults.push(what) : undefined);
    const sha256 = faults.length === 0 ? reader.sha256() : await hashFile(path);
    return { format, end, skipped: faults.length, firstSkipped: faults[0] ?? null, sha256 };
  }
  const input = await openInput(path);
  const bad = new BadRecords(path, options.skipBad === true);
  const read: ReadOptions = { bad, ...(options.columns && { columns: options.columns }) };
  try {
    const end = (await format.read!({ path, stream: input.stream }, sink, read)) as TraceFacts | null | undefined;
    return { format, end, skipped: bad.count, firstSkipped: bad.first, sha256: input.sha256() };
  } finally {
    input.stream.destroy();
  }
}

/** A writer of a format. @param format null: the Arrow stream */
export function traceWriter(format: TraceFormat | null, path: string): Promise<TraceSink> {
  return format === null ? ArrowTraceWriter.create(path) : format.write!(path);
}

export interface ConvertOptions extends ReadTraceOptions {
  /** name of a format that is written */
  readonly to: string;
  readonly output: string;
  readonly maxReferences?: number | undefined;
}

/** What came of a conversion. */
export interface Converted extends ReadTrace {
  readonly to: TraceFormat | null;
  /** whether the input says that it is whole; true where its format can't say */
  readonly whole: boolean;
}

/** Converts a trace, streaming. The output appears when it is whole. @throws DataError, UsageError; nothing is left behind then */
export async function convert(path: string, options: ConvertOptions): Promise<Converted> {
  const to = formatOf(options.to, 'write');
  // What is written a request a reference: the others write a run as a run.
  const budget = new TraceBudget(path, options.maxReferences);
  if (options.format === undefined) await recognise(path);
  else formatOf(options.format, 'read');
  const sink = await traceWriter(to, options.output);
  try {
    const read = await readTrace(path, to === oracleGeneral || to === lcs ? within(budget, sink) : sink, options);
    await sink.end({
      ...read.end,
      ...(read.end === null && { incomplete: true }),
      ...(read.skipped > 0 && { skippedRecords: read.skipped }),
    });
    return { ...read, to, whole: read.end === undefined || (read.end !== null && read.end.incomplete !== true) };
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/** Adds up a trace of any format. */
export async function traceInfo(
  path: string,
  options: ReadTraceOptions & { reuse: boolean; maxReferences?: number | undefined },
): Promise<TraceInfo> {
  const summary = new TraceSummary(new TraceBudget(path, options.maxReferences), options.reuse);
  const { format, end, skipped, sha256 } = await readTrace(path, summary, options);
  return summary.result({ format: format?.name ?? ARROW, sha256, end, skippedRecords: skipped });
}

/** The first events of a trace of any format, fewer if there aren't as many. */
export async function traceHead(path: string, count: number, options: ReadTraceOptions = {}): Promise<NamedEvent[]> {
  const sink = new HeadSink(count);
  try {
    await readTrace(path, sink, options);
  } catch (error) {
    if (!(error instanceof Enough)) throw error;
  }
  return sink.events;
}
