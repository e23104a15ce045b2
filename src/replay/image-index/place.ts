import { DataError } from '../../error.ts';
import { PAGE_SIZE } from '../result.ts';
import { CODECS, type Codec, EXTENT_COMPRESSED, EXTENT_FRAGMENT, EXTENT_HOLE, EXTENT_METABOX } from './format.ts';
import type { ImageIndex } from './image-index.ts';

/** A {@link Piece.device} that is none: the address is an offset in the data of the packed inode. */
export const PACKED_INODE = -1;
/** A {@link Piece.device} that is none: the address is an offset in the data of the metabox inode. */
export const METABOX = -2;

/** A run of a file's bytes within one page, and where it lies. */
export interface Piece {
  /** `block`: the bytes as they are, at `address`; `pcluster`: in what the pcluster at `address` decodes to, from `offset` on; `hole`: nowhere */
  kind: 'block' | 'pcluster' | 'hole';
  /** 0: the image; n: its nth extra device; or {@link PACKED_INODE} or {@link METABOX} */
  device: number;
  /** bytes, on that device; 0 for a hole */
  address: number;
  /** bytes into the decoded pcluster; 0 for anything else */
  offset: number;
  /** bytes of the file */
  length: number;
  /** how the bytes at `address` are encoded; `none` for a plain pcluster too */
  codec: Codec;
}

export function newPiece(): Piece {
  return { kind: 'hole', device: 0, address: 0, offset: 0, length: 0, codec: 'none' };
}

/**
 * Position in the extent columns of the extent that holds byte `la` of a file.
 * @throws DataError when the file's extents do not cover it
 */
export function extentAt(index: ImageIndex, ordinal: number, la: number): number {
  const { firstExtent, extentLa, extentLlen, sizeBytes } = index.columns;
  let low = firstExtent[ordinal]!;
  let high = firstExtent[ordinal + 1]! - 1;
  if (high < low || extentLa[high]! + extentLlen[high]! < sizeBytes[ordinal]!)
    throw new DataError(
      index.path,
      `the extents of ${index.pathOf(ordinal)} do not cover its ${sizeBytes[ordinal]} bytes`,
    );
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (extentLa[middle]! <= la) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * Where bytes `la` to `end` of a file lie, as far as extent `e` holds them.
 * @param piece filled in, and used again by the caller for the next one
 */
export function locate(index: ImageIndex, e: number, la: number, end: number, piece: Piece): void {
  const { extentLa, extentLlen, extentPa, extentDevice, extentFlags, extentCodec } = index.columns;
  const within = la - extentLa[e]!;
  const flags = extentFlags[e]!;
  const hole = (flags & EXTENT_HOLE) !== 0;
  const compressed = (flags & EXTENT_COMPRESSED) !== 0;
  piece.kind = hole ? 'hole' : compressed ? 'pcluster' : 'block';
  piece.device = flags & EXTENT_FRAGMENT ? PACKED_INODE : flags & EXTENT_METABOX ? METABOX : extentDevice[e]!;
  piece.address = hole ? 0 : compressed ? extentPa[e]! : extentPa[e]! + within;
  piece.offset = compressed ? within : 0;
  piece.length = Math.min(end - la, extentLlen[e]! - within);
  piece.codec = CODECS[extentCodec[e]!]!;
}

/** The pieces of a page in order; see {@link ImageIndex.placeOf}. */
export function placeOfPage(index: ImageIndex, ordinal: number, page: number): Piece[] {
  const pages = index.pagesOf(ordinal);
  if (!(page >= 0 && page < pages))
    throw new RangeError(`page ${page} of ${index.pathOf(ordinal)}, which has ${pages}`);
  const start = page * PAGE_SIZE;
  const end = Math.min(start + PAGE_SIZE, index.columns.sizeBytes[ordinal]!);
  const pieces: Piece[] = [];
  for (let la = start, e = extentAt(index, ordinal, la); la < end; e++) {
    const piece = newPiece();
    locate(index, e, la, end, piece);
    pieces.push(piece);
    la += piece.length;
  }
  return pieces;
}
