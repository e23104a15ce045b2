import { basename } from 'node:path';
import { DataError } from '../../../error.ts';
import { type ReadTraceOptions, readTrace } from '../open.ts';
import {
  type FileFacts,
  type MountFacts,
  TRACE_OP_NAMES,
  TRACE_OPS,
  type TraceEvent,
  type TraceFacts,
  type TraceSink,
} from '../trace.ts';

/** Of all recordings together; 37 bytes each. */
export const MAX_RECORDED_EVENTS = 2 ** 26;

/** A recorded container's demand, in columns: what it is copied from, however often. */
export interface RecordedContainer {
  readonly recording: Recording;
  readonly name: string;
  /** in time order; times are since its first event */
  readonly events: EventColumns;
}

/** A recording, held in memory. */
export interface Recording {
  readonly path: string;
  readonly sha256: string;
  readonly mounts: readonly MountFacts[];
  readonly files: readonly FileFacts[];
  readonly containers: readonly RecordedContainer[];
  /** events that were no demand */
  readonly leftOut: number;
}

const COLUMNS = ['op', 'file', 'page', 'pageHigh', 'pages', 'touch', 'bytes', 'task'] as const;

/** Events as columns, a Float64Array and eight of 32 or 8 bits. */
export class EventColumns {
  length = 0;
  timeNs = new Float64Array(64);
  op = new Uint8Array(64);
  file = new Uint32Array(64);
  page = new Uint32Array(64);
  pageHigh = new Uint32Array(64);
  pages = new Uint32Array(64);
  touch = new Int32Array(64);
  bytes = new Uint32Array(64);
  task = new Uint32Array(64);

  push(e: TraceEvent): void {
    if (this.length === this.timeNs.length) this.#grow();
    const i = this.length++;
    this.timeNs[i] = e.timeNs;
    for (const column of COLUMNS) this[column][i] = e[column];
  }

  /** Fills in all of an event but its time and container. */
  get(i: number, e: TraceEvent): void {
    e.op = this.op[i]!;
    e.file = this.file[i]!;
    e.page = this.page[i]!;
    e.pageHigh = this.pageHigh[i]!;
    e.pages = this.pages[i]!;
    e.touch = this.touch[i]!;
    e.bytes = this.bytes[i]!;
    e.task = this.task[i]!;
  }

  #grow(): void {
    const wider = <T extends Float64Array | Uint32Array | Int32Array | Uint8Array>(column: T): T => {
      const out = new (column.constructor as new (length: number) => T)(2 * column.length);
      out.set(column);
      return out;
    };
    this.timeNs = wider(this.timeNs);
    this.op = wider(this.op);
    this.file = wider(this.file);
    this.page = wider(this.page);
    this.pageHigh = wider(this.pageHigh);
    this.pages = wider(this.pages);
    this.touch = wider(this.touch);
    this.bytes = wider(this.bytes);
    this.task = wider(this.task);
  }
}

/**
 * Reads what containers of a recording asked for.
 * @param names only these containers; null for all that asked for something
 * @param room how many events it may have
 * @throws DataError, also when a container isn't there or asked for nothing
 */
export async function readRecording(
  path: string,
  names: readonly string[] | null,
  room: number,
  options: ReadTraceOptions,
): Promise<Recording> {
  const sink = new DemandSink(path, room);
  const { sha256 } = await readTrace(path, sink, options);
  const there = sink.containers.filter(({ events }) => events.length > 0);
  const recording: { -readonly [K in keyof Recording]: Recording[K] } = {
    path,
    sha256,
    mounts: sink.mounts,
    files: sink.files,
    containers: [],
    leftOut: sink.leftOut,
  };
  const wanted = names?.map((name) => {
    const found = there.find((container) => container.name === name);
    if (found === undefined)
      throw new DataError(
        path,
        `no container '${name}' asked for anything there: ${there.map((c) => c.name).join(', ') || 'none did'}`,
      );
    return found;
  });
  recording.containers = (wanted ?? there).map(({ name, events }) => ({ recording, name, events }));
  if (recording.containers.length === 0) throw new DataError(path, 'nobody asked for anything there');
  return recording;
}

/** What a recording is called in a trace that is made of it. */
export function recordingName({ path }: Recording): string {
  return basename(path);
}

class DemandSink implements TraceSink {
  readonly containers: { name: string; events: EventColumns }[] = [];
  readonly mounts: MountFacts[] = [];
  readonly files: FileFacts[] = [];
  leftOut = 0;
  readonly #path: string;
  readonly #room: number;
  /** time of each container's first event */
  readonly #starts: number[] = [];
  #taken = 0;

  constructor(path: string, room: number) {
    this.#path = path;
    this.#room = room;
  }

  facts(_facts: TraceFacts): void {}

  container(name: string): number {
    return this.containers.push({ name, events: new EventColumns() }) - 1;
  }

  mount(mount: MountFacts): number {
    return this.mounts.push(mount) - 1;
  }

  file(file: FileFacts): number {
    return this.files.push(file) - 1;
  }

  event(e: TraceEvent): void {
    if (TRACE_OPS[TRACE_OP_NAMES[e.op]!] !== 'demand') {
      this.leftOut++;
      return;
    }
    if (this.#taken++ === this.#room)
      throw new DataError(this.#path, `brings the recordings to more than ${MAX_RECORDED_EVENTS} events of demand`);
    const { events } = this.containers[e.container]!;
    const time = e.timeNs;
    if (events.length === 0) this.#starts[e.container] = time;
    e.timeNs = time - this.#starts[e.container]!;
    events.push(e);
    e.timeNs = time;
  }

  async end(_facts: TraceFacts): Promise<void> {}

  async abort(): Promise<void> {}
}
