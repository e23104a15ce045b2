import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { DataError, located } from '../../error.ts';
import { looksLikeZstd, ZstdTransform } from './zstd.ts';

export interface Input {
  /** The decompressed bytes. An error is a {@link DataError} naming the file. */
  readonly stream: Readable;
  /** SHA-256 (hex) of the file as it lies on disk; call it once the stream has ended. */
  sha256(): string;
}

/**
 * Opens a file for streaming, decompressing `.zst` and `.gz`, which are recognised by their first bytes and not by the name.
 * @throws DataError when the file can't be opened
 */
export async function openInput(path: string): Promise<Input> {
  const head = await readHead(path, 4);
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
  if (looksLikeZstd(head)) return new ZstdTransform(path);
  if (head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b) return createGunzip();
  return null;
}
