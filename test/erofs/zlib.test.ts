import zlib, { constants as Z } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { codecInput, codecOutput, decode } from '../../src/erofs/wasm.ts';
import { random } from './random.ts';

// DEFLATE and Zstandard beside zlib and libzstd, as Node.js has them, on random streams: whole, in part, and damaged.

/** zlib's of Node 22.15 and later, which the types of Node 20 don't declare. */
interface Zstd {
  zstdCompressSync(src: Uint8Array, options: object): Buffer;
  zstdDecompressSync(src: Uint8Array, options: object): Buffer;
}

interface Peer {
  readonly codec: 'deflate' | 'zstd';
  encode(src: Uint8Array, next: (below: number) => number): Buffer;
  decode(src: Uint8Array, maxOutputLength: number): Buffer;
  /** whether the peer reads some damaged streams that its specification refuses, or refuses for what isn't decoded here */
  readonly same: boolean;
}

const peers: Peer[] = [
  {
    codec: 'deflate',
    encode: (src, next) =>
      zlib.deflateRawSync(src, {
        level: next(10),
        memLevel: next(9) + 1,
        windowBits: 9 + next(7),
        strategy: [Z.Z_DEFAULT_STRATEGY, Z.Z_FILTERED, Z.Z_HUFFMAN_ONLY, Z.Z_RLE, Z.Z_FIXED][next(5)]!,
      }),
    decode: (src, maxOutputLength) => zlib.inflateRawSync(src, { maxOutputLength }),
    same: true,
  },
];
// Node 20 has none; .ci/run runs this under Node 24 too.
if ('zstdCompressSync' in zlib) {
  const zstd = zlib as unknown as Zstd;
  const names = Z as unknown as Record<string, number>;
  peers.push({
    codec: 'zstd',
    encode: (src, next) =>
      zstd.zstdCompressSync(src, {
        params: {
          [names.ZSTD_c_compressionLevel!]: [1 + next(12), -next(20) - 1, 3][next(3)],
          [names.ZSTD_c_contentSizeFlag!]: next(2),
          [names.ZSTD_c_strategy!]: next(3) ? 0 : 1 + next(9),
          [names.ZSTD_c_minMatch!]: next(3) ? 0 : 3 + next(5),
        },
      }),
    decode: (src, maxOutputLength) => zstd.zstdDecompressSync(src, { maxOutputLength }),
    same: false,
  });
}

/** Runs, noise, few symbols, short periods, or matches at any distance: each stresses another part of a decoder. */
function sample(next: (below: number) => number): Uint8Array {
  const src = new Uint8Array(1 + next([20, 5000, 100_000][next(3)]!));
  const kind = next(4);
  const symbols = [1, 2 + next(9), 256][next(3)]!;
  const period = 1 + next(40);
  for (let i = 0; i < src.length; ) {
    if (kind === 0 || i === 0 || (kind === 1 && i < period)) src[i++] = next(symbols);
    else if (kind === 1) src[i] = src[i++ - period]!;
    else if (next(3) === 0) {
      for (let n = 1 + next(next(2) ? 5 : 400); n > 0 && i < src.length; n--) src[i++] = next(symbols);
    } else {
      const distance = 1 + next(Math.min(i, next(2) ? 30 : 70_000));
      for (let n = 3 + next(next(2) ? 20 : 2000); n > 0 && i < src.length; n--) src[i] = src[i++ - distance]!;
    }
  }
  return src;
}

function damaged(src: Uint8Array, next: (below: number) => number): Uint8Array {
  const out = src.slice();
  for (let k = 1 + next(3); k > 0; k--) out[next(next(2) ? Math.min(40, out.length) : out.length)]! ^= 1 << next(8);
  return next(8) === 0 ? out.slice(0, next(out.length) + 1) : out;
}

/** @returns what `decode` gives for `length` bytes, over rubbish; null when it refuses */
function ours(codec: Peer['codec'], src: Uint8Array, length: number, partial: boolean): Uint8Array | null {
  codecInput(src.length + length + 4096).fill(0xa5);
  return decode(codec, src, 0, length, partial) === -1 ? codecOutput(length).slice() : null;
}

const equal = (a: Uint8Array | null, b: Uint8Array) => a !== null && Buffer.compare(a, b) === 0;

describe.each(peers)('$codec', ({ codec, encode, decode: theirs, same }) => {
  test('random streams decode, whole and in part', () => {
    const next = random(20261);
    for (let i = 0; i < 400; i++) {
      const src = sample(next);
      const encoded = new Uint8Array(encode(src, next));
      expect(equal(ours(codec, encoded, src.length, false), src), `stream ${i} of ${src.length} bytes`).toBe(true);
      for (const n of [1, Math.min(3, src.length), 1 + next(src.length), src.length]) {
        const part = ours(codec, encoded, n, true);
        expect(equal(part, src.subarray(0, n)), `${n} of stream ${i}'s ${src.length} bytes`).toBe(true);
      }
    }
  });

  test('damaged streams: the verdict and the bytes are those of the peer', () => {
    const next = random(20262);
    let read = 0;
    let refused = 0;
    for (let i = 0; i < 400; i++) {
      const src = sample(next);
      const encoded = new Uint8Array(encode(src, next));
      for (let k = 0; k < 4; k++) {
        const bad = damaged(encoded, next);
        let reference: Buffer | null = null;
        try {
          reference = theirs(bad, src.length + 1);
        } catch {}
        if (reference !== null && reference.length !== src.length) reference = null;
        const got = ours(codec, bad, src.length, false);
        const what = `stream ${i}, damage ${k}: ${bad.length} bytes for ${src.length}`;
        if (same) expect(got !== null, what).toBe(reference !== null);
        if (got !== null && reference !== null) expect(equal(got, reference), what).toBe(true);
        if (got === null) refused++;
        else read++;
      }
    }
    expect(read).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
  });

  test('a part of a damaged stream is an answer or a refusal, never a trap', () => {
    const next = random(20263);
    for (let i = 0; i < 400; i++) {
      const src = sample(next);
      const encoded = damaged(new Uint8Array(encode(src, next)), next);
      const n = 1 + next(src.length);
      const part = ours(codec, encoded, n, true);
      if (part !== null) expect(part.length).toBe(n);
    }
  });
});
