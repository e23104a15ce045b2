import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  type BlockReader,
  checkImage,
  ErofsError,
  FileReader,
  Image,
  type Inode,
  MemoryReader,
} from '../../src/erofs/index.ts';
import { fixtureBytes, openFixture } from './fixtures.ts';

const dir = mkdtempSync(join(tmpdir(), 'foliolab-erofs-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** A fixture with some bytes changed; the superblock's checksum is switched off. */
function patched(name: string, change: (bytes: Uint8Array, view: DataView) => void): () => Image {
  const bytes = fixtureBytes(`${name}.erofs`);
  bytes[1024 + 8]! &= ~1;
  change(bytes, new DataView(bytes.buffer, bytes.byteOffset));
  return () => openFixture(name, bytes);
}

function contents(image: Image, inode: Inode): Buffer {
  return Buffer.concat([...image.stream(inode)]);
}

describe('the superblock', () => {
  const sb = (name: string, change: (b: DataView) => void) =>
    patched(name, (bytes) => change(new DataView(bytes.buffer, bytes.byteOffset + 1024, 128)));

  test('is refused with its place when the magic, the block size or the checksum is wrong', () => {
    expect(sb('plain', (b) => b.setUint32(0, 1, true))).toThrow(
      'plain.erofs: superblock @ 0x400: not an EROFS image: magic is 0x1, not 0xe0f5e1e2',
    );
    expect(sb('plain', (b) => b.setUint8(12, 8))).toThrow('superblock @ 0x400: blkszbits 8 is outside 9..16');
    expect(sb('plain', (b) => b.setUint32(4, 1, true))).not.toThrow();
    expect(
      sb('plain', (b) => {
        b.setUint8(8, 3);
        b.setUint32(4, 1, true);
      }),
    ).toThrow(/superblock @ 0x400: crc32c is 0x[0-9a-f]+, the superblock says 0x1/);
    expect(() => Image.open(new Uint8Array(1151))).toThrow('(memory): superblock @ 0x400: not an EROFS image');
  });

  test('unknown incompatible features are refused by name and mask, as unsupported', () => {
    const open = sb('plain', (b) => b.setUint32(80, 0x40000000, true));
    expect(open).toThrow('unsupported: incompatible feature unknown_0x40000000 (mask 0x40000000)');
    expect(open).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', offset: 1024, nid: null, path: 'plain.erofs' }),
    );
  });

  test('unknown compatible features are named and let through', () => {
    expect(sb('plain', (b) => b.setUint32(8, 0x40000002, true))().superblock.features).toEqual([
      'mtime',
      'unknown_0x40000000',
    ]);
  });

  test('a root that is no directory is corrupt', () => {
    const file = openFixture('plain').lookup('/one').nid;
    expect(sb('plain', (b) => b.setUint16(14, file, true))).toThrow('the root is a file, not a directory');
  });
});

describe('an inode', () => {
  const { nid, offset } = openFixture('plain').lookup('/one');
  const at = `plain.erofs: inode nid ${nid} @ 0x${offset.toString(16)}`;

  test('of a reserved layout or format is unsupported, without a file type corrupt', () => {
    const inode = (change: (b: DataView) => void) => () =>
      patched('plain', (bytes) => change(new DataView(bytes.buffer, bytes.byteOffset + offset)))().inode(nid);
    expect(inode((b) => b.setUint16(0, 6 << 1, true))).toThrow(`${at}: data layout 6 is reserved`);
    expect(inode((b) => b.setUint16(0, 0x20, true))).toThrow(`${at}: i_format 0x20 has reserved bits set`);
    expect(inode((b) => b.setUint16(4, 0o50644, true))).toThrow(`${at}: i_mode 050644 has no file type`);
  });

  test('outside the image is corrupt, whatever the nid', () => {
    const image = openFixture('plain');
    for (const bad of [-1, 0.5, Number.NaN, 2 ** 40, 2 ** 53, Number.POSITIVE_INFINITY]) {
      expect(() => image.inode(bad)).toThrow(ErofsError);
    }
  });
});

describe('lookup', () => {
  const image = openFixture('inline');

  test('follows symlinks on the way, and the last one when asked', () => {
    expect(image.lookup('/bin/env').nid).toBe(image.lookup('/usr/bin/env').nid);
    expect(image.lookup('/bin').type).toBe('symlink');
    expect(image.lookup('/bin', { follow: true }).nid).toBe(image.lookup('/usr/bin').nid);
    expect(image.lookup('/bin/').type).toBe('directory');
    expect(image.lookup('usr//./rel', { follow: true }).nid).toBe(image.lookup('/data/noise').nid);
    expect(image.lookup('/../../usr/../data/noise').nid).toBe(image.lookup('/data/noise').nid);
  });

  test('says why there is no such file', () => {
    const error = (path: string, follow = false) => {
      try {
        return image.lookup(path, { follow }).nid;
      } catch (e) {
        return (e as ErofsError).code;
      }
    };
    expect(error('/nope')).toBe('ENOENT');
    expect(error('/one/two')).toBe('ENOTDIR');
    expect(error('/one/')).toBe('ENOTDIR');
    expect(error('/loop', true)).toBe('ELOOP');
    expect(error('/loop')).toBeTypeOf('number');
    expect(error(`/${'n'.repeat(300)}`)).toBe('ENOENT');
  });

  test('finds names that are no UTF-8', () => {
    expect(contents(image, image.lookup('/names/caf\udce9'))).toEqual(Buffer.from([0x63, 0x61, 0x66, 0xe9]));
  });
});

describe('walk', () => {
  test('a directory that is reached twice is corrupt', () => {
    // Makes the root's entry `tmp` the directory `usr`; its `..` still agrees.
    const sound = openFixture('plain');
    const [usr, tmp] = [sound.lookup('/usr').nid, sound.lookup('/tmp').nid];
    const root = [...sound.mapBlocks(sound.root())][0]!;
    const image = patched('plain', (_, view) => {
      for (let i = 0; ; i++) {
        if (view.getUint32(root.pa + 12 * i, true) !== tmp) continue;
        view.setUint32(root.pa + 12 * i, usr, true);
        break;
      }
    })();
    expect(() => [...image.walk()]).toThrow(/inode nid \d+ @ 0x[0-9a-f]+: directory reached again, as \/usr/);
  });

  test('starts anywhere', () => {
    const image = openFixture('plain');
    const paths = [...image.walk({ path: '/usr', inode: image.lookup('/usr') })].map((e) => e.path);
    expect(paths).toEqual([
      '/usr',
      '/usr/bin',
      '/usr/bin/env',
      '/usr/bin/su',
      '/usr/long',
      '/usr/rel',
      '/usr/text.link',
    ]);
    expect([...image.walk({ path: '/one', inode: image.lookup('/one') })].map((e) => e.path)).toEqual(['/one']);
  });
});

describe('random access', () => {
  /** Counts what is read. */
  class Counting implements BlockReader {
    readonly inner: MemoryReader;
    readonly path = 'counted';
    bytes = 0;
    constructor(bytes: Uint8Array) {
      this.inner = new MemoryReader(bytes);
    }
    get size(): number {
      return this.inner.size;
    }
    readAt(offset: number, length: number): Uint8Array {
      this.bytes += length;
      return this.inner.readAt(offset, length);
    }
  }

  test('reading one page takes its pcluster and a piece of the index, and no more', () => {
    const reader = new Counting(fixtureBytes('lz4.erofs'));
    const image = Image.open(reader);
    const inode = image.lookup('/data/text');
    reader.bytes = 0;
    const page = image.read(inode, 20480, 4096);
    expect(reader.bytes).toBeLessThanOrEqual(3 * 4096 + 4096 + 8);
    expect(Buffer.from(page)).toEqual(contents(image, inode).subarray(20480, 24576));
  });

  test('a read of no place or length, and a bound that is none, are refused', () => {
    const image = Image.open(fixtureBytes('plain.erofs'));
    const [file] = [...image.walk()].filter(({ inode }) => inode.type === 'file' && inode.size > 0);
    for (const [offset, length] of [
      [-5, 10],
      [0, -1],
      [Number.NaN, 1],
      [0, Number.NaN],
      [0.5, 1],
    ] as const)
      expect(() => image.read(file!.inode, offset, length)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    for (const bound of [Number.NaN, -1])
      expect(() => Image.open(fixtureBytes('plain.erofs'), { maxBytes: bound })).toThrow(TypeError);
  });

  test('more than maxBytes at once is refused, a stream is not', () => {
    const image = Image.open(fixtureBytes('plain.erofs'), { maxBytes: 8192 });
    const inode = image.lookup('/data/text');
    expect(() => image.read(inode, 0, inode.size)).toThrow(expect.objectContaining({ code: 'LIMIT' }));
    expect(contents(image, inode).length).toBe(inode.size);
  });

  test('only regular files have data to read', () => {
    const image = openFixture('plain');
    expect(() => image.read(image.lookup('/usr'), 0, 1)).toThrow(expect.objectContaining({ code: 'EISDIR' }));
    expect(() => [...image.stream(image.lookup('/dev/fifo'))]).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => image.readdir(image.lookup('/one'))).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
  });
});

describe('readers', () => {
  test('a file reads as memory does, whatever the boundaries', () => {
    const bytes = new Uint8Array(300_001);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 7919) >> 5;
    const path = join(dir, 'bytes');
    writeFileSync(path, bytes);
    const file = new FileReader(path);
    for (const offset of [0, 1, 65535, 65536, 131071, 200_000, 300_000, 300_001]) {
      for (const length of [0, 1, 2, 4096, 65535, 65536, 65537, 140_000]) {
        if (offset + length > bytes.length) {
          expect(() => file.readAt(offset, length)).toThrow(ErofsError);
        } else {
          expect(Buffer.compare(file.readAt(offset, length), bytes.subarray(offset, offset + length))).toBe(0);
        }
      }
    }
    file.close();
  });

  test('an image in a file gives what one in memory gives', () => {
    const path = join(dir, 'lz4-64k.erofs');
    writeFileSync(path, fixtureBytes('lz4-64k.erofs'));
    const sums = (image: Image) =>
      [...image.walk()]
        .filter((e) => e.inode.type === 'file')
        .map((e) => createHash('sha256').update(contents(image, e.inode)).digest('hex'));
    const image = Image.open(path);
    expect(sums(image)).toEqual(sums(openFixture('lz4-64k')));
    image.close();
  });

  test('what is no image file says so', () => {
    expect(() => Image.open(join(dir, 'absent'))).toThrow(`${join(dir, 'absent')}: no such file or directory`);
    expect(() => Image.open(dir)).toThrow('is a directory, so no image');
  });
});

describe('devices', () => {
  test('data on a device that was not given is unsupported, a wrong number of devices is refused', () => {
    const bytes = fixtureBytes('blob.erofs');
    const image = Image.open(bytes);
    expect(() => contents(image, image.lookup('/data/text'))).toThrow(
      'unsupported: data on extra device 1, which was not given',
    );
    const blob = fixtureBytes('blob.blob');
    expect(() => Image.open(bytes, { devices: [blob, blob] })).toThrow('the image names 1 extra devices, 2 were given');
  });

  test('a device that is too short is corrupt', () => {
    const image = Image.open(fixtureBytes('blob.erofs'), {
      devices: [new MemoryReader(new Uint8Array(4096), 'x.blob')],
    });
    expect(() => contents(image, image.lookup('/data/text'))).toThrow(/leads past the end of x\.blob/);
  });
});

describe('compressed files', () => {
  /** /data/text of a fixture with a full index, its lcluster entries changed. */
  function withIndex(change: (view: DataView, lcn: number, at: number) => void): () => Buffer {
    const sound = openFixture('lz4-legacy');
    const inode = sound.lookup('/data/text');
    expect(inode.layout).toBe('compressed-full');
    const index = Math.ceil((inode.offset + inode.inodeSize + inode.xattrSize) / 8) * 8 + 16;
    const open = patched('lz4-legacy', (_, view) => {
      for (let lcn = 0; lcn < Math.ceil(inode.size / 4096); lcn++) change(view, lcn, index + 8 * lcn);
    });
    return () => contents(open(), open().inode(inode.nid));
  }
  const sound = contents(openFixture('lz4-legacy'), openFixture('lz4-legacy').lookup('/data/text'));

  test('HEAD2 is decoded by the second algorithm', () => {
    const twice = withIndex((view, _, at) => {
      if ((view.getUint16(at, true) & 3) === 1) view.setUint16(at, 3, true);
    });
    expect(twice()).toEqual(sound);
  });

  test('a lookback of 0 or past the start, CBLKCNT without big pclusters, and a clusterofs past its lcluster are corrupt', () => {
    const nonhead = (delta0: number) =>
      withIndex((view, lcn, at) => {
        if (lcn === 1) view.setUint16(at, 2, true);
        if (lcn === 1) view.setUint16(at + 4, delta0, true);
      });
    expect(nonhead(0x801)).toThrow('lcluster 1: CBLKCNT without big pclusters');
    expect(withIndex((view, lcn, at) => lcn === 0 && view.setUint16(at, 2, true))).toThrow(
      /lcluster 0: lookback distance/,
    );
    expect(withIndex((view, lcn, at) => lcn === 0 && view.setUint16(at + 2, 1, true))).toThrow(
      'lcluster 0: the first lcluster starts inside an extent',
    );
    expect(withIndex((view, lcn, at) => lcn === 0 && view.setUint16(at + 2, 4096, true))).toThrow('clusterofs 4096');
  });

  test('a block address past the end of the image is corrupt', () => {
    expect(withIndex((view, lcn, at) => lcn === 0 && view.setUint32(at + 4, 0x7fffffff, true))).toThrow(
      /inode nid \d+ @ 0x7fffffff000: data at 0x7fffffff000\+4096 leads past the end of the image/,
    );
  });

  test('damaged LZ4 is corrupt, and says where', () => {
    const image = openFixture('lz4hc');
    const extent = [...image.mapBlocks(image.lookup('/data/text'))][1]!;
    const bad = patched('lz4hc', (bytes) => bytes.fill(0xff, extent.pa, extent.pa + 4096))();
    expect(() => contents(bad, bad.lookup('/data/text'))).toThrow(
      /lz4 pcluster of 4096 bytes at 0x[0-9a-f]+, .* is wrong at its byte/,
    );
    const empty = patched('lz4hc', (bytes) => bytes.fill(0, extent.pa, extent.pa + 4096))();
    expect(() => contents(empty, empty.lookup('/data/text'))).toThrow('the first block of the pcluster is all zeros');
  });
});

describe('an image that starts inside a file', () => {
  const bytes = fixtureBytes('lz4.erofs');
  const file = new Uint8Array(4096 + 512 + bytes.length).fill(0x5a);
  file.set(bytes, 4608);

  test('is read from its offset on, as from a file of its own', () => {
    const image = Image.open(new MemoryReader(file, 'disk'), { offset: 4608 });
    const alone = openFixture('lz4', bytes);
    expect(image.size).toBe(bytes.length);
    const all = (i: Image) => [...i.walk()].map((e) => [e, e.inode.type === 'file' ? contents(i, e.inode) : null]);
    expect(all(image)).toEqual(all(alone));
    const path = join(dir, 'disk');
    writeFileSync(path, file);
    expect(checkImage(Image.open(path, { offset: 4608 })).faults).toEqual([]);
  });

  test('an offset that is none is refused', () => {
    expect(() => Image.open(new MemoryReader(file, 'disk'))).toThrow(/^disk: superblock .*: not an EROFS image/);
    for (const offset of [-1, 0.5, file.length + 1, Number.NaN])
      expect(() => Image.open(new MemoryReader(file, 'disk'), { offset })).toThrow(
        /^disk: an image from byte \S+ on, of \d+$/,
      );
  });
});
