import { closeSync, fsyncSync, mkdirSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { DataError, located } from '../../../error.ts';
import { linkTarget } from '../../io/output.ts';
import { grown, IdInterner } from '../intern.ts';
import {
  type FileFacts,
  type MountFacts,
  OP,
  TRACE_OP_NAMES,
  type TraceEvent,
  type TraceFacts,
  type TraceSink,
} from '../trace.ts';

/** What libCacheSim's binary traces have in common: fixed records, object ids of 64 bits, and in each record where its object comes next. */

/** Reads whole records as 32-bit words. */
export interface RecordReader {
  /** bytes handed out */
  readonly taken: number;
  /** bytes at the end that are no whole record */
  readonly left: number;
  /** @returns the next `length` bytes, or fewer at the end */
  bytes(length: number): Promise<Buffer>;
  /** @returns whole records, good until the next call; null at the end */
  next(recordBytes: number): Promise<Uint32Array | null>;
}

/** A stream cut into whole records, which are handed out as 32-bit words: alignment is what makes reading fast. */
export class Records implements RecordReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  taken = 0;

  constructor(stream: AsyncIterable<Buffer>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  get left(): number {
    return this.#rest.length;
  }

  async bytes(length: number): Promise<Buffer> {
    const parts = [this.#rest];
    let have = this.#rest.length;
    while (have < length) {
      const next = await this.#chunks.next();
      if (next.done) break;
      parts.push(next.value);
      have += next.value.length;
    }
    const all = Buffer.concat(parts);
    this.#rest = all.subarray(length);
    this.taken += Math.min(length, all.length);
    return all.subarray(0, length);
  }

  async next(recordBytes: number): Promise<Uint32Array | null> {
    for (;;) {
      const whole = this.#rest.length - (this.#rest.length % recordBytes);
      if (whole > 0) {
        const bytes = new Uint8Array(whole);
        bytes.set(this.#rest.subarray(0, whole));
        this.#rest = this.#rest.subarray(whole);
        this.taken += whole;
        return new Uint32Array(bytes.buffer);
      }
      const next = await this.#chunks.next();
      if (next.done) return null;
      this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
    }
  }
}

/** Seconds of a trace on its own scale. 104 days are 2^53 ns. */
export const MAX_SECONDS = Math.floor(Number.MAX_SAFE_INTEGER / 1e9);

/** Requests of libCacheSim: include/libCacheSim/enum.h, req_op_e. */
export const REQUEST = { delete: 9, read: 12, write: 13 } as const;

/** A request's operation as ours; −1 if it is none. nop and invalid are what libCacheSim writes for traces that don't say. */
export function requestOp(op: number): number {
  if (op === 0 || op === 1 || op === 2 || op === 12 || op === 15) return OP.read;
  if (op === REQUEST.delete) return OP.drop;
  return op < 15 ? OP.write : -1;
}

export interface Layout {
  readonly headBytes: number;
  /** 24: time u32, id u64, size u32, next i64; 28: `op u8, tenant u24` ahead of next */
  readonly recordBytes: 24 | 28;
  /** What stands ahead of the records. */
  head?(requests: Requests): Buffer;
}

/** What was written, counted object by object; columns are by the object's number. */
export interface Requests {
  readonly count: number;
  readonly objects: number;
  readonly startS: number;
  readonly endS: number;
  readonly bytes: number;
  /** requests of each object, and the size in its last one */
  readonly frequency: Uint32Array;
  readonly size: Uint32Array;
  /** requests by operation, and by tenant */
  readonly ops: Float64Array;
  readonly tenants: ReadonlyMap<number, number>;
}

const BLOCK_RECORDS = 1 << 15;
const MAX_U32 = 2 ** 32 - 1;
const MAX_TENANT = 2 ** 24 - 1;
const PAGE_BYTES = 4096;

/**
 * Writes accesses as requests: demand only, for a request is an access and nothing else. A run of pages becomes a request for each, of 4096 bytes;
 * a fault-around is the page that was wanted, and nothing where that isn't known; an object (`ids: 'object'`) is one request of its own size, and its
 * drop a delete, where the format has operations.
 *
 * The id is the page or object number as it is if all requests are of one file, else `file number × 2^32 + page`. Sizes that are unknown
 * throughout (0) are written as 1, as libCacheSim's own reader of texts does, because its readers leave out requests of size 0.
 *
 * Where an object comes next is known once the end is: records are written with the file's number in that field, then gone through backwards
 * in blocks, in place. Memory grows with distinct objects only.
 */
export class RequestWriter implements TraceSink {
  readonly #path: string;
  readonly #target: string;
  readonly #written: string;
  readonly #layout: Layout;
  readonly #words: number;
  readonly #block: Uint32Array;
  #fd: number;
  #filled = 0;
  #count = 0;
  #startS = 0;
  /** of the start, beyond its whole seconds */
  #startNs = 0;
  #names: string[] = [];
  #objectMounts: boolean[] = [];
  #objectFiles: boolean[] = [];
  #firstFile = -1;
  #severalFiles = false;
  #wide = false;
  #sized = false;
  /** events that are no requests, by operation */
  readonly leftOut = new Map<string, number>();

  private constructor(path: string, layout: Layout) {
    this.#path = path;
    this.#target = linkTarget(path);
    this.#written = `${this.#target}.tmp-${process.pid}`;
    this.#layout = layout;
    this.#words = layout.recordBytes / 4;
    this.#block = new Uint32Array(BLOCK_RECORDS * this.#words);
    try {
      mkdirSync(dirname(this.#target), { recursive: true });
      this.#fd = openSync(this.#written, 'w+');
    } catch (error) {
      throw located(path, error);
    }
  }

  static async create(path: string, layout: Layout): Promise<RequestWriter> {
    return new RequestWriter(path, layout);
  }

  facts(facts: TraceFacts): void {
    const { startS, startNs } = facts;
    if (typeof startS === 'number' && Number.isSafeInteger(startS) && startS >= 0) {
      this.#startS = startS;
      this.#startNs = 0;
    } else if (
      (typeof startNs === 'number' && startNs >= 0) ||
      (typeof startNs === 'string' && /^\d{1,19}$/.test(startNs))
    ) {
      const ns = BigInt(typeof startNs === 'number' ? Math.floor(startNs) : startNs);
      this.#startS = Number(ns / 1_000_000_000n);
      this.#startNs = Number(ns % 1_000_000_000n);
    }
  }

  container(name: string): number {
    return this.#names.push(name) - 1;
  }

  mount(mount: MountFacts): number {
    return this.#objectMounts.push(mount.ids === 'object') - 1;
  }

  file(file: FileFacts): number {
    return this.#objectFiles.push(this.#objectMounts[file.mount]!) - 1;
  }

  event(e: TraceEvent): void {
    const object = this.#objectFiles[e.file]!;
    let op: number = REQUEST.read;
    let first = 0;
    let pages = e.pages;
    if (e.op === OP.write) op = REQUEST.write;
    else if (e.op === OP.drop && object && this.#words === 7) op = REQUEST.delete;
    else if (e.op === OP['fault-around'] && e.touch >= 0) {
      first = e.touch;
      pages = 1;
    } else if (e.op !== OP.read && e.op !== OP.fault) {
      const name = TRACE_OP_NAMES[e.op]!;
      this.leftOut.set(name, (this.leftOut.get(name) ?? 0) + 1);
      return;
    }
    const time = this.#startS + Math.floor((this.#startNs + e.timeNs) / 1e9);
    if (time > MAX_U32) throw new DataError(this.#path, `time ${time} s can't be said in 32 bits`);
    if (e.container > MAX_TENANT && this.#words === 7)
      throw new DataError(this.#path, `container ${e.container} can't be said in 24 bits`);
    if (this.#firstFile < 0) this.#firstFile = e.file;
    else if (e.file !== this.#firstFile) this.#severalFiles = true;
    if (e.pageHigh > 0 || e.page + first + pages > 2 ** 32) this.#wide = true;
    if (this.#severalFiles && this.#wide)
      throw new DataError(this.#path, 'numbers beyond 2^32 in one of several files: an id can’t hold both');
    const whole = object && pages === 1;
    if (whole && e.bytes > 0) this.#sized = true;
    const block = this.#block;
    const words = this.#words;
    for (let i = first; i < first + pages; i++) {
      const low = e.page + i;
      const carry = low > MAX_U32 ? 1 : 0;
      const at = this.#filled * words;
      block[at] = time;
      block[at + 1] = low;
      block[at + 2] = e.pageHigh + carry;
      block[at + 3] = whole ? e.bytes : PAGE_BYTES;
      if (words === 7) block[at + 4] = op | (e.container << 8);
      block[at + words - 2] = e.file;
      block[at + words - 1] = whole ? 1 : 0;
      if (++this.#filled === BLOCK_RECORDS) this.#flush();
    }
  }

  async end(_facts: TraceFacts): Promise<void> {
    this.#flush();
    const requests = this.#lookBack();
    try {
      const head = this.#layout.head?.(requests);
      if (head) this.#write(head, 0);
      fsyncSync(this.#fd);
      closeSync(this.#fd);
      this.#fd = -1;
      renameSync(this.#written, this.#target);
    } catch (error) {
      throw located(this.#path, error);
    }
  }

  async abort(): Promise<void> {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
    rmSync(this.#written, { force: true });
  }

  #flush(): void {
    const bytes = new Uint8Array(this.#block.buffer, 0, this.#filled * this.#layout.recordBytes);
    this.#write(bytes, this.#layout.headBytes + this.#count * this.#layout.recordBytes);
    this.#count += this.#filled;
    this.#filled = 0;
  }

  /** From the last record to the first: ids, sizes and tenants as they are to be, and the position, from 1, where each object comes next. */
  #lookBack(): Requests {
    const { headBytes, recordBytes } = this.#layout;
    const words = this.#words;
    const block = this.#block;
    const interner = new IdInterner();
    let next = new Float64Array(1024);
    let frequency = new Uint32Array(1024);
    let size = new Uint32Array(1024);
    const tenants = new Float64Array(this.#names.length);
    const tenantOf = this.#tenants();
    const ops = new Float64Array(256);
    let bytes = 0;
    let startS = 0;
    let endS = 0;
    for (let end = this.#count; end > 0; ) {
      const first = Math.max(0, end - BLOCK_RECORDS);
      const view = new Uint8Array(block.buffer, 0, (end - first) * recordBytes);
      this.#read(view, headBytes + first * recordBytes);
      for (let i = end - first - 1; i >= 0; i--) {
        const at = i * words;
        const low = block[at + 1]!;
        if (this.#severalFiles) block[at + 2] = block[at + words - 2]!;
        if (block[at + words - 1] === 1 && !this.#sized) block[at + 3] = 1;
        const object = interner.intern(low, block[at + 2]!);
        if (object >= next.length) {
          next = grown(next, object);
          frequency = grown(frequency, object);
          size = grown(size, object);
        }
        const position = next[object]!;
        next[object] = first + i + 1;
        block[at + words - 2] = position === 0 ? MAX_U32 : position % 2 ** 32;
        block[at + words - 1] = position === 0 ? MAX_U32 : Math.floor(position / 2 ** 32);
        if (position === 0) size[object] = block[at + 3]!;
        frequency[object]!++;
        bytes += block[at + 3]!;
        if (words === 7) {
          const op = block[at + 4]! & 0xff;
          const container = block[at + 4]! >>> 8;
          ops[op]!++;
          tenants[container]!++;
          block[at + 4] = op | (tenantOf[container]! << 8);
        }
      }
      startS = block[0]!;
      if (end === this.#count) endS = block[(end - first - 1) * words]!;
      this.#write(view, headBytes + first * recordBytes);
      end = first;
    }
    return {
      count: this.#count,
      objects: interner.size,
      startS,
      endS,
      bytes,
      frequency,
      size,
      ops,
      tenants: new Map([...tenantOf.entries()].map(([c, tenant]) => [tenant, tenants[c]!])),
    };
  }

  /** Containers that are called by numbers, as those of this format are, keep them. */
  #tenants(): readonly number[] {
    const numbers = this.#names.map((name) => (/^(0|[1-9]\d{0,7})$/.test(name) ? Number(name) : -1));
    const usable = numbers.every((n) => n >= 0 && n <= MAX_TENANT) && new Set(numbers).size === numbers.length;
    return usable ? numbers : numbers.map((_, i) => i);
  }

  #write(bytes: Uint8Array, position: number): void {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at, bytes.length - at, position + at);
    } catch (error) {
      throw located(this.#path, error);
    }
  }

  #read(bytes: Uint8Array, position: number): void {
    try {
      for (let at = 0; at < bytes.length; ) {
        const got = readSync(this.#fd, bytes, at, bytes.length - at, position + at);
        if (got === 0) throw new DataError(this.#written, 'became shorter while it was written');
        at += got;
      }
    } catch (error) {
      throw located(this.#path, error);
    }
  }
}
