import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ErofsError } from '../../src/erofs/index.ts';
import { DataError } from '../../src/error.ts';
import {
  IndexBuilder,
  type IndexedExtent,
  type IndexedInode,
  MAX_PAGES,
} from '../../src/replay/image-index/builder.ts';
import { packColumns } from '../../src/replay/image-index/columns.ts';
import { elfSegments } from '../../src/replay/image-index/elf.ts';
import { packImage } from '../../src/replay/image-index/from-image.ts';
import { ImageIndex, type IndexColumns } from '../../src/replay/image-index/image-index.ts';
import { packManifest } from '../../src/replay/image-index/manifest.ts';
import { openImageIndex } from '../../src/replay/image-index/open.ts';
import { build } from '../erofs/build.ts';
import { fixtureBytes } from '../erofs/fixtures.ts';
import { makeIndex, temporaryFile, temporaryFolder } from './support.ts';

const sample = () =>
  makeIndex('sample.erofs', [
    { nid: 36, pages: ['a', 'b'], short: 10, fingerprint: 'sha256:x' },
    { nid: 99, pages: [] },
    { nid: 2 ** 33, pages: ['c'] },
  ]);

/** The bytes of an index with some columns or header fields changed, its checksum right again. */
function repack(index: ImageIndex, columns: Partial<Record<keyof IndexColumns, unknown>>, header: object = {}): Buffer {
  return packColumns({ ...index.header, ...header }, { ...index.columns, ...columns } as never);
}

describe('an index', () => {
  it('gives back what went in', () => {
    const index = sample();
    expect(index.ordinalOf(2 ** 33)).toBe(2);
    expect(index.ordinalOf(1)).toBe(-1);
    expect([0, 1, 2].map((o) => index.pagesOf(o))).toEqual([2, 0, 1]);
    expect(index.columns.sizeBytes[0]).toBe(8182);
    expect(index.fingerprintKey(0)).toBe(Buffer.from('sha256:x').toString('hex'));
    expect(index.fingerprintKey(1)).toBeNull();
    expect([...index.entries()].map(({ path, ordinal }) => `${path} ${ordinal}`)).toEqual([
      '/file-36 0',
      '/file-8589934592 2',
      '/file-99 1',
    ]);
    expect(index.contentKey(1)).toBe(createHash('sha256').digest('hex'));
  });

  it.each([
    ['nothing', Buffer.alloc(0), 'is neither an index of foliolab nor an EROFS image'],
    ['a PNG', Buffer.from('\x89PNG\r\n\x1a\n'), 'is neither an index of foliolab nor an EROFS image'],
  ])('is not %s', async (_what, bytes, message) => {
    const path = temporaryFile('foreign', bytes);
    await expect(openImageIndex(path)).rejects.toThrow(`${path}: ${message}`);
  });

  it('is refused whole after any truncation or flipped bit', () => {
    const bytes = repack(sample(), {});
    for (let length = 8; length < bytes.length; length += 13)
      expect(() => ImageIndex.parse('x.fidx', bytes.subarray(0, length))).toThrow(DataError);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const broken = Buffer.from(bytes);
        broken[at]! ^= 1 << bit;
        expect(() => ImageIndex.parse('x.fidx', broken)).toThrow(DataError);
      }),
      { seed: 9, numRuns: 300 },
    );
  });

  it.each<[string, Partial<Record<keyof IndexColumns, unknown>>, object, string]>([
    ['another schema', {}, { schema: 'foliolab.index/9' }, "unsupported: index schema 'foliolab.index/9'"],
    ['a nid twice', { nid: Float64Array.of(1, 1, 2) }, {}, 'nid 1 of inode 1'],
    ['a fractional size', { sizeBytes: Float64Array.of(1.5, 0, 4096) }, {}, 'size of inode 0'],
    [
      'a size that contradicts its pages',
      { sizeBytes: Float64Array.of(99_999, 0, 4096) },
      {},
      'inode 0 of 99999 bytes has 2 pages',
    ],
    ['pages out of order', { firstPage: Uint32Array.of(0, 3, 2, 3) }, {}, 'firstPage of inode 2'],
    ['a short column', { mode: Uint16Array.of(1) }, {}, 'column mode has 1 values, not 3'],
    ['a column of another type', { mode: Uint32Array.of(1, 2, 3) }, {}, 'column mode has another type'],
    ['a path of no inode', { pathInode: Uint32Array.of(0, 1, 9) }, {}, 'a path names no inode'],
    ['unterminated paths', { paths: Buffer.from('/a\0/b\0/c') }, {}, 'paths and pathInode differ'],
    ['an extent that leaves a gap', { extentLa: Float64Array.of(4096, 0) }, {}, 'extents of inode 0 have gaps'],
    ['an unknown layout', { layout: Uint8Array.of(9, 0, 0) }, {}, 'layout of inode 0'],
    ['a wrong inode count', {}, { inodes: 4 }, 'column nid has 3 values, not 4'],
    ['no count', {}, { inodes: 'many' }, 'index header: inodes'],
  ])('with a right checksum but %s is refused', (_what, columns, header, message) => {
    expect(() => ImageIndex.parse('x.fidx', repack(sample(), columns, header))).toThrow(message);
    expect(() => ImageIndex.parse('x.fidx', repack(sample(), columns, header))).toThrow(DataError);
  });

  it('does not inflate a column past its declared length, nor columns it does not know', () => {
    const bytes = repack(sample(), {});
    const text = bytes
      .toString('latin1')
      .replace(
        /("name":"paths","type":"u8","length":)(\d+)/,
        (_, head: string, length: string) => head + String(Number(length) - 1),
      );
    const content = Buffer.from(text, 'latin1').subarray(0, -32);
    const shorter = Buffer.concat([content, createHash('sha256').update(content).digest()]);
    expect(() => ImageIndex.parse('x.fidx', shorter)).toThrow(/index column 'paths' can't be inflated to \d+ bytes/);
    const more = packColumns(sample().header, { ...sample().columns, bomb: new Uint8Array(1 << 24) });
    expect(() => ImageIndex.parse('x.fidx', more)).toThrow('column bomb is unknown');
  });

  it('with a known layout but no hash of its image is refused: it could not tell devices apart', () => {
    const index = sample();
    const header = { image: { ...index.header.image, sha256: null } };
    expect(() => ImageIndex.parse('x.fidx', repack(index, {}, header))).toThrow('layout is known, but not whose');
  });
});

describe('an index of an image', () => {
  it('of damaged bytes is an index or one located error', async () => {
    const names = [
      'lz4',
      'zstd',
      '48bit-extents',
      'chunk-indexes',
      'fragments',
      'compressed-dirs-metabox',
      'fingerprint',
    ];
    const outcomes = { index: 0, error: 0 };
    const folder = temporaryFolder();
    for (const name of names) {
      const sound = fixtureBytes(`${name}.erofs`);
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(fc.nat(16_383), fc.nat(255)), { maxLength: 8 }), async (changes) => {
          const bytes = sound.slice();
          for (const [at, value] of changes) bytes[(1024 + at) % bytes.length] = value;
          const path = join(folder, 'damaged.erofs');
          writeFileSync(path, bytes);
          try {
            expect(ImageIndex.parse('x.fidx', await packImage(path)).header.inodes).toBeGreaterThan(0);
            outcomes.index++;
          } catch (error) {
            if (!(error instanceof ErofsError || error instanceof DataError)) throw error;
            expect(error.message.startsWith(`${path}: `)).toBe(true);
            outcomes.error++;
          }
        }),
        { seed: 5, numRuns: 30 },
      );
    }
    expect(outcomes.index).toBeGreaterThan(0);
    expect(outcomes.error).toBeGreaterThan(0);
  });

  it('with more extents than an index takes is refused before they are collected', () => {
    const inode = (nid: number, extents: Iterable<IndexedExtent>): IndexedInode => ({
      nid,
      type: 'f',
      mode: 0,
      uid: 0,
      gid: 0,
      nlink: 1,
      sizeBytes: 0,
      mtimeSec: 0,
      mtimeNsec: 0,
      layout: 'compressed-full',
      contentSha256: null,
      xattrsSha256: null,
      fingerprint: null,
      pageDigests: new Uint8Array(0),
      extents,
      segments: [],
    });
    let taken = 0;
    function* endless(): Generator<IndexedExtent> {
      for (;;) {
        const la = taken++;
        yield { la, llen: 1, pa: 0, plen: 1, device: 0, hole: false, compressed: true };
      }
    }
    expect(() => new IndexBuilder('x.erofs', 1000).addInode(inode(7, endless()))).toThrow(
      `x.erofs: inode nid 7: with its extents the image has more than 1000, which`,
    );
    expect(taken).toBe(1001);
  });

  it('with a file that claims to be larger than all that is indexed is refused', async () => {
    const image = build({
      blkszbits: 12,
      featureIncompat: 0,
      data: [],
      files: [{ name: 'f', size: MAX_PAGES * 4096 + 1, layout: 0, iu: 0xffffffff }],
    });
    const path = temporaryFile('sparse.erofs', image);
    await expect(packImage(path)).rejects.toThrow(/ more than \d+ bytes of file data .*: see maxData, --max-data/);
    await expect(packImage(path, { maxData: Infinity })).rejects.toThrow(
      new RegExp(`inode nid \\d+: with its ${MAX_PAGES * 4096 + 1} bytes the image has more than ${MAX_PAGES} pages`),
    );
  });
});

describe('an index from a manifest', () => {
  const header = 'path\ttype\tnid_plain\tnid_lz4hc\tnid_fp\tsize\tnlink\tmode\tuid\tgid\tsha256\tpage_off\n';
  const sha = 'ab'.repeat(32);
  const good = `${header}/\td\t36\t37\t38\t4096\t2\t0o40755\t0\t0\t\t\n/a\tf\t40\t41\t42\t5000\t2\t0o100755\t1\t2\t${sha}\t1\n/b\tf\t40\t41\t42\t5000\t2\t0o100755\t1\t2\t${sha}\t1\n/tab\\there\tf\t50\t51\t52\t0\t1\t0o100644\t0\t0\t\t\n`;
  const pack = (manifest: string, nid: 'plain' | 'lz4hc' = 'plain') => {
    const path = temporaryFile('m.tsv', manifest);
    const pages = temporaryFile('p.bin', Buffer.from(Array.from({ length: 24 }, (_, i) => i)));
    const elf = temporaryFile(
      'e.tsv',
      'path\tsegment\tflags\toffset\tvaddr\tfilesz\tmemsz\talign\n/a\t2\trx\t0\t4096\t100\t200\t4096\n',
    );
    return packManifest({ manifest: path, pages, elf, nid });
  };

  it('knows files, links, digests and segments, and says what it does not know', async () => {
    const index = ImageIndex.parse('m.fidx', await pack(good, 'lz4hc'));
    const a = index.ordinalOf(41);
    expect([...index.entries()].map(({ path, ordinal }) => [path, index.columns.nid[ordinal]])).toEqual([
      ['/', 37],
      ['/a', 41],
      ['/b', 41],
      ['/tab\there', 51],
    ]);
    expect(index.columns.mode[a]).toBe(0o100755);
    expect(index.contentKey(a)).toBe(sha);
    expect([...index.columns.pageDigest]).toEqual([0x08090a0b, 0x0c0d0e0f, 0x10111213, 0x14151617]);
    const [segment] = index.segmentsOf(a);
    expect([
      index.columns.segmentFlags[segment!],
      index.columns.segmentAddress[segment!],
      index.columns.segmentMemoryBytes[segment!],
    ]).toEqual([5, 4096, 200]);
    expect(index.header.known).toEqual({ layout: false, mtime: false, xattrs: false });
    expect(index.layoutOf(a)).toBe('unknown');
  });

  it.each([
    ['path\ttype\n', "line 1: column 'nid_plain', 'size'"],
    [`${header}/a\tf\t40\n`, 'line 2: has 3 fields where the header has 12'],
    [good.replace('\t5000\t', '\t5e3\t'), "line 3: size '5e3' is not a whole number"],
    [good.replace('0o100755', '0o1009'), "line 3: mode '0o1009' is not a whole number"],
    [good.replace(sha, 'cafe'), "line 3: sha256 'cafe' is not 64 hex digits"],
    [good.replace(`${sha}\t1\n`, `${sha}\t2\n`), 'line 3: pages 2 to 3 are not in'],
    [good.replaceAll('5000', '4096'), 'sha256 of one page is not the digest of page 1'],
    [good.replaceAll('/a\tf', '/c\tf'), "has segments of '/a', which"],
    [good.replaceAll(`${sha}\t1\n`, `${sha}\t0\n`), 'holds 3 pages where'],
    [good.replace('/a\tf', '/a\tx'), "line 3: type 'x' is none of f, d, l, o"],
    [good.replace('/a\tf', 'a\tf'), "line 3: path 'a' does not begin with a slash"],
  ])('refuses a manifest with a fault, by line: %#', async (manifest, message) => {
    await expect(pack(manifest)).rejects.toThrow(message);
  });
});

describe('elfSegments', () => {
  const self = readFileSync(process.execPath);
  const read = (offset: number, length: number): Uint8Array => self.subarray(offset, offset + length);

  it('finds the loadable segments of a real program', () => {
    const segments = elfSegments(self.length, read);
    expect(segments.some(({ flags }) => flags & 1)).toBe(true);
    expect(segments[0]!.offset).toBe(0);
    for (const { offset, fileBytes, memoryBytes } of segments) {
      expect(offset + fileBytes).toBeLessThanOrEqual(self.length);
      expect(memoryBytes).toBeGreaterThanOrEqual(fileBytes);
    }
  });

  it('takes any bytes for no program rather than fail', () => {
    const head = Buffer.from(self.subarray(0, 1024));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(127), fc.nat(255)), { maxLength: 6 }), fc.nat(1024), (changes, size) => {
        const bytes = Buffer.from(head.subarray(0, size));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        expect(
          Array.isArray(elfSegments(bytes.length, (offset, length) => bytes.subarray(offset, offset + length))),
        ).toBe(true);
      }),
      { seed: 2, numRuns: 500 },
    );
  });
});
