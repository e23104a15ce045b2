import { build, DATA_AT } from './build.ts';

const BLOCK = 4096;
/** bytes a pcluster of {@link largeImage} decodes to */
export const DECODED = 2 * BLOCK;

/** The 4 bytes that pcluster `i` repeats. */
function pattern(i: number): Uint8Array {
  return Uint8Array.of(i & 0xff, i >> 8, ~i & 0xff, 0xa5);
}

/** `length` bytes of 4 that repeat, as LZ4: the 4, a match to the last 5 bytes, and these. */
function lz4Repeated(unit: Uint8Array, length: number): Uint8Array {
  const out = [(4 << 4) | 15, ...unit, 4, 0];
  let rest = length - 4 - 5 - 4 - 15;
  for (; rest >= 255; rest -= 255) out.push(255);
  const last = Array.from({ length: 5 }, (_, k) => unit[(length - 5 + k) % 4]!);
  return Uint8Array.from([...out, rest, 5 << 4, ...last]);
}

/** An image with one file, `/large`, of 4 KiB LZ4 pclusters that decode to 8 KiB each; and the file's bytes. */
export function largeImage(pclusters: number): {
  image: Uint8Array;
  bytes: (offset: number, length: number) => Buffer;
} {
  const index = new DataView(new ArrayBuffer(16 + 16 * pclusters)); // z_erofs_map_header, 8 bytes of nothing, lclusters
  for (let i = 0; i < pclusters; i++) {
    index.setUint16(16 + 16 * i, 1, true); // HEAD1
    index.setUint32(16 + 16 * i + 4, DATA_AT / BLOCK + i, true);
    index.setUint16(16 + 16 * i + 8, 2, true); // NONHEAD, 1 from its head, 1 to the next
    index.setUint16(16 + 16 * i + 12, 1, true);
    index.setUint16(16 + 16 * i + 14, 1, true);
  }
  const data = new Uint8Array(BLOCK * pclusters);
  for (let i = 0; i < pclusters; i++) {
    const packed = lz4Repeated(pattern(i), DECODED);
    data.set(packed, BLOCK * (i + 1) - packed.length);
  }
  const image = build({
    blkszbits: 12,
    featureIncompat: 1, // zero_padding
    data: [data],
    files: [{ name: 'large', size: DECODED * pclusters, layout: 1, tail: new Uint8Array(index.buffer) }],
  });
  const bytes = (offset: number, length: number) =>
    Buffer.from(Uint8Array.from({ length }, (_, k) => pattern(Math.floor((offset + k) / DECODED))[(offset + k) % 4]!));
  return { image, bytes };
}
