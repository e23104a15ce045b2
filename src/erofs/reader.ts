import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { uncleared } from './bytes.ts';
import { ErofsError } from './error.ts';

/** A piece of a source, larger than what was asked for or not. */
export interface Window {
  /** don't write to them */
  readonly bytes: Uint8Array;
  /** offset of its first byte in the source */
  readonly from: number;
}

/**
 * Where an image's bytes come from. Synchronous, as the decoder is; `examples/http-reader.mjs` is one over HTTP.
 *
 * What it throws reaches the caller as it is: make it an {@link ErofsError} with an errno name as its code, and the path
 * and the offset in it.
 */
export interface BlockReader {
  /** names the source in errors */
  readonly path: string;
  /** bytes */
  readonly size: number;
  /**
   * @param offset byte offset; `offset + length <= size` is the caller's duty, and the decoder's own calls keep it
   * @returns exactly `length` bytes that nobody will change later; they may alias a cache, so treat them as read-only
   */
  readAt(offset: number, length: number): Uint8Array;
  /**
   * As `readAt`, for fields that are looked at and forgotten: a piece that holds those bytes and is good until this reader is used
   * again. It is for readers that have one at hand.
   */
  window?(offset: number, length: number): Window;
  /** As `readAt`, but fills `target`. It is for readers that can do so without a copy, and must not use a decoder meanwhile. */
  readInto?(target: Uint8Array, offset: number): void;
  /** called by {@link Image.close}, when there is one */
  close?(): void;
}

/** An image that is in memory already. */
export class MemoryReader implements BlockReader {
  readonly path: string;
  readonly size: number;
  readonly #whole: Window;

  constructor(bytes: Uint8Array, path = '(memory)') {
    this.path = path;
    this.size = bytes.length;
    this.#whole = { bytes: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), from: 0 };
  }

  readAt(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    return this.#whole.bytes.subarray(offset, offset + length);
  }

  window(): Window {
    return this.#whole;
  }
}

/** What lies from a byte offset on, to the end, as something of its own: an image in a larger file or on a disk. */
export class OffsetReader implements BlockReader {
  readonly path: string;
  readonly size: number;
  readonly readInto?: (target: Uint8Array, offset: number) => void;
  readonly window?: (offset: number, length: number) => Window;
  readonly #inner: BlockReader;
  readonly #from: number;

  /** @throws ErofsError EINVAL when the offset is no whole number from 0 to the end */
  constructor(inner: BlockReader, from: number) {
    this.path = inner.path;
    if (!Number.isInteger(from) || from < 0 || from > inner.size) {
      throw new ErofsError('EINVAL', `an image from byte ${from} on, of ${inner.size}`, { path: inner.path });
    }
    this.size = inner.size - from;
    this.#inner = inner;
    this.#from = from;
    if (inner.readInto) this.readInto = (target, offset) => inner.readInto!(target, from + offset);
    if (inner.window) {
      this.window = (offset, length) => {
        const { bytes, from: start } = inner.window!(from + offset, length);
        return { bytes, from: start - from };
      };
    }
  }

  readAt(offset: number, length: number): Uint8Array {
    return this.#inner.readAt(this.#from + offset, length);
  }

  close(): void {
    this.#inner.close?.();
  }
}

const CHUNK = 1 << 16;
/** from here on a system call costs less than a chunk that is read in full and copied from */
const DIRECT = 1 << 14;
const SLOTS = 64;

/**
 * An image file, read by `pread`. Reads below 64 KiB go through 64 chunks of 64 KiB (direct-mapped), so that page-wise
 * access isn't a system call each. Chunks are overwritten by others, so they are copied from, but for windows.
 */
export class FileReader implements BlockReader {
  readonly path: string;
  readonly size: number;
  readonly #chunks: ({ bytes: Uint8Array; from: number } | undefined)[] = new Array(SLOTS);
  #fd: number;

  /** @throws ErofsError with the errno name as its code when the file can't be opened */
  constructor(path: string) {
    this.path = path;
    try {
      // Opening a FIFO would wait for its writer.
      this.#fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (e) {
      throw ioError(path, e);
    }
    const stat = fstatSync(this.#fd);
    let size = stat.size;
    if (stat.isBlockDevice()) {
      size = deviceSize(this.#fd);
    } else if (!stat.isFile()) {
      this.close();
      const [code, what] = stat.isDirectory()
        ? ['EISDIR', 'a directory']
        : ['EINVAL', 'neither a file nor a block device'];
      throw new ErofsError(code!, `is ${what}, so no image`, { path });
    }
    this.size = size;
  }

  readAt(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    const out = uncleared(length);
    if (length >= CHUNK) return this.#pread(out, offset);
    this.#copy(out, offset);
    return out;
  }

  window(offset: number, length: number): Window {
    checkRange(this, offset, length);
    const chunk = this.#chunk(offset);
    if (offset + length <= chunk.from + CHUNK) return chunk;
    return { bytes: this.readAt(offset, length), from: offset };
  }

  readInto(target: Uint8Array, offset: number): void {
    checkRange(this, offset, target.length);
    if (target.length < DIRECT) this.#copy(target, offset);
    else this.#pread(target, offset);
  }

  /** Closes the file; what was read stays valid. */
  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  /** Fills `target`, of less than a chunk's length, from the one or two chunks that have it. */
  #copy(target: Uint8Array, offset: number): void {
    const { bytes, from } = this.#chunk(offset);
    const start = offset - from;
    const first = Math.min(target.length, CHUNK - start);
    target.set(bytes.subarray(start, start + first));
    if (first === target.length) return;
    target.set(this.#chunk(offset + first).bytes.subarray(0, target.length - first), first);
  }

  /** The chunk that `offset` lies in. */
  #chunk(offset: number): Window {
    const index = Math.floor(offset / CHUNK);
    const from = index * CHUNK;
    const chunk = this.#chunks[index % SLOTS] ?? { bytes: uncleared(Math.min(CHUNK, this.size)), from: -1 };
    if (chunk.from === from) return chunk;
    this.#chunks[index % SLOTS] = chunk;
    chunk.from = -1;
    const length = Math.min(CHUNK, this.size - from);
    this.#pread(length < chunk.bytes.length ? chunk.bytes.subarray(0, length) : chunk.bytes, from);
    chunk.from = from;
    return chunk;
  }

  #pread(out: Uint8Array, offset: number): Uint8Array {
    if (this.#fd < 0) throw new ErofsError('EBADF', 'the image was closed', { path: this.path, offset });
    const { length } = out;
    let done = 0;
    while (done < length) {
      let n: number;
      try {
        n = readSync(this.#fd, out, done, length - done, offset + done);
      } catch (e) {
        throw ioError(this.path, e, offset + done);
      }
      if (n === 0) {
        throw new ErofsError('EIO', 'the file became shorter while it was read', { path: this.path, offset });
      }
      done += n;
    }
    return out;
  }
}

function checkRange(r: BlockReader, offset: number, length: number): void {
  if (!(offset >= 0 && length >= 0 && offset + length <= r.size)) {
    throw new ErofsError('EINVAL', `${length} bytes asked for, of ${r.size}`, { path: r.path, offset });
  }
}

function ioError(path: string, e: unknown, offset?: number): ErofsError {
  const err = e as NodeJS.ErrnoException;
  const code = err.code ?? 'EIO';
  // Node's text is `ENOENT: no such file or directory, open 'x'`; the path is said already.
  const what = /^\w+: ([^,]*)/.exec(err.message)?.[1] ?? err.message;
  return new ErofsError(code, what, { path, offset: offset ?? null });
}

/** A block device has no st_size: finds the end by reading single bytes, in at most 106 reads. */
function deviceSize(fd: number): number {
  const byte = new Uint8Array(1);
  const has = (at: number) => readSync(fd, byte, 0, 1, at) === 1;
  let high = 512;
  while (high < Number.MAX_SAFE_INTEGER / 2 && has(high - 1)) high *= 2;
  let low = high / 2;
  while (low < high) {
    const mid = low + Math.ceil((high - low) / 2);
    if (has(mid - 1)) low = mid;
    else high = mid - 1;
  }
  return low;
}
