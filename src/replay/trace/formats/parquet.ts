import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { zstdCompress, zstdReady } from '../../io/zstd-encode.ts';
import {
  type FileFacts,
  type MountFacts,
  TRACE_OP_NAMES,
  TRACE_SCHEMA,
  type TraceEvent,
  type TraceFacts,
  type TraceSink,
} from '../trace.ts';
import type { TraceFormat } from './format.ts';
import { Output } from './output.ts';

const GROUP_ROWS = 1 << 16;
const LEVEL = 3;

type Schema = ConstructorParameters<typeof ParquetWriter>[0]['schema'];

const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8' } as const;
const i64 = { type: 'INT64' } as const;
const u64 = { type: 'INT64', converted_type: 'UINT_64' } as const;
const i32 = { type: 'INT32' } as const;
const u32 = { type: 'INT32', converted_type: 'UINT_32' } as const;
const required = { repetition_type: 'REQUIRED' } as const;
const optional = { repetition_type: 'OPTIONAL' } as const;

const COLUMNS: Schema = [
  { name: 'time', ...i64, ...required },
  { name: 'op', ...text, ...required },
  { name: 'container', ...text, ...required },
  { name: 'mount', ...text, ...required },
  { name: 'ino', ...i64, ...optional },
  { name: 'path', ...text, ...optional },
  { name: 'page', ...u64, ...required },
  { name: 'pages', ...u32, ...required },
  { name: 'touch', ...i32, ...required },
  { name: 'bytes', ...u32, ...required },
  { name: 'task', ...i32, ...required },
  { name: 'file', ...u32, ...required },
  { name: 'file_bytes', ...i64, ...optional },
];

/**
 * Apache Parquet, for DuckDB and pandas: the columns of the Arrow stream, with the names of container, mount and file in place of numbers (`file` is
 * the number, which tells files apart that have neither inode number nor path), and `file_bytes`, the file's size. Row groups of 65,536 rows,
 * Zstandard. What defines is under the key `foliolab.trace` of the file's metadata, as JSON: schema, facts, containers, mounts, end.
 */
export const parquet: TraceFormat = {
  name: 'parquet',
  title: 'Apache Parquet, for DuckDB and pandas: written only',
  lacks: '',
  write: async (path) => {
    await zstdReady();
    return new ParquetTraceWriter(path);
  },
};

/** What is written goes to the file at the end of each row group. */
class Pages extends ByteWriter {
  readonly #out: Output;

  constructor(out: Output) {
    super(1 << 20);
    this.#out = out;
  }

  flush(): void {
    this.#out.bytes(this.getBytes());
    this.index = 0;
  }

  override finish(): void {
    this.flush();
  }
}

class ParquetTraceWriter implements TraceSink {
  readonly #out: Output;
  readonly #writer: ParquetWriter;
  #facts: TraceFacts = {};
  readonly #containers: string[] = [];
  readonly #mounts: MountFacts[] = [];
  readonly #files: { mount: string; ino: bigint | null; path: string | null; bytes: bigint | null }[] = [];
  #rows = 0;
  readonly #time = new BigInt64Array(GROUP_ROWS);
  readonly #op: string[] = [];
  readonly #container: string[] = [];
  readonly #mount: string[] = [];
  readonly #ino: (bigint | null)[] = [];
  readonly #path: (string | null)[] = [];
  readonly #page = new BigUint64Array(GROUP_ROWS);
  // Of hyparquet-writer 0.17 a Uint32Array with numbers above 2^31 gets an error.
  readonly #pages = new Float64Array(GROUP_ROWS);
  readonly #touch = new Int32Array(GROUP_ROWS);
  readonly #bytes = new Float64Array(GROUP_ROWS);
  readonly #task = new Int32Array(GROUP_ROWS);
  readonly #file = new Float64Array(GROUP_ROWS);
  readonly #fileBytes: (bigint | null)[] = [];
  /** the halves of time and page */
  readonly #timeWords = new Uint32Array(this.#time.buffer);
  readonly #pageWords = new Uint32Array(this.#page.buffer);

  constructor(path: string) {
    this.#out = new Output(path);
    this.#writer = new ParquetWriter({
      writer: new Pages(this.#out),
      schema: [{ name: 'trace', num_children: COLUMNS.length }, ...COLUMNS],
      codec: 'ZSTD',
      compressors: { ZSTD: (bytes) => zstdCompress(bytes, LEVEL) },
      kvMetadata: [],
      createdBy: 'foliolab',
    });
  }

  facts(facts: TraceFacts): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  container(name: string): number {
    return this.#containers.push(name) - 1;
  }

  mount(mount: MountFacts): number {
    return this.#mounts.push(mount) - 1;
  }

  file({ mount, ino, path, sizeBytes }: FileFacts): number {
    return (
      this.#files.push({
        mount: this.#mounts[mount]!.name,
        ino: ino === undefined ? null : BigInt(ino),
        path: path ?? null,
        bytes: sizeBytes === undefined ? null : BigInt(sizeBytes),
      }) - 1
    );
  }

  event(e: TraceEvent): void {
    const i = this.#rows++;
    const { mount, ino, path, bytes } = this.#files[e.file]!;
    const high = Math.floor(e.timeNs / 2 ** 32);
    this.#timeWords[2 * i] = e.timeNs - high * 2 ** 32;
    this.#timeWords[2 * i + 1] = high;
    this.#op[i] = TRACE_OP_NAMES[e.op]!;
    this.#container[i] = this.#containers[e.container]!;
    this.#mount[i] = mount;
    this.#ino[i] = ino;
    this.#path[i] = path;
    this.#pageWords[2 * i] = e.page;
    this.#pageWords[2 * i + 1] = e.pageHigh;
    this.#pages[i] = e.pages;
    this.#touch[i] = e.touch;
    this.#bytes[i] = e.bytes;
    this.#task[i] = e.task;
    this.#file[i] = e.file;
    this.#fileBytes[i] = bytes;
    if (this.#rows === GROUP_ROWS) this.#group();
  }

  async end(facts: TraceFacts): Promise<void> {
    this.#group();
    const value = JSON.stringify({
      schema: TRACE_SCHEMA,
      facts: this.#facts,
      containers: this.#containers,
      mounts: this.#mounts,
      end: facts,
    });
    this.#writer.kvMetadata = [{ key: 'foliolab.trace', value }];
    this.#writer.finish();
    this.#out.end();
  }

  async abort(): Promise<void> {
    this.#out.abort();
  }

  #group(): void {
    const rows = this.#rows;
    if (rows === 0) return;
    this.#rows = 0;
    const data = [
      this.#time,
      this.#op,
      this.#container,
      this.#mount,
      this.#ino,
      this.#path,
      this.#page,
      this.#pages,
      this.#touch,
      this.#bytes,
      this.#task,
      this.#file,
      this.#fileBytes,
    ].map((column) => column.slice(0, rows));
    this.#writer.write({
      columnData: COLUMNS.map(({ name }, i) => ({ name, data: data[i]! })),
      rowGroupSize: GROUP_ROWS,
    });
  }
}
