import { Transform, type TransformCallback } from 'node:stream';
import { Decompress } from 'fzstd';
import xxhash, { type XXHash } from 'xxhash-wasm';
import { DataError } from '../../error.ts';

const FRAME_MAGIC = 0xfd2fb528;
/** 0x184d2a50 … 0x184d2a5f: a length u32, then that many bytes of whatever */
const SKIPPABLE_MAGIC = 0x184d2a50;

/** Largest window accepted, the default limit of `zstd -d`: memory stays bounded whatever a frame header says. */
const MAX_WINDOW_BYTES = 128 * 2 ** 20;
const CHECKSUM_BYTES = 4;

const { create64 } = await xxhash();

/** Whether the first bytes of a file are zstd's. */
export function looksLikeZstd(head: Buffer): boolean {
  if (head.length < 4) return false;
  const magic = head.readUInt32LE(0);
  return magic === FRAME_MAGIC || (magic & 0xfffffff0) === SKIPPABLE_MAGIC;
}

/** What the parser waits for next; `bytes` of it are passed on or skipped once `need` are there. */
type State = 'magic' | 'skip-length' | 'skip' | 'header' | 'block' | 'content' | 'checksum';

/**
 * Decompresses zstd (RFC 8878): frames one after the other, skippable frames among them. fzstd decodes; this walks the frames, so that each
 * one's window is bounded and its content checksum (the low 32 bits of XXH64, RFC 8878 section 3.1.1) is verified, which fzstd doesn't do.
 */
export class ZstdTransform extends Transform {
  readonly #path: string;
  #state: State = 'magic';
  #pending: Buffer = Buffer.alloc(0);
  #left = 0;
  #lastBlock = false;
  #hasChecksum = false;
  #decoder: Decompress | null = null;
  #hash: XXHash<bigint> | null = null;
  #offset = 0;

  /** @param path the file, for errors */
  constructor(path: string) {
    super();
    this.#path = path;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#consume(chunk);
    } catch (error) {
      done(error instanceof DataError ? error : this.#fault((error as Error).message));
      return;
    }
    done();
  }

  override _flush(done: TransformCallback): void {
    done(this.#state === 'magic' && this.#pending.length === 0 ? null : this.#fault('it ends within a frame'));
  }

  #consume(chunk: Buffer): void {
    let bytes = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    for (;;) {
      const taken = this.#step(bytes);
      if (taken === 0) break;
      this.#offset += taken;
      bytes = bytes.subarray(taken);
    }
    this.#pending = Buffer.from(bytes);
  }

  /** Takes what it can off the front. @returns bytes taken, 0 when more are needed */
  #step(bytes: Buffer): number {
    switch (this.#state) {
      case 'magic':
        return this.#magic(bytes);
      case 'skip-length':
        if (bytes.length < 4) return 0;
        this.#left = bytes.readUInt32LE(0);
        this.#state = this.#left > 0 ? 'skip' : 'magic';
        return 4;
      case 'skip': {
        const taken = Math.min(this.#left, bytes.length);
        this.#left -= taken;
        if (this.#left === 0) this.#state = 'magic';
        return taken;
      }
      case 'header':
        return this.#header(bytes);
      case 'block':
        return this.#block(bytes);
      case 'content': {
        const taken = Math.min(this.#left, bytes.length);
        this.#feed(bytes.subarray(0, taken));
        this.#left -= taken;
        if (this.#left === 0) this.#endOfBlock();
        return taken;
      }
      case 'checksum':
        return this.#checksum(bytes);
    }
  }

  #magic(bytes: Buffer): number {
    if (bytes.length < 4) return 0;
    const magic = bytes.readUInt32LE(0);
    if ((magic & 0xfffffff0) === SKIPPABLE_MAGIC) {
      this.#state = 'skip-length';
      return 4;
    }
    if (magic !== FRAME_MAGIC) throw this.#fault('no frame begins here');
    this.#decoder = new Decompress((chunk) => this.#emit(chunk));
    this.#hash = create64();
    this.#feed(bytes.subarray(0, 4));
    this.#state = 'header';
    return 4;
  }

  /** Frame_Header_Descriptor u8, then Window_Descriptor, Dictionary_ID and Frame_Content_Size, each as the descriptor says. */
  #header(bytes: Buffer): number {
    if (bytes.length === 0) return 0;
    const descriptor = bytes[0]!;
    const singleSegment = (descriptor & 0x20) !== 0;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
    const sizeFlag = descriptor >> 6;
    const sizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << sizeFlag;
    const sizeAt = 1 + (singleSegment ? 0 : 1) + dictionaryBytes;
    const length = sizeAt + sizeBytes;
    if (bytes.length < length) return 0;
    const window = singleSegment ? contentSize(bytes, sizeAt, sizeBytes) : windowSize(bytes[1]!);
    if (window > MAX_WINDOW_BYTES)
      throw this.#fault(`its window is ${window} bytes; at most ${MAX_WINDOW_BYTES} are accepted: decompress it first`);
    this.#hasChecksum = (descriptor & 4) !== 0;
    this.#feed(bytes.subarray(0, length));
    this.#state = 'block';
    return length;
  }

  /** Block_Header, 3 bytes: Last_Block 1 bit, Block_Type 2 bits, Block_Size 21 bits; an RLE block stores one byte. */
  #block(bytes: Buffer): number {
    if (bytes.length < 3) return 0;
    const header = bytes.readUIntLE(0, 3);
    this.#lastBlock = (header & 1) !== 0;
    this.#left = ((header >> 1) & 3) === 1 ? 1 : header >> 3;
    this.#feed(bytes.subarray(0, 3));
    this.#state = 'content';
    if (this.#left === 0) this.#endOfBlock();
    return 3;
  }

  #endOfBlock(): void {
    if (!this.#lastBlock) this.#state = 'block';
    else if (this.#hasChecksum) this.#state = 'checksum';
    else this.#endOfFrame(null);
  }

  #checksum(bytes: Buffer): number {
    if (bytes.length < CHECKSUM_BYTES) return 0;
    this.#endOfFrame(bytes.subarray(0, CHECKSUM_BYTES));
    return CHECKSUM_BYTES;
  }

  #endOfFrame(checksum: Buffer | null): void {
    if (checksum) this.#feed(checksum);
    this.#decoder!.push(new Uint8Array(0), true);
    if (checksum && Number(this.#hash!.digest() & 0xffffffffn) !== checksum.readUInt32LE(0))
      throw this.#fault('the checksum is not that of the content');
    this.#decoder = null;
    this.#state = 'magic';
  }

  #feed(bytes: Buffer): void {
    if (bytes.length > 0) this.#decoder!.push(bytes);
  }

  #emit(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#hash!.update(chunk);
    this.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  }

  #fault(what: string): DataError {
    return new DataError(this.#path, `is not a whole zstd file: @ 0x${this.#offset.toString(16)}: ${what}`);
  }
}

/** Window_Descriptor: exponent 5 bits, mantissa 3 bits. */
function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

function contentSize(bytes: Buffer, at: number, length: number): number {
  if (length === 1) return bytes[at]!;
  if (length === 2) return bytes.readUInt16LE(at) + 256;
  return length === 4 ? bytes.readUInt32LE(at) : Number(bytes.readBigUInt64LE(at));
}
