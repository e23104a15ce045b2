import { roundUp, u16, u32 } from './bytes.ts';
import type { Extent } from './data.ts';
import {
  ALGORITHMS,
  type Algorithm,
  Z_ADVISE_EXTENTS,
  Z_ADVISE_FRAGMENT_PCLUSTER,
  Z_ADVISE_INLINE_PCLUSTER,
  Z_FRAGMENT_INODE,
} from './format.ts';
import { type Inode, inodeEnd } from './inode.ts';
import type { Volume } from './volume.ts';

/** Maps offsets of one compressed file to extents. */
export interface CompressedMap {
  readonly inode: Inode;
  /**
   * @param la an offset below the file's size
   * @param whole whether every offset of the extent must lead to it too
   */
  map(la: number, whole: boolean): Extent;
}

/** struct z_erofs_map_header, decoded. */
export interface MapHeader {
  /** where it lies, in bytes */
  readonly at: number;
  readonly advise: number;
  /** log2 of the lcluster size */
  readonly lclusterBits: number;
  /** h_algorithmtype: of HEAD1, of HEAD2 */
  readonly algorithms: readonly [number, number];
  /** encoded bytes of the inline tail pcluster (ztailpacking), or 0 */
  readonly idataSize: number;
  /** whether the whole file is a fragment, or its tail is */
  readonly whole: boolean;
  readonly fragment: boolean;
  /** its offset in the packed inode; of a tail, the low 32 bits */
  readonly fragmentOffset: number;
  /** extent records, or -1 when an index maps the file instead (Z_EROFS_ADVISE_EXTENTS) */
  readonly extents: number;
}

/**
 * Reads the header behind a compressed inode.
 *
 * struct z_erofs_map_header, 8 bytes, 8-aligned behind the inode: h_fragmentoff u32 @0, or h_idata_size u16 @2, or
 * h_extents_lo u32 @0; h_advise u16 @4; h_algorithmtype u8 @6 (HEAD1 low nibble, HEAD2 high) and h_clusterbits u8 @7 (low
 * nibble: lcluster bits - block bits), or h_extents_hi u16 @6. Bit 63 set: the whole file is a fragment, and the other
 * bits are its offset in the packed inode.
 */
export function readMapHeader(vol: Volume, inode: Inode): MapHeader {
  const at = roundUp(inodeEnd(inode), 8);
  const { bytes, from } = vol.window(inode.inMetabox, at, 8, inode.nid, 'the compression header');
  const h = at - from;
  const low = u32(bytes, h);
  const whole = (bytes[h + 7]! & Z_FRAGMENT_INODE) !== 0;
  const advise = whole ? Z_ADVISE_FRAGMENT_PCLUSTER : u16(bytes, h + 4);
  const byExtents = inode.layout === 'compressed-full' && (advise & Z_ADVISE_EXTENTS) !== 0;
  const fragment = (advise & Z_ADVISE_FRAGMENT_PCLUSTER) !== 0;
  return {
    at,
    advise,
    lclusterBits: vol.sb.blkszbits + (bytes[h + 7]! & 15),
    algorithms: [bytes[h + 6]! & 15, bytes[h + 6]! >> 4],
    idataSize: !fragment && advise & Z_ADVISE_INLINE_PCLUSTER ? u16(bytes, h + 2) : 0,
    whole,
    fragment,
    fragmentOffset: low + (whole ? (u32(bytes, h + 4) & 0x7fffffff) * 0x100000000 : 0),
    extents: byExtents ? low + u16(bytes, h + 6) * 0x100000000 : -1,
  };
}

/** The name of a pcluster's algorithm, which must be one that the superblock announces. */
export function algorithmName(vol: Volume, inode: Inode, id: number): Algorithm {
  const name = ALGORITHMS[id];
  if (name === undefined) throw vol.unsupported(`unsupported: compression algorithm ${id}`, inode.nid, inode.offset);
  if (!vol.sb.algorithms.includes(name)) {
    throw vol.corrupt(`compressed with ${name}, which the superblock doesn't name`, inode.nid, inode.offset);
  }
  return name;
}
