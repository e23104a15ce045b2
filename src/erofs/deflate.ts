import { constants, inflateRawSync } from 'node:zlib';
import { Z_PCLUSTER_MAX_DSIZE } from './format.ts';

/**
 * Decodes a raw DEFLATE stream (RFC 1951) into `dst[dAt, dEnd)`, which it must fill exactly, by node:zlib.
 * With `partial` it may hold more, up to what a pcluster may decode to, or end early.
 * @returns -1, or `sAt` when the stream is wrong: zlib doesn't say where
 */
export function deflateDecode(
  src: Uint8Array,
  sAt: number,
  sEnd: number,
  dst: Uint8Array,
  dAt: number,
  dEnd: number,
  partial: boolean,
): number {
  const length = dEnd - dAt;
  try {
    const out = inflateRawSync(src.subarray(sAt, sEnd), {
      // One buffer takes it all, with a byte to spare so that zlib sees the end without another.
      chunkSize: Math.max(64, length + 1),
      maxOutputLength: partial ? Z_PCLUSTER_MAX_DSIZE : length,
      finishFlush: partial ? constants.Z_SYNC_FLUSH : constants.Z_FINISH,
    });
    if (out.length < length) return sAt;
    dst.set(out.length > length ? out.subarray(0, length) : out, dAt);
    return -1;
  } catch {
    return sAt;
  }
}
