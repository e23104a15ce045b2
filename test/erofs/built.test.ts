import { describe, expect, test } from 'vitest';
import { checkImage, Image, MemoryReader } from '../../src/erofs/index.ts';
import { type BuildOptions, type BuiltFile, build, DATA_AT, lz4Literals } from './build.ts';
import { beyond32Bits, blockSizes, builtImages, fields, INCOMPAT, noise, openBuilt, padded } from './built-images.ts';
import { outcome } from './hostile.ts';
import { random } from './random.ts';

// What mkfs.erofs can't write on this page size, or only on enormous input: images built by hand, byte by byte.

function open(o: BuildOptions): Image {
  return Image.open(new MemoryReader(build(o), 'built.erofs'));
}

function content(image: Image, name: string): Buffer {
  return Buffer.concat([...image.stream(image.lookup(`/${name}`))]);
}

describe.each(builtImages())('$name', (built) => {
  const image = openBuilt(built);

  test('its files are what they were built of, and nothing is wrong', () => {
    const names = image.readdir(image.root()).map((e) => e.name);
    expect(names).toHaveLength(built.files);
    for (const name of names) {
      expect([name, image.lookup(`/${name}`).size]).toEqual([name, built.contents[name]?.length ?? 0]);
      expect(content(image, name)).toEqual(Buffer.from(built.contents[name] ?? []));
    }
    expect(checkImage(image).faults).toEqual([]);
  });
});

test('a block of a directory is 2^dirblkbits blocks', () => {
  const found = blockSizes().map((built) => {
    const { blockSize, dirBlockSize } = openBuilt(built).superblock;
    return dirBlockSize === blockSize ? `built-${blockSize}` : `built-${blockSize}-dirs-${dirBlockSize}`;
  });
  expect(found).toEqual(blockSizes().map(({ name }) => name));
});

test('directory blocks above 64 KiB are unsupported', () => {
  expect(() => open({ blkszbits: 12, dirblkbits: 5, data: [], files: [] })).toThrow(
    'built.erofs: superblock @ 0x400: unsupported: directory blocks of 2^17 bytes (dirblkbits)',
  );
});

describe('extent records', () => {
  const EXTENTS = 1;
  const PARTIAL = 2 ** 27;
  const LZ4 = 2 ** 28;
  const a = noise(4, 4096);
  const b = noise(5, 3000);
  const packed = lz4Literals(b);
  // At byte addresses that no block starts at: plain, then LZ4.
  const data = new Uint8Array(4096 + 4096);
  data.set(a, 0);
  data.set(packed, 4096);
  const header = (extents: number, log2: number) => fields([4, extents], [2, EXTENTS | ((log2 - 2) << 1)], [2, 0]);
  const make = (size: number, tail: Uint8Array, devices?: BuildOptions['devices']) =>
    open({
      blkszbits: 12,
      featureIncompat: INCOMPAT.zeroPadding | INCOMPAT.wide | (devices ? INCOMPAT.devices : 0),
      data: [data],
      files: [{ name: 'f', size, layout: 1, tail }],
      ...(devices ? { devices } : {}),
    });

  test('4 bytes: one address, pclusters without gaps', () => {
    const image = make(7096, fields([4, 2], [2, EXTENTS], [2, 0], [8, DATA_AT], [4, 4096], [4, packed.length + LZ4]));
    expect(content(image, 'f')).toEqual(Buffer.concat([a, b]));
    // Backwards too: the addresses are counted again.
    const f = image.lookup('/f');
    expect(image.read(f, 4096, 10)).toEqual(b.subarray(0, 10));
    expect(image.read(f, 0, 10)).toEqual(a.slice(0, 10));
  });

  test('8 bytes: an address each, a hole, a partial reference', () => {
    const tail = [
      header(3, 3),
      fields([4, packed.length + LZ4 + PARTIAL], [4, DATA_AT + 4096]), // says 4096 for 3000: caught below
      fields([4, 0], [4, 0]),
      fields([4, packed.length + LZ4 + PARTIAL], [4, DATA_AT + 4096]),
    ];
    const image = make(4096 * 2 + 1000, new Uint8Array(Buffer.concat(tail)));
    const f = image.lookup('/f');
    expect(image.read(f, 4096, 5000)).toEqual(new Uint8Array(Buffer.concat([Buffer.alloc(4096), b.subarray(0, 904)])));
    expect(() => image.read(f, 0, 10)).toThrow(/lz4 pcluster of 3\d\d\d bytes .* should decode to 4096, is wrong/);
  });

  test('16 bytes: any length, at any place', () => {
    const record = (plen: number, pa: number, la: number) => fields([4, plen], [8, pa], [4, la]);
    const tail = Buffer.concat([
      header(3, 4),
      fields([8, 0]), // records are aligned to their size
      record(100, DATA_AT + 7, 0),
      record(packed.length + LZ4, DATA_AT + 4096, 100),
      record(0, 0, 3100),
    ]);
    const image = make(5000, new Uint8Array(tail));
    expect(content(image, 'f')).toEqual(Buffer.concat([a.subarray(7, 107), b, Buffer.alloc(1900)]));
    expect(
      [...image.mapBlocks(image.lookup('/f'))].map((e) => [e.la, e.llen, e.pa, e.plen, e.algorithm, e.hole]),
    ).toEqual([
      [0, 100, DATA_AT + 7, 100, 'none', false],
      [100, 3000, DATA_AT + 4096, packed.length, 'lz4', false],
      [3100, 1900, 0, 0, 'none', true],
    ]);
  });

  test('32 bytes: beyond 4 GiB; what no record covers is a hole', () => {
    const far = 5 * 2 ** 30 + 12345;
    const record = (plen: number, pa: number, la: number) => fields([4, plen], [8, pa], [8, la], [12, 0]);
    const tail = Buffer.concat([
      header(2, 5),
      fields([8, 0], [8, 0], [8, 0]),
      record(4096, DATA_AT, far),
      record(packed.length + LZ4, DATA_AT + 4096, far + 4096),
    ]);
    const image = make(far + 4096 + 3000, new Uint8Array(tail));
    const f = image.lookup('/f');
    expect(image.read(f, far - 10, 4096 + 3000 + 10)).toEqual(new Uint8Array(Buffer.concat([Buffer.alloc(10), a, b])));
    expect([...image.mapBlocks(f)].map((e) => [e.la, e.llen, e.hole])).toEqual([
      [0, far, true],
      [far, 4096, false],
      [far + 4096, 3000, false],
    ]);
  });
});

test('the superblock and a compact inode of an image beyond 32 bits', () => {
  const built = beyond32Bits();
  const image = openBuilt(built);
  const { superblock: sb } = image;
  expect(sb.blocks).toBe(3 * 2 ** 32 + built.bytes.length / 4096);
  expect(sb.rootNid).toBe(2048);
  const { extended, nlink, startBlock, mtime, mtimeNsec } = image.lookup('/compact');
  expect([extended, nlink, startBlock, mtime, mtimeNsec]).toEqual([false, 1, 2 ** 33 + 1, 0, 123_456_789]);
  expect(sb.volumeName).toBe('foliolab');
  expect(sb.fixedNsec).toBe(123_456_789);
  expect(sb.devices).toEqual([
    { tag: `sha256:${'ab'.repeat(28)}`, blocks: 2, mappedBlkaddr: 2 ** 33 },
    { tag: 'second', blocks: 2 ** 32 + 2, mappedBlkaddr: 2 ** 40 },
  ]);
});

test('HEAD1 and HEAD2 lclusters have an algorithm each', () => {
  const a = noise(7, 3500);
  const at = DATA_AT / 4096;
  // h_algorithmtype: 15 doesn't exist.
  const index = fields([2, 0], [2, 0], [4, at]);
  const tail = (algorithms: number, first: number) =>
    new Uint8Array(
      Buffer.concat([fields([6, 0], [1, algorithms], [1, 0], [8, 0]), fields([2, first]), index.subarray(2, 8)]),
    );
  const make = (algorithms: number, first: number) =>
    open({
      blkszbits: 12,
      featureIncompat: INCOMPAT.zeroPadding,
      data: [padded(lz4Literals(a), 4096)],
      files: [{ name: 'f', size: 3500, layout: 1, tail: tail(algorithms, first) }],
    });
  expect(content(make(0x0f, 3), 'f')).toEqual(Buffer.from(a));
  expect(content(make(0xf0, 1), 'f')).toEqual(Buffer.from(a));
  expect(() => content(make(0xf0, 3), 'f')).toThrow('unsupported: compression algorithm 15');
  expect(() => content(make(0x0f, 1), 'f')).toThrow('unsupported: compression algorithm 15');
});

test('damaged extent records, devices and directories: an answer or an ErofsError', () => {
  const record = (plen: number, pa: number, la: number) => fields([4, plen], [8, pa], [4, la]);
  const files = (layout: number, tail: Uint8Array): BuiltFile => ({
    name: `f${tail.length}`,
    size: 9000,
    layout,
    tail,
  });
  const sound = build({
    blkszbits: 12,
    featureIncompat: INCOMPAT.zeroPadding | INCOMPAT.wide | INCOMPAT.devices | INCOMPAT.chunked,
    wide: { blocksHigh: 0 },
    data: [noise(9, 16384)],
    devices: [{ tag: 'one', blocks: 4, uniaddr: 2 ** 20 }],
    files: [
      files(1, fields([4, 3], [2, 1], [2, 0], [8, DATA_AT], [4, 4096], [4, 4096], [4, 4096])),
      files(1, fields([4, 3], [2, 3], [2, 0], [4, 4096], [4, DATA_AT], [4, 0], [4, 0], [4, 4096], [4, 2 ** 32 - 4096])),
      files(
        1,
        new Uint8Array(
          Buffer.concat([
            fields([4, 2], [2, 5], [2, 0], [8, 0]),
            record(4096, DATA_AT, 0),
            record(8000, DATA_AT, 4096),
          ]),
        ),
      ),
      files(4, fields([4, 5], [4, 6], [4, 7])),
    ],
  });
  const blob = noise(10, 16384);
  const next = random(77);
  const seen: Record<string, number> = {};
  for (let i = 0; i < 3000; i++) {
    const bytes = sound.slice();
    const changes: string[] = [];
    for (let k = 1 + next(3); k > 0; k--) {
      // The superblock, the device table, or an inode with what follows it.
      const at = [1024 + next(144), 8192 + 64 + next(12), 65536 + 512 * next(5) + next(120)][
        next(8) < 1 ? next(2) : 2
      ]!;
      bytes[at] = next(3) === 0 ? next(256) : bytes[at]! ^ (1 << next(8));
      changes.push(`${at}=${bytes[at]}`);
    }
    const code = outcome(bytes, blob, changes.join(' '));
    seen[code] = (seen[code] ?? 0) + 1;
  }
  expect(seen.CORRUPT).toBeGreaterThan(100);
  expect(seen.answer).toBeGreaterThan(100);
});

test.each([0, 1, 7, 40])('superblock with %i extra slots', (extslots) => {
  const image = open({ blkszbits: 12, extslots, featureIncompat: 3, lz4: true, data: [], files: [] });
  expect(image.superblock.sbSize).toBe(128 + 16 * extslots);
  expect(image.superblock.algorithms).toEqual(['lz4']);
});

test('a symlink longer than a page gives its first 4095 bytes, as readlink(2) of Linux does; an empty one is corrupt', () => {
  const target = Buffer.from('abcdefg/'.repeat(700));
  const link = (size: number): Image =>
    open({
      blkszbits: 12,
      data: [new Uint8Array(target)],
      files: [{ name: 'l', mode: 0o120777, size, layout: 0, iu: DATA_AT / 4096 }],
    });
  for (const size of [1, 4094, 4095, 4096, 4097, 5600]) {
    const image = link(size);
    const inode = image.lookup('/l');
    expect([size, inode.type, inode.size]).toEqual([size, 'symlink', size]);
    expect(image.readlink(inode)).toBe(target.toString('latin1', 0, Math.min(size, 4095)));
    expect(checkImage(image).faults).toEqual([]);
  }
  expect(() => link(0).readlink(link(0).lookup('/l'))).toThrow('a symlink of 0 bytes');
});
