import { roundUp, u16, u32 } from './bytes.ts';
import { type Algorithm, CHUNK_FORMAT_48BIT, CHUNK_FORMAT_INDEXES, NULL_ADDR_32, NULL_ADDR_48 } from './format.ts';
import { type Inode, inodeEnd } from './inode.ts';
import type { Volume } from './volume.ts';

/** A run of a file and where it lies. All numbers are bytes. */
export interface Extent {
  /** logical address: offset in the file */
  readonly la: number;
  /** logical length; the last extent of an uncompressed file is counted to the end of its block, past the file's size */
  readonly llen: number;
  /** physical address on `device`; 0 for a hole */
  readonly pa: number;
  /** physical length: equals llen unless compressed; 0 for a hole */
  readonly plen: number;
  /** 0: the primary device (an address above its end may fall on another's mapped range); n: device slot n - 1 */
  readonly device: number;
  /** how the bytes are encoded; `none` also for a plain pcluster inside a compressed file */
  readonly algorithm: Algorithm;
  /** reads as zeros */
  readonly hole: boolean;
  /** lies in the metadata area (the metabox, if its inode does), behind its inode: an inline tail, encoded or not */
  readonly meta: boolean;
  /** a pcluster of a compressed file, its algorithm `none` or not */
  readonly encoded: boolean;
  /** plain pcluster whose bytes keep their place modulo the block size, so they start in its middle and wrap around */
  readonly interlaced: boolean;
  /** the pcluster decodes to more than this extent; several extents may use it (dedupe) */
  readonly partial: boolean;
  /** lies in the packed inode's data, from `fragmentOffset` on; pa and plen are 0 then */
  readonly fragment: boolean;
  /** byte offset in the packed inode; 0 unless `fragment` */
  readonly fragmentOffset: number;
}

function rawExtent(la: number, llen: number, pa: number, device: number, meta: boolean): Extent {
  return {
    la,
    llen,
    pa,
    plen: llen,
    device,
    algorithm: 'none',
    hole: false,
    meta,
    encoded: false,
    interlaced: false,
    partial: false,
    fragment: false,
    fragmentOffset: 0,
  };
}

export function fragmentExtent(la: number, llen: number, fragmentOffset: number): Extent {
  return { ...holeExtent(la, llen), hole: false, fragment: true, fragmentOffset };
}

export function holeExtent(la: number, llen: number): Extent {
  return {
    la,
    llen,
    pa: 0,
    plen: 0,
    device: 0,
    algorithm: 'none',
    hole: true,
    meta: false,
    encoded: false,
    interlaced: false,
    partial: false,
    fragment: false,
    fragmentOffset: 0,
  };
}

/**
 * Flat layouts: all data from startBlock on; with flat-inline the last, possibly partial, block sits behind the inode
 * instead, and must not cross a block boundary there.
 *
 * @param la an offset below the file's size
 */
export function mapFlat(vol: Volume, inode: Inode, la: number): Extent {
  const { blockSize } = vol.sb;
  if (inode.startBlock < 0) return holeExtent(la, inode.size - la);
  const inline = inode.layout === 'flat-inline';
  const blocks = Math.ceil(inode.size / blockSize);
  const tail = (blocks - (inline ? 1 : 0)) * blockSize;
  if (la < tail) return rawExtent(0, tail, inode.startBlock * blockSize, 0, false);
  const pa = inodeEnd(inode);
  const llen = inode.size - tail;
  if ((pa % blockSize) + llen > blockSize) {
    throw vol.corrupt(`inline tail of ${llen} bytes at 0x${pa.toString(16)} crosses a block`, inode.nid, inode.offset);
  }
  return rawExtent(tail, llen, pa, 0, true);
}

/**
 * Chunk-based layout: behind the inode an array, aligned to its entries, of one entry per chunk. Either block map
 * entries, 4 bytes: startblk u32 @0; or struct erofs_inode_chunk_index, 8 bytes: startblk_hi u16 @0 (48-bit format
 * only), device_id u16 @2, startblk_lo u32 @4. All ones is a hole.
 *
 * @param la an offset below the file's size
 */
export function mapChunk(vol: Volume, inode: Inode, la: number): Extent {
  const { blockSize, devices } = vol.sb;
  const indexed = (inode.chunkFormat & CHUNK_FORMAT_INDEXES) !== 0;
  const unit = indexed ? 8 : 4;
  const chunkSize = 2 ** inode.chunkBits;
  const index = Math.floor(la / chunkSize);
  const at = roundUp(inodeEnd(inode), unit) + unit * index;
  const { bytes, from } = vol.window(inode.inMetabox, at, unit, inode.nid, 'an entry of the chunk map');
  const entry = at - from;
  const start = index * chunkSize;
  const llen = Math.min(chunkSize, roundUp(inode.size - start, blockSize));
  if (!indexed) {
    const block = u32(bytes, entry);
    return block === NULL_ADDR_32 ? holeExtent(start, llen) : rawExtent(start, llen, block * blockSize, 0, false);
  }
  const wide = (inode.chunkFormat & CHUNK_FORMAT_48BIT) !== 0;
  const block = u32(bytes, entry + 4) + (wide ? u16(bytes, entry) * 0x100000000 : 0);
  if (block === (wide ? NULL_ADDR_48 : NULL_ADDR_32)) return holeExtent(start, llen);
  // The kernel masks the id to the bits that the number of devices needs; the rest is reserved.
  const mask = 2 ** Math.ceil(Math.log2(devices.length + 1)) - 1;
  return rawExtent(start, llen, block * blockSize, u16(bytes, entry + 2) & mask, false);
}
