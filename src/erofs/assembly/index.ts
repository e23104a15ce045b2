// The codecs, in AssemblyScript: TypeScript's syntax, compiled to WebAssembly by `npm run assembly`.
export { deflate } from './deflate';
export { lz4 } from './lz4';
export { lzma } from './lzma';
export { zstd } from './zstd';

/** The first address that no table lies below: input and output go there. */
export function room(): usize {
  return __heap_base;
}

export function skipZeros(at: usize, end: usize): usize {
  while (at + 8 <= end && load<u64>(at) === 0) at += 8;
  while (at < end && load<u8>(at) === 0) at++;
  return at;
}

const hidden = memory.data(16, 16);

/** Makes the 16 bytes at `at` zeros, until `show` brings them back: decoders read that far past the end of their input. */
export function hide(at: usize): void {
  v128.store(hidden, v128.load(at));
  v128.store(at, i64x2.splat(0));
}

export function show(at: usize): void {
  v128.store(at, v128.load(hidden));
}
