import { type Extent, Image, type Inode, MemoryReader } from '../../src/erofs/index.ts';
import { fixtureBytes, fixtures, openFixture } from './fixtures.ts';

/** A part of the format: what it is called, the on-disk structure it comes from, and how to see it in an image. */
export interface Feature {
  name: string;
  struct: string;
  seen: (image: Image, inode: Inode, extents: readonly Extent[]) => boolean;
}

/** One row of the support table. */
export interface Support {
  name: string;
  struct: string;
  /** fixtures that have it, which fixtures.test.ts compares with the source tree and with dump.erofs */
  fixtures: string[];
}

const INCOMPAT: [bit: number, name: string][] = [
  [0x20, 'fragments or dedupe'],
  [0x40, 'long xattr prefixes'],
  [0x80, '48-bit layout'],
  [0x100, 'metabox (compressed metadata)'],
];

const superblock = (name: string, seen: (sb: Image['superblock']) => boolean): Feature => ({
  name,
  struct: 'erofs_super_block',
  seen: (image) => seen(image.superblock),
});
const layout = (name: Inode['layout'], struct: string): Feature => ({
  name,
  struct,
  seen: (_, inode) => inode.type === 'file' && inode.size > 0 && inode.layout === name,
});
const extent = (name: string, struct: string, seen: (e: Extent, inode: Inode, image: Image) => boolean): Feature => ({
  name,
  struct,
  seen: (image, inode, extents) => extents.some((e) => seen(e, inode, image)),
});
const xattr = (name: string, seen: (name: string) => boolean): Feature => ({
  name,
  struct: 'erofs_xattr_entry',
  seen: (image, inode) => image.xattrs(inode).some((x) => seen(x.name)),
});
const type = (name: Inode['type']): Feature => ({
  name,
  struct: 'erofs_inode_compact, erofs_inode_extended',
  seen: (_, inode) => inode.type === name,
});

/** The format, as the support table lists it. */
export const FEATURES: readonly Feature[] = [
  superblock('superblock checksum', (sb) => sb.checksumVerified),
  ...[9, 10, 11, 12].map((bits) => superblock(`blocks of ${1 << bits} bytes`, (sb) => sb.blkszbits === bits)),
  ...INCOMPAT.map(([bit, name]) => superblock(name, (sb) => (sb.featureIncompat & bit) !== 0)),
  superblock('8-byte root nid', (sb) => sb.rootNid > 0xffff),
  { name: 'compact inodes', struct: 'erofs_inode_compact', seen: (_, inode) => !inode.extended },
  { name: 'extended inodes', struct: 'erofs_inode_extended', seen: (_, inode) => inode.extended },
  ...(['file', 'directory', 'symlink', 'chardev', 'blockdev', 'fifo', 'socket'] as const).map(type),
  { name: 'inodes in the metabox', struct: 'erofs_super_block.metabox_nid', seen: (_, inode) => inode.inMetabox },
  {
    name: 'directories without "."',
    struct: 'erofs_inode_compact.i_format',
    seen: (image, inode) => inode.type === 'directory' && !image.dirents(inode).some((e) => e.name === '.'),
  },
  {
    name: 'compressed directories',
    struct: 'z_erofs_map_header',
    seen: (_, inode) => inode.type === 'directory' && inode.layout.startsWith('compressed'),
  },
  layout('flat-plain', 'erofs_inode_i_u.startblk_lo'),
  layout('flat-inline', 'erofs_inode_i_u.startblk_lo'),
  layout('chunk-based', 'erofs_inode_chunk_info'),
  extent('holes', 'erofs_inode_chunk_index', (e) => e.hole),
  extent('data on another device', 'erofs_deviceslot', (e) => e.device > 0),
  layout('compressed-full', 'z_erofs_lcluster_index'),
  layout('compressed-compact', 'z_erofs_map_header'),
  ...([4, 8, 16] as const).map((size) =>
    extent(`extent records of ${size} bytes`, 'z_erofs_extent', (_, inode, image) => recordSize(image, inode) === size),
  ),
  ...(['lz4', 'lzma', 'deflate', 'zstd'] as const).flatMap((algorithm) => [
    extent(algorithm, `z_erofs_${algorithm}_cfgs`, (e) => e.algorithm === algorithm),
    extent(
      `${algorithm}, several blocks a pcluster`,
      'z_erofs_map_header.h_advise',
      (e, _, image) => e.algorithm === algorithm && e.plen > image.superblock.blockSize,
    ),
    extent(
      `${algorithm}, partial reference`,
      'z_erofs_lcluster_index.di_advise',
      (e) => e.algorithm === algorithm && e.partial,
    ),
  ]),
  extent('plain pclusters', 'z_erofs_lcluster_index', (e) => e.encoded && e.algorithm === 'none' && !e.interlaced),
  extent(
    'interlaced plain pclusters',
    'z_erofs_map_header.h_advise',
    (e, _, image) => e.interlaced && e.la % image.superblock.blockSize !== 0,
  ),
  extent('ztailpacking', 'z_erofs_map_header.h_idata_size', (e) => e.encoded && e.meta),
  extent('fragments: the tail', 'z_erofs_map_header.h_fragmentoff', (e) => e.fragment && e.la > 0),
  extent('fragments: the whole file', 'z_erofs_map_header', (e, inode) => e.fragment && e.llen === inode.size),
  xattr('user.*', (name) => name.startsWith('user.')),
  xattr('trusted.*', (name) => name.startsWith('trusted.')),
  xattr('security.*', (name) => name.startsWith('security.')),
  xattr('POSIX ACLs', (name) => name.startsWith('system.posix_acl_')),
  {
    name: 'xattr name filter',
    struct: 'erofs_xattr_ibody_header.h_name_filter',
    seen: (image, inode) => image.superblock.features.includes('xattr_filter') && inode.xattrSize > 0,
  },
  {
    name: 'long xattr prefixes, plain',
    struct: 'erofs_xattr_long_prefix',
    seen: (image) => image.superblock.features.includes('plain_xattr_pfx') && image.longPrefixes().length > 0,
  },
  {
    name: 'long xattr prefixes, in the packed inode',
    struct: 'erofs_xattr_long_prefix',
    seen: ({ superblock: sb }) =>
      sb.xattrPrefixCount > 0 && !sb.features.includes('plain_xattr_pfx') && sb.packedNid > 0 && sb.metaboxNid < 0,
  },
  {
    name: 'long xattr prefixes, in the metabox',
    struct: 'erofs_xattr_long_prefix',
    seen: ({ superblock: sb }) =>
      sb.xattrPrefixCount > 0 && !sb.features.includes('plain_xattr_pfx') && sb.metaboxNid >= 0,
  },
  {
    name: 'fingerprints',
    struct: 'erofs_super_block.ishare_xattr_prefix_id',
    seen: (image, inode) => image.fingerprint(inode) !== null,
  },
];

/** @returns bytes of an extent record when the file has them, from its header on disk */
function recordSize(image: Image, inode: Inode): number {
  if (inode.layout !== 'compressed-full' || inode.inMetabox) return 0;
  const bytes = imageBytes.get(image)!;
  const header = Math.ceil((inode.offset + inode.inodeSize + inode.xattrSize) / 8) * 8;
  const advise = bytes[header + 4]!;
  return advise & 1 && bytes[header + 7]! < 0x80 ? 4 << ((advise >> 1) & 3) : 0;
}

const imageBytes = new WeakMap<Image, Uint8Array>();

/** The support table: every feature, and the fixtures that were found to have it. */
export function supportTable(): Support[] {
  const table = FEATURES.map(({ name, struct }): Support => ({ name, struct, fixtures: [] }));
  for (const { name, device } of fixtures) {
    const bytes = fixtureBytes(`${name}.erofs`);
    const image = device ? openFixture(name) : Image.open(new MemoryReader(bytes, name));
    imageBytes.set(image, bytes);
    const missing = new Set(FEATURES.keys());
    for (const { inode } of image.walk()) {
      const extents = [...image.mapBlocks(inode)];
      for (const i of missing) {
        if (!FEATURES[i]!.seen(image, inode, extents)) continue;
        table[i]!.fixtures.push(name);
        missing.delete(i);
      }
    }
  }
  return table;
}

/** The table as Markdown, for the README. */
export function supportMarkdown(table: readonly Support[]): string {
  const rows = table.map(({ name, struct, fixtures: all }) => {
    const some = all.length > 3 ? `${all.slice(0, 3).join(', ')} and ${all.length - 3} more` : all.join(', ');
    return `| ${name} | ${struct.replaceAll(/\w+(\.\w+)?/g, '`$&`')} | ${some} |`;
  });
  return ['| feature | from | tested on |', '|---|---|---|', ...rows, ''].join('\n');
}
