import { DataError } from '../../../error.ts';
import { fileFacts, mountFacts } from '../arrow/definitions.ts';
import {
  blankEvent,
  type FileFacts,
  type MountFacts,
  OP,
  TRACE_OP_NAMES,
  type TraceEvent,
  type TraceFacts,
  type TraceOp,
  type TraceSink,
} from '../trace.ts';
import { type BadRecords, type ReadOptions, Tables, type TraceFormat, type TraceInput } from './format.ts';
import { clip, lines } from './lines.ts';
import { type Id, idText, readId } from './number64.ts';
import { Output } from './output.ts';

const MAX_LINE = 1 << 20;
const MAX_U32 = 2 ** 32 - 1;
const MAX_I32 = 2 ** 31 - 1;

/**
 * An object a line, an event each, with the names of what it is of:
 *
 *     {"time":1200,"op":"read","container":"a1","mount":"a","ino":36,"path":"/usr/bin/env","page":0,"pages":4,"bytes":16384,"task":71}
 *
 * `time` in ns, `page` as a text where it is beyond 2^53; `ino`, `path`, `touch`, `bytes` and `task` are left out where they are unknown. Lines whose
 * `op` is `facts`, `container-is`, `mount-is`, `file-is` or `end` define, by `is`, as in the Arrow stream; a file's mount is its name.
 * traces/FORMAT.md has it all.
 */
export const jsonLines: TraceFormat = {
  name: 'jsonl',
  title: 'JSON lines: an event an object, with the names of its file and container',
  lacks: '',
  detect: (head) => /^\{("time":\d+,)?"op":"/.test(head.toString('latin1', 0, 100)),
  read: readJsonLines,
  write: async (path) => new JsonLinesWriter(path),
};

type Line = Record<string, unknown>;

async function readJsonLines(
  input: TraceInput,
  sink: TraceSink,
  { bad }: ReadOptions,
): Promise<TraceFacts | null | undefined> {
  const reader = new Reader(sink, bad, input.path);
  for await (const { texts, first } of lines(input, bad, MAX_LINE))
    for (let i = 0; i < texts.length; i++) if (texts[i] !== '') reader.line(texts[i]!, first + i);
  // A trace that somebody else made has neither definitions nor an end.
  return reader.defined || reader.end !== null ? reader.end : undefined;
}

class Reader {
  readonly #sink: TraceSink;
  readonly #bad: BadRecords;
  readonly #path: string;
  readonly #tables: Tables;
  readonly #event: TraceEvent = blankEvent();
  readonly #id: Id = { low: 0, high: 0 };
  #events = 0;
  #lastTimeNs = 0;
  defined = false;
  end: TraceFacts | null = null;

  constructor(sink: TraceSink, bad: BadRecords, path: string) {
    this.#sink = sink;
    this.#bad = bad;
    this.#path = path;
    this.#tables = new Tables(sink);
  }

  line(text: string, line: number): void {
    let value: unknown = null;
    try {
      value = JSON.parse(text);
    } catch {}
    let wrong: string | null;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      wrong = `'${clip(text)}' is no JSON object`;
    else if ('is' in value) {
      this.#define(value as Line, line);
      return;
    } else wrong = this.#read(value as Line);
    if (wrong === null) this.#sink.event(this.#event);
    else this.#bad.record(`line ${line}`, wrong);
  }

  /** Reads an object into the event. @returns what is wrong with it; null if nothing is */
  #read(value: Line): string | null {
    const event = this.#event;
    if (this.end !== null) return 'comes behind the end of the trace';
    const { time = 0, op, container = '?', mount = '?', ino, path, page = 0 } = value;
    const { pages = 1, touch = -1, bytes = 0, task = 0 } = value;
    if (typeof op !== 'string' || !Object.hasOwn(OP, op))
      return `op ${clip(JSON.stringify(op) ?? 'missing')} is unknown`;
    if (!isWhole(time, Number.MAX_SAFE_INTEGER)) return 'time is no whole number of nanoseconds';
    if (time < this.#lastTimeNs) return `time ${time} is before that of the event above, ${this.#lastTimeNs}`;
    if (typeof container !== 'string' || container === '') return 'container is no name';
    if (typeof mount !== 'string' || mount === '') return 'mount is no name';
    if (ino !== undefined && !isWhole(ino, Number.MAX_SAFE_INTEGER)) return 'ino is no whole number below 2^53';
    if (path !== undefined && typeof path !== 'string') return 'path is no text';
    const number = isWhole(page, Number.MAX_SAFE_INTEGER) ? String(page) : page;
    if (typeof number !== 'string' || !readId(number, this.#id)) return 'page is no whole number below 2^64';
    if (!isWhole(pages, MAX_U32)) return 'pages is no whole number below 2^32';
    if (touch !== -1 && !isWhole(touch, Math.min(Math.max(pages, 1) - 1, MAX_I32)))
      return `touch is no page of a run of ${pages}`;
    if (!isWhole(bytes, MAX_U32)) return 'bytes is no whole number below 2^32';
    if (!isWhole(task, MAX_I32)) return 'task is no whole number below 2^31';
    this.#events++;
    this.#lastTimeNs = time;
    event.timeNs = time;
    event.op = OP[op as TraceOp];
    event.container = this.#tables.container(container);
    const where = this.#tables.mount(mount);
    event.file = this.#tables.named(where, { ...(ino !== undefined && { ino }), ...(path !== undefined && { path }) });
    event.page = this.#id.low;
    event.pageHigh = this.#id.high;
    event.pages = pages;
    event.touch = touch as number;
    event.bytes = bytes;
    event.task = task;
    return null;
  }

  #define({ op, is }: Line, line: number): void {
    const where = (what: string): Error => new DataError(this.#path, `line ${line}: ${what}`);
    if (typeof is !== 'object' || is === null || Array.isArray(is))
      throw where('defines something without saying what');
    const value = is as Line;
    this.defined = true;
    if (op === 'facts') {
      if (this.#events > 0) throw where('gives facts behind an event');
      this.#sink.facts(value);
    } else if (op === 'end') {
      if (this.end !== null) throw where('is a second end');
      this.end = value;
    } else if (op === 'container-is') {
      if (typeof value.name !== 'string' || value.name === '') throw where('names a container without a name');
      this.#tables.container(value.name);
    } else if (op === 'mount-is') {
      const { name, ...facts } = mountFacts(value, where);
      this.#tables.mount(name, facts);
    } else if (op === 'file-is') {
      if (typeof value.mount !== 'string' || value.mount === '') throw where('names a file of no mount');
      const { mount: _, ...facts } = fileFacts({ ...value, mount: 0 }, 1, where);
      this.#tables.named(this.#tables.mount(value.mount), facts);
    } else throw where(`defines ${clip(JSON.stringify(op) ?? 'nothing')}, which is unknown`);
  }
}

class JsonLinesWriter implements TraceSink {
  readonly #out: Output;
  readonly #containers: string[] = [];
  readonly #mounts: string[] = [];
  readonly #files: string[] = [];

  constructor(path: string) {
    this.#out = new Output(path);
  }

  facts(facts: TraceFacts): void {
    this.#define('facts', facts);
  }

  container(name: string): number {
    this.#define('container-is', { name });
    return this.#containers.push(JSON.stringify(name)) - 1;
  }

  mount(mount: MountFacts): number {
    this.#define('mount-is', mount);
    return this.#mounts.push(mount.name) - 1;
  }

  file({ mount: number, ...facts }: FileFacts): number {
    const mount = this.#mounts[number]!;
    this.#define('file-is', { mount, ...facts });
    const { ino, path } = facts;
    // Without its braces: a part of each of its events.
    return this.#files.push(JSON.stringify({ mount, ino, path }).slice(1, -1)) - 1;
  }

  event(e: TraceEvent): void {
    let page = idText(e.page, e.pageHigh);
    if (e.pageHigh >= 2 ** 21) page = `"${page}"`;
    this.#out.text(
      `{"time":${e.timeNs},"op":"${TRACE_OP_NAMES[e.op]}","container":${this.#containers[e.container]},${this.#files[e.file]},"page":${page},"pages":${e.pages}${
        e.touch < 0 ? '' : `,"touch":${e.touch}`
      }${e.bytes === 0 ? '' : `,"bytes":${e.bytes}`}${e.task === 0 ? '' : `,"task":${e.task}`}}\n`,
    );
  }

  async end(facts: TraceFacts): Promise<void> {
    this.#define('end', facts);
    this.#out.end();
  }

  async abort(): Promise<void> {
    this.#out.abort();
  }

  #define(op: string, is: object): void {
    this.#out.text(`${JSON.stringify({ op, is })}\n`);
  }
}

function isWhole(value: unknown, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most;
}
