import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { looksLikeZstd, ZstdTransform } from '../../io/zstd.ts';

/** What the bytes are, by the first of them. */
export type Compression = 'none' | 'gzip' | 'zstd';

export function compressionOf(head: Uint8Array): Compression {
  if (head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  return looksLikeZstd(Buffer.from(head)) ? 'zstd' : 'none';
}

/**
 * A zstd block of 4 bytes may stand for 128 KiB, and a Transform gives out whatever one write gives: with writes of 1 KiB at most 32 MiB.
 * zlib's own stream waits for its reader by itself.
 */
const ZSTD_WRITE_BYTES = 1024;

/**
 * Decompresses gzip and zstd, told by the first bytes; anything else is passed on. Memory is bounded whatever the bytes expand to.
 * @param found told what it is before the first byte comes out
 * @throws what the codec says, as a plain Error
 */
export async function* decompressed(
  source: AsyncIterable<Uint8Array>,
  found: (compression: Compression) => void = () => {},
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  const head = await firstBytes(iterator);
  const compression = compressionOf(head);
  found(compression);
  if (compression === 'none') {
    yield* joined(head, iterator);
    return;
  }
  const input = Readable.from(
    compression === 'zstd' ? sliced(joined(head, iterator), ZSTD_WRITE_BYTES) : joined(head, iterator),
    { objectMode: false },
  );
  const codec = compression === 'zstd' ? new ZstdTransform('zstd') : createGunzip({ chunkSize: 65_536 });
  const done = pipeline(input, codec);
  // A codec's failure comes out of the codec, too; this is the source's own, which pipeline turns into the codec's.
  done.catch(() => {});
  try {
    yield* codec as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw new Error((error as Error).message.replace(/^zstd: /, ''), { cause: error });
  } finally {
    input.destroy();
    codec.destroy();
  }
}

async function firstBytes(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0);
  while (head.length < 4) {
    const next = await iterator.next();
    if (next.done) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  return head;
}

async function* joined(head: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (head.length > 0) yield head;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

async function* sliced(source: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  for await (const chunk of source)
    for (let at = 0; at < chunk.length; at += bytes) yield chunk.subarray(at, at + bytes);
}
