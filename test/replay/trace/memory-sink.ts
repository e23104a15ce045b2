import { openInput } from '../../../src/replay/io/input.ts';
import { BadRecords, type TraceFormat } from '../../../src/replay/trace/formats/format.ts';
import {
  blankEvent,
  type FileFacts,
  type MountFacts,
  OP,
  type TraceEvent,
  type TraceFacts,
  type TraceOp,
  type TraceSink,
} from '../../../src/replay/trace/trace.ts';

/** A trace in memory; holds a reader to the order in which a sink is to be called. */
export class MemorySink implements TraceSink {
  facted: TraceFacts = {};
  readonly containers: string[] = [];
  readonly mounts: MountFacts[] = [];
  readonly files: FileFacts[] = [];
  readonly events: TraceEvent[] = [];
  ended: TraceFacts | null = null;
  bad: BadRecords | null = null;

  facts(facts: TraceFacts): void {
    if (this.events.length > 0) throw new Error('facts behind an event');
    this.facted = { ...this.facted, ...facts };
  }

  container(name: string): number {
    if (name === '') throw new Error('a container without a name');
    return this.containers.push(name) - 1;
  }

  mount(mount: MountFacts): number {
    return this.mounts.push(mount) - 1;
  }

  file(file: FileFacts): number {
    if (file.mount >= this.mounts.length) throw new Error('a file of no mount');
    return this.files.push(file) - 1;
  }

  event(e: TraceEvent): void {
    const u32 = (n: number): boolean => Number.isInteger(n) && n >= 0 && n < 2 ** 32;
    const last = this.events.at(-1)?.timeNs ?? 0;
    if (!Number.isSafeInteger(e.timeNs) || e.timeNs < last) throw new Error(`time ${e.timeNs} behind ${last}`);
    if (e.file >= this.files.length || e.container >= this.containers.length) throw new Error('names nothing');
    for (const key of ['page', 'pageHigh', 'pages', 'bytes'] as const)
      if (!u32(e[key])) throw new Error(`${key} is ${e[key]}`);
    if (!u32(e.task) || e.task >= 2 ** 31) throw new Error(`task is ${e.task}`);
    if (!Number.isInteger(e.touch) || e.touch < -1 || e.touch >= Math.max(e.pages, 1))
      throw new Error(`touch ${e.touch} of ${e.pages}`);
    this.events.push({ ...e });
  }

  async end(facts: TraceFacts): Promise<void> {
    this.ended = facts;
  }

  async abort(): Promise<void> {}

  /** Pushes all of it into another sink, whose numbers are these. */
  async pour(sink: TraceSink): Promise<void> {
    sink.facts(this.facted);
    for (const name of this.containers) sink.container(name);
    for (const mount of this.mounts) sink.mount(mount);
    for (const file of this.files) sink.file(file);
    for (const event of this.events) sink.event(event);
    await sink.end(this.ended ?? {});
  }
}

/** A file, read by a format. */
export async function readTrace(
  format: TraceFormat,
  path: string,
  { skip = false, columns }: { skip?: boolean; columns?: Record<string, string> } = {},
): Promise<MemorySink> {
  const sink = new MemorySink();
  const bad = new BadRecords(path, skip);
  sink.bad = bad;
  const { stream } = await openInput(path);
  const end = await format.read!({ path, stream }, sink, {
    bad,
    ...(columns && { columns: new Map(Object.entries(columns)) }),
  });
  sink.ended = (end as TraceFacts | undefined) ?? null;
  return sink;
}

/** A trace, written by a format. */
export async function writeTrace(format: TraceFormat, path: string, trace: MemorySink): Promise<void> {
  const sink = await format.write!(path);
  try {
    await trace.pour(sink);
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/** Bytes in pieces of `size`, as a stream may bring them. */
export async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield Buffer.from(bytes.subarray(at, at + size));
}

/** Bytes, read by a format from a stream of pieces. */
export async function readBytes(
  format: TraceFormat,
  bytes: Uint8Array,
  { skip = false, columns, size = 1 << 16 }: { skip?: boolean; columns?: Record<string, string>; size?: number } = {},
): Promise<MemorySink> {
  const sink = new MemorySink();
  const bad = new BadRecords('t', skip);
  sink.bad = bad;
  const end = await format.read!({ path: 't', stream: pieces(bytes, size) }, sink, {
    bad,
    ...(columns && { columns: new Map(Object.entries(columns)) }),
  });
  sink.ended = (end as TraceFacts | undefined) ?? null;
  return sink;
}

/** An event that differs from nothing in this. */
export function event(op: TraceOp, what: Partial<TraceEvent> = {}): TraceEvent {
  return { ...blankEvent(), op: OP[op], ...what };
}

/** What an error of a promise says, or what it gave. */
export async function said(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => value,
    (error: Error) => `${error.name}: ${error.message}`,
  );
}
