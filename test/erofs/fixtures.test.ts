import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { compareNames, type Image, type Inode } from '../../src/erofs/index.ts';
import { type Fixture, fixtures, openFixture, type TreeEntry, treeOf } from './fixtures.ts';

// One tree, many encodings; tree.json comes from the tree, the extents from dump.erofs (make.py).

function pathsOf(fixture: Fixture): Map<string, TreeEntry> {
  return new Map(treeOf(fixture).map((e) => [e.path, e]));
}

function streamed(image: Image, inode: Inode): Buffer {
  return Buffer.concat([...image.stream(inode)]);
}

function describeInode(image: Image, inode: Inode, expected: TreeEntry, fixture: Fixture): TreeEntry {
  const { type, mode, uid, gid, nlink } = inode;
  const out: TreeEntry = { path: expected.path, type, mode, uid, gid, nlink };
  if (expected.links) out.links = expected.links.filter((p) => image.lookup(p).nid === inode.nid);
  if (type === 'file') {
    out.size = inode.size;
    out.sha256 = createHash('sha256').update(streamed(image, inode)).digest('hex');
  }
  if (type === 'symlink') out.target = image.readlink(inode);
  if (inode.rdev) out.rdev = [inode.rdev.major, inode.rdev.minor];
  const xattrs = image.xattrs(inode).filter((x) => x.name !== fixture.fingerprint);
  if (xattrs.length > 0) {
    out.xattrs = Object.fromEntries(xattrs.map((x) => [x.name, Buffer.from(x.value).toString('hex')]));
  }
  return out;
}

describe.each(fixtures.filter((f) => !f.refused))('$name ($command, $version)', (fixture) => {
  const image = openFixture(fixture.name);
  const walked = [...image.walk()];
  const tree = treeOf(fixture);
  const byPath = pathsOf(fixture);

  test('walk gives every name of the tree, each directory sorted by bytes', () => {
    expect(walked.map((e) => e.path).sort(compareNames)).toEqual(tree.map((e) => e.path));
    expect(walked[0]!.path).toBe('/');
    // mkfs.erofs 1.9.4 counts the packed inode and the metabox inode, which have no names.
    const { inos, packedNid, metaboxNid } = image.superblock;
    const nameless = fixture.version === '1.5' ? 0 : Number(packedNid > 0) + Number(metaboxNid >= 0);
    expect(inos).toBe(new Set(walked.map((e) => e.inode.nid)).size + nameless);
  });

  test('type, mode, owner, links, size, content, target, device number and xattrs are those of the tree', () => {
    for (const { path, inode } of walked) {
      const expected = byPath.get(path)!;
      expect(describeInode(image, inode, expected, fixture)).toEqual(expected);
      if (fixture.mtime && path !== '/') expect([inode.mtime, inode.mtimeNsec]).toEqual(fixture.mtime);
      if (!fixture.mtime) expect(inode.mtime).toBe(1_000_000_000);
    }
  });

  test('lookup finds what walk found', () => {
    const dir = fixture.tree ? '/wide' : '/many';
    for (const { path, inode } of walked) expect(image.lookup(path)).toEqual(inode);
    expect(() => image.lookup(`${dir}/nnn`)).toThrow(`${dir}/nnn: no such file or directory`);
  });

  test('random access agrees with the stream', () => {
    for (const { inode } of walked) {
      if (inode.type !== 'file') continue;
      const all = streamed(image, inode);
      for (let at = 0; at < inode.size; at += 4096) {
        expect(Buffer.compare(image.read(inode, at, 4096), all.subarray(at, at + 4096))).toBe(0);
      }
      expect(Buffer.compare(image.read(inode, 1, inode.size), all.subarray(1))).toBe(0);
      expect(image.read(inode, inode.size, 10).length).toBe(0);
    }
  });

  test('the extents are those that dump.erofs prints', () => {
    for (const [path, expected] of Object.entries(fixture.extents)) {
      const found = [...image.mapBlocks(image.lookup(path))];
      // dump.erofs prints a hole with the null address, or with that of the extent before it.
      const pairs = found.map((e, i) =>
        e.hole || e.fragment ? [e.la, e.llen, ...expected[i]!.slice(2)] : [e.la, e.llen, e.pa, e.plen, e.device],
      );
      expect([path, pairs]).toEqual([path, expected]);
    }
  });
});

describe.each(fixtures.filter((f) => f.fingerprint))('$name', (fixture) => {
  test('the fingerprint is sha256 of the content', () => {
    const image = openFixture(fixture.name);
    const byPath = pathsOf(fixture);
    expect(image.fingerprintXattr).toBe(fixture.fingerprint);
    for (const { path, inode } of image.walk()) {
      const { sha256, size } = byPath.get(path)!;
      const value = image.fingerprint(inode);
      if (!size) expect(value).toBe(null);
      else expect(value).toEqual(Uint8Array.from([...Buffer.from('sha256:'), ...Buffer.from(sha256!, 'hex')]));
    }
  });
});

describe.each(fixtures.filter((f) => f.refused))('$name ($command, $version)', (fixture) => {
  const { name, refused } = fixture;
  const byPath = pathsOf(fixture);
  test('what the decoder does not know is refused by name, and only that', () => {
    const refusal = expect.objectContaining({ name: 'ErofsUnsupportedError', code: 'UNSUPPORTED' });
    const errors: unknown[] = [];
    try {
      const image = openFixture(name);
      for (const { path, inode } of image.walk()) {
        if (inode.type !== 'file') continue;
        try {
          const sha256 = createHash('sha256').update(streamed(image, inode)).digest('hex');
          expect(sha256).toBe(byPath.get(path)!.sha256);
        } catch (e) {
          errors.push(e);
        }
      }
    } catch (e) {
      errors.push(e);
    }
    expect(errors).not.toEqual([]);
    for (const e of errors) {
      expect(e).toEqual(refusal);
      expect(String(e)).toMatch(new RegExp(`unsupported: .*${refused}`));
    }
  });
});
