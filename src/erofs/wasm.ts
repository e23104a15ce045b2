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
}

/** Behind input and output the decoders read and write this far past the end; see assembly/copy.ts. */
const SLACK = 320;

let wasm: Exports | null = null;
/** the module's memory */
let bytes = new Uint8Array(0);
/** where the input is, and where the output goes behind it */
let input = 0;
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
    input = wasm.room();
  }
  reserve(input + length);
  return bytes.subarray(input, input + length);
}

/**
 * Decodes `src` from `from` on to exactly `length` bytes; with `partial` the encoded data may hold more than that.
 * @param src anything, but copied unless it is {@link codecInput}
 * @returns -1, or the position in `src` where it is wrong; the output is garbage then
 */
export function decode(
  codec: 'lz4' | 'lzma' | 'deflate' | 'zstd',
  src: Uint8Array,
  from: number,
  length: number,
  partial: boolean,
): number {
  if (src.buffer !== bytes.buffer) codecInput(src.length).set(src);
  const end = input + src.length;
  output = (end + SLACK + 15) & ~15;
  reserve(output + length);
  // What is read past the end is always the same.
  bytes.fill(0, end, end + 16);
  const wrong = wasm![codec](input + from, end, output, output + length, partial);
  return wrong === 0 ? -1 : Math.min(Math.max(wrong - input, from), src.length);
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
