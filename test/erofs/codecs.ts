import type { Algorithm } from '../../src/erofs/format.ts';
import { codecOutput, decode } from '../../src/erofs/wasm.ts';

export const CODECS = ['lz4', 'lzma', 'deflate', 'zstd'] as const satisfies readonly Algorithm[];

/** Decodes all of `src` to `length` bytes; null when it is wrong, and then `where` is told. */
export function decoded(
  codec: (typeof CODECS)[number],
  src: Uint8Array,
  length: number,
  partial: boolean,
  where: (position: number) => void = () => {},
): Uint8Array | null {
  const wrong = decode(codec, src, 0, length, partial);
  if (wrong === -1) return codecOutput(length).slice();
  where(wrong);
  return null;
}
