// The codecs, in AssemblyScript: TypeScript's syntax, compiled to WebAssembly by `npm run assembly`.
export { deflate } from './deflate';
export { lz4 } from './lz4';
export { lzma } from './lzma';
export { zstd } from './zstd';

/** The first address that no table lies below: input and output go there. */
export function room(): usize {
  return __heap_base;
}
