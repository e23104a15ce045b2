import { describe, expect, test } from 'vitest';
import { Image, MemoryReader } from '../../src/erofs/index.ts';
import { fixtureBytes, fixtures } from './fixtures.ts';
import { outcome, withoutChecksum } from './hostile.ts';
import { random } from './random.ts';

// Every byte of an image may lie: whatever comes is an answer or an ErofsError, and it comes soon.

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
