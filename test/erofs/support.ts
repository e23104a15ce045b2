import { type Extent, Image, type Inode, MemoryReader } from '../../src/erofs/index.ts';
import { builtImages, openBuilt } from './built-images.ts';
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
  /**
   * Fixtures that have it, which fixtures.test.ts compares with the source tree and with dump.erofs; and built images, which
   * built.test.ts compares with what they were built of.
   */
  fixtures: string[];
}

const INCOMPAT: [bit: number, name: string][] = [
  [0x20, 'fragments or dedupe'],
  [0x40, 'long xattr prefixes'],
  [0x80, '48-bit layout'],
  [0x100, 'metabox (compressed metadata)'],
];

const superblock = (name: string, seen: (sb: Image['superblock']) => boolean, field = ''): Feature => ({
  name,
  struct: `erofs_super_block${field}`,
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
const chunks = (name: string, struct: string, seen: (format: number) => boolean): Feature => ({
  name,
  struct,
  seen: (_, inode) =>
    inode.type === 'file' && inode.layout === 'chunk-based' && inode.size > 0 && seen(inode.chunkFormat),
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
  ...[9, 10, 11, 12, 13, 14, 15, 16].map((bits) =>
    superblock(`blocks of ${1 << bits} bytes`, (sb) => sb.blkszbits === bits),
  ),
  superblock('directory blocks of several blocks', (sb) => sb.dirBlockSize > sb.blockSize, '.dirblkbits'),
  superblock('superblock with extension slots', (sb) => sb.sbSize > 128, '.sb_extslots'),
  superblock('uuid', (sb) => /[1-9a-f]/.test(sb.uuid), '.uuid'),
  superblock('volume name', (sb) => sb.volumeName !== '', '.volume_name'),
  superblock('build time', (sb) => sb.buildTime > sb.epoch, '.build_time'),
  superblock('epoch of compact inodes', (sb) => sb.epoch > 0, '.epoch'),
  superblock('nanoseconds of compact inodes', (sb) => sb.fixedNsec > 0, '.fixed_nsec'),
  superblock('more than 2^32 blocks', (sb) => sb.blocks > 2 ** 32, '.blocks_hi'),
  ...INCOMPAT.map(([bit, name]) => superblock(name, (sb) => (sb.featureIncompat & bit) !== 0)),
  superblock('8-byte root nid', (sb) => sb.rootNid > 0xffff),
  { name: 'compact inodes', struct: 'erofs_inode_compact', seen: (_, inode) => !inode.extended },
  {
    name: 'link count of 1, and no field for it',
    struct: 'erofs_inode_compact.i_format',
    seen: (image, inode) =>
      !inode.extended && !inode.inMetabox && inode.type !== 'directory' && (u16(image, inode.offset) & 0x10) !== 0,
  },
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
  {
    name: 'start blocks above 2^32',
    struct: 'erofs_inode_extended.startblk_hi',
    seen: (_, inode) => inode.startBlock >= 2 ** 32,
  },
  layout('chunk-based', 'erofs_inode_chunk_info'),
  chunks('chunk maps of 4 bytes a chunk', 'erofs_inode_chunk_info', (format) => (format & 0x20) === 0),
  chunks('chunk indexes of 8 bytes a chunk', 'erofs_inode_chunk_index', (format) => (format & 0x20) !== 0),
  chunks('chunk indexes of 48 bits', 'erofs_inode_chunk_index.startblk_hi', (format) => (format & 0x60) === 0x60),
  extent('holes', 'erofs_inode_chunk_index', (e) => e.hole),
  extent('data on another device', 'erofs_deviceslot', (e, _, image) => e.device > 0 && !image.flattened),
  extent(
    'data of another device by an address of the first',
    'erofs_deviceslot.uniaddr_lo',
    (e, _, image) => e.device === 0 && !e.hole && e.pa >= image.size && !image.flattened,
  ),
  extent(
    'devices behind the image, in one file',
    'erofs_deviceslot.uniaddr_lo',
    (e, _, image) => e.device > 0 && image.flattened,
  ),
  superblock('tags of devices', (sb) => sb.devices.some((d) => d.tag !== ''), ', erofs_deviceslot.tag'),
  layout('compressed-full', 'z_erofs_lcluster_index'),
  layout('compressed-compact', 'z_erofs_map_header'),
  ...([4, 8, 16, 32] as const).map((size) =>
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
  {
    name: 'HEAD2 lclusters, with an algorithm of their own',
    struct: 'z_erofs_lcluster_index.di_advise, z_erofs_map_header.h_algorithmtype',
    seen: (image, inode) => hasHead2(image, inode),
  },
  extent(
    'lz4 without zero padding: at the start of its pcluster',
    'erofs_super_block.feature_incompat',
    (e, _, image) => e.algorithm === 'lz4' && !e.meta && !image.superblock.zeroPadding,
  ),
  extent(
    'lz4, its window given',
    'z_erofs_lz4_cfgs.max_distance',
    (e, _, image) => e.algorithm === 'lz4' && image.superblock.lz4MaxDistance > 0,
  ),
  extent(
    'lzma of other lc, lp and pb than 3, 0 and 2',
    'z_erofs_lzma_cfgs',
    (e, _, image) => e.algorithm === 'lzma' && !e.meta && lzmaProperties(image, e) !== 93,
  ),
  extent(
    'lzma, its dictionary given',
    'z_erofs_lzma_cfgs.dict_size',
    (e, _, image) => e.algorithm === 'lzma' && image.superblock.lzmaDictSize > 0,
  ),
  extent(
    'deflate, its window given',
    'z_erofs_deflate_cfgs.windowbits',
    (e, _, image) => e.algorithm === 'deflate' && image.superblock.deflateWindowBits > 0,
  ),
  extent(
    'zstd, its window given',
    'z_erofs_zstd_cfgs.windowlog',
    (e, _, image) => e.algorithm === 'zstd' && image.superblock.zstdWindowLog > 0,
  ),
  extent('plain pclusters', 'z_erofs_lcluster_index', (e) => e.encoded && e.algorithm === 'none' && !e.interlaced),
  extent(
    'interlaced plain pclusters',
    'z_erofs_map_header.h_advise',
    (e, _, image) => e.interlaced && e.la % image.superblock.blockSize !== 0,
  ),
  extent('ztailpacking', 'z_erofs_map_header.h_idata_size', (e) => e.encoded && e.meta),
  extent('fragments: the tail', 'z_erofs_map_header.h_fragmentoff', (e) => e.fragment && e.la > 0),
  extent('fragments: the whole file', 'z_erofs_map_header', (e, inode) => e.fragment && e.llen === inode.size),
  {
    name: 'xattrs behind their inode',
    struct: 'erofs_xattr_ibody_header',
    seen: (image, inode) =>
      inode.xattrSize > 0 && !inode.inMetabox && inode.xattrSize > 12 + 4 * sharedCount(image, inode),
  },
  {
    name: 'shared xattrs',
    struct: 'erofs_xattr_ibody_header.h_shared_count',
    seen: (image, inode) => inode.xattrSize > 0 && !inode.inMetabox && sharedCount(image, inode) > 0,
  },
  {
    name: 'shared xattrs in the metabox',
    struct: 'erofs_super_block.feature_compat',
    seen: (image, inode) =>
      image.superblock.features.includes('shared_ea_in_metabox') && image.xattrs(inode).length > 0,
  },
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

/** @returns whether a full index has an lcluster of type HEAD2 */
function hasHead2(image: Image, inode: Inode): boolean {
  if (inode.layout !== 'compressed-full' || inode.inMetabox || recordSize(image, inode) > 0) return false;
  const header = Math.ceil((inode.offset + inode.inodeSize + inode.xattrSize) / 8) * 8;
  if (imageBytes.get(image)![header + 7]! >= 0x80) return false;
  const lclusters = Math.ceil(inode.size / image.superblock.blockSize);
  for (let i = 0; i < lclusters; i++) if ((u16(image, header + 16 + 8 * i) & 3) === 3) return true;
  return false;
}

/** The first byte of a MicroLZMA stream, behind zeros, is the complement of 9 * (5 * pb + lp) + lc. */
function lzmaProperties(image: Image, e: Extent): number {
  const bytes = imageBytes.get(image)!;
  let at = e.pa;
  while (bytes[at] === 0) at++;
  return 255 - bytes[at]!;
}

function sharedCount(image: Image, inode: Inode): number {
  return imageBytes.get(image)![inode.offset + inode.inodeSize + 4]!;
}

function u16(image: Image, at: number): number {
  const bytes = imageBytes.get(image)!;
  return bytes[at]! | (bytes[at + 1]! << 8);
}

const imageBytes = new WeakMap<Image, Uint8Array>();

/** The support table: every feature, and the fixtures and built images that were found to have it. */
export function supportTable(): Support[] {
  const table = FEATURES.map(({ name, struct }): Support => ({ name, struct, fixtures: [] }));
  const images = [
    ...fixtures.map(({ name, device }) => {
      const bytes = fixtureBytes(`${name}.erofs`);
      return { name, bytes, image: device ? openFixture(name) : Image.open(new MemoryReader(bytes, name)) };
    }),
    ...builtImages().map((built) => ({ ...built, image: openBuilt(built) })),
  ];
  for (const { name, bytes, image } of images) {
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

/** The table as Markdown: too long for the README, which links it. */
export function supportMarkdown(table: readonly Support[]): string {
  const rows = table.map(({ name, struct, fixtures: all }) => {
    const some = all.length > 3 ? `${all.slice(0, 3).join(', ')} and ${all.length - 3} more` : all.join(', ');
    return `| ${name} | ${struct.replaceAll(/\w+(\.\w+)?/g, '`$&`')} | ${some} |`;
  });
  return ['| feature | from | tested on |', '|---|---|---|', ...rows, ''].join('\n');
}
