import { type CsvError, type Parser, parse } from 'csv-parse';
import { DataError } from '../../error.ts';
import { type Input, openInput } from '../io/input.ts';
import { OPS, type Op, type TraceHeader, type TraceRow } from './row.ts';

const REQUIRED = ['time_ns', 'container', 'dev', 'ino', 'op', 'page_index', 'nr_pages', 'touch'] as const;
const MAX_LINE_BYTES = 64 * 1024;

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
export class CsvTrace {
  readonly path: string;
  readonly #input: Input;
  readonly #parser: Parser;
  readonly #header: TraceHeader = { mounts: new Map() };
  #columns: Columns | null = null;
  #lastTimeNs = 0;

  private constructor(path: string, input: Input) {
    this.path = path;
    this.#input = input;
    this.#parser = this.#createParser();
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
  async *batches(batchRows = 4096): AsyncGenerator<TraceRow[]> {
    const parser = this.#parser;
    this.#input.stream.on('error', (error) => parser.destroy(error));
    this.#input.stream.pipe(parser);
    let batch: TraceRow[] = [];
    try {
      for await (const row of parser as AsyncIterable<TraceRow>) {
        batch.push(row);
        if (batch.length >= batchRows) {
          yield batch;
          batch = [];
        }
      }
    } catch (error) {
      throw this.#located(error);
    } finally {
      parser.destroy();
      this.#input.stream.destroy();
    }
    if (this.#columns === null) throw new DataError(this.path, 'is not a trace: it holds no header line');
    if (batch.length > 0) yield batch;
  }

  #createParser(): Parser {
    return parse({
      bom: true,
      relax_column_count: true,
      skip_empty_lines: true,
      max_record_size: MAX_LINE_BYTES,
      // The parser passes on whatever this returns; its types know of rows of strings only.
      onRecord: ((record: string[], info: { lines: number }) => this.#row(record, info.lines)) as never,
    });
  }

  /** A record as a row; null for the header and the `#` lines above it. */
  #row(record: string[], line: number): TraceRow | null {
    const columns = this.#columns;
    if (columns === null) {
      if (record[0]!.startsWith('#')) this.#readComment(record.join(','), line);
      else this.#columns = this.#readColumns(record, line);
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
    this.#header.mounts.set(id, { index, imageSha256, line });
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

  #located(error: unknown): unknown {
    if (error instanceof DataError) return error;
    const csv = error as CsvError;
    if (csv?.code?.startsWith('CSV_'))
      return new DataError(this.path, `line ${csv.lines ?? '?'}: ${csv.message}`, { cause: error });
    return error;
  }
}

function clip(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text).slice(1, -1);
}
