import { type CsvError, parse } from 'csv-parse/sync';
import { DataError } from '../../error.ts';
import { type Input, openInput } from '../io/input.ts';
import { OPS, type Op, type TraceHeader, type TraceRow } from './row.ts';
import type { RowTrace } from './rows.ts';

const REQUIRED = ['time_ns', 'container', 'dev', 'ino', 'op', 'page_index', 'nr_pages', 'touch'] as const;
const MAX_LINE_BYTES = 64 * 1024;
const COMMENT = '#'.charCodeAt(0);

/** Where each column stands in a record. */
interface Columns {
  count: number;
  time: number;
  container: number;
  mount: number;
  nid: number;
  op: number;
  page: number;
  pages: number;
  touch: number;
}

/**
 * The CSV form of a recorded trace (traces/FORMAT.md): a header line naming the columns, one row per event, optionally preceded by
 * `#` lines in which the trace names its images. Read as a stream, plain, `.zst` or `.gz`; memory does not grow with the trace.
 */
export class CsvTrace implements RowTrace {
  readonly path: string;
  readonly unit = 'line';
  readonly #input: Input;
  readonly #header: TraceHeader = { mounts: new Map() };
  #columns: Columns | null = null;
  #lastTimeNs = 0;
  #line = 0;

  private constructor(path: string, input: Input) {
    this.path = path;
    this.#input = input;
  }

  static async open(path: string): Promise<CsvTrace> {
    return new CsvTrace(path, await openInput(path));
  }

  /** What the `#` lines said. Complete once the first row has been read. */
  get header(): TraceHeader {
    return this.#header;
  }

  /** SHA-256 of the file, once every row has been read. */
  sha256(): string {
    return this.#input.sha256();
  }

  /** Rows in file order, in batches. @throws DataError with the line at fault */
  async *batches(): AsyncGenerator<TraceRow[]> {
    // Whole lines are parsed a chunk at a time: less work than a stream of one object a row, and a line's number is its record's.
    for await (const text of wholeLines(this.path, this.#input.stream)) {
      const rows: TraceRow[] = [];
      for (const record of this.#records(this.#takeComments(text))) {
        const row = this.#row(record, ++this.#line);
        if (row !== null) rows.push(row);
      }
      if (rows.length > 0) yield rows;
    }
    if (this.#columns === null) throw new DataError(this.path, 'is not a trace: it holds no header line');
  }

  /** Reads the `#` lines ahead of the header off the text: to the CSV parser they would be records with another number of fields. */
  #takeComments(text: Buffer): Buffer {
    let from = this.#line === 0 && text.indexOf('\ufeff') === 0 ? 3 : 0;
    while (this.#columns === null && text[from] === COMMENT) {
      const end = text.indexOf(10, from);
      const next = end < 0 ? text.length : end + 1;
      this.#readComment(text.toString('utf8', from, next), ++this.#line);
      from = next;
    }
    return text.subarray(from);
  }

  #records(text: Buffer): string[][] {
    try {
      return parse(text, {
        quote: false,
        relax_column_count: true,
        record_delimiter: ['\n', '\r\n'],
      });
    } catch (error) {
      const { lines, message } = error as CsvError;
      throw this.#error(this.#line + Number(lines ?? 0), message);
    }
  }

  /** A record as a row; null for the header. */
  #row(record: string[], line: number): TraceRow | null {
    const columns = this.#columns;
    if (columns === null) {
      this.#columns = this.#readColumns(record, line);
      return null;
    }
    if (record.length !== columns.count)
      throw this.#error(line, `has ${record.length} fields where the header has ${columns.count}`);
    const op = record[columns.op]!;
    if (!Object.hasOwn(OPS, op)) throw this.#error(line, `op '${clip(op)}' is unknown`);
    const timeNs = this.#integer(record[columns.time]!, 'time_ns', line);
    if (timeNs < this.#lastTimeNs)
      throw this.#error(line, `time_ns ${timeNs} is before that of the row above, ${this.#lastTimeNs}`);
    this.#lastTimeNs = timeNs;
    const container = record[columns.container]!;
    if (container === '') throw this.#error(line, 'container is empty');
    const touch = record[columns.touch]!;
    return {
      timeNs,
      // A trailing '?' marks an attribution by mount alone; a bare '?' is nobody's.
      container: container.length > 1 && container.endsWith('?') ? container.slice(0, -1) : container,
      mount: record[columns.mount]!,
      nid: this.#integer(record[columns.nid]!, 'ino', line),
      op: op as Op,
      pageIndex: this.#integer(record[columns.page]!, 'page_index', line),
      pageCount: this.#integer(record[columns.pages]!, 'nr_pages', line),
      touch: touch === '' ? -1 : this.#integer(touch, 'touch', line),
      line,
    };
  }

  #readColumns(record: string[], line: number): Columns {
    const names = record.map((name) => name.trim());
    const missing = REQUIRED.filter((name) => !names.includes(name));
    if (missing.length > 0)
      throw this.#error(
        line,
        `is not the header of a trace: column ${missing.map((name) => `'${name}'`).join(', ')} missing`,
      );
    if (new Set(names).size !== names.length) throw this.#error(line, 'names a column twice');
    return {
      count: names.length,
      time: names.indexOf('time_ns'),
      container: names.indexOf('container'),
      mount: names.indexOf('dev'),
      nid: names.indexOf('ino'),
      op: names.indexOf('op'),
      page: names.indexOf('page_index'),
      pages: names.indexOf('nr_pages'),
      touch: names.indexOf('touch'),
    };
  }

  /** `# mount ID index=FILE image-sha256=HEX`; other comments are just that. */
  #readComment(text: string, line: number): void {
    const words = text.replace(/^#\s*/, '').trim().split(/\s+/);
    if (words[0] !== 'mount') return;
    const id = words[1];
    if (!id) throw this.#error(line, "says 'mount' but names none");
    const fields = new Map(
      words.slice(2).map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
    );
    const index = fields.get('index') ?? null;
    const imageSha256 = fields.get('image-sha256') ?? null;
    if (imageSha256 !== null && !/^[0-9a-f]{64}$/.test(imageSha256))
      throw this.#error(line, 'image-sha256 is not 64 hex digits');
    if (index !== null && (index.includes('/') || index.includes('\\') || index.startsWith('.')))
      throw this.#error(line, `index '${clip(index)}' is not the name of a file beside the trace`);
    if (this.#header.mounts.has(id)) throw this.#error(line, `names mount '${clip(id)}' twice`);
    this.#header.mounts.set(id, { beside: index === null ? [] : [index], imageSha256, line });
  }

  #integer(text: string, column: string, line: number): number {
    const value = Number(text);
    if (text === '' || !Number.isSafeInteger(value) || value < 0 || !/^\d+$/.test(text))
      throw this.#error(line, `${column} '${clip(text)}' is not a whole number`);
    return value;
  }

  #error(line: number, what: string): DataError {
    return new DataError(this.path, `line ${line}: ${what}`);
  }
}

/** Cuts a stream of bytes at line ends. The last line need not have one. */
async function* wholeLines(path: string, stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    const end = chunk.lastIndexOf(10) + 1;
    if (end > 0) {
      yield rest.length === 0 ? chunk.subarray(0, end) : Buffer.concat([rest, chunk.subarray(0, end)]);
      rest = Buffer.from(chunk.subarray(end));
    } else {
      rest = Buffer.concat([rest, chunk]);
    }
    if (rest.length > MAX_LINE_BYTES)
      throw new DataError(path, `has a line of more than ${MAX_LINE_BYTES} bytes: not a trace`);
  }
  if (rest.length > 0) yield rest;
}

function clip(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text).slice(1, -1);
}
