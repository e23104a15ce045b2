import { UsageError } from '../../error.ts';
import { type Input, openInput } from '../io/input.ts';
import { CsvReader } from './formats/csv.ts';
import { BadRecords } from './formats/format.ts';
import { ROW_OPS, type TraceHeader, type TraceRow } from './row.ts';
import type { RowTrace } from './rows.ts';
import {
  type FileFacts,
  type MountFacts,
  OP,
  type TraceEvent,
  type TraceFacts,
  type TraceSink,
  wholePage,
} from './trace.ts';

/**
 * The CSV form of a recorded trace (traces/FORMAT.md): a header line naming the columns, one row per event, optionally preceded by
 * `#` lines in which the trace names its images. Read as a stream, plain, `.zst` or `.gz`; memory does not grow with the trace.
 */
export class CsvTrace implements RowTrace {
  readonly path: string;
  readonly unit = 'line';
  /** What the `#` lines said. Complete once the first row has been read. */
  readonly header: TraceHeader = { mounts: new Map() };
  readonly #input: Input;

  private constructor(path: string, input: Input) {
    this.path = path;
    this.#input = input;
  }

  static async open(path: string): Promise<CsvTrace> {
    return new CsvTrace(path, await openInput(path));
  }

  /** SHA-256 of the file, once every row has been read. */
  sha256(): string {
    return this.#input.sha256();
  }

  /** Rows in file order, in batches. @throws DataError with the line at fault */
  async *batches(): AsyncGenerator<TraceRow[]> {
    const sink: Rows = new Rows(this.path, this.header, () => reader.line);
    const reader: CsvReader = new CsvReader(this.path, sink, new BadRecords(this.path, false));
    for await (const _ of reader.read({ path: this.path, stream: this.#input.stream })) {
      const { rows } = sink;
      sink.rows = [];
      if (rows.length > 0) yield rows;
    }
  }
}

/** Events as rows. */
class Rows implements TraceSink {
  rows: TraceRow[] = [];
  readonly #path: string;
  readonly #header: TraceHeader;
  readonly #line: () => number;
  readonly #containers: string[] = [];
  readonly #mounts: string[] = [];
  readonly #files: { mount: string; nid: number; path: string }[] = [];

  constructor(path: string, header: TraceHeader, line: () => number) {
    this.#path = path;
    this.#header = header;
    this.#line = line;
  }

  facts({ readsClipped }: TraceFacts): void {
    if (readsClipped === false) this.#header.readsClipped = false;
  }

  container(name: string): number {
    return this.#containers.push(name) - 1;
  }

  mount({ name, index, imageSha256, readAheadKb, ids }: MountFacts): number {
    if (ids === 'object' || ids === 'block')
      throw new UsageError(`${this.#path} is of ${ids}s, not of files: no image can be bound to it`);
    const beside = index === undefined ? [] : [index];
    this.#header.mounts.set(name, {
      beside,
      imageSha256: imageSha256 ?? null,
      readAheadKb: readAheadKb ?? null,
      line: this.#line(),
    });
    return this.#mounts.push(name) - 1;
  }

  file({ mount, ino, path }: FileFacts): number {
    return this.#files.push({ mount: this.#mounts[mount]!, nid: ino ?? -1, path: path ?? '' }) - 1;
  }

  event(e: TraceEvent): void {
    const op = ROW_OPS[e.op]!;
    if (op === null) return;
    const { mount, nid, path } = this.#files[e.file]!;
    const pageIndex = wholePage(e);
    this.rows.push({
      timeNs: e.timeNs,
      container: this.#containers[e.container]!,
      mount,
      nid,
      ...(nid < 0 && { filePath: path }),
      op,
      pageIndex,
      pageCount: e.pages,
      touch: e.touch < 0 ? -1 : pageIndex + e.touch,
      bytes: e.bytes,
      task: e.task,
      before: e.op === OP['cached-before'],
      line: this.#line(),
    });
  }

  async end(): Promise<void> {}

  async abort(): Promise<void> {}
}
