import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { DataError, located } from '../../error.ts';

/** Largest zstd window accepted, the default limit of `zstd -d`: memory stays bounded whatever a frame header says. */
const MAX_ZSTD_WINDOW = 128 * 2 ** 20;

export interface Input {
  /** The decompressed bytes. An error is a {@link DataError} naming the file. */
  readonly stream: Readable;
  /** SHA-256 (hex) of the file as it lies on disk; call it once the stream has ended. */
  sha256(): string;
}

/**
 * Opens a file for streaming, decompressing `.zst` and `.gz`, which are recognised by their first bytes and not by the name.
 * @throws DataError when the file can't be opened or its zstd window is larger than 128 MiB
 */
export async function openInput(path: string): Promise<Input> {
  const head = await readHead(path, 18);
  const hash = createHash('sha256');
  const source = createReadStream(path, { highWaterMark: 256 * 1024 });
  const tap = hashTap(hash);
  const codec = decompressor(path, head);
  const stream = codec ?? tap;
  const stages = codec ? [source, tap, codec] : [source, tap];
  pipeline(stages as [Readable, Transform]).catch((error: unknown) => {
    const reason = error instanceof DataError ? error : asDataError(path, error);
    if (!stream.destroyed) stream.destroy(reason);
  });
  return {
    stream: Readable.from(relabel(path, stream), { objectMode: false }),
    sha256: () => hash.copy().digest('hex'),
  };
}

/** Reads a whole, possibly compressed, file. For the small tables only: a trace is always streamed. */
export async function readWhole(path: string, maxBytes = 2 ** 30): Promise<{ bytes: Buffer; sha256: string }> {
  const input = await openInput(path);
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of input.stream as AsyncIterable<Buffer>) {
    total += chunk.length;
    if (total > maxBytes) {
      input.stream.destroy();
      throw new DataError(path, `holds more than ${maxBytes} bytes once decompressed`);
    }
    chunks.push(chunk);
  }
  return { bytes: Buffer.concat(chunks), sha256: input.sha256() };
}

/** SHA-256 (hex) of a file's bytes as they are on disk. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  } catch (error) {
    throw located(path, error);
  }
  return hash.digest('hex');
}

/** The first `length` bytes of a file, fewer when it is shorter. */
export async function readHead(path: string, length: number): Promise<Buffer> {
  try {
    const handle = await open(path);
    try {
      const buffer = Buffer.alloc(length);
      const { bytesRead } = await handle.read(buffer, 0, length, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw located(path, error);
  }
}

function asDataError(path: string, error: unknown): Error {
  const named = located(path, error);
  return named instanceof DataError
    ? named
    : new DataError(path, `can't be decompressed: ${named.message}`, { cause: error });
}

/** Re-throws whatever the chain of streams failed with as an error of this file. */
async function* relabel(path: string, stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* stream;
  } catch (error) {
    throw error instanceof DataError ? error : asDataError(path, error);
  }
}

function hashTap(hash: Hash): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}

function decompressor(path: string, head: Buffer): Transform | null {
  if (head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528) {
    const window = zstdWindow(head);
    if (window > MAX_ZSTD_WINDOW)
      throw new DataError(
        path,
        `its zstd window is ${window} bytes; at most ${MAX_ZSTD_WINDOW} are accepted: decompress it first`,
      );
    return new ZstdTransform(path);
  }
  if (head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b) return createGunzip();
  return null;
}

/** Window size in bytes from a zstd frame header (RFC 8878, section 3.1.1.1). */
function zstdWindow(head: Buffer): number {
  const descriptor = head[4] ?? 0;
  const singleSegment = (descriptor & 0x20) !== 0;
  if (!singleSegment) {
    const exponent = (head[5] ?? 0) >> 3;
    const mantissa = (head[5] ?? 0) & 7;
    const base = 2 ** (10 + exponent);
    return base + (base / 8) * mantissa;
  }
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const at = 5 + dictionaryBytes;
  const sizeFlag = descriptor >> 6;
  if (at + 8 > head.length) return 0;
  if (sizeFlag === 0) return head[at]!;
  if (sizeFlag === 1) return head.readUInt16LE(at) + 256;
  if (sizeFlag === 2) return head.readUInt32LE(at);
  return Number(head.readBigUInt64LE(at));
}

class ZstdTransform extends Transform {
  readonly #path: string;
  readonly #decoder: Decompress;

  constructor(path: string) {
    super();
    this.#path = path;
    this.#decoder = new Decompress((chunk) => {
      if (chunk.length > 0) this.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    });
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#feed(chunk, false, done);
  }

  override _flush(done: TransformCallback): void {
    this.#feed(new Uint8Array(0), true, done);
  }

  #feed(chunk: Uint8Array, last: boolean, done: TransformCallback): void {
    try {
      this.#decoder.push(chunk, last);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      done(new DataError(this.#path, `is not a whole zstd file: ${reason}`));
      return;
    }
    done();
  }
}
