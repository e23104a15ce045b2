import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkImage, Image, MemoryReader, MetadataBudget } from '../../src/erofs/index.ts';
import { packImage } from '../../src/replay/image-index/from-image.ts';
import { type BuiltFile, build, DATA_AT, nidOf, packEntries } from './build.ts';
import { fields } from './built-images.ts';

// Metadata that an image has once and names a thousand times: docs/hostile-input.md.

const open = (bytes: Uint8Array, options = {}) => Image.open(new MemoryReader(bytes, 'bomb.erofs'), options);
const LIMIT = expect.objectContaining({ name: 'ErofsError', code: 'LIMIT' });
const all = (image: Image) => [...image.walk()].length;

describe('200 directories that share 20,000 names: 4 million, in 700 KB', () => {
  const body = packEntries(
    4096,
    Array.from({ length: 20_000 }, (_, i) => ({ name: i.toString(16).padStart(5, '0'), nid: nidOf(0), type: 1 })),
  );
  const files: BuiltFile[] = [{ name: 'file', size: 0, layout: 0 }];
  for (let i = 0; i < 200; i++) {
    files.push({ name: `d${i}`, mode: 0o040755, size: body.length, layout: 0, iu: DATA_AT / 4096 });
  }
  const bytes = build({ blkszbits: 12, data: [body], files });

  test('a walk and a check end where the directories are together larger than the image', () => {
    const image = open(bytes);
    const start = performance.now();
    expect(() => all(image)).toThrow(`more than ${bytes.length} bytes of directories in an image of ${bytes.length}`);
    const { names, faults } = checkImage(image);
    expect(faults).toEqual([expect.objectContaining({ code: 'LIMIT', path: expect.stringMatching(/^\/d\d+$/) })]);
    expect(faults[0]!.nid).toBeGreaterThan(0);
    expect(names).toBeLessThan(60_000);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test('one of them alone is sound', () => {
    const sound = open(build({ blkszbits: 12, data: [body], files: files.slice(0, 2) }));
    expect(all(sound)).toBe(20_003);
    expect(checkImage(sound).faults).toEqual([]);
    // What is listed alone is bounded by its own size.
    expect(open(bytes).readdir(open(bytes).lookup('/d7'))).toHaveLength(20_000);
  });
});

test('paths count: what a walk gives is bounded though each name is short', () => {
  const files = Array.from({ length: 100 }, (_, i): BuiltFile => ({ name: `f${i}`, size: 0, layout: 0 }));
  const bytes = build({ blkszbits: 12, data: [], files });
  expect(all(open(bytes, { maxMetadata: 400 }))).toBe(101);
  expect(() => all(open(bytes, { maxMetadata: 300 }))).toThrow(
    /inode nid \d+: more than 300 bytes of metadata \(directories, xattrs, paths\) in an image of \d+: see maxMetadata, --max-metadata$/,
  );
  expect(() => open(bytes, { maxMetadata: -1 })).toThrow('maxMetadata is -1, not a number of bytes');
});

describe('200 inodes of 100 shared xattrs each', () => {
  /** One entry of 64 KiB whose value is entries of 64 KiB: an id may name any 4 bytes of it. */
  const entry = new Uint8Array(2 * 65536 + 4096);
  for (let at = 0; at < entry.length; at += 4) entry.set([1, 1, 0xf0, 0xff], at); // user.?, 65520 bytes
  const xattrs = (ids: (i: number) => number) => {
    const tail = new Uint8Array(12 + 400);
    tail[4] = 100;
    for (let i = 0; i < 100; i++) new DataView(tail.buffer).setUint32(12 + 4 * i, ids(i), true);
    const files = Array.from(
      { length: 200 },
      (_, i): BuiltFile => ({ name: `f${i}`, size: 0, layout: 0, tail, icount: 101 }),
    );
    return build({ blkszbits: 12, data: [entry], files, xattrBlkaddr: DATA_AT / 4096 });
  };
  const dir = mkdtempSync(join(tmpdir(), 'foliolab-xattrs-'));

  test('one and the same is decoded once: 1.3 GB of copies are none', () => {
    const image = open(xattrs(() => 0));
    const start = performance.now();
    const { faults } = checkImage(image);
    expect(faults).toEqual([]);
    expect(performance.now() - start).toBeLessThan(5000);
    const { value } = image.xattrs(image.lookup('/f0'))[0]!;
    expect([value.length, image.xattrs(image.lookup('/f9'))[99]!.value === value]).toEqual([65520, true]);
  });

  test('so many that no cache holds them are refused by a check, and by what has to hash each', async () => {
    const bytes = xattrs((i) => i);
    const { faults } = checkImage(open(bytes));
    expect(faults.length).toBeGreaterThan(0);
    for (const fault of faults) expect([fault.code, fault.nid! > 0]).toEqual(['LIMIT', true]);
    for (const image of [bytes, xattrs(() => 0)]) {
      const path = join(dir, 'x.erofs');
      writeFileSync(path, image);
      await expect(packImage(path)).rejects.toEqual(LIMIT);
    }
    rmSync(dir, { recursive: true });
  });

  test('a fingerprint is looked for by name: values of others are not read', () => {
    const named = (name: string) => Object.defineProperty(open(xattrs((i) => i)), 'fingerprintXattr', { value: name });
    const image = named('user.none');
    const budget = new MetadataBudget(image);
    for (const { inode } of image.walk()) expect(image.fingerprint(inode, budget)).toBe(null);
    const other = named('user.\x01');
    expect(other.fingerprint(other.lookup('/f1'))).toHaveLength(65520);
    expect(() =>
      other.fingerprint(
        other.lookup('/f1'),
        new MetadataBudget(
          open(
            xattrs(() => 0),
            { maxMetadata: 9 },
          ),
        ),
      ),
    ).toThrow(LIMIT);
  });
});

test('an xattr under a long prefix that is not there is left out, as Linux does; a check reports it', () => {
  const tail = new Uint8Array(12 + 8 + 8);
  tail.set([1, 0x85, 1, 0, 0x61, 0x62], 12);
  tail.set([1, 1, 1, 0, 0x63, 0x64], 20);
  const files: BuiltFile[] = [{ name: 'f', size: 0, layout: 0, tail, icount: 5 }];
  const image = open(build({ blkszbits: 12, data: [], files }));
  const inode = image.lookup('/f');
  expect(image.xattrs(inode)).toEqual([{ name: 'user.c', value: Uint8Array.of(0x64) }]);
  expect(checkImage(image).faults).toEqual([
    expect.objectContaining({ code: 'CORRUPT', path: '/f', nid: inode.nid, offset: inode.offset + 64 + 12 }),
  ]);
  expect(checkImage(image).faults[0]!.message).toMatch(/: xattr uses long prefix 5 of only 0$/);
});

test('a pcluster that is decoded to 12 MiB for one byte, again for each file, counts as often', async () => {
  const D = 12 << 20;
  // LZ4: one literal, then a match at distance 1 of all but the last 5 bytes.
  const lits = 5;
  const match = D - 1 - lits;
  const ext: number[] = [];
  let rest = match - 4 - 15;
  for (; rest >= 255; rest -= 255) ext.push(255);
  ext.push(rest);
  const lz4 = Uint8Array.from([0x1f, 7, 1, 0, ...ext, lits << 4, 1, 2, 3, 4, 5]);
  const LZ4 = 2 ** 28;
  const record = (la: number) => fields([4, lz4.length + LZ4], [8, DATA_AT], [4, la]);
  const n = 3;
  const packedTail = new Uint8Array(
    Buffer.concat([
      fields([4, n], [2, 1 | (2 << 1)], [2, 0]),
      fields([8, 0]),
      ...Array.from({ length: n }, (_, i) => record(i * D)),
    ]),
  );
  const files: BuiltFile[] = [{ name: 'packed', size: n * D, layout: 1, tail: packedTail }];
  for (let i = 0; i < 200; i++)
    files.push({ name: `f${i}`, size: 1, layout: 1, tail: fields([4, (i % n) * D + 100], [4, 2 ** 31]) });
  const bytes = build({ blkszbits: 12, featureIncompat: 1 | 0x80 | 0x20, data: [lz4], files });
  new DataView(bytes.buffer).setUint32(1024 + 96, 512 / 32, true);
  const image = open(bytes);
  const { faults } = checkImage(image);
  expect(faults).toEqual([expect.objectContaining({ code: 'LIMIT', path: expect.stringMatching(/^\/f\d+$/) })]);
  // 1.3 GB while files are found, then as much within the budget of their data.
  expect(image.decodedBytes).toBeLessThan(2 * image.maxData + 4 * D);
  const folder = mkdtempSync(join(tmpdir(), 'foliolab-fragments-'));
  const path = join(folder, 'fragments.erofs');
  writeFileSync(path, bytes);
  await expect(packImage(path, { maxData: 2 ** 29 })).rejects.toEqual(LIMIT);
  rmSync(folder, { recursive: true });
  // With room for it, it is sound.
  expect(checkImage(open(bytes, { maxData: 2 ** 36 })).faults).toEqual([]);
}, 60_000);
