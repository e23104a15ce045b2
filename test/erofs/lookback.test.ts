import { describe, expect, test } from 'vitest';
import { checkImage, ErofsError, Image, type Inode, MemoryReader } from '../../src/erofs/index.ts';
import { fixtureBytes } from './fixtures.ts';
import { withoutChecksum } from './hostile.ts';
import { random } from './random.ts';

// A compression index says the same thing twice: ahead from each HEAD, and back from each other lcluster.

const open = (bytes: Uint8Array) => Image.open(new MemoryReader(bytes, 'bad.erofs'));

/** Flips bits behind the inode of a file. */
function damaged(fixture: string, path: string, flips: readonly [at: number, bits: number][]): Image {
  const bytes = withoutChecksum(fixtureBytes(`${fixture}.erofs`));
  const inode = open(bytes).lookup(path);
  const start = inode.offset + inode.inodeSize + inode.xattrSize;
  for (const [at, bits] of flips) bytes[start + at]! ^= bits;
  return open(bytes);
}

/** Every page, each looked up anew. */
function byPages(image: Image, inode: Inode): Buffer {
  const pages: Uint8Array[] = [];
  for (let at = 0; at < inode.size; at += 4096) {
    pages.push(image.read({ ...inode }, at, 4096));
  }
  return Buffer.concat(pages);
}

describe.each([
  ['lz4hc', '/data/sparse', [[41, 8]], 'lcluster 11: lookback distance 43'],
  ['lz4-16k-19', '/data/sparse', [[50, 4]], 'lcluster 16: lookback distance 80'],
  ['dedupe', '/data/mixed', [[35, 32]], 'lcluster 7: a HEAD inside the extent of that of lcluster 0'],
  // prettier-ignore
  [
    'deflate',
    '/data/text',
    [
      [97, 32],
      [25, 32],
    ],
    'lcluster 4: a HEAD inside the extent of that of lcluster 0',
  ],
  [
    'lz4-legacy-19',
    '/data/zeros',
    [
      [32, 1],
      [64, 1],
    ],
    'lcluster 2: a HEAD inside the extent of that of lcluster 0',
  ],
] as [string, string, [number, number][], string][])(
  '%s, %s damaged where looking ahead skips',
  (name, path, flips, error) => {
    test('check, stream and map say so', () => {
      const image = damaged(name, path, flips);
      const inode = image.lookup(path);
      const faults = checkImage(image).faults.filter((f) => f.nid === inode.nid);
      expect(faults).toEqual([expect.objectContaining({ code: 'CORRUPT', nid: inode.nid })]);
      expect(faults[0]!.message).toContain(error);
      expect(() => [...image.stream(inode)]).toThrow(error);
      expect(() => [...image.mapBlocks(inode)]).toThrow(error);
    });
  },
);

test('a damaged index that can be streamed gives the same page by page', () => {
  const files: [string, string][] = [
    ['lz4', '/data/mixed'],
    ['lz4hc', '/data/sparse'],
    ['lz4-legacy-19', '/data/text'],
    ['lz4-16k-19', '/data/mixed'],
    ['dedupe', '/data/text'],
    ['deflate', '/data/text'],
    ['ztailpacking', '/data/mixed'],
    ['fragments-tail', '/data/text'],
  ];
  const next = random(20261125);
  const seen = { streamed: 0, refused: 0 };
  const sound = new Map<string, Uint8Array>(files.map(([name]) => [name, fixtureBytes(`${name}.erofs`)]));
  for (let i = 0; i < 1500; i++) {
    const [name, path] = files[next(files.length)]!;
    const inode = open(sound.get(name)!).lookup(path);
    const flips = Array.from({ length: 1 + next(2) }, (): [number, number] => [
      next(Math.min(400, 24 + 8 * Math.ceil(inode.size / 4096))),
      1 << next(8),
    ]);
    const image = damaged(name, path, flips);
    let streamed: Buffer;
    try {
      streamed = Buffer.concat([...image.stream(image.lookup(path))]);
    } catch (e) {
      if (!(e instanceof ErofsError)) throw e;
      seen.refused++;
      continue;
    }
    seen.streamed++;
    const what = [name, path, JSON.stringify(flips)];
    const fresh = damaged(name, path, flips);
    expect([...what, Buffer.compare(byPages(fresh, fresh.lookup(path)), streamed)]).toEqual([...what, 0]);
  }
  expect(seen.streamed).toBeGreaterThan(100);
  expect(seen.refused).toBeGreaterThan(100);
}, 120_000);
