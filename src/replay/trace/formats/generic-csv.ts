import { UsageError } from '../../../error.ts';
import { blankEvent, OP, TRACE_OP_NAMES, type TraceEvent, type TraceSink } from '../trace.ts';
import { Cells, Names } from './cells.ts';
import { csvRecords, eachRecord } from './csv-records.ts';
import { type BadRecords, type ReadOptions, Tables, type TraceFormat, type TraceInput } from './format.ts';
import { clip } from './lines.ts';
import { type Id, readId } from './number64.ts';
import { readTime, StartClock, type Time } from './start.ts';

const PAGE_BYTES = 4096;
const MAX_U32 = 2 ** 32 - 1;
const COLUMNS = [
  'time',
  'container',
  'mount',
  'path',
  'ino',
  'id',
  'offset',
  'page',
  'length',
  'pages',
  'size',
  'op',
  'task',
] as const;
type Column = (typeof COLUMNS)[number];
/** columns that hold numbers: where none of them does in the first line, that is a header */
const NUMBERS: readonly Column[] = ['time', 'ino', 'id', 'offset', 'page', 'length', 'pages', 'size', 'task'];
const DELIMITERS: Readonly<Record<string, string>> = {
  comma: ',',
  semicolon: ';',
  tab: '\t',
  space: ' ',
  bar: '|',
  ';': ';',
  '|': '|',
};
/** digits of a second */
const UNITS: Readonly<Record<string, number>> = { s: 0, ms: 3, us: 6, ns: 9 };
const OPS: ReadonlyMap<string, number> = new Map<string, number>([
  ...TRACE_OP_NAMES.map((name, op): [string, number] => [name, op]),
  ...['r', 'rd', 'get', 'pread', 'pread64', 'readv'].map((name): [string, number] => [name, OP.read]),
  ...['w', 'wr', 'set', 'put', 'pwrite', 'pwrite64', 'writev'].map((name): [string, number] => [name, OP.write]),
]);

/**
 * Any CSV (RFC 4180), with `--map` to say what is where: `--map time=1:us,path=3,offset=5,length=6`. A column is its number, from 1, or its name in the
 * header line; traces/FORMAT.md lists what can be mapped.
 */
export const genericCsv: TraceFormat = {
  name: 'generic-csv',
  title: 'any CSV, its columns mapped by --map',
  lacks:
    'whatever is not mapped: without a container nothing about sharing, without offset or page only which files, without time only their order',
  read: readGenericCsv,
};

/** Where each column stands, from 0; −1 where it isn't mapped. */
type Places = Record<Column, number>;

class Mapping {
  readonly delimiter: string = ',';
  /** of time: digits of a second in its unit */
  readonly #digits: number | null = null;
  readonly #columns = new Map<Column, string>();
  readonly #header: boolean | null = null;

  /** @throws UsageError */
  constructor(columns: ReadonlyMap<string, string>) {
    for (const [key, value] of columns) {
      if (key === 'delimiter') {
        const delimiter = DELIMITERS[value];
        if (delimiter === undefined)
          throw usage(`delimiter '${value}' is none of ${Object.keys(DELIMITERS).slice(0, 5).join(', ')}`);
        this.delimiter = delimiter;
      } else if (key === 'header') {
        if (value !== 'yes' && value !== 'no') throw usage(`header is 'yes' or 'no', not '${value}'`);
        this.#header = value === 'yes';
      } else if (!COLUMNS.includes(key as Column)) {
        throw usage(`'${key}' is no column of a trace: ${COLUMNS.join(', ')}`);
      } else if (key === 'time') {
        const [, name, unit] = /^(.*?)(?::(s|ms|us|ns))?$/.exec(value) as unknown as [string, string, string?];
        const known = unit ?? /[_ ([.-](s|ms|us|ns)[)\]]?$/.exec(name)?.[1];
        if (known === undefined) throw usage(`time needs a unit, s, ms, us or ns: time=${name}:ns`);
        this.#digits = UNITS[known]!;
        this.#columns.set('time', name);
      } else this.#columns.set(key as Column, value);
    }
    const has = (name: Column): boolean => this.#columns.has(name);
    const refuse = (a: Column, others: readonly Column[]): void => {
      const other = others.find(has);
      if (has(a) && other !== undefined) throw usage(`${a} and ${other} can't both be mapped`);
    };
    if (!(['path', 'ino', 'id', 'offset', 'page'] as const).some(has))
      throw usage('one of path, ino, id, offset and page must be mapped');
    refuse('id', ['path', 'ino', 'offset', 'page', 'pages', 'size']);
    refuse('offset', ['page']);
    refuse('length', ['pages']);
    if (this.#header === false && [...this.#columns.values()].some((value) => !isNumber(value)))
      throw usage('header=no leaves columns without names');
  }

  get digits(): number {
    return this.#digits ?? 0;
  }

  /** What the first record is. @returns the places, and whether it is a header line @throws UsageError when it lacks a column */
  places(first: Cells): { places: Places; isHeader: boolean } {
    const names = Array.from({ length: first.count }, (_, i) => first.text(i).trim());
    const places = Object.fromEntries(COLUMNS.map((name) => [name, -1])) as Places;
    let named = false;
    for (const [column, value] of this.#columns) {
      if (isNumber(value)) {
        places[column] = Number(value) - 1;
        if (places[column] < 0 || places[column] >= first.count)
          throw usage(`${column}=${value}: the first line has ${first.count} columns`);
      } else {
        named = true;
        places[column] = names.indexOf(value);
        if (places[column] < 0)
          throw usage(
            `${column}=${value}: the first line names no such column, but ${names.map(clip).slice(0, 20).join(', ')}`,
          );
      }
    }
    const numbers = NUMBERS.filter((name) => places[name] >= 0).map((name) => names[places[name]]!);
    const guessed = numbers.length > 0 && numbers.every((text) => text !== '' && !/\d/.test(text[0]!));
    return { places, isHeader: this.#header ?? (named || guessed) };
  }
}

async function readGenericCsv(input: TraceInput, sink: TraceSink, options: ReadOptions): Promise<void> {
  const { bad, columns } = options;
  if (columns === undefined || columns.size === 0)
    throw new UsageError('a CSV needs --map to say what its columns are: --map time=1:us,path=3,offset=5,length=6');
  const mapping = new Mapping(columns);
  const { delimiter } = mapping;
  const fields = new Cells();
  let rows: Rows | null = null;
  const record = (line: number, wrong: string | null): void => {
    if (wrong !== null) bad.record(`line ${line}`, wrong);
    else if (rows !== null) rows.row(fields, line);
    else {
      const { places, isHeader } = mapping.places(fields);
      rows = new Rows(sink, bad, places, mapping.digits, fields.count);
      const header = Array.from({ length: fields.count }, (_, i) => fields.text(i));
      sink.facts({ source: 'CSV', columns: Object.fromEntries(columns), ...(isHeader && { header }) });
      if (!isHeader) rows.row(fields, line);
    }
  };
  for await (const chunk of csvRecords(input, bad)) eachRecord(chunk, fields, delimiter, record);
}

/** Records as events. */
class Rows {
  readonly #sink: TraceSink;
  readonly #bad: BadRecords;
  readonly #tables: Tables;
  readonly #at: Places;
  readonly #digits: number;
  readonly #count: number;
  readonly #clock: StartClock;
  readonly #time: Time = { seconds: 0, ns: 0 };
  readonly #event: TraceEvent = blankEvent();
  readonly #id: Id = { low: 0, high: 0 };
  readonly #ids: 'inode' | 'path' | 'object' | 'block';
  #texts: Names | null = null;
  #events = 0;
  readonly #opNames = new Names();
  readonly #ops: number[] = [];
  readonly #containerNames = new Names();
  readonly #containers: number[] = [];
  readonly #mountNames = new Names();
  readonly #mounts: { number: number; paths: Names; files: number[] }[] = [];

  constructor(sink: TraceSink, bad: BadRecords, places: Places, digits: number, count: number) {
    this.#sink = sink;
    this.#bad = bad;
    this.#at = places;
    this.#digits = digits;
    this.#count = count;
    this.#tables = new Tables(sink);
    this.#clock = new StartClock(bad);
    this.#ids = places.id >= 0 ? 'object' : places.ino >= 0 ? 'inode' : places.path >= 0 ? 'path' : 'block';
  }

  row(fields: Cells, line: number): void {
    const wrong = this.#read(fields, line);
    if (wrong === null) this.#sink.event(this.#event);
    else if (wrong !== '') this.#bad.record(`line ${line}`, wrong);
  }

  /** Reads a record into the event. @returns what is wrong with it; null if nothing is, '' if it has been said */
  #read(fields: Cells, line: number): string | null {
    const at = this.#at;
    const event = this.#event;
    if (fields.count !== this.#count) return `has ${fields.count} fields where the first line has ${this.#count}`;
    if (at.op >= 0) {
      const number = fields.number(at.op, this.#opNames);
      if (number === this.#ops.length)
        this.#ops.push(OPS.get(fields.text(at.op)) ?? OPS.get(fields.text(at.op).toLowerCase()) ?? -1);
      const op = this.#ops[number]!;
      if (op < 0) return `op '${clip(fields.text(at.op))}' is unknown`;
      event.op = op;
    } else event.op = OP.read;
    if (at.task >= 0) {
      const task = fields.isEmpty(at.task) ? 0 : fields.whole(at.task);
      if (task < 0 || task >= 2 ** 31) return notWhole('task', fields.text(at.task));
      event.task = task;
    }
    const wrong = at.id >= 0 ? this.#object(fields) : this.#pages(fields);
    if (wrong !== null) return wrong;
    if (at.time >= 0 && !this.#readTime(fields, at.time)) return `time '${clip(fields.text(at.time))}' is not a number`;
    if (at.path >= 0 && at.ino < 0 && fields.isEmpty(at.path)) return 'path is empty';
    let ino = -1;
    if (at.ino >= 0) {
      ino = fields.whole(at.ino);
      if (ino < 0) return notWhole('ino', fields.text(at.ino));
    }
    const size = at.size < 0 || fields.isEmpty(at.size) ? -1 : fields.whole(at.size);
    if (size < 0 && at.size >= 0 && !fields.isEmpty(at.size)) return notWhole('size', fields.text(at.size));
    if (at.time >= 0) {
      const timeNs = this.#clock.at(this.#time, line);
      if (timeNs < 0) return '';
      event.timeNs = timeNs;
      // What the first time was is part of the trace's facts, which go ahead of its events.
      if (this.#events === 0) this.#sink.facts(this.#clock.facts);
    }
    this.#events++;
    const container = at.container < 0 ? 0 : fields.number(at.container, this.#containerNames);
    if (container === this.#containers.length) {
      const name = at.container < 0 ? '' : fields.text(at.container);
      this.#containers.push(this.#tables.container(name || '?'));
    }
    event.container = this.#containers[container]!;
    const mount = at.mount < 0 ? 0 : fields.number(at.mount, this.#mountNames);
    if (mount === this.#mounts.length) {
      const name = at.mount < 0 ? '' : fields.text(at.mount);
      this.#mounts.push({ number: this.#tables.mount(name || '?', { ids: this.#ids }), paths: new Names(), files: [] });
    }
    const { number, paths, files } = this.#mounts[mount]!;
    const facts = size < 0 ? {} : { sizeBytes: size };
    if (ino >= 0) {
      const path = at.path < 0 ? '' : fields.text(at.path);
      event.file = this.#tables.inode(number, ino, path === '' ? facts : { path, ...facts });
    } else if (at.path >= 0) {
      const path = fields.number(at.path, paths);
      if (path === files.length) files.push(this.#tables.path(number, fields.text(at.path), facts));
      event.file = files[path]!;
    } else event.file = this.#tables.named(number, {});
    return null;
  }

  #readTime(fields: Cells, column: number): boolean {
    const whole = fields.whole(column);
    if (whole < 0) return readTime(fields.text(column), this.#digits, this.#time);
    const unit = 10 ** this.#digits;
    this.#time.seconds = Math.floor(whole / unit);
    this.#time.ns = (whole - this.#time.seconds * unit) * (1e9 / unit);
    return true;
  }

  /** An object's id, which is a number if the first one is, and its size. */
  #object(fields: Cells): string | null {
    const { id, length } = this.#at;
    const event = this.#event;
    const whole = this.#texts === null ? fields.whole(id) : -1;
    if (whole >= 0) {
      event.pageHigh = Math.floor(whole / 2 ** 32);
      event.page = whole - event.pageHigh * 2 ** 32;
    } else {
      const isNumber = this.#texts === null && readId(fields.text(id), this.#id);
      if (!isNumber && this.#texts === null && this.#events === 0) this.#texts = new Names();
      if (this.#texts !== null) {
        if (fields.isEmpty(id)) return 'id is empty';
        event.page = fields.number(id, this.#texts);
      } else {
        if (!isNumber) return `id '${clip(fields.text(id))}' is no number below 2^64, as the ids above are`;
        event.page = this.#id.low;
        event.pageHigh = this.#id.high;
      }
    }
    event.bytes = length < 0 ? 0 : fields.whole(length);
    return event.bytes < 0 || event.bytes > MAX_U32 ? notWhole('length', fields.text(length)) : null;
  }

  /** The pages that were asked for; where that isn't said, the first one of the file. */
  #pages(fields: Cells): string | null {
    const at = this.#at;
    const event = this.#event;
    let page = 0;
    /** where the access begins in its first page */
    let within = 0;
    if (at.offset >= 0) {
      const offset = fields.whole(at.offset);
      if (offset < 0) return notWhole('offset', fields.text(at.offset));
      page = Math.floor(offset / PAGE_BYTES);
      within = offset - page * PAGE_BYTES;
    } else if (at.page >= 0) {
      page = fields.whole(at.page);
      if (page < 0) return notWhole('page', fields.text(at.page));
    }
    let pages = 1;
    event.bytes = 0;
    if (at.length >= 0) {
      const length = fields.whole(at.length);
      if (length < 0) return notWhole('length', fields.text(at.length));
      if (length > MAX_U32) return `length ${length} is beyond 2^32`;
      if (length === 0) {
        if (event.op !== OP.read) return 'its length is 0';
        event.op = OP['read-nothing'];
      }
      pages = length === 0 ? 0 : Math.floor((within + length - 1) / PAGE_BYTES) + 1;
      event.bytes = length;
    } else if (at.pages >= 0) {
      pages = fields.whole(at.pages);
      if (pages < 0 || pages > MAX_U32) return notWhole('pages', fields.text(at.pages));
    }
    event.pageHigh = Math.floor(page / 2 ** 32);
    event.page = page - event.pageHigh * 2 ** 32;
    event.pages = pages;
    return null;
  }
}

function notWhole(name: string, text: string): string {
  return `${name} '${clip(text)}' is not a whole number`;
}

function isNumber(text: string): boolean {
  return /^\d{1,6}$/.test(text);
}

function usage(what: string): UsageError {
  return new UsageError(`--map: ${what}`);
}
