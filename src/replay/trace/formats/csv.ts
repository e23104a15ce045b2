import { DataError } from '../../../error.ts';
import { PAGE_SIZE } from '../../result.ts';
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
import { byteLines, Cells, Names } from './cells.ts';
import { quoted, takeQuoted } from './csv-records.ts';
import { type BadRecords, Tables, type TraceFormat, type TraceInput } from './format.ts';
import { clip } from './lines.ts';
import { type Id, readId } from './number64.ts';
import { Output } from './output.ts';

const REQUIRED = ['time_ns', 'container', 'dev', 'ino', 'op', 'page_index', 'nr_pages', 'touch'] as const;
const HEADER = [...REQUIRED, 'file', 'bytes', 'task'].join(',');
const FIRST_LINE = '# foliolab.trace-csv/2';
const MAX_LINE = 1 << 20;
const MAX_U32 = 2 ** 32 - 1;
const MAX_ID = 2n ** 64n - 1n;
const COMMENT = '#'.charCodeAt(0);
const COMMA = ','.charCodeAt(0);
const ID: Id = { low: 0, high: 0 };

/** Operations as this format has called them from its beginning; any other is called what it is called elsewhere. */
const CSV_NAMES: Partial<Record<TraceOp, string>> = {
  'fault-around': 'map',
  fill: 'add',
  drop: 'del',
  'read-rest': 'read+',
  'read-nothing': 'read0',
  'fault-again': 'fault+',
  'map-after-fault': 'mapr',
  'map-before-fault': 'mapf',
  'readahead-sync': 'ra_s',
  'readahead-async': 'ra_a',
  'readahead-window': 'ra_o',
  'readahead-unbounded': 'ra_u',
  'erofs-readahead': 'ero',
  'erofs-read-folio': 'erf',
};
const CSV_OPS = TRACE_OP_NAMES.map((name) => CSV_NAMES[name] ?? name);
const OP_NUMBERS = new Map(CSV_OPS.map((name, op) => [name, op]));
const FAULT_AROUND = TRACE_OP_NAMES.indexOf('fault-around');
const READS: ReadonlySet<number> = new Set([OP.read, OP['read-rest'], OP['read-nothing']]);

/** The CSV form of a trace, as traces/FORMAT.md has it. Version 2 is written, in which nothing of a trace is lost. */
export const csv: TraceFormat = {
  name: 'csv',
  title: 'CSV of this project (traces/FORMAT.md)',
  lacks: '',
  detect: (head) => {
    const text = head.toString('utf8').replace(/^\ufeff/, '');
    const header = /^(?:#.*\n)*(.*)/.exec(text)![1]!.trim().split(',');
    return text.startsWith('# foliolab.trace-csv/') || REQUIRED.every((name) => header.includes(name));
  },
  read: async (input, sink, { bad }) => {
    const reader = new CsvReader(input.path, sink, bad);
    for await (const _ of reader.read(input));
    return reader.version > 1 ? reader.endFacts : undefined;
  },
  write: async (path) => new CsvWriter(path),
};

/** Where each column stands in a record; −1 where there is none. */
interface Columns {
  count: number;
  time: number;
  container: number;
  mount: number;
  ino: number;
  op: number;
  page: number;
  pages: number;
  touch: number;
  file: number;
  bytes: number;
  /** version 1: pages that a read asked for, past the end of the file too */
  asked: number;
  task: number;
}

/** Pushes a trace into a sink, a chunk of lines at a time: for a conversion, and for a replay that takes rows. */
export class CsvReader {
  readonly #path: string;
  readonly #sink: TraceSink;
  readonly #bad: BadRecords;
  readonly #tables: Tables;
  readonly #fields = new Cells();
  readonly #event: TraceEvent = blankEvent();
  #columns: Columns | null = null;
  #events = 0;
  #sourced = false;
  #lastTimeNs = 0;
  readonly #opNames = new Names();
  /** by number among the names: an operation, −1 where it is unknown */
  readonly #ops: number[] = [];
  readonly #containerNames = new Names();
  readonly #containers: number[] = [];
  readonly #mountNames = new Names();
  readonly #mountNumbers: number[] = [];
  /** by number in the trace: what `mount-is` and `file-is` said; a mount by its number among the names too, no inode number as −1 */
  readonly #mounts: { name: number; number: number }[] = [];
  readonly #files: { mount: number; ino: number; number: number }[] = [];
  readonly #named = new Set<string>();
  version = 1;
  /** of the line that is being read, from 1 */
  line = 0;
  /** what the trace's end says; null if it has none */
  endFacts: TraceFacts | null = null;

  constructor(path: string, sink: TraceSink, bad: BadRecords) {
    this.#path = path;
    this.#sink = sink;
    this.#bad = bad;
    this.#tables = new Tables(sink);
  }

  /** Yields after each chunk. */
  async *read(input: TraceInput): AsyncGenerator<void> {
    const cells = this.#fields;
    for await (const { bytes, first } of byteLines(input, this.#bad, MAX_LINE)) {
      this.line = first - 1;
      let at = first === 1 && bytes.indexOf('\ufeff') === 0 ? 3 : 0;
      while (at < bytes.length) {
        const comment = bytes[at] === COMMENT && (this.#columns === null || this.version > 1);
        this.line++;
        at = cells.cut(bytes, at, COMMA);
        if (comment) this.#comment(cells.line());
        else if (this.#columns === null) this.#header(cells.line());
        else this.#row(this.#columns);
      }
      yield;
    }
    if (this.#columns === null) throw new DataError(this.#path, 'is not a trace: it holds no header line');
  }

  #row(columns: Columns): void {
    const wrong = this.#parse(columns);
    if (wrong === null) this.#sink.event(this.#event);
    else this.#bad.record(`line ${this.line}`, wrong);
  }

  /** Reads a row into the event. @returns what is wrong with it; null if nothing is */
  #parse(columns: Columns): string | null {
    const fields = this.#fields;
    const event = this.#event;
    const strict = this.version > 1;
    if (strict) {
      if (this.endFacts !== null) return 'comes behind the end of the trace';
      const wrong = fields.hasQuotes ? takeQuoted(fields, fields.line(), ',') : null;
      if (wrong !== null) return wrong;
    }
    if (fields.count !== columns.count) return `has ${fields.count} fields where the header has ${columns.count}`;
    const name = fields.number(columns.op, this.#opNames);
    if (name === this.#ops.length) this.#ops.push(OP_NUMBERS.get(fields.text(columns.op)) ?? -1);
    const op = this.#ops[name]!;
    if (op < 0) return `op '${clip(fields.text(columns.op))}' is unknown`;
    const timeNs = fields.whole(columns.time);
    if (timeNs < 0) return this.#notWhole('time_ns', columns.time);
    if (timeNs < this.#lastTimeNs) return `time_ns ${timeNs} is before that of the row above, ${this.#lastTimeNs}`;
    const page = fields.whole(columns.page);
    if (page >= 0) {
      event.pageHigh = Math.floor(page / 2 ** 32);
      event.page = page - event.pageHigh * 2 ** 32;
    } else {
      if (!readId(fields.text(columns.page), ID)) return this.#notWhole('page_index', columns.page);
      event.page = ID.low;
      event.pageHigh = ID.high;
    }
    const pages = fields.whole(columns.pages);
    if (pages < 0) return this.#notWhole('nr_pages', columns.pages);
    if (pages > MAX_U32) return `nr_pages ${pages} is beyond 2^32`;
    let touch = -1;
    if (!fields.isEmpty(columns.touch)) {
      if (!readId(fields.text(columns.touch), ID)) return this.#notWhole('touch', columns.touch);
      touch = within(ID, event.page, event.pageHigh);
      if (touch < 0 || touch >= Math.max(pages, 1)) {
        if (strict || op === FAULT_AROUND)
          return `touch ${fields.text(columns.touch)} is outside its window, pages ${page} to ${page + pages - 1}`;
        touch = -1;
      }
    }
    let bytes = columns.bytes < 0 ? 0 : fields.whole(columns.bytes);
    if (bytes < 0) return this.#notWhole('bytes', columns.bytes);
    if (columns.asked >= 0 && READS.has(op)) bytes = Math.max(0, fields.whole(columns.asked)) * PAGE_SIZE;
    if (bytes > MAX_U32) return `bytes ${bytes} is beyond 2^32`;
    const task = columns.task < 0 ? 0 : fields.whole(columns.task);
    if (task < 0 && strict) return this.#notWhole('task', columns.task);
    if (fields.isEmpty(columns.container)) return 'container is empty';
    const file = this.#file(columns);
    if (typeof file === 'string') return file;
    const container = fields.number(columns.container, this.#containerNames);
    if (container === this.#containers.length) {
      const text = fields.text(columns.container);
      // A trailing '?' marks an attribution by mount alone; a bare '?' is nobody's.
      const assumed = !strict && text.length > 1 && text.endsWith('?');
      this.#containers.push(this.#tables.container(assumed ? text.slice(0, -1) : text));
    }
    event.container = this.#containers[container]!;
    this.#lastTimeNs = timeNs;
    this.#events++;
    event.timeNs = timeNs;
    event.op = op;
    event.file = file;
    event.pages = pages;
    event.touch = touch;
    event.bytes = bytes;
    event.task = task < 0 || task >= 2 ** 31 ? 0 : task;
    return null;
  }

  /** @returns the number of the row's file, or what is wrong with it */
  #file(columns: Columns): number | string {
    const fields = this.#fields;
    const mount = fields.number(columns.mount, this.#mountNames);
    const ino = fields.isEmpty(columns.ino) ? -1 : fields.whole(columns.ino);
    if (ino < 0 && !fields.isEmpty(columns.ino)) return this.#notWhole('ino', columns.ino);
    if (columns.file >= 0 && !fields.isEmpty(columns.file)) {
      const n = fields.whole(columns.file);
      const known = n < 0 ? undefined : this.#files[n];
      if (known === undefined) return `file '${clip(fields.text(columns.file))}' is none of those named above`;
      if (known.mount !== mount || known.ino !== ino)
        return `file ${n} has ${known.ino < 0 ? 'no inode number' : `inode ${known.ino}`}, or is of another mount than the row`;
      return known.number;
    }
    if (ino < 0) return this.#notWhole('ino', columns.ino);
    let number = this.#mountNumbers[mount];
    if (number === undefined) {
      number = this.#tables.mount(fields.text(columns.mount));
      this.#mountNumbers[mount] = number;
    }
    return this.#tables.inode(number, ino);
  }

  #header(text: string): void {
    const names = text.split(',').map((name) => name.trim());
    const missing = REQUIRED.filter((name) => !names.includes(name));
    if (missing.length > 0)
      throw this.#error(
        `is not the header of a trace: column ${missing.map((name) => `'${name}'`).join(', ')} missing (one of another format: trace convert)`,
      );
    if (new Set(names).size !== names.length) throw this.#error('names a column twice');
    if (this.version === 1) this.#source();
    const extra = (name: string): number => (this.version > 1 ? names.indexOf(name) : -1);
    this.#columns = {
      count: names.length,
      time: names.indexOf('time_ns'),
      container: names.indexOf('container'),
      mount: names.indexOf('dev'),
      ino: names.indexOf('ino'),
      op: names.indexOf('op'),
      page: names.indexOf('page_index'),
      pages: names.indexOf('nr_pages'),
      touch: names.indexOf('touch'),
      file: extra('file'),
      bytes: extra('bytes'),
      asked: this.version > 1 ? -1 : names.indexOf('req_pages'),
      task: this.version > 1 ? extra('task') : names.indexOf('pid'),
    };
  }

  /** `# foliolab.trace-csv/N`, what defines something, and other comments, which are just that. */
  #comment(text: string): void {
    const match = /^#\s*(\S+)\s*(.*)$/.exec(text);
    if (match === null) return;
    const [, word, rest] = match as unknown as [string, string, string];
    if (this.line === 1 && word.startsWith('foliolab.trace-csv/')) {
      this.version = word === 'foliolab.trace-csv/1' ? 1 : word === 'foliolab.trace-csv/2' ? 2 : 0;
      if (this.version === 0) throw this.#error(`is of '${clip(word)}'; versions 1 and 2 are known`);
    } else if (this.version > 1) this.#define(word, rest);
    else if (word === 'mount') this.#mountLine(rest.trim().split(/\s+/));
  }

  /** Version 1: `# mount ID index=FILE image-sha256=HEX`. */
  #mountLine([name, ...words]: string[]): void {
    if (!name) throw this.#error("says 'mount' but names none");
    const fields = new Map(words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]));
    const index = fields.get('index');
    const imageSha256 = fields.get('image-sha256');
    if (imageSha256 !== undefined && !/^[0-9a-f]{64}$/.test(imageSha256))
      throw this.#error('image-sha256 is not 64 hex digits');
    if (index !== undefined && (/[/\\]/.test(index) || index.startsWith('.')))
      throw this.#error(`index '${clip(index)}' is not the name of a file beside the trace`);
    if (this.#named.has(name)) throw this.#error(`names mount '${clip(name)}' twice`);
    this.#named.add(name);
    this.#source();
    this.#tables.mount(name, { ...(index && { index }), ...(imageSha256 && { imageSha256 }) });
  }

  /** Version 2: a definition as the Arrow stream has them. */
  #define(kind: string, text: string): void {
    if (!['facts', 'container-is', 'mount-is', 'file-is', 'end'].includes(kind)) return;
    const where = (what: string): Error => this.#error(what);
    let value: Record<string, unknown> | null = null;
    try {
      value = JSON.parse(text);
    } catch {}
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw where('defines something without saying what');
    if (kind === 'facts') {
      if (this.#events > 0) throw where('gives facts behind an event');
      this.#sink.facts(value);
    } else if (kind === 'end') {
      if (this.endFacts !== null) throw where('is a second end');
      this.endFacts = value;
    } else if (kind === 'container-is') {
      if (typeof value.name !== 'string' || value.name === '') throw where('names a container without a name');
      this.#tables.container(value.name);
    } else if (kind === 'mount-is') {
      const { name, ...facts } = mountFacts(value, where);
      const bytes = Buffer.from(name);
      const known = this.#mountNames.number(bytes, 0, bytes.length);
      this.#mounts.push({ name: known, number: this.#tables.mount(name, facts) });
    } else {
      const { mount, ...facts } = fileFacts(value, this.#mounts.length, where);
      const { name, number } = this.#mounts[mount]!;
      const known = this.#tables.named(number, facts);
      this.#files.push({ mount: name, ino: facts.ino ?? -1, number: known });
    }
  }

  /** What version 1 says of itself. */
  #source(): void {
    if (!this.#sourced) this.#sink.facts({ source: 'trace-csv version 1' });
    this.#sourced = true;
  }

  #notWhole(name: string, column: number): string {
    return `${name} '${clip(this.#fields.text(column))}' is not a whole number`;
  }

  #error(what: string): DataError {
    return new DataError(this.#path, `line ${this.line}: ${what}`);
  }
}

/** How far a number is behind another: exactly, where it is near. */
function within({ low, high }: Id, page: number, pageHigh: number): number {
  return (high - pageHigh) * 2 ** 32 + (low - page);
}

class CsvWriter implements TraceSink {
  readonly #out: Output;
  /** of each, as it stands in a row; null if it can't */
  readonly #containers: (string | null)[] = [];
  readonly #mounts: (string | null)[] = [];
  readonly #files: (string | null)[] = [];
  #begun = false;

  constructor(path: string) {
    this.#out = new Output(path);
    this.#out.text(`${FIRST_LINE}\n`);
  }

  facts(facts: TraceFacts): void {
    this.#define('facts', facts);
  }

  container(name: string): number {
    this.#define('container-is', { name });
    return this.#containers.push(inRow(name)) - 1;
  }

  mount(mount: MountFacts): number {
    this.#define('mount-is', mount);
    return this.#mounts.push(inRow(mount.name)) - 1;
  }

  file(file: FileFacts): number {
    this.#define('file-is', file);
    const mount = this.#mounts[file.mount];
    return this.#files.push(mount == null ? null : `${mount},${file.ino ?? ''}`) - 1;
  }

  event(e: TraceEvent): void {
    this.#begin();
    const container = this.#containers[e.container]!;
    const file = this.#files[e.file]!;
    if (container === null || file === null)
      throw new DataError(
        this.#out.path,
        `the name of ${container === null ? `container ${e.container}` : `the mount of file ${e.file}`} has a line end in it, which a row can't hold`,
      );
    let page = String(e.page);
    let touch = e.touch < 0 ? '' : String(e.page + e.touch);
    if (e.pageHigh > 0) {
      const whole = (BigInt(e.pageHigh) << 32n) | BigInt(e.page);
      page = String(whole);
      if (e.touch >= 0) {
        if (whole + BigInt(e.touch) > MAX_ID)
          throw new DataError(this.#out.path, `page ${whole} + ${e.touch} is beyond 2^64`);
        touch = String(whole + BigInt(e.touch));
      }
    }
    this.#out.text(
      `${e.timeNs},${container},${file},${CSV_OPS[e.op]},${page},${e.pages},${touch},${e.file},${e.bytes},${e.task}\n`,
    );
  }

  async end(facts: TraceFacts): Promise<void> {
    this.#begin();
    this.#define('end', facts);
    this.#out.end();
  }

  async abort(): Promise<void> {
    this.#out.abort();
  }

  #begin(): void {
    if (!this.#begun) this.#out.text(`${HEADER}\n`);
    this.#begun = true;
  }

  #define(kind: string, value: object): void {
    this.#out.text(`# ${kind} ${JSON.stringify(value)}\n`);
  }
}

function inRow(name: string): string | null {
  return /[\r\n]/.test(name) ? null : quoted(name);
}
