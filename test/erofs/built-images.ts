import { type BlockReader, Image, MemoryReader } from '../../src/erofs/index.ts';
import { type BuiltFile, build, DATA_AT, lz4Literals, sparseReader } from './build.ts';
import { random } from './random.ts';

// Images built by hand, byte by byte, which count as tested (support.ts): built.test.ts holds their files against what they say here.

export const INCOMPAT = { zeroPadding: 1, chunked: 4, devices: 8, wide: 0x80 };

export function noise(seed: number, length: number): Uint8Array {
  const next = random(seed);
  return Uint8Array.from({ length }, () => next(256));
}

/** Little-endian fields, `[bytes, value]` each. */
export function fields(...all: [size: number, value: number][]): Uint8Array {
  const out: number[] = [];
  for (const [size, value] of all) {
    for (let i = 0; i < size; i++) out.push(Math.floor(value / 256 ** i) % 256);
  }
  return Uint8Array.from(out);
}

export function padded(data: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  out.set(data, length - data.length);
  return out;
}

/** An image, and what it holds. */
export interface BuiltImage {
  /** a title */
  name: string;
  bytes: Uint8Array;
  devices: BlockReader[];
  /** of its files, by name; of those that aren't here: nothing */
  contents: Record<string, Uint8Array>;
  /** how many files it has */
  files: number;
}

export function openBuilt({ bytes, devices }: BuiltImage): Image {
  return Image.open(new MemoryReader(bytes, 'built.erofs'), { devices });
}

const sizes = [9, 10, 11, 12, 13, 14, 15, 16];

/** Every block size, with directory blocks of one block, two, and 64 KiB. */
export function blockSizes(): BuiltImage[] {
  const pairs = sizes.flatMap((bits) =>
    [...new Set([0, 1, 16 - bits])].filter((d) => bits + d <= 16).map((d): [number, number] => [bits, d]),
  );
  return pairs.map(([blkszbits, dirblkbits]) => ofBlockSize(blkszbits, dirblkbits));
}

function ofBlockSize(blkszbits: number, dirblkbits: number): BuiltImage {
  const size = 1 << blkszbits;
  const plain = noise(1, 2 * size + 100);
  const packed = noise(2, size - 40 - (size >> 7));
  const chunk = noise(3, size);
  const many = Array.from(
    { length: 180 },
    (_, i): BuiltFile => ({ name: `${'x'.repeat(230)}${i}`, size: 0, layout: 0 }),
  );
  const at = DATA_AT / size;
  const bytes = build({
    blkszbits,
    dirblkbits,
    featureIncompat: INCOMPAT.zeroPadding | INCOMPAT.chunked,
    data: [plain, padded(lz4Literals(packed), size), chunk],
    files: [
      { name: 'plain', size: plain.length, layout: 0, iu: at },
      { name: 'inline', size: size + 100, layout: 2, iu: at, tail: plain.subarray(size, size + 100) },
      {
        name: 'packed',
        size: packed.length,
        layout: 1,
        // map header, 8 bytes of nothing, one HEAD1
        tail: fields([8, 0], [8, 0], [2, 1], [2, 0], [4, at + 3]),
      },
      {
        name: 'chunks',
        size: 2 * size,
        layout: 4,
        iu: 0x20,
        tail: fields([4, 0], [4, at + 4], [4, 0], [4, 0xffffffff]),
      },
      ...many,
    ],
  });

  const contents = {
    plain,
    inline: plain.subarray(0, size + 100),
    packed,
    chunks: joined(chunk, new Uint8Array(size)),
  };
  const name = `built-${size}${dirblkbits > 0 ? `-dirs-${size << dirblkbits}` : ''}`;
  return { name, bytes, devices: [], contents, files: 184 };
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Addresses above 2^32 blocks (of a compact inode too), on devices mapped there; 48-bit chunks; rootnid_8b and blocks_hi; a name, and nanoseconds. */
export function beyond32Bits(): BuiltImage {
  const a = noise(4, 4096);
  const b = noise(5, 4096);
  const two = noise(6, 4096);
  const header = (extents: number, log2: number) => fields([4, extents], [2, 1 | ((log2 - 2) << 1)], [2, 0]);
  const uniaddr = 2 ** 33;
  const record = fields([4, 4096], [8, uniaddr * 4096 + 4096], [4, 0]);
  const bytes = build({
    blkszbits: 12,
    volumeName: 'foliolab',
    fixedNsec: 123_456_789,
    featureIncompat: INCOMPAT.zeroPadding | INCOMPAT.wide | INCOMPAT.devices | INCOMPAT.chunked,
    wide: { blocksHigh: 3 },
    data: [],
    devices: [
      { tag: `sha256:${'ab'.repeat(28)}`, blocks: 2, uniaddr },
      { tag: 'second', blocks: 2 ** 32 + 2, uniaddr: 2 ** 40 },
    ],
    files: [
      {
        name: 'extent',
        size: 4096,
        layout: 1,
        tail: new Uint8Array(Buffer.concat([header(1, 4), fields([8, 0]), record])),
      },
      { name: 'flat', size: 4096, layout: 0, iu: 1, inb: 2 },
      { name: 'compact', compact: true, size: 4096, layout: 0, iu: 1, inb: 2 },
      { name: 'flat2', size: 4096, layout: 0, iu: 0, inb: 0x100 + 1 },
      // by device id 2, block 2^32; then a hole in 48 bits
      {
        name: 'chunk',
        size: 8192,
        layout: 4,
        iu: 0x60,
        tail: fields([2, 1], [2, 2], [4, 0], [2, 0xffff], [2, 0], [4, 0xffffffff]),
      },
    ],
  });
  return {
    name: 'built-beyond-32-bits',
    bytes,
    devices: [new MemoryReader(joined(a, b), 'one'), sparseReader('two', (2 ** 32 + 2) * 4096, 2 ** 44, two)],
    contents: { extent: b, flat: b, compact: b, flat2: two, chunk: joined(two, new Uint8Array(4096)) },
    files: 5,
  };
}

export function builtImages(): BuiltImage[] {
  return [...blockSizes(), beyond32Bits()];
}
