import { roundUp, u32 } from './bytes.ts';
import { type Extent, fragmentExtent, holeExtent } from './data.ts';
import {
  type Algorithm,
  Z_ADVISE_EXTRECSZ_BIT,
  Z_ADVISE_EXTRECSZ_MASK,
  Z_ADVISE_INTERLACED_PCLUSTER,
  Z_EXTENT_PLEN_FMT_BIT,
  Z_EXTENT_PLEN_MASK,
  Z_EXTENT_PLEN_PARTIAL,
  Z_PCLUSTER_MAX_DSIZE,
  Z_PCLUSTER_MAX_SIZE,
} from './format.ts';
import type { Inode } from './inode.ts';
import type { Volume } from './volume.ts';
import { algorithmName, type CompressedMap, type MapHeader } from './zheader.ts';

/**
 * Maps offsets of one compressed file to pclusters by extent records (48-bit layout, Z_EROFS_ADVISE_EXTENTS): fs/erofs/zmap.c.
 *
 * struct z_erofs_extent, cut off after 4, 8, 16 or 32 bytes: plen u32 @0 (bits 0-20 encoded bytes, 27 partial reference,
 * 28-31 algorithm + 1, or 0 for plain), pstart_lo u32 @4, pstart_hi u32 @8, lstart_lo u32 @12, lstart_hi u32 @16.
 * Addresses are bytes. Records start behind the header, aligned to their size. Without lstart (4 and 8 bytes) each extent
 * is one lcluster; without pstart too (4 bytes) a u64 before the records says where the first pcluster is, and the others
 * follow without gaps.
 */
export class ExtentMap implements CompressedMap {
  readonly inode: Inode;
  readonly #vol: Volume;
  readonly #header: MapHeader;
  readonly #interlaced: boolean;
  readonly #recordSize: number;
  /** where the first record lies */
  readonly #records: number;
  #window: Uint8Array = new Uint8Array(0);
  /** where the record lies in it */
  #at = 0;
  /** 4-byte records: the lcluster whose pcluster starts at #nextPa */
  #next = 0;
  #nextPa = -1;

  constructor(vol: Volume, inode: Inode, header: MapHeader) {
    this.#vol = vol;
    this.inode = inode;
    this.#header = header;
    this.#interlaced = (header.advise & Z_ADVISE_INTERLACED_PCLUSTER) !== 0;
    this.#recordSize = 4 << ((header.advise >> Z_ADVISE_EXTRECSZ_BIT) & Z_ADVISE_EXTRECSZ_MASK);
    this.#records = roundUp(header.at + 8, this.#recordSize) + (this.#recordSize === 4 ? 8 : 0);
  }

  map(la: number): Extent {
    return this.#recordSize <= 8 ? this.#mapFixed(la) : this.#mapSearched(la);
  }

  /** Extents of one lcluster each. */
  #mapFixed(la: number): Extent {
    const size = 2 ** this.#header.lclusterBits;
    const lcn = Math.floor(la / size);
    this.#record(lcn);
    const plen = this.#field(0);
    let pa: number;
    if (this.#recordSize === 8) {
      pa = this.#field(4);
    } else {
      if (this.#nextPa < 0 || this.#next > lcn) {
        this.#seek(this.#records - 8, 8);
        this.#next = 0;
        this.#nextPa = this.#field(0) + this.#field(4) * 0x100000000;
      }
      for (; this.#next < lcn; this.#next++) {
        this.#record(this.#next);
        this.#nextPa += this.#field(0) & Z_EXTENT_PLEN_MASK;
      }
      pa = this.#nextPa;
    }
    const start = lcn * size;
    const last = (lcn + 1) * size >= this.inode.size;
    return this.#extent(start, last ? this.inode.size : start + size, last, plen, pa);
  }

  /** Extents that say where they start, in order. */
  #mapSearched(la: number): Extent {
    const { extents } = this.#header;
    const wide = this.#recordSize > 16;
    let start = -1;
    let end = this.inode.size;
    let plen = 0;
    let pa = 0;
    let low = 0;
    let high = extents;
    while (low < high) {
      const mid = low + Math.floor((high - low) / 2);
      this.#record(mid);
      const from = this.#field(12) + (wide ? this.#field(16) * 0x100000000 : 0);
      if (from > la) {
        high = mid;
        if (from > end) throw this.#corrupt(`record ${mid} starts at ${from}, past ${end}`);
        end = from;
      } else {
        low = mid + 1;
        if (from === la) high = Math.min(low + 1, high);
        start = from;
        plen = this.#field(0);
        pa = this.#field(4) + this.#field(8) * 0x100000000;
      }
    }
    if (start < 0) return holeExtent(0, end); // what is before the first extent
    return this.#extent(start, end, low >= extents, plen, pa);
  }

  #extent(la: number, end: number, last: boolean, record: number, pa: number): Extent {
    const { inode } = this;
    const vol = this.#vol;
    const llen = end - la;
    if (last && this.#header.fragment) {
      // The record holds the offset in the packed inode instead; with 4 bytes, its low half only.
      const high = this.#recordSize > 4 ? pa % 0x100000000 : 0;
      return fragmentExtent(la, llen, record + high * 0x100000000);
    }
    const plen = record & Z_EXTENT_PLEN_MASK;
    if (plen === 0) return holeExtent(la, llen);
    if (llen > Z_PCLUSTER_MAX_DSIZE || plen > Z_PCLUSTER_MAX_SIZE) {
      const what = 'unsupported: a pcluster above 1 MiB encoded or 12 MiB decoded';
      throw vol.unsupported(what, inode.nid, inode.offset);
    }
    const format = record >>> Z_EXTENT_PLEN_FMT_BIT;
    let algorithm: Algorithm = 'none';
    let interlaced = false;
    if (format !== 0) {
      algorithm = algorithmName(vol, inode, format - 1);
    } else {
      if (llen > plen) throw this.#corrupt(`plain pcluster of ${plen} bytes for ${llen}`);
      const { blockSize } = vol.sb;
      interlaced = this.#interlaced && pa % blockSize === 0 && plen % blockSize === 0;
    }
    return {
      la,
      llen,
      pa,
      plen,
      device: 0,
      algorithm,
      hole: false,
      meta: false,
      encoded: true,
      interlaced,
      partial: (record & Z_EXTENT_PLEN_PARTIAL) !== 0,
      fragment: false,
      fragmentOffset: 0,
    };
  }

  /** Makes a record the one whose fields {@link #field} gives, until something else is read. */
  #record(index: number): void {
    this.#seek(this.#records + index * this.#recordSize, this.#recordSize);
  }

  #seek(at: number, length: number): void {
    const { inode } = this;
    const { bytes, from } = this.#vol.window(inode.inMetabox, at, length, inode.nid, 'an extent record');
    this.#window = bytes;
    this.#at = at - from;
  }

  /** The u32 at an offset in the record. */
  #field(offset: number): number {
    return u32(this.#window, this.#at + offset);
  }

  #corrupt(what: string): Error {
    return this.#vol.corrupt(`extent records: ${what}`, this.inode.nid, this.inode.offset);
  }
}
