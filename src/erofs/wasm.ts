import { CODECS_WASM } from './codecs-wasm.ts';

// What of WebAssembly is used; Node 20's types don't declare it.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: unknown };
};

/** Addresses in the module's memory. @returns 0, or the address where the input is wrong */
type Decode = (s: number, sEnd: number, d: number, dEnd: number, partial: boolean) => number;

/** What assembly/index.ts exports. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly lz4: Decode;
  readonly lzma: Decode;
  readonly deflate: Decode;
  readonly zstd: Decode;
  /** the first address that no table lies below */
  room(): number;
  /** @returns the address of the first byte in `[at, end)` that isn't zero, or `end` */
  skipZeros(at: number, end: number): number;
  /** Makes the 16 bytes at an address zeros; and what they were. */
  hide(at: number): void;
  show(at: number): void;
}

/** Behind input and output the decoders read and write this far past the end; see assembly/copy.ts. */
const SLACK = 320;
/** The memory has at least this size: no pcluster is larger, encoded and decoded, so it needn't grow for one and views of it stay good. */
const ROOM = 16 << 20;

let wasm: Exports | null = null;
/** the module's memory */
let bytes = new Uint8Array(0);
/** where the input is, and where the output goes behind it */
let input = 0;
let inputEnd = 0;
let output = 0;

/**
 * Room for the input of the next {@link decode}, in the memory of the module that decodes: what is read straight into it
 * isn't copied. The module is compiled when it is first wanted.
 *
 * @returns `length` bytes to be written, good until the next call of any function here
 */
export function codecInput(length: number): Uint8Array {
  if (wasm === null) {
    const module = new WebAssembly.Module(Buffer.from(CODECS_WASM, 'base64'));
    wasm = new WebAssembly.Instance(module).exports as Exports;
    bytes = new Uint8Array(wasm.memory.buffer);
    input = (wasm.room() + 63) & ~63; // reads into it are a sixth faster so
    reserve(input + ROOM);
  }
  inputEnd = input + length;
  reserve(inputEnd);
  return bytes.subarray(input, inputEnd);
}

/** How many zeros `src` begins with, among its first `length` bytes. */
export function leadingZeros(src: Uint8Array, length: number): number {
  if (wasm !== null && src.buffer === bytes.buffer) {
    return wasm.skipZeros(src.byteOffset, src.byteOffset + length) - src.byteOffset;
  }
  let n = 0;
  while (n < length && src[n] === 0) n++;
  return n;
}

/**
 * Decodes `src` from `from` on to exactly `length` bytes; with `partial` the encoded data may hold more than that.
 * @param src anything, but copied unless it is {@link codecInput} or a part of it
 * @returns -1, or the position in `src` where it is wrong; the output is garbage then
 */
export function decode(
  codec: 'lz4' | 'lzma' | 'deflate' | 'zstd',
  src: Uint8Array,
  from: number,
  length: number,
  partial: boolean,
): number {
  const inPlace = src.buffer === bytes.buffer;
  if (!inPlace) codecInput(src.length).set(src);
  const start = inPlace ? src.byteOffset : input;
  const end = start + src.length;
  output = (inputEnd + SLACK + 15) & ~15;
  reserve(output + length);
  // What is read past the end is always the same.
  wasm!.hide(end);
  const wrong = wasm![codec](start + from, end, output, output + length, partial);
  wasm!.show(end);
  return wrong === 0 ? -1 : Math.min(Math.max(wrong - start, from), end - start);
}

/** What the last {@link decode} gave: good until the next call of any function here. */
export function codecOutput(length: number): Uint8Array {
  return bytes.subarray(output, output + length);
}

/** Makes the memory reach past `end`. */
function reserve(end: number): void {
  const missing = end + SLACK - bytes.length;
  if (missing <= 0) return;
  wasm!.memory.grow(Math.ceil(missing / 65536));
  bytes = new Uint8Array(wasm!.memory.buffer);
}
