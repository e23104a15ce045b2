import * as zstd from '@bokuweb/zstd-wasm';

/** once: a second init() takes the memory away from under the first */
let ready: Promise<void> | null = null;

/** To be awaited once ahead of {@link zstdCompress}. */
export function zstdReady(): Promise<void> {
  ready ??= zstd.init();
  return ready;
}

/** A Zstandard frame. */
export function zstdCompress(bytes: Uint8Array, level: number): Uint8Array {
  return zstd.compress(bytes, level);
}
