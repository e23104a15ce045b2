import { describe, expect, test } from 'vitest';
import { ErofsError, Image, MemoryReader } from '../../src/erofs/index.ts';
import { fixtureBytes, fixtures } from './fixtures.ts';
import { random } from './random.ts';

// Every byte of an image may lie: whatever comes is an answer or an ErofsError, and it comes soon.

/** Asks for everything; of each file no more than its first 16 extents and two pages, so that a lying size can't take long. */
function exercise(bytes: Uint8Array, blob: Uint8Array | null): void {
  const image = Image.open(new MemoryReader(bytes, 'bad.erofs'), {
    devices: blob ? [new MemoryReader(blob, 'bad.blob')] : [],
    maxBytes: 1 << 20,
  });
  let names = 0;
  const attempt = (f: () => void) => {
    try {
      f();
    } catch (e) {
      if (!(e instanceof ErofsError)) throw e;
    }
  };
  for (const { path, inode } of image.walk()) {
    if (++names > 5000) throw new Error('walk does not end');
    if (/^\/(many|wide)\//.test(path) && names % 16 !== 0) continue;
    attempt(() => (image.superblock.ishareXattrPrefixId < 0 ? image.xattrs(inode) : image.fingerprint(inode)));
    if (inode.type === 'symlink') attempt(() => image.readlink(inode));
    if (inode.type === 'file') {
      attempt(() => image.read(inode, 0, 4096));
      attempt(() => image.read(inode, Math.max(0, inode.size - 100), 100));
    }
    attempt(() => {
      let n = 0;
      for (const _ of image.mapBlocks(inode)) if (++n === 16) break;
    });
  }
  attempt(() => image.lookup('/usr/../bin/env', { follow: true }));
  attempt(() => image.lookup('/loop', { follow: true }));
}

/** The outcome of an exercise, for counting; anything but an answer or an ErofsError is a failure. */
function outcome(bytes: Uint8Array, blob: Uint8Array | null, what: string): string {
  const start = performance.now();
  try {
    exercise(bytes, blob);
    return 'answer';
  } catch (e) {
    if (!(e instanceof ErofsError)) throw new Error(`${what}: ${e}`, { cause: e });
    expect(e.message).toMatch(/^bad\.(erofs|blob): \S/);
    return e.code;
  } finally {
    expect([what, performance.now() - start < 5000]).toEqual([what, true]);
  }
}

// The crc would catch what the flips are for: the superblock must look sound to get further.
function withoutChecksum(bytes: Uint8Array): Uint8Array {
  bytes[1024 + 8]! &= ~1;
  return bytes;
}

/** Bytes that mean something: the superblock, inodes with what follows them, and the blocks of directories. */
function metadata(bytes: Uint8Array): number[] {
  const at: number[] = [];
  const add = (from: number, length: number) => {
    for (let i = from; i < Math.min(from + length, bytes.length); i++) at.push(i);
  };
  add(1024, 128);
  const image = Image.open(new MemoryReader(bytes));
  const { metaboxNid, packedNid } = image.superblock;
  for (const nid of [metaboxNid, packedNid]) {
    if (nid <= 0) continue;
    const inode = image.inode(nid);
    add(inode.offset, inode.inodeSize + inode.xattrSize + 80);
    if (nid === metaboxNid) for (const e of image.mapBlocks(inode)) add(e.pa, e.plen);
  }
  for (const { inode } of image.walk()) {
    if (inode.inMetabox) continue;
    add(inode.offset, inode.inodeSize + inode.xattrSize + 40);
    if (inode.type === 'directory')
      for (const e of image.mapBlocks(inode)) add(e.pa, Math.min(e.plen, inode.size - e.la));
  }
  return at;
}

describe.each(fixtures)('$name', ({ name, device, refused }) => {
  const sound = withoutChecksum(fixtureBytes(`${name}.erofs`));
  const blob = device ? fixtureBytes(`${name}.blob`) : null;
  const places = metadata(sound);
  const mutations = refused ? 30 : 100;

  test(`${mutations} damaged images: an answer or an ErofsError`, () => {
    const next = random(name.length * 7919 + name.charCodeAt(0));
    const seen: Record<string, number> = {};
    for (let i = 0; i < mutations; i++) {
      const bytes = sound.slice();
      const changes: string[] = [];
      for (let k = 1 + next(4); k > 0; k--) {
        const at = next(8) === 0 ? next(bytes.length) : places[next(places.length)]!;
        const value = next(3) === 0 ? next(256) : next(4) === 0 ? 0xff : bytes[at]! ^ (1 << next(8));
        bytes[at] = value;
        changes.push(`${at}=${value}`);
      }
      const code = outcome(bytes, blob, `${name} ${changes.join(' ')}`);
      seen[code] = (seen[code] ?? 0) + 1;
    }
    // The damage is worth its name: some of it is found, some of it leaves the image readable.
    expect(seen.CORRUPT).toBeGreaterThan(mutations / 20);
    expect(seen.answer).toBeGreaterThan(mutations / 20);
  });

  test('truncation anywhere: an answer or an ErofsError', () => {
    const next = random(name.length);
    for (let i = 0; i < 12; i++) {
      const length = i < 4 ? next(2048) : next(sound.length);
      outcome(sound.slice(0, length), blob, `${name} cut to ${length}`);
    }
  });
});

describe('the superblock', () => {
  test('any flip in its block is caught by the checksum', () => {
    const sound = fixtureBytes('lz4.erofs');
    const next = random(5);
    for (let i = 0; i < 300; i++) {
      const bytes = sound.slice();
      const at = 1024 + next(3072);
      bytes[at]! ^= 1 << next(8);
      if (at === 1024 + 8 && (bytes[at]! & 1) === 0) continue; // the bit that says there is a checksum
      expect(() => Image.open(new MemoryReader(bytes, 'bad.erofs'))).toThrow(
        /superblock @ 0x400: (not an EROFS|crc32c|blkszbits)/,
      );
    }
  });
});
