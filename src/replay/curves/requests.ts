import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { DataError, located } from '../../error.ts';
import { openInput, readHead } from '../io/input.ts';
import { looksLikeZstd } from '../io/zstd.ts';
import type { ReplayInput } from '../result.ts';
import { BadRecords } from '../trace/formats/format.ts';
import { checkLcsEnd, readLcsHead } from '../trace/formats/lcs.ts';
import { MAX_SECONDS, type RecordReader, Records, requestOp } from '../trace/formats/libcachesim.ts';
import { wrongTime } from '../trace/formats/oracle-general.ts';
import { BLOCK, blankBlock, type IdBlock, type IdSource } from './ids.ts';

/** of oracleGeneral; those of lcs are no shorter */
const RECORD_BYTES = 24;
/** what is read at once */
const CHUNK_BYTES = 24 * BLOCK;

/**
 * The requests of libCacheSim's binary traces without the detour over events: 64-bit ids as they stand in the records, each a request of an object
 * whatever its size and operation, which is how libCacheSim's cachesim counts them.
 */
export class RequestSource implements IdSource {
  readonly path: string;
  readonly unit = 'objects';
  readonly format: 'oracle-general' | 'lcs';
  readonly containers: string[] = [];

  constructor(path: string, format: 'oracle-general' | 'lcs') {
    this.path = path;
    this.format = format;
  }

  /**
   * Of oracleGeneral the requests that say their object never comes again: right unless the trace is a part of another. Reading it a first
   * time costs less than growing the table of ids does: 14.9 instead of 9.1 M ids a second for 1.5 million distinct ones.
   */
  async expected(): Promise<{ distinct: number; references: number }> {
    if (!(await isPlain(this.path))) return { distinct: 0, references: 0 };
    const references = Math.floor(statSync(this.path).size / RECORD_BYTES);
    if (this.format !== 'oracle-general') return { distinct: 0, references };
    const records = new FileRecords(this.path, false);
    let distinct = 0;
    for (let words = records.nextSync(RECORD_BYTES); words !== null; words = records.nextSync(RECORD_BYTES))
      for (let at = 4; at < words.length; at += 6)
        if (words[at] === 0xffffffff && (words[at + 1] === 0xffffffff || words[at + 1] === 0x7fffffff)) distinct++;
    records.close();
    return { distinct, references };
  }

  async read(take: (block: IdBlock) => void): Promise<ReplayInput[]> {
    this.containers.length = 0;
    const { records, sha256, close } = await openRecords(this.path);
    try {
      if (this.format === 'lcs') await this.#readLcs(records, take);
      else await this.#readOracleGeneral(records, take);
    } finally {
      close();
    }
    return [{ path: this.path, sha256: sha256(), kind: 'trace' }];
  }

  objectIds(ids: Uint32Array): Uint32Array {
    return ids;
  }

  async #readOracleGeneral(records: RecordReader, take: (block: IdBlock) => void): Promise<void> {
    const block = blankBlock();
    const { low, high } = block;
    this.containers.push('?');
    let start = -1;
    let last = 0;
    for (let words = await records.next(RECORD_BYTES); words !== null; words = await records.next(RECORD_BYTES)) {
      if (start < 0) start = words[0]!;
      const firstByte = records.taken - words.byteLength;
      for (let at = 0; at < words.length; ) {
        const count = Math.min(BLOCK, (words.length - at) / 6);
        for (let i = 0; i < count; i++, at += 6) {
          const time = words[at]! - start;
          if (time < last || time > MAX_SECONDS)
            throw new DataError(this.path, `byte ${firstByte + 4 * at}: ${wrongTime(time, last)}`);
          last = time;
          low[i] = words[at + 1]!;
          high[i] = words[at + 2]!;
        }
        block.count = count;
        take(block);
      }
    }
    if (records.left > 0)
      throw new DataError(
        this.path,
        `byte ${records.taken}: ends after ${records.left} of the ${RECORD_BYTES} bytes of a record`,
      );
  }

  async #readLcs(records: RecordReader, take: (block: IdBlock) => void): Promise<void> {
    const bad = new BadRecords(this.path, false);
    const head = await readLcsHead(records, bad);
    const { recordBytes, version } = head;
    const block = blankBlock();
    const { low, high, who } = block;
    const stride = recordBytes / 4;
    const tenantAt = version >= 3 ? 5 : 4;
    const numbers = new Map<number, number>();
    if (version === 1) this.containers.push('?');
    let tenant = -1;
    let number = 0;
    let start = -1;
    let last = 0;
    let total = 0;
    for (let words = await records.next(recordBytes); words !== null; words = await records.next(recordBytes)) {
      if (start < 0) start = words[0]!;
      const firstByte = records.taken - words.byteLength;
      for (let at = 0; at < words.length; ) {
        const count = Math.min(BLOCK, (words.length - at) / stride);
        for (let i = 0; i < count; i++, at += stride) {
          const time = words[at]! - start;
          if (time < last || time > MAX_SECONDS) bad.record(`byte ${firstByte + 4 * at}`, wrongTime(time, last));
          last = time;
          if (version !== 1) {
            const asked = words[at + tenantAt]!;
            if (requestOp(asked & 0xff) < 0)
              bad.record(`byte ${firstByte + 4 * at}`, `its operation ${asked & 0xff} is unknown`);
            if (asked >>> 8 !== tenant) {
              tenant = asked >>> 8;
              number = numbers.get(tenant) ?? this.containers.push(String(tenant)) - 1;
              numbers.set(tenant, number);
            }
          }
          low[i] = words[at + 1]!;
          high[i] = words[at + 2]!;
          who[i] = number;
        }
        total += count;
        block.count = count;
        take(block);
      }
    }
    checkLcsEnd(records, head, total, bad);
  }
}

/** A file's records: of one that is neither compressed nor a pipe without streams, which cost more than the rest of the reading. */
async function openRecords(path: string): Promise<{ records: RecordReader; sha256: () => string; close: () => void }> {
  if (await isPlain(path)) {
    const records = new FileRecords(path);
    return { records, sha256: () => records.sha256(), close: () => records.close() };
  }
  const { stream, sha256 } = await openInput(path);
  return { records: new Records(stream as AsyncIterable<Buffer>), sha256, close: () => stream.destroy() };
}

async function isPlain(path: string): Promise<boolean> {
  const head = await readHead(path, 4);
  return statSync(path).isFile() && !looksLikeZstd(head) && !(head[0] === 0x1f && head[1] === 0x8b);
}

/** {@link Records} of a plain file, into one buffer that is used again. */
class FileRecords implements RecordReader {
  readonly #path: string;
  readonly #fd: number;
  readonly #hash: Hash | null;
  readonly #buffer = new Uint8Array(new ArrayBuffer(CHUNK_BYTES));
  taken = 0;
  left = 0;

  /** @param hashed whether {@link sha256} is wanted */
  constructor(path: string, hashed = true) {
    this.#path = path;
    this.#hash = hashed ? createHash('sha256') : null;
    try {
      this.#fd = openSync(path, 'r');
    } catch (error) {
      throw located(path, error);
    }
  }

  async bytes(length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    const got = this.#fill(bytes);
    this.taken += got;
    return bytes.subarray(0, got);
  }

  async next(recordBytes: number): Promise<Uint32Array | null> {
    return this.nextSync(recordBytes);
  }

  nextSync(recordBytes: number): Uint32Array | null {
    const most = this.#buffer.length - (this.#buffer.length % recordBytes);
    const got = this.#fill(this.#buffer.subarray(0, most));
    if (got === 0) return null;
    this.left = got % recordBytes;
    const whole = got - this.left;
    if (whole === 0) return null;
    this.taken += whole;
    return new Uint32Array(this.#buffer.buffer, 0, whole / 4);
  }

  sha256(): string {
    return this.#hash!.copy().digest('hex');
  }

  close(): void {
    closeSync(this.#fd);
  }

  #fill(target: Uint8Array): number {
    let filled = 0;
    try {
      while (filled < target.length) {
        const got = readSync(this.#fd, target, filled, target.length - filled, null);
        if (got === 0) break;
        filled += got;
      }
    } catch (error) {
      throw located(this.#path, error);
    }
    this.#hash?.update(target.subarray(0, filled));
    return filled;
  }
}
