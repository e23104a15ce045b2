import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { DataError, located } from '../../../error.ts';
import { linkTarget } from '../../io/output.ts';
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
import { BATCH_ROWS, BATCH_TEXT_BYTES, COLUMNS, DEFINITIONS, type Definition } from './columns.ts';
import { bodyMessage, END_OF_STREAM, schemaMessage } from './message.ts';

const LEVEL = 3;
const MAX_TASK = 2 ** 31;

/**
 * Writes a trace as an Arrow IPC stream (traces/FORMAT.md). A record batch is written at once, so that what a killed recorder leaves is
 * a trace up to its last batch.
 */
export class ArrowTraceWriter implements TraceSink {
  readonly #level: number;
  readonly path: string;
  readonly #target: string;
  readonly #written: string;
  readonly #keep: boolean;
  #fd: number;
  #containers = 0;
  #mounts = 0;
  #files = 0;
  #definitions: { op: number; container: number; file: number; text: Uint8Array }[] = [];
  #definitionBytes = 0;
  #rows = 0;
  #lastTimeNs = 0;
  /** of what is in the file */
  #writtenTimeNs = 0;
  readonly #time = new Uint32Array(2 * BATCH_ROWS);
  readonly #op = new Uint8Array(BATCH_ROWS);
  readonly #container = new Uint32Array(BATCH_ROWS);
  readonly #file = new Uint32Array(BATCH_ROWS);
  readonly #page = new Uint32Array(2 * BATCH_ROWS);
  readonly #pages = new Uint32Array(BATCH_ROWS);
  readonly #touch = new Int32Array(BATCH_ROWS);
  readonly #bytes = new Uint32Array(BATCH_ROWS);
  readonly #task = new Int32Array(BATCH_ROWS);

  private constructor(path: string, keep: boolean, level: number) {
    this.#level = level;
    this.path = path;
    this.#keep = keep;
    this.#target = linkTarget(path);
    this.#written = keep ? path : `${this.#target}.tmp-${process.pid}`;
    try {
      mkdirSync(dirname(this.#target), { recursive: true });
      this.#fd = openSync(this.#written, 'w');
    } catch (error) {
      throw located(path, error);
    }
    this.#write(schemaMessage(COLUMNS, new Map([['schema', TRACE_SCHEMA]])));
    const names = [...TRACE_OP_NAMES, ...DEFINITIONS];
    const offsets = new Int32Array(names.length + 1);
    let end = 0;
    names.forEach((name, i) => {
      end += name.length;
      offsets[i + 1] = end;
    });
    const strings = [new Uint8Array(0), bytesOf(offsets), Buffer.from(names.join(''))];
    this.#message('dictionary', names.length, [[names.length, 0]], strings);
  }

  /**
   * @param keep write under the file's own name at once, as a recorder must; else it appears when it is whole
   * @param level of Zstandard, 1 to 22
   * @throws DataError when the file can't be written
   */
  static async create(path: string, keep = false, level = LEVEL): Promise<ArrowTraceWriter> {
    await zstdReady();
    return new ArrowTraceWriter(path, keep, level);
  }

  facts(facts: TraceFacts): void {
    this.#define('facts', 0, 0, facts);
  }

  container(name: string): number {
    this.#define('container-is', this.#containers, 0, { name });
    return this.#containers++;
  }

  mount(mount: MountFacts): number {
    this.#define('mount-is', 0, this.#mounts, mount);
    return this.#mounts++;
  }

  file(file: FileFacts): number {
    this.#define('file-is', 0, this.#files, file);
    return this.#files++;
  }

  event(e: TraceEvent): void {
    const i = this.#rows;
    if (e.timeNs < this.#lastTimeNs)
      throw new DataError(this.path, `an event of time ${e.timeNs} ns comes behind one of ${this.#lastTimeNs}`);
    this.#lastTimeNs = e.timeNs;
    const high = Math.floor(e.timeNs / 2 ** 32);
    this.#time[2 * i] = e.timeNs - high * 2 ** 32;
    this.#time[2 * i + 1] = high;
    this.#op[i] = e.op;
    this.#container[i] = e.container;
    this.#file[i] = e.file;
    this.#page[2 * i] = e.page;
    this.#page[2 * i + 1] = e.pageHigh;
    this.#pages[i] = e.pages;
    this.#touch[i] = e.touch;
    this.#bytes[i] = e.bytes;
    this.#task[i] = e.task < MAX_TASK ? e.task : 0;
    this.#rows++;
    if (this.#rows === BATCH_ROWS) this.flush();
  }

  /** Writes what has come so far. */
  flush(): void {
    this.#flushDefinitions();
    const rows = this.#rows;
    if (rows === 0) return;
    this.#batch(
      rows,
      [
        this.#time.subarray(0, 2 * rows),
        this.#op.subarray(0, rows),
        this.#container.subarray(0, rows),
        this.#file.subarray(0, rows),
        this.#page.subarray(0, 2 * rows),
        this.#pages.subarray(0, rows),
        this.#touch.subarray(0, rows),
        this.#bytes.subarray(0, rows),
        this.#task.subarray(0, rows),
      ],
      null,
    );
    this.#rows = 0;
    this.#writtenTimeNs = this.#lastTimeNs;
  }

  async end(facts: TraceFacts): Promise<void> {
    this.flush();
    this.#define('end', 0, 0, facts);
    this.flush();
    this.#write(END_OF_STREAM);
    try {
      fsyncSync(this.#fd);
      closeSync(this.#fd);
      this.#fd = -1;
      if (!this.#keep) renameSync(this.#written, this.#target);
    } catch (error) {
      throw located(this.path, error);
    }
  }

  async abort(): Promise<void> {
    if (this.#fd < 0) return;
    if (this.#keep) this.flush();
    closeSync(this.#fd);
    this.#fd = -1;
    if (!this.#keep) rmSync(this.#written, { force: true });
  }

  #define(kind: Definition, container: number, file: number, value: object): void {
    const text = Buffer.from(JSON.stringify(value));
    this.#definitions.push({ op: TRACE_OP_NAMES.length + DEFINITIONS.indexOf(kind), container, file, text });
    this.#definitionBytes += text.length;
    if (this.#definitionBytes >= BATCH_TEXT_BYTES || this.#definitions.length === BATCH_ROWS) this.#flushDefinitions();
  }

  #flushDefinitions(): void {
    const definitions = this.#definitions;
    const rows = definitions.length;
    if (rows === 0) return;
    const offsets = new Int32Array(rows + 1);
    definitions.forEach(({ text }, i) => {
      offsets[i + 1] = offsets[i]! + text.length;
    });
    const zero = new Uint32Array(rows);
    const time = new Uint32Array(2 * rows);
    for (let i = 0; i < rows; i++) {
      time[2 * i] = this.#writtenTimeNs % 2 ** 32;
      time[2 * i + 1] = Math.floor(this.#writtenTimeNs / 2 ** 32);
    }
    this.#batch(
      rows,
      [
        time,
        Uint8Array.from(definitions, (d) => d.op),
        Uint32Array.from(definitions, (d) => d.container),
        Uint32Array.from(definitions, (d) => d.file),
        new Uint32Array(2 * rows),
        zero,
        zero,
        zero,
        zero,
      ],
      { offsets, text: Buffer.concat(definitions.map((d) => d.text)) },
    );
    this.#definitions = [];
    this.#definitionBytes = 0;
  }

  /** @param text null: none in any row */
  #batch(rows: number, columns: ArrayBufferView[], text: { offsets: Int32Array; text: Uint8Array } | null): void {
    const none = new Uint8Array(0);
    const buffers = columns.flatMap((column) => [none, bytesOf(column)]);
    if (text === null) buffers.push(new Uint8Array((rows + 7) >> 3), bytesOf(new Int32Array(rows + 1)), none);
    else buffers.push(none, bytesOf(text.offsets), text.text);
    const nodes = COLUMNS.map(({ name }) => [rows, name === 'text' && text === null ? rows : 0] as const);
    this.#message('batch', rows, nodes, buffers);
  }

  /** A message with its body: each buffer with its length ahead, compressed where that makes it smaller, at a multiple of 8. */
  #message(
    kind: 'batch' | 'dictionary',
    rows: number,
    nodes: readonly (readonly [number, number])[],
    buffers: readonly Uint8Array[],
  ): void {
    const parts: Uint8Array[] = [];
    const layout: [number, number][] = [];
    let at = 0;
    for (const buffer of buffers) {
      if (buffer.length === 0) {
        layout.push([at, 0]);
        continue;
      }
      const packed = zstdCompress(buffer, this.#level);
      const smaller = packed.length < buffer.length;
      const stored = smaller ? packed : buffer;
      const head = Buffer.alloc(8);
      head.writeBigInt64LE(smaller ? BigInt(buffer.length) : -1n);
      layout.push([at, 8 + stored.length]);
      const padding = -(8 + stored.length) & 7;
      parts.push(head, stored, new Uint8Array(padding));
      at += 8 + stored.length + padding;
    }
    const message = bodyMessage(kind, { rows, nodes, buffers: layout, compression: 'zstd' }, at);
    this.#write(Buffer.concat([message, ...parts]));
  }

  #write(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
    } catch (error) {
      throw located(this.path, error);
    }
  }
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
