import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Rows a block holds. */
const BLOCK_ROWS = 65_536;
/** Blocks kept in memory, about 80 MB; longer logs go to a temporary file, so memory does not grow with the trace. */
const MEMORY_BLOCKS = 64;

// Columns of a block, one after the other: time f64, page u32, count u32, container u16, kind u8.
const TIME_AT = 0;
const PAGE_AT = BLOCK_ROWS * 8;
const COUNT_AT = PAGE_AT + BLOCK_ROWS * 4;
const CONTAINER_AT = COUNT_AT + BLOCK_ROWS * 4;
const KIND_AT = CONTAINER_AT + BLOCK_ROWS * 2;
const BLOCK_BYTES = KIND_AT + BLOCK_ROWS;

export const KIND_REFERENCE = 0;
export const KIND_ADD = 1;
export const KIND_DELETE = 2;
/** pages that came in by readahead: nobody asked for them yet */
export const KIND_READAHEAD = 3;

/** A run of consecutive logical pages by one container at one time, in column form. Valid until the next block. */
export interface LogBlock {
  rows: number;
  timeNs: Float64Array;
  page: Uint32Array;
  count: Uint32Array;
  container: Uint16Array;
  kind: Uint8Array;
}

/** What a worker thread needs to read the log: shared memory and perhaps a descriptor of the process. */
export interface SharedLog {
  rows: number;
  blocks: SharedArrayBuffer[];
  /** descriptor of the unlinked temporary file that holds the rest, −1 for none */
  spillFd: number;
}

/** The reference stream, written once and then read by every cell of a replay. */
export class ReferenceLog {
  #rows = 0;
  readonly #blocks: SharedArrayBuffer[] = [];
  #current: LogBlock | null = null;
  #currentBytes: SharedArrayBuffer | null = null;
  #spillFd = -1;

  append(timeNs: number, page: number, count: number, container: number, kind: number): void {
    const row = this.#rows % BLOCK_ROWS;
    if (row === 0) this.#newBlock();
    const block = this.#current!;
    block.timeNs[row] = timeNs;
    block.page[row] = page;
    block.count[row] = count;
    block.container[row] = container;
    block.kind[row] = kind;
    this.#rows++;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Ends writing. */
  finish(): SharedLog {
    if (this.#spillFd >= 0) this.#spillCurrent();
    return { rows: this.#rows, blocks: this.#blocks, spillFd: this.#spillFd };
  }

  #newBlock(): void {
    if (this.#blocks.length < MEMORY_BLOCKS) {
      this.#currentBytes = new SharedArrayBuffer(BLOCK_BYTES);
      this.#blocks.push(this.#currentBytes);
    } else {
      if (this.#spillFd < 0) {
        this.#spillFd = openUnlinked();
        this.#currentBytes = new SharedArrayBuffer(BLOCK_BYTES);
      } else {
        this.#spillCurrent();
      }
    }
    this.#current = blockOf(this.#currentBytes!, BLOCK_ROWS);
  }

  #spillCurrent(): void {
    const bytes = new Uint8Array(this.#currentBytes!);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#spillFd, bytes, at, bytes.length - at);
  }
}

/** A temporary file without a name: whatever happens to the process, nothing is left behind. */
function openUnlinked(): number {
  const directory = mkdtempSync(join(tmpdir(), 'foliolab-'));
  const fd = openSync(join(directory, 'log'), 'wx+', 0o600);
  rmSync(directory, { recursive: true });
  return fd;
}

/** Frees the temporary file of a log that is no longer needed. */
export function discardLog(log: SharedLog): void {
  if (log.spillFd >= 0) closeSync(log.spillFd);
  log.spillFd = -1;
}

/** The rows of a log in order, a block at a time. */
export function* readLog(log: SharedLog): Generator<LogBlock> {
  let left = log.rows;
  for (const bytes of log.blocks) {
    const rows = Math.min(left, BLOCK_ROWS);
    yield blockOf(bytes, rows);
    left -= rows;
  }
  const buffer = left > 0 ? new ArrayBuffer(BLOCK_BYTES) : null;
  for (let position = 0; left > 0 && buffer !== null; position += BLOCK_BYTES) {
    const target = new Uint8Array(buffer);
    for (let at = 0; at < BLOCK_BYTES; ) {
      const got = readSync(log.spillFd, target, at, BLOCK_BYTES - at, position + at);
      if (got === 0) throw new Error('the temporary log of the replay ends early');
      at += got;
    }
    const rows = Math.min(left, BLOCK_ROWS);
    yield blockOf(buffer, rows);
    left -= rows;
  }
}

function blockOf(bytes: ArrayBufferLike, rows: number): LogBlock {
  return {
    rows,
    timeNs: new Float64Array(bytes, TIME_AT, BLOCK_ROWS),
    page: new Uint32Array(bytes, PAGE_AT, BLOCK_ROWS),
    count: new Uint32Array(bytes, COUNT_AT, BLOCK_ROWS),
    container: new Uint16Array(bytes, CONTAINER_AT, BLOCK_ROWS),
    kind: new Uint8Array(bytes, KIND_AT, BLOCK_ROWS),
  };
}
