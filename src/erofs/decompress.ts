import type { Extent } from './data.ts';
import type { Inode } from './inode.ts';
import type { Volume } from './volume.ts';
import { codecInput, codecOutput, decode, leadingZeros } from './wasm.ts';

/**
 * Decodes the first `length` bytes of a pcluster into `dst` from `dAt` on, or, to see that they decode, into nothing.
 *
 * @param e an extent with `encoded` set
 * @param length bytes, at most `e.llen`
 * @throws ErofsCorruptError
 */
export function decodePcluster(
  vol: Volume,
  inode: Inode,
  e: Extent,
  dst: Uint8Array | null,
  dAt: number,
  length: number,
): void {
  let src: Uint8Array;
  if (e.meta) {
    const { bytes, from } = vol.window(inode.inMetabox, e.pa, e.plen, inode.nid, 'the inline pcluster');
    src = bytes.subarray(e.pa - from, e.pa - from + e.plen);
  } else {
    src = vol.data(e.device, e.pa, e.plen, inode.nid, codecInput);
  }
  decodeFrom(vol, inode, e, src, dst, dAt, length);
}

/**
 * As {@link decodePcluster}, from bytes that were read already.
 *
 * Where compressed bytes sit: with the zero_padding feature at the pcluster's end, behind zeros that all lie in its
 * first block; without it (mkfs before 1.0, `-E legacy-compress`) at its start, and where they end isn't recorded.
 *
 * @param src the pcluster, `e.plen` bytes; decoding is faster where it lies in the codecs' memory
 */
export function decodeFrom(
  vol: Volume,
  inode: Inode,
  e: Extent,
  src: Uint8Array,
  dst: Uint8Array | null,
  dAt: number,
  length: number,
): void {
  const { blockSize, zeroPadding } = vol.sb;
  if (e.algorithm === 'none') {
    if (dst !== null) copyPlain(src, e, blockSize, dst, dAt, length);
    return;
  }
  let margin = 0;
  if (zeroPadding) {
    const end = Math.min(e.plen, blockSize);
    margin = leadingZeros(src, end);
    if (margin === end) throw vol.corrupt('the first block of the pcluster is all zeros', inode.nid, e.pa);
  }
  const partial = e.partial || !zeroPadding || length < e.llen;
  const wrong = decode(e.algorithm, src, margin, length, partial);
  if (wrong >= 0) {
    const what = `${e.algorithm} pcluster of ${e.plen} bytes at 0x${e.pa.toString(16)}, which should decode to ${e.llen}, `;
    throw vol.corrupt(`${what}is wrong at its byte ${wrong}`, inode.nid, e.pa + wrong);
  }
  dst?.set(codecOutput(length), dAt);
}

/**
 * A plain pcluster holds its bytes from its start on ("shifted"). An interlaced one keeps every byte at its place
 * modulo the block size: the head of the extent is at the pcluster's end, the rest at its start.
 */
function copyPlain(src: Uint8Array, e: Extent, blockSize: number, dst: Uint8Array, dAt: number, length: number): void {
  const head = e.interlaced ? blockSize - (e.la % blockSize) : 0;
  const first = Math.min(head, length);
  dst.set(src.subarray(e.plen - head, e.plen - head + first), dAt);
  dst.set(src.subarray(0, length - first), dAt + first);
}
