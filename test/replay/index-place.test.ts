import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INCOMPAT_CHUNKED_FILE, INCOMPAT_DEVICE_TABLE } from '../../src/erofs/format.ts';
import type { Extent, Image, Inode } from '../../src/erofs/index.ts';
import { packColumns } from '../../src/replay/image-index/columns.ts';
import { indexImage } from '../../src/replay/image-index/from-image.ts';
import { ImageIndex } from '../../src/replay/image-index/image-index.ts';
import { METABOX, PACKED_INODE, type Piece } from '../../src/replay/image-index/place.ts';
import { build } from '../erofs/build.ts';
import { type Fixture, fixtureBytes, fixtures, openFixture } from '../erofs/fixtures.ts';
import { makeIndex, temporaryFile } from './support.ts';

const readable = fixtures.filter(({ refused }) => refused === undefined);

/** A fixture as a file, indexed; and decoded beside it. */
async function indexed({ name, device }: Fixture): Promise<{ image: Image; index: ImageIndex; bytes: Uint8Array[] }> {
  const bytes = [fixtureBytes(`${name}.erofs`), ...(device ? [fixtureBytes(`${name}.blob`)] : [])];
  const [path, ...devices] = bytes.map((content, at) => temporaryFile(`${name}.${at}`, content));
  return { image: openFixture(name), index: await indexImage(path!, { devices }), bytes };
}

/** Where byte `la` of a file lies, the naive way: the first extent that holds it. */
function placeOfByte(image: Image, inode: Inode, extents: readonly Extent[], la: number): string {
  const e = extents.find((extent) => la >= extent.la && la < extent.la + extent.llen)!;
  const within = la - e.la;
  if (e.hole) return 'hole';
  if (e.fragment) return `block ${PACKED_INODE} ${e.fragmentOffset + within} none`;
  const slot = image.superblock.devices.findIndex(({ mappedBlkaddr, blocks }) => {
    const start = mappedBlkaddr * image.superblock.blockSize;
    return start > 0 && e.pa >= start && e.pa < start + blocks * image.superblock.blockSize;
  });
  const { devices, blockSize } = image.superblock;
  const mapped = e.device === 0 && !e.meta && slot >= 0 && !image.flattened;
  // Devices behind the image are a part of it: an address on one counts from where it begins.
  const joined = e.device > 0 && image.flattened;
  const base = mapped ? -devices[slot]!.mappedBlkaddr : joined ? devices[e.device - 1]!.mappedBlkaddr : 0;
  const pa = e.pa + base * blockSize;
  const device = e.meta && inode.inMetabox ? METABOX : mapped ? slot + 1 : joined ? 0 : e.device;
  return e.encoded
    ? `pcluster ${device} ${pa}+${within} ${e.algorithm}`
    : `block ${device} ${pa + within} ${e.algorithm}`;
}

/** The same of an index's piece. */
function placeInPiece({ kind, device, address, offset, codec }: Piece, within: number): string {
  if (kind === 'hole') return 'hole';
  if (kind === 'pcluster') return `pcluster ${device} ${address}+${offset + within} ${codec}`;
  return `block ${device} ${address + within} ${codec}`;
}

describe('placeOf', () => {
  it.each(readable)('says of every byte of random pages of $name where the decoder maps it', async (fixture) => {
    const { image, index } = await indexed(fixture);
    const files = Array.from({ length: index.header.inodes }, (_, o) => o).filter((o) => index.pagesOf(o) > 0);
    const maps = new Map<number, { inode: Inode; extents: Extent[] }>();
    let compared = 0;
    fc.assert(
      fc.property(fc.nat(files.length - 1), fc.nat(), (file, any) => {
        const ordinal = files[file]!;
        const page = any % index.pagesOf(ordinal);
        if (!maps.has(ordinal)) {
          const inode = image.inode(index.columns.nid[ordinal]!);
          maps.set(ordinal, { inode, extents: [...image.mapBlocks(inode)] });
        }
        const { inode, extents } = maps.get(ordinal)!;
        const said = index
          .placeOf(ordinal, page)!
          .flatMap((piece) => Array.from({ length: piece.length }, (_, at) => placeInPiece(piece, at)));
        const expected = Array.from({ length: Math.min(4096, inode.size - page * 4096) }, (_, at) =>
          placeOfByte(image, inode, extents, page * 4096 + at),
        );
        expect(said).toEqual(expected);
        compared += said.length;
      }),
      { seed: 11, numRuns: 25 },
    );
    expect(compared).toBeGreaterThan(0);
  });

  it.each(readable)(
    'leads to the bytes themselves in $name: blocks are they, equal places hold equal bytes',
    async (fixture) => {
      const { image, index, bytes } = await indexed(fixture);
      const { packedNid, metaboxNid } = image.superblock;
      const spaces = new Map<number, Uint8Array>(bytes.map((content, device) => [device, content]));
      for (const [space, nid] of [
        [PACKED_INODE, packedNid],
        [METABOX, metaboxNid],
      ] as const)
        if (nid > 0) {
          const inode = image.inode(nid);
          spaces.set(space, Buffer.from(image.read(inode, 0, inode.size)));
        }
      const decoded = new Map<string, Buffer>();
      for (let ordinal = 0; ordinal < index.header.inodes; ordinal++) {
        const inode = image.inode(index.columns.nid[ordinal]!);
        for (let page = 0; page < index.pagesOf(ordinal); page++) {
          let la = page * 4096;
          for (const piece of index.placeOf(ordinal, page)!) {
            const content = Buffer.from(image.read(inode, la, piece.length));
            la += piece.length;
            if (piece.kind === 'hole') {
              expect(content.every((byte) => byte === 0)).toBe(true);
            } else if (piece.kind === 'block') {
              const there = spaces.get(piece.device)!.subarray(piece.address, piece.address + piece.length);
              expect(content.equals(there), `${index.pathOf(ordinal)} page ${page}`).toBe(true);
            } else {
              // One place may be asked for in pieces of several lengths: the shorter is the longer's beginning.
              const key = `${piece.device} ${piece.address} ${piece.offset}`;
              const known = decoded.get(key) ?? content;
              const common = Math.min(known.length, content.length);
              expect(known.subarray(0, common).equals(content.subarray(0, common)), key).toBe(true);
              if (content.length >= known.length) decoded.set(key, content);
            }
          }
        }
      }
    },
  );

  it('joins blocks that continue each other, so that a page has one place however finely its file is mapped', async () => {
    const chunked = readable.find(({ name }) => name === 'chunk-map')!;
    const { image, index } = await indexed(chunked);
    const inode = [...image.walk()].map((entry) => entry.inode).find((i) => [...image.mapBlocks(i)].length > 3)!;
    const ordinal = index.ordinalOf(inode.nid);
    const { firstExtent } = index.columns;
    expect(firstExtent[ordinal + 1]! - firstExtent[ordinal]!).toBeLessThan([...image.mapBlocks(inode)].length);
  });

  it('finds the device behind an address that the image maps to it', async () => {
    const blob = Buffer.concat([Buffer.alloc(4096, 'a'), Buffer.alloc(4096, 'b')]);
    const image = build({
      blkszbits: 12,
      featureIncompat: INCOMPAT_DEVICE_TABLE | INCOMPAT_CHUNKED_FILE,
      data: [],
      devices: [{ tag: 'one', blocks: 2, uniaddr: 2 ** 20 }],
      files: [{ name: 'f', size: 4096, layout: 0, iu: 2 ** 20 + 1 }],
    });
    const index = await indexImage(temporaryFile('mapped.erofs', image), { devices: [temporaryFile('one', blob)] });
    const [f] = [...index.entries()].filter(({ path }) => path === '/f');
    expect(index.placeOf(f!.ordinal, 0)).toEqual([
      { kind: 'block', device: 1, address: 4096, offset: 0, length: 4096, codec: 'none' },
    ]);
    expect(index.contentKey(f!.ordinal)).toBe(createHash('sha256').update(blob.subarray(4096)).digest('hex'));
  });

  it('knows no place in an index without layout, and no page that the file has not', () => {
    const files = [{ nid: 36, pages: ['a', 'b'] }];
    expect(makeIndex('m.erofs', files, { layout: false }).placeOf(0, 0)).toBeNull();
    const index = makeIndex('m.erofs', files);
    expect(index.placeOf(0, 1)).toEqual([
      { kind: 'block', device: 0, address: 36 * 65_536 + 4096, offset: 0, length: 4096, codec: 'none' },
    ]);
    for (const page of [2, -1, Number.NaN]) expect(() => index.placeOf(0, page)).toThrow(RangeError);
  });
});

describe('codecs', () => {
  it('are those of the extents: one file may have several', async () => {
    const found = new Set<string>();
    for (const fixture of readable) {
      const { image, index } = await indexed(fixture);
      for (let ordinal = 0; ordinal < index.header.inodes; ordinal++) {
        if (!index.isFile(ordinal)) continue;
        const inode = image.inode(index.columns.nid[ordinal]!);
        const expected = [...new Set(Array.from(image.mapBlocks(inode), ({ algorithm }) => algorithm))];
        expect(index.codecsOf(ordinal)).toEqual(expected);
        found.add(expected.join('+'));
      }
    }
    for (const codec of ['none', 'lz4', 'lzma', 'deflate', 'zstd']) expect(found).toContain(codec);
    // plain pclusters among compressed ones
    expect([...found].some((names) => names.includes('+') && names.includes('none'))).toBe(true);
  });

  it('are unknown in an index of the first schema, which is read all the same', async () => {
    const { index } = await indexed(readable.find(({ name }) => name === 'lz4')!);
    const { extentCodec: _, ...older } = index.columns;
    const first = ImageIndex.parse('x.fidx', packColumns({ ...index.header, schema: 'foliolab.index/1' }, older));
    expect(first.columns.pageDigest).toEqual(index.columns.pageDigest);
    const codecs = new Set(Array.from(first.columns.nid, (_, ordinal) => first.codecsOf(ordinal)).flat());
    expect([...codecs].sort()).toEqual(['none', 'unknown']);
    // Each schema has its own columns, no other's.
    const both = { ...index.columns };
    expect(() =>
      ImageIndex.parse('x.fidx', packColumns({ ...index.header, schema: 'foliolab.index/1' }, both)),
    ).toThrow('column extentCodec is unknown');
    expect(() => ImageIndex.parse('x.fidx', packColumns(index.header, older))).toThrow('column extentCodec is missing');
  });

  it('and flags that nobody knows are refused', () => {
    const index = makeIndex('m.erofs', [{ nid: 36, pages: ['a'] }]);
    const repack = (change: object) => packColumns(index.header, { ...index.columns, ...change });
    expect(() => ImageIndex.parse('x.fidx', repack({ extentCodec: Uint8Array.of(6) }))).toThrow('has codec 6');
    expect(() => ImageIndex.parse('x.fidx', repack({ extentFlags: Uint8Array.of(16) }))).toThrow('has flags 16');
  });
});
