import { describe, expect, test } from 'vitest';
import { type BlockReader, Image, MemoryReader } from '../../src/erofs/index.ts';
import { fixtureBytes, fixtures } from './fixtures.ts';
import { DECODED, largeImage } from './large.ts';

/** Notes what is read. */
class Noting implements BlockReader {
  readonly path: string;
  readonly size: number;
  reads: { offset: number; length: number }[] = [];
  readonly #inner: MemoryReader;

  constructor(bytes: Uint8Array, path: string) {
    this.path = path;
    this.size = bytes.length;
    this.#inner = new MemoryReader(bytes, path);
  }

  readAt(offset: number, length: number): Uint8Array {
    this.reads.push({ offset, length });
    return this.#inner.readAt(offset, length);
  }
}

describe('one page of a file of 8000 pclusters', () => {
  const PCLUSTERS = 8000;
  const { image: packed, bytes } = largeImage(PCLUSTERS);
  const reader = new Noting(packed, 'large.erofs');
  const image = Image.open(reader);
  const inode = image.lookup('/large');
  const extents = [...image.mapBlocks(inode)];
  const { lz4MaxPclusterBlks, blockSize } = image.superblock;

  test('is made as meant', () => {
    expect(inode.size).toBe(PCLUSTERS * DECODED);
    expect(extents.length).toBe(PCLUSTERS);
    expect(lz4MaxPclusterBlks * blockSize).toBeLessThanOrEqual(4096);
  });

  test.each([0, 1, 777, 4000, 7998, 7999])('in pcluster %i: that one is read and no other', (i) => {
    const cold = new Noting(packed, 'large.erofs');
    const fresh = Image.open(cold);
    const file = fresh.lookup('/large');
    cold.reads = [];
    const at = i * DECODED + 4096;
    expect(Buffer.compare(fresh.read(file, at, 4096), bytes(at, 4096))).toBe(0);
    const { pa, plen } = extents[i]!;
    const end = extents.at(-1)!.pa + extents.at(-1)!.plen;
    const data = cold.reads.filter((r) => r.offset >= extents[0]!.pa && r.offset < end);
    expect(data).toEqual([{ offset: pa, length: plen }]);
    // The rest is the index of 128 kB: at most a block of it, behind its header (8 bytes) and an entry (8).
    const index = cold.reads.filter((r) => !data.includes(r)).reduce((sum, r) => sum + r.length, 0);
    expect(index).toBeLessThanOrEqual(4096 + 16);
  });

  test('then its neighbour: nothing is read again', () => {
    image.read(inode, 2 * DECODED, 4096);
    reader.reads = [];
    image.read(inode, 2 * DECODED + 4096, 4096);
    expect(reader.reads.filter((r) => r.offset >= extents[0]!.pa)).toEqual([]);
  });

  test('a whole stream reads every pcluster once', () => {
    reader.reads = [];
    let at = 0;
    for (const chunk of image.stream(inode)) {
      expect(chunk.length).toBeLessThanOrEqual(1 << 20);
      at += chunk.length;
    }
    expect(at).toBe(inode.size);
    const data = reader.reads.filter((r) => r.offset >= extents[0]!.pa);
    expect(data).toEqual(extents.map((e) => ({ offset: e.pa, length: e.plen })));
  });
});

// Whatever the layout: of a file's own data, one page reads no extent but those it lies in.
describe('one page of any file', () => {
  const chosen = fixtures.filter((f) => !f.refused && !f.device && !f.joined);
  test.each(chosen.map((f) => f.name))('%s', (name) => {
    const reader = new Noting(fixtureBytes(`${name}.erofs`), `${name}.erofs`);
    let pages = 0;
    for (const { inode } of Image.open(reader).walk()) {
      if (inode.type !== 'file' || inode.size <= 8192) continue;
      const image = Image.open(reader);
      const whole = Buffer.concat([...image.stream(inode)]);
      const extents = [...image.mapBlocks(inode)].filter((e) => e.plen > 0 && !e.meta);
      for (let at = 0; at < inode.size; at += 4096) {
        const fresh = Image.open(reader);
        const wanted = extents.filter((e) => e.la < at + 4096 && e.la + e.llen > at);
        const others = extents.filter((e) => !wanted.some((w) => w.pa < e.pa + e.plen && e.pa < w.pa + w.plen));
        reader.reads = [];
        const page = fresh.read(inode, at, 4096);
        // A pcluster is read whole; a read of the index that only overlaps one (blocks of 512 bytes) is not for its sake.
        const touched = others.filter((e) =>
          reader.reads.some((r) =>
            e.encoded ? r.offset === e.pa && r.length === e.plen : r.offset >= e.pa && r.offset < e.pa + e.plen,
          ),
        );
        expect([at, touched]).toEqual([at, []]);
        expect(Buffer.compare(page, whole.subarray(at, at + 4096))).toBe(0);
        pages++;
      }
    }
    expect(pages).toBeGreaterThan(10);
  });
});
