import { codecOutput, decode } from '../../../erofs/wasm.ts';
import { DataError } from '../../../error.ts';
import { type Input, openInput } from '../../io/input.ts';
import {
  type FileFacts,
  type MountFacts,
  TRACE_OP_NAMES,
  TRACE_SCHEMA,
  type TraceBatch,
  type TraceFacts,
  type TraceOp,
  type TraceReader,
} from '../trace.ts';
import { COLUMNS, DEFINITIONS, type Definition, MAX_ROWS, MAX_TEXT_BYTES } from './columns.ts';
import { fileFacts, mountFacts, type Where } from './definitions.ts';
import { FlatbufferError } from './flatbuffer.ts';
import { type BodyLayout, CONTINUATION, type Field, readMessage } from './message.ts';

const MAX_METADATA_BYTES = 1 << 20;
const MAX_BODY_BYTES = 1 << 28;
const MAX_FIELDS = 64;
const WIDTH = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, i64: 8 } as const;
type Name = (typeof COLUMNS)[number]['name'];
type Columns = Omit<TraceBatch, 'firstRow' | 'rows'>;

/**
 * Reads a trace that is an Arrow IPC stream, batch by batch. Every length is held against what it must be before anything is allocated by it,
 * and every event against the tables: what is handed out can be indexed with blindly.
 */
export class ArrowTraceReader implements TraceReader {
  readonly path: string;
  readonly containers: string[] = [];
  readonly mounts: MountFacts[] = [];
  readonly files: FileFacts[] = [];
  facts: TraceFacts = {};
  endFacts: TraceFacts | null = null;
  readonly #input: Input;
  readonly #bytes: Chunks;
  /** by number in the file's dictionary: the number here, or −1 − that of a definition */
  #ops: Int16Array | null = null;
  #fields: readonly Field[] | null = null;
  /** where the message being read begins, in the decompressed file */
  #at = 0;
  #row = 0;
  #lastTimeNs = 0;
  /** rows that the arrays have room for */
  #room = -1;
  #all: Columns | null = null;
  /** a column of 64 bits on its way */
  #halves = new Uint32Array(0);

  private constructor(path: string, input: Input) {
    this.path = path;
    this.#input = input;
    this.#bytes = new Chunks(input.stream);
  }

  static async open(path: string): Promise<ArrowTraceReader> {
    return new ArrowTraceReader(path, await openInput(path));
  }

  sha256(): string {
    return this.#input.sha256();
  }

  /** @throws DataError with the byte at fault; a stream that ends between two messages is not an error, but has no {@link endFacts} */
  async *batches(): AsyncGenerator<TraceBatch> {
    for (;;) {
      this.#at = this.#bytes.taken;
      const head = await this.#bytes.take(8);
      if (head.length === 0 && this.#fields !== null) return;
      if (head.length < 8) throw this.#error('ends within a message');
      if (head.readUInt32LE(0) !== CONTINUATION) throw this.#error('is no message of an Arrow stream');
      const length = head.readUInt32LE(4);
      if (length === 0) break;
      if (length > MAX_METADATA_BYTES) throw this.#error(`has metadata of ${length} bytes`);
      const metadata = await this.#bytes.take(length);
      if (metadata.length < length) throw this.#error('ends within a message');
      const message = this.#parse(() => readMessage(metadata));
      if (message.kind === 'schema') {
        this.#schema(message.fields, message.metadata);
        continue;
      }
      if (message.bodyBytes > MAX_BODY_BYTES) throw this.#error(`has a body of ${message.bodyBytes} bytes`);
      const body = await this.#bytes.take(message.bodyBytes);
      if (body.length < message.bodyBytes) throw this.#error('ends within a message');
      if (this.#fields === null) throw this.#error('comes ahead of the schema');
      if (message.kind === 'dictionary') {
        this.#dictionary(message.body, body);
        continue;
      }
      const batch = this.#batch(message.body, body);
      if (batch !== null) yield batch;
    }
    if (this.#fields === null) throw this.#error('ends before the schema');
    if ((await this.#bytes.take(1)).length > 0) throw this.#error('goes on behind the end of the stream');
  }

  #schema(fields: readonly Field[], metadata: ReadonlyMap<string, string>): void {
    if (this.#fields !== null) throw this.#error('is a second schema');
    const schema = metadata.get('schema');
    if (schema !== TRACE_SCHEMA)
      throw this.#error(
        schema === undefined ? 'is no trace: its metadata name no schema' : `has schema '${clip(schema)}'`,
      );
    if (fields.length > MAX_FIELDS) throw this.#error(`has ${fields.length} columns`);
    for (const column of COLUMNS) {
      const field = fields.find(({ name }) => name === column.name);
      if (field === undefined) throw this.#error(`has no column '${column.name}'`);
      if (field.type !== column.type) throw this.#error(`has column '${column.name}' of type ${clip(field.type)}`);
    }
    const odd = fields.find(({ type }) => type !== 'utf8' && type !== 'dictionary' && !(type in WIDTH));
    if (odd !== undefined) throw this.#error(`has column '${clip(odd.name)}' of type ${clip(odd.type)}`);
    this.#fields = fields;
  }

  #dictionary(layout: BodyLayout, body: Buffer): void {
    if (layout.rows > 256) throw this.#error(`has ${layout.rows} operations`);
    const texts = this.#texts(layout, body, 0, layout.rows);
    this.#ops = Int16Array.from(texts, (text) => {
      const op = TRACE_OP_NAMES.indexOf(text as TraceOp);
      const definition = DEFINITIONS.indexOf(text as Definition);
      if (op < 0 && definition < 0) throw this.#error(`has the unknown operation '${clip(text ?? '')}'`);
      return op >= 0 ? op : -1 - definition;
    });
  }

  /** @returns null when it holds definitions */
  #batch(layout: BodyLayout, body: Buffer): TraceBatch | null {
    const { rows } = layout;
    if (this.#ops === null) throw this.#error('comes ahead of the operations’ names');
    if (rows > MAX_ROWS) throw this.#error(`has ${rows} rows`);
    if (this.endFacts !== null && rows > 0) throw this.#error('comes behind the end of the trace');
    if (layout.nodes.length !== this.#fields!.length || layout.nodes.some(([n]) => n !== rows))
      throw this.#error('has columns of different lengths');
    const wanted = new Map<Name, { type: Field['type']; buffer: number }>();
    let buffer = 0;
    for (const { name, type } of this.#fields!) {
      wanted.set(name as Name, { type, buffer });
      buffer += type === 'utf8' ? 3 : 2;
    }
    if (layout.buffers.length !== buffer) throw this.#error(`has ${layout.buffers.length} buffers`);
    const columns = this.#columns(rows);
    const read = (name: Name, into: ArrayBufferView): void => {
      const { type, buffer } = wanted.get(name)!;
      const width = type === 'dictionary' ? 1 : WIDTH[type as keyof typeof WIDTH];
      const bytes = this.#buffer(layout, body, buffer + 1, width * rows, name);
      new Uint8Array(into.buffer, into.byteOffset, bytes.length).set(bytes);
    };
    const { op, container, file, pages, touch } = columns;
    read('op', op);
    read('container', container);
    read('file', file);
    if (this.#mapOps(op, rows) > 0) {
      const texts = this.#texts(layout, body, wanted.get('text')!.buffer, rows);
      for (let i = 0; i < rows; i++) {
        this.#define(DEFINITIONS[-1 - this.#ops[op[i]!]!]!, container[i]!, file[i]!, texts[i]!, i);
        this.#row++;
      }
      return null;
    }
    for (const name of ['pages', 'touch', 'bytes', 'task'] as const) read(name, columns[name]);
    read('time', this.#halves);
    this.#times(columns.timeNs, rows);
    read('page', this.#halves);
    split(this.#halves, columns.page, columns.pageHigh, rows);
    let i = firstAtLeast(container, rows, this.containers.length);
    if (i < rows) throw this.#rowError(i, `is of container ${container[i]} of ${this.containers.length}`);
    i = firstAtLeast(file, rows, this.files.length);
    if (i < rows) throw this.#rowError(i, `is of file ${file[i]} of ${this.files.length}`);
    i = firstOutside(touch, pages, rows);
    if (i < rows) throw this.#rowError(i, `touches page ${touch[i]} of a run of ${pages[i]}`);
    const batch = { ...columns, firstRow: this.#row, rows };
    this.#row += rows;
    return batch;
  }

  /** Arrays for the columns of a batch, the same again and again: with fresh ones, and fresh chunks, the median took a third more CPU time or worse. */
  #columns(rows: number): Columns {
    if (this.#room < rows) {
      this.#room = rows;
      this.#halves = new Uint32Array(2 * rows);
      this.#all = {
        timeNs: new Float64Array(rows),
        op: new Uint8Array(rows),
        container: new Uint32Array(rows),
        file: new Uint32Array(rows),
        page: new Uint32Array(rows),
        pageHigh: new Uint32Array(rows),
        pages: new Uint32Array(rows),
        touch: new Int32Array(rows),
        bytes: new Uint32Array(rows),
        task: new Int32Array(rows),
      };
    }
    return this.#all!;
  }

  /** Operations from the file's numbers to ours, unless they are definitions. @returns how many are: none or all */
  #mapOps(op: Uint8Array, rows: number): number {
    const known = this.#ops!;
    let definitions = 0;
    for (let i = 0; i < rows; i++) {
      const number = known[op[i]!];
      if (number === undefined) throw this.#rowError(i, `has operation ${op[i]}, which has no name`);
      if (number < 0) definitions++;
      else op[i] = number;
    }
    if (definitions > 0 && definitions < rows) throw this.#error('mixes events and definitions');
    return definitions;
  }

  /** Times out of their halves. @throws DataError unless they don't decrease and are below 2^53 */
  #times(timeNs: Float64Array, rows: number): void {
    const halves = this.#halves;
    let last = this.#lastTimeNs;
    for (let i = 0; i < rows; i++) {
      const t = halves[2 * i]! + halves[2 * i + 1]! * 2 ** 32;
      if (t < last || t > Number.MAX_SAFE_INTEGER)
        throw this.#rowError(
          i,
          `has time ${t} ns, which is ${t < last ? `before the row above, ${last}` : 'beyond 2^53'}`,
        );
      timeNs[i] = t;
      last = t;
    }
    this.#lastTimeNs = last;
  }

  #define(kind: Definition, container: number, file: number, text: string | null, i: number): void {
    const where: Where = (what) => this.#rowError(i, what);
    const value = parseJson(text, where);
    switch (kind) {
      case 'facts':
        this.facts = { ...this.facts, ...value };
        return;
      case 'end':
        this.endFacts = value;
        return;
      case 'container-is':
        if (container !== this.containers.length) throw where(`names container ${container} ahead of its turn`);
        if (typeof value.name !== 'string' || value.name === '') throw where('names a container without a name');
        this.containers.push(value.name);
        return;
      case 'mount-is':
        if (file !== this.mounts.length) throw where(`names mount ${file} ahead of its turn`);
        this.mounts.push(mountFacts(value, where));
        return;
      case 'file-is':
        if (file !== this.files.length) throw where(`names file ${file} ahead of its turn`);
        this.files.push(fileFacts(value, this.mounts.length, where));
    }
  }

  /** The strings of a utf8 column, null where they are. */
  #texts(layout: BodyLayout, body: Buffer, first: number, rows: number): (string | null)[] {
    const offsets = new Int32Array(
      new Uint8Array(this.#buffer(layout, body, first + 1, 4 * (rows + 1), 'text')).buffer,
    );
    const bytes = new Uint8Array(this.#buffer(layout, body, first + 2, -1, 'text'));
    const valid =
      layout.buffers[first]?.[1] === 0 ? null : new Uint8Array(this.#buffer(layout, body, first, -1, 'text'));
    if (valid !== null && valid.length < rows >> 3) throw this.#error('has too few bits for the column text');
    return Array.from({ length: rows }, (_, i) => {
      if (valid !== null && (valid[i >> 3]! & (1 << (i & 7))) === 0) return null;
      const from = offsets[i]!;
      const to = offsets[i + 1]!;
      if (from < 0 || to < from || to > bytes.length) throw this.#rowError(i, 'has text that is not there');
      return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8');
    });
  }

  /**
   * One buffer of a body, decompressed; good until the next is asked for.
   * @param length what it must be, as padding may follow; −1: what it says
   */
  #buffer(layout: BodyLayout, body: Buffer, n: number, length: number, name: string): Uint8Array {
    const [at, stored] = layout.buffers[n] ?? [0, -1];
    if (stored < 0 || at + stored > body.length) throw this.#error(`has column '${name}' outside its body`);
    let raw = body.subarray(at, at + stored);
    if (layout.compression === 'zstd' && stored > 0) {
      if (stored < 8) throw this.#error(`has column '${name}' of ${stored} bytes`);
      const size = raw.readBigInt64LE(0);
      raw = raw.subarray(8);
      if (size >= 0n) {
        if (length < 0 ? size > MAX_TEXT_BYTES : size < length || size > length + 64)
          throw this.#error(
            `has column '${name}' of ${size} bytes, not of ${length < 0 ? 'at most' : ''} ${length < 0 ? MAX_TEXT_BYTES : length}`,
          );
        const wrong = decode('zstd', raw, 0, Number(size), false);
        if (wrong >= 0) throw this.#error(`has column '${name}' whose compressed data is wrong`);
        return codecOutput(length < 0 ? Number(size) : length);
      }
    }
    if (length >= 0 && raw.length < length)
      throw this.#error(`has column '${name}' of ${raw.length} bytes, not of ${length}`);
    return raw.subarray(0, length < 0 ? raw.length : length);
  }

  #parse<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof FlatbufferError) throw this.#error(error.message);
      throw error;
    }
  }

  #error(what: string): DataError {
    return new DataError(this.path, `message at byte ${this.#at}: ${what}`);
  }

  /** @param i row of the batch that is being read */
  #rowError(i: number, what: string): DataError {
    return new DataError(this.path, `row ${this.#row + i} (message at byte ${this.#at}): ${what}`);
  }
}

function split(halves: Uint32Array, low: Uint32Array, high: Uint32Array, rows: number): void {
  for (let i = 0; i < rows; i++) {
    low[i] = halves[2 * i]!;
    high[i] = halves[2 * i + 1]!;
  }
}

/** The first row whose number is `limit` or more; `rows` if none is. */
function firstAtLeast(column: Uint32Array, rows: number, limit: number): number {
  let i = 0;
  while (i < rows && column[i]! < limit) i++;
  return i;
}

/** The first row that touches a page outside its run; `rows` if none does. An empty run has a page 0. */
function firstOutside(touch: Int32Array, pages: Uint32Array, rows: number): number {
  let i = 0;
  while (i < rows && touch[i]! >= -1 && touch[i]! < (pages[i]! || 1)) i++;
  return i;
}

function parseJson(text: string | null, where: Where): Record<string, unknown> {
  let value: unknown = null;
  try {
    value = JSON.parse(text ?? 'null');
  } catch {}
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw where('defines something without saying what');
  return value as Record<string, unknown>;
}

function clip(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text).slice(1, -1);
}

/** A stream of bytes, taken in pieces of any length. Nothing is allocated for what hasn't come. */
class Chunks {
  readonly #chunks: AsyncIterator<Buffer>;
  #buffer: Buffer = Buffer.alloc(0);
  /** what of it has come and isn't taken */
  #from = 0;
  #to = 0;
  /** bytes taken so far */
  taken = 0;

  constructor(stream: AsyncIterable<Buffer>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** @returns `length` bytes, or fewer at the end; good until the next call */
  async take(length: number): Promise<Buffer> {
    if (this.#to - this.#from < length) {
      this.#buffer.copyWithin(0, this.#from, this.#to);
      this.#to -= this.#from;
      this.#from = 0;
      while (this.#to < length) {
        const next = await this.#chunks.next();
        if (next.done) break;
        const end = this.#to + next.value.length;
        if (end > this.#buffer.length) this.#buffer = Buffer.concat([this.#buffer], 2 * end);
        this.#to += next.value.copy(this.#buffer, this.#to);
      }
    }
    const start = this.#from;
    this.#from = Math.min(start + length, this.#to);
    this.taken += this.#from - start;
    return this.#buffer.subarray(start, this.#from);
  }
}
