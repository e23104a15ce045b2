import { roundDown, u16, u32 } from './bytes.ts';
import { type Extent, fragmentExtent } from './data.ts';
import {
  type Algorithm,
  Z_ADVISE_BIG_PCLUSTER_1,
  Z_ADVISE_BIG_PCLUSTER_2,
  Z_ADVISE_COMPACTED_2B,
  Z_ADVISE_INTERLACED_PCLUSTER,
  Z_HEAD1,
  Z_HEAD2,
  Z_LI_D0_CBLKCNT,
  Z_LI_PARTIAL_REF,
  Z_NONHEAD,
  Z_PCLUSTER_MAX_DSIZE,
  Z_PCLUSTER_MAX_SIZE,
  Z_PLAIN,
} from './format.ts';
import type { Inode } from './inode.ts';
import type { Volume } from './volume.ts';
import { ExtentMap } from './zextent.ts';
import { algorithmName, type CompressedMap, type MapHeader, readMapHeader } from './zheader.ts';

const NONE = new Uint8Array(0);

/** Reads the header behind a compressed inode and chooses the map: a fragment, extent records, or an index. */
export function openCompressedMap(vol: Volume, inode: Inode): CompressedMap {
  const header = readMapHeader(vol, inode);
  if (header.whole) {
    const extent = fragmentExtent(0, inode.size, header.fragmentOffset);
    return { inode, map: () => extent };
  }
  return header.extents >= 0 ? new ExtentMap(vol, inode, header) : new PclusterMap(vol, inode, header);
}

/**
 * Maps offsets of one compressed file to pclusters: fs/erofs/zmap.c.
 *
 * The file is cut into lclusters, a block each. An extent starts in a HEAD lcluster, at its clusterofs, and runs to
 * where the next HEAD starts; it is one pcluster. A HEAD knows where its pcluster is; a NONHEAD lcluster only how far
 * back its HEAD is (delta[0]) and how far ahead the next one (delta[1]); the first NONHEAD of an extent may hold, in
 * delta[0]'s stead, how many blocks the pcluster takes (CBLKCNT).
 *
 * The last extent may lie elsewhere: inline, right behind the index entry of the last lcluster (ztailpacking), or as a
 * fragment in the packed inode.
 */
class PclusterMap implements CompressedMap {
  readonly inode: Inode;
  readonly #vol: Volume;
  readonly #compact: boolean;
  readonly #big1: boolean;
  readonly #big2: boolean;
  readonly #interlaced: boolean;
  readonly #lclusterBits: number;
  readonly #lclusterSize: number;
  readonly #algorithms: readonly [number, number];
  /** HEAD lcluster of the last extent when it is inline or a fragment, else -1 */
  readonly #tailHead: number = -1;
  readonly #idataSize: number;
  readonly #idataAt: number = 0;
  readonly #fragmentOffset: number = 0;
  /** where the indexes start, in bytes */
  readonly #indexes: number;
  /** compact only: lclusters in all, and how many of them are in the leading 4-byte and the 2-byte region */
  readonly #total: number;
  readonly #initial4b: number;
  readonly #compact2b: number;

  /** see {@link Volume.window} */
  #window: Uint8Array = NONE;

  // What #load() found.
  #type = 0;
  #clusterofs = 0;
  #delta0 = 0;
  #delta1 = 0;
  /** blocks of the pcluster when this lcluster says so, else 0 */
  #cblkcnt = 0;
  #pblk = 0;
  #partial = false;
  /** where the entry or pack ends, in bytes */
  #entryEnd = 0;

  constructor(vol: Volume, inode: Inode, header: MapHeader) {
    this.#vol = vol;
    this.inode = inode;
    const { nid } = inode;
    const { at, advise } = header;
    const { blockSize } = vol.sb;
    this.#compact = inode.layout === 'compressed-compact';
    this.#big1 = (advise & Z_ADVISE_BIG_PCLUSTER_1) !== 0;
    this.#big2 = (advise & Z_ADVISE_BIG_PCLUSTER_2) !== 0;
    this.#interlaced = (advise & Z_ADVISE_INTERLACED_PCLUSTER) !== 0;
    if (this.#compact && this.#big1 !== this.#big2) {
      throw vol.corrupt('big pcluster of HEAD1 and HEAD2 differ in a compact index', nid, at);
    }
    this.#algorithms = header.algorithms;
    this.#lclusterBits = header.lclusterBits;
    this.#lclusterSize = 2 ** this.#lclusterBits;
    if (this.#compact && this.#lclusterBits > 14) {
      throw vol.unsupported(`unsupported: compact index of lclusters of ${this.#lclusterSize} bytes`, nid, at);
    }

    // The full index is preceded by 8 bytes more, which nothing uses.
    this.#indexes = this.#compact ? at + 8 : at + 16;
    this.#total = Math.ceil(inode.size / blockSize);
    // 2-byte packs are 32 bytes, 32-aligned: what comes before and what is left over is in 4-byte packs.
    this.#initial4b = ((32 - (this.#indexes % 32)) / 4) & 7;
    this.#compact2b =
      advise & Z_ADVISE_COMPACTED_2B && this.#initial4b < this.#total
        ? roundDown(this.#total - this.#initial4b, 16)
        : 0;

    this.#idataSize = header.idataSize;
    if ((header.idataSize > 0 || header.fragment) && inode.size > 0) {
      const last = Math.floor((inode.size - 1) / this.#lclusterSize);
      this.#load(last);
      this.#idataAt = this.#entryEnd;
      this.#tailHead = this.#seekHead(inode.size - 1);
      // A full index has room for the upper half.
      this.#fragmentOffset = header.fragmentOffset + (this.#compact ? 0 : this.#pblk * 0x100000000);
    }
  }

  /**
   * The extent that holds `la`.
   * @param la an offset below the file's size
   * @param whole whether every offset in it must lead to it too
   */
  map(la: number, whole: boolean): Extent {
    const { inode } = this;
    const vol = this.#vol;
    const size = this.#lclusterSize;
    let lcn = this.#seekHead(la);
    const head = this.#type;
    const headLa = lcn * size + this.#clusterofs;
    const pblk = this.#pblk;
    const partial = this.#partial;
    const headLcn = lcn;
    if (lcn === this.#tailHead) {
      if (whole) this.#checkLookback(headLcn, Math.ceil(inode.size / size));
      return this.#tail(lcn, head, headLa, partial);
    }
    // How many blocks the pcluster takes is only said where it may be more than one.
    const counted = head === Z_HEAD1 ? this.#big1 : this.#big2;
    let blocks = counted ? 0 : 1;
    let end = inode.size;
    for (lcn++; lcn * size < inode.size; lcn += this.#delta1) {
      if (lcn * size - headLa > Z_PCLUSTER_MAX_DSIZE + size) throw this.#tooLarge();
      this.#load(lcn, true);
      if (this.#type !== Z_NONHEAD) {
        end = lcn * size + this.#clusterofs;
        break;
      }
      if (blocks === 0) {
        if (this.#delta0 !== 1) throw this.#corrupt(`lookback distance ${this.#delta0} right behind its HEAD`, lcn);
        // Older kernels take a plain pcluster to be one block without looking for a count, so it may lack one.
        if (this.#cblkcnt === 0 && head !== Z_PLAIN) throw this.#corrupt('CBLKCNT is missing', lcn);
        blocks = this.#cblkcnt || 1;
      }
    }
    if (blocks === 0) blocks = 1; // no NONHEAD lcluster to hold it
    if (whole) this.#checkLookback(headLcn, Math.min(lcn, Math.ceil(inode.size / size)));

    if (end > inode.size) end = inode.size;
    const llen = end - headLa;
    const plen = blocks * vol.sb.blockSize;
    if (headLa > la || headLa + llen <= la) throw this.#corrupt(`extent ${headLa}..${end} doesn't hold ${la}`, lcn);
    if (llen > Z_PCLUSTER_MAX_DSIZE || plen > Z_PCLUSTER_MAX_SIZE) throw this.#tooLarge();

    let algorithm: Algorithm = 'none';
    if (head === Z_PLAIN) {
      if (llen > plen) throw this.#corrupt(`plain pcluster of ${plen} bytes for ${llen}`, lcn);
    } else {
      algorithm = algorithmName(vol, inode, this.#algorithms[head === Z_HEAD2 ? 1 : 0]);
    }
    return {
      la: headLa,
      llen,
      pa: pblk * vol.sb.blockSize,
      plen,
      device: 0,
      algorithm,
      hole: false,
      meta: false,
      encoded: true,
      interlaced: head === Z_PLAIN && this.#interlaced,
      partial,
      fragment: false,
      fragmentOffset: 0,
    };
  }

  /**
   * Looking ahead from a HEAD skips lclusters; reading at their offsets starts with them, and must lead to the same HEAD.
   * @param end lcluster behind the last to look at
   */
  #checkLookback(headLcn: number, end: number): void {
    for (let lcn = headLcn + 1; lcn < end; lcn++) {
      this.#load(lcn);
      // The last lcluster may be a HEAD of what would come behind the end of the file.
      if (this.#type !== Z_NONHEAD && lcn * this.#lclusterSize + this.#clusterofs >= this.inode.size) return;
      if (this.#type !== Z_NONHEAD) throw this.#corrupt(`a HEAD inside the extent of that of lcluster ${headLcn}`, lcn);
      const back = this.#delta0;
      // Where it leads was looked at before.
      if (back === 0 || lcn - back < headLcn) throw this.#corrupt(`lookback distance ${back}`, lcn);
    }
  }

  /** Loads the HEAD lcluster of the extent that holds `la`. @returns its number */
  #seekHead(la: number): number {
    const size = this.#lclusterSize;
    let lcn = Math.floor(la / size);
    this.#load(lcn);
    if (this.#type !== Z_NONHEAD && la - lcn * size < this.#clusterofs) {
      if (lcn === 0) throw this.#corrupt('the first lcluster starts inside an extent', lcn);
      // The extent that starts here starts after la.
      lcn--;
      this.#load(lcn);
    }
    while (this.#type === Z_NONHEAD) {
      const back = this.#delta0;
      if (back === 0 || back > lcn) throw this.#corrupt(`lookback distance ${back}`, lcn);
      lcn -= back;
      if (la - lcn * size > Z_PCLUSTER_MAX_DSIZE + size) throw this.#tooLarge();
      this.#load(lcn);
    }
    return lcn;
  }

  /** The last extent when it isn't in a pcluster of its own. */
  #tail(lcn: number, head: number, headLa: number, partial: boolean): Extent {
    const { inode } = this;
    const vol = this.#vol;
    if (this.#idataSize === 0) {
      // With its head in the first lcluster it is the whole file.
      const la = lcn === 0 ? 0 : headLa;
      return fragmentExtent(la, inode.size - la, this.#fragmentOffset);
    }
    const plen = this.#idataSize;
    const llen = inode.size - headLa;
    const { blockSize } = vol.sb;
    if ((this.#idataAt % blockSize) + plen > blockSize) {
      throw this.#corrupt(`inline pcluster of ${plen} bytes at 0x${this.#idataAt.toString(16)} crosses a block`, lcn);
    }
    if (llen > Z_PCLUSTER_MAX_DSIZE) throw this.#tooLarge();
    if (head === Z_PLAIN && llen > plen) throw this.#corrupt(`plain pcluster of ${plen} bytes for ${llen}`, lcn);
    const algorithm = head === Z_PLAIN ? 'none' : algorithmName(vol, inode, this.#algorithms[head === Z_HEAD2 ? 1 : 0]);
    return {
      la: headLa,
      llen,
      pa: this.#idataAt,
      plen,
      device: 0,
      algorithm,
      hole: false,
      meta: true,
      encoded: true,
      interlaced: head === Z_PLAIN && this.#interlaced,
      partial,
      fragment: false,
      fragmentOffset: 0,
    };
  }

  /** @param ahead whether #delta1 is wanted too */
  #load(lcn: number, ahead = false): void {
    this.#cblkcnt = 0;
    this.#partial = false;
    if (this.#compact) this.#loadCompact(lcn, ahead);
    else this.#loadFull(lcn);
    if (this.#type !== Z_NONHEAD && this.#clusterofs >= this.#lclusterSize) {
      throw this.#corrupt(`clusterofs ${this.#clusterofs}`, lcn);
    }
  }

  /**
   * Full index: struct z_erofs_lcluster_index, 8 bytes: di_advise u16 @0 (bits 0-1 type, bit 15 partial ref),
   * di_clusterofs u16 @2, then blkaddr u32 @4 (HEAD, PLAIN) or delta[0] u16 @4 and delta[1] u16 @6 (NONHEAD).
   */
  #loadFull(lcn: number): void {
    const at = this.#seek(this.#indexes + lcn * 8, 8);
    this.#entryEnd = this.#indexes + lcn * 8 + 8;
    const b = this.#window;
    const advise = u16(b, at);
    this.#type = advise & 3;
    if (this.#type !== Z_NONHEAD) {
      this.#partial = (advise & Z_LI_PARTIAL_REF) !== 0;
      this.#clusterofs = u16(b, at + 2);
      this.#pblk = u32(b, at + 4);
      return;
    }
    this.#delta0 = u16(b, at + 4);
    if (this.#delta0 & Z_LI_D0_CBLKCNT) {
      if (!this.#big1 && !this.#big2) throw this.#corrupt('CBLKCNT without big pclusters', lcn);
      this.#cblkcnt = this.#delta0 & ~Z_LI_D0_CBLKCNT;
      this.#delta0 = 1;
    }
    this.#delta1 = u16(b, at + 6) || 1; // mkfs before 1.0 wrote 0
  }

  /**
   * Compact index: packs of 2 lclusters in 8 bytes (4 bytes each) or of 16 in 32 (2 bytes each). A pack ends with a
   * block address, u32; before it come bit fields of equal width, one per lcluster: clusterofs (HEAD, PLAIN) or a
   * delta (NONHEAD) in the low bits, the type in the two above. The pack's address is that of the pcluster before its
   * first HEAD (without big pclusters) or of its first; the others follow without gaps, so counting gives them.
   * The delta is delta[0], but in a pack's last lcluster it is delta[1].
   */
  #loadCompact(lcn: number, ahead: boolean): void {
    if (lcn >= this.#total) throw this.#corrupt('past the end of the index', lcn);
    let at = this.#indexes;
    let shift = 2;
    let rest = lcn;
    if (rest >= this.#initial4b) {
      at += this.#initial4b * 4;
      rest -= this.#initial4b;
      if (rest < this.#compact2b) {
        shift = 1;
      } else {
        at += this.#compact2b * 2;
        rest -= this.#compact2b;
      }
    }
    at += rest * 2 ** shift;
    if (shift === 1 && this.#lclusterBits > 12) {
      const what = `unsupported: 2-byte index of lclusters of ${this.#lclusterSize} bytes`;
      throw this.#vol.unsupported(what, this.inode.nid, at);
    }
    const count = shift === 1 ? 16 : 2;
    const packSize = count << shift;
    const packAt = roundDown(at, packSize);
    const pack = this.#seek(packAt, packSize);
    this.#entryEnd = packAt + packSize;
    const lobits = Math.max(this.#lclusterBits, 12);
    const width = ((packSize - 4) * 8) / count;
    const lomask = (1 << lobits) - 1;
    const b = this.#window;

    let i = (at - packAt) >> shift;
    let v = bitField(b, pack, width * i);
    let lo = v & lomask;
    this.#type = (v >>> lobits) & 3;
    if (this.#type === Z_NONHEAD) {
      if (ahead) {
        // Count on to the next HEAD, or beyond the pack by its last delta[1].
        let next = i;
        let last = lo;
        let type = Z_NONHEAD;
        while (type === Z_NONHEAD && ++next < count) {
          v = bitField(b, pack, width * next);
          last = v & lomask;
          type = (v >>> lobits) & 3;
        }
        this.#delta1 = next - i;
        if (next === count && !(last & Z_LI_D0_CBLKCNT)) this.#delta1 += last - 1;
        if (this.#delta1 <= 0) this.#delta1 = 1; // mkfs before 1.0
      }
      if (lo & Z_LI_D0_CBLKCNT) {
        if (!this.#big1) throw this.#corrupt('CBLKCNT without big pclusters', lcn);
        this.#cblkcnt = lo & ~Z_LI_D0_CBLKCNT;
        this.#delta0 = 1;
      } else if (i + 1 !== count) {
        this.#delta0 = lo;
      } else {
        v = bitField(b, pack, width * (i - 1));
        lo = v & lomask;
        if (((v >>> lobits) & 3) !== Z_NONHEAD) lo = 0;
        else if (lo & Z_LI_D0_CBLKCNT) lo = 1;
        this.#delta0 = lo + 1;
      }
      return;
    }

    this.#clusterofs = lo;
    let nblk = this.#big1 ? 0 : 1;
    while (i > 0) {
      i--;
      v = bitField(b, pack, width * i);
      lo = v & lomask;
      if (((v >>> lobits) & 3) !== Z_NONHEAD) {
        nblk++;
      } else if (!this.#big1) {
        i -= lo;
        if (i >= 0) nblk++;
      } else if (lo & Z_LI_D0_CBLKCNT) {
        i--;
        nblk += lo & ~Z_LI_D0_CBLKCNT;
      } else {
        // The NONHEAD at distance 1 is the one with the count.
        if (lo <= 1) throw this.#corrupt('CBLKCNT is missing in the pack', lcn);
        i -= lo - 2;
      }
    }
    this.#pblk = (u32(b, pack + packSize - 4) + nblk) >>> 0;
  }

  /** Makes `[at, at + length)` of the image part of the window. @returns where in the window it is */
  #seek(at: number, length: number): number {
    const { inode } = this;
    const { bytes, from } = this.#vol.window(inode.inMetabox, at, length, inode.nid, 'the compression index');
    this.#window = bytes;
    return at - from;
  }

  #corrupt(what: string, lcn: number): Error {
    return this.#vol.corrupt(`lcluster ${lcn}: ${what}`, this.inode.nid, this.inode.offset);
  }

  #tooLarge(): Error {
    const what = 'unsupported: a pcluster above 1 MiB encoded or 12 MiB decoded';
    return this.#vol.unsupported(what, this.inode.nid, this.inode.offset);
  }
}

/** @returns the 25 bits or more from bit `bit` of the pack at `at`; a pack's last field ends 4 bytes before the pack does */
function bitField(b: Uint8Array, at: number, bit: number): number {
  return u32(b, at + (bit >> 3)) >>> (bit & 7);
}
