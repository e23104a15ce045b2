import type { DataBudget } from './budget.ts';
import { uncleared } from './bytes.ts';
import { type Extent, mapChunk, mapFlat } from './data.ts';
import { decodePcluster } from './decompress.ts';
import type { Inode } from './inode.ts';
import type { Volume } from './volume.ts';
import { codecInput } from './wasm.ts';
import type { CompressedMap } from './zheader.ts';
import { openCompressedMap } from './zmap.ts';

const STREAM_CHUNK = 1 << 20;
/** stays in the cache of a core */
const VERIFY_CHUNK = 1 << 17;
const DECODED_COUNT = 8;
const DECODED_BYTES = 4 << 20;

/** Reads `[offset, offset + length)` of the packed inode for inode `nid`, which has a fragment there. */
export type FragmentReader = (nid: number, offset: number, length: number) => Uint8Array;

/** Bytes of a file, and where in it they are. */
export interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

interface Decoded {
  readonly nid: number;
  readonly la: number;
  readonly bytes: Uint8Array;
}

/**
 * The bytes of inodes, whatever their layout. It remembers the last file's map and the pclusters decoded last, so what is
 * read in turns (files; the packed inode; the metabox) has one of its own each.
 */
export class Contents {
  readonly #vol: Volume;
  readonly #fragment: FragmentReader;
  #map: CompressedMap | null = null;
  /** pclusters decoded by random access, the last used first */
  readonly #decoded: Decoded[] = [];

  constructor(vol: Volume, fragment: FragmentReader) {
    this.#vol = vol;
    this.#fragment = fragment;
  }

  /**
   * The layout switch: the extent that holds `la`, which is below the file's size.
   * @param whole whether every offset of it must lead to it too
   */
  map(inode: Inode, la: number, whole = false): Extent {
    switch (inode.layout) {
      case 'flat-plain':
      case 'flat-inline':
        return mapFlat(this.#vol, inode, la);
      case 'chunk-based':
        return mapChunk(this.#vol, inode, la);
      case 'compressed-full':
      case 'compressed-compact':
        // The map keeps its place in the index, so the last file's is worth keeping.
        if (this.#map?.inode !== inode) this.#map = openCompressedMap(this.#vol, inode);
        return this.#map.map(la, whole);
    }
  }

  /** All extents in order, without gaps; see `Image.mapBlocks`. */
  *extents(inode: Inode): Generator<Extent, void, undefined> {
    for (let la = 0; la < inode.size; ) {
      const e = this.extent(inode, la);
      yield e;
      la += e.llen;
    }
  }

  /** The extent that starts at `la`, the end of the one before it. */
  extent(inode: Inode, la: number): Extent {
    const e = this.map(inode, la, true);
    if (e.la !== la || !(e.llen > 0)) {
      const what = `extent of ${e.llen} bytes at ${e.la} where one at ${la} is due`;
      throw this.#vol.corrupt(what, inode.nid, inode.offset);
    }
    return e;
  }

  /** Any inode's bytes, clipped to its size; one view when they are contiguous. */
  read(inode: Inode, offset: number, length: number): Uint8Array {
    const from = Math.max(0, offset);
    const end = Math.min(inode.size, from + length);
    if (!(end > from)) return new Uint8Array(0);
    if (end - from > this.#vol.maxBytes) throw this.#vol.limit(`a read of ${end - from} bytes`, inode.nid);
    let out: Uint8Array | null = null;
    for (let la = from; la < end; ) {
      const e = this.map(inode, la);
      const n = Math.min(e.la + e.llen, end) - la;
      const piece = this.#bytes(inode, e, la, n);
      if (n === end - from) return piece;
      out ??= uncleared(end - from);
      out.set(piece, la - from);
      la += n;
    }
    return out!;
  }

  /**
   * The whole of an inode in order, in pieces of up to 1 MiB (12 MiB when a pcluster is that large).
   * @param holes whether holes come too, as zeros, or are left out
   */
  *pieces(inode: Inode, holes: boolean): Generator<Piece, void, undefined> {
    let chunk: Uint8Array | null = null;
    let used = 0;
    let offset = 0;
    for (const e of this.extents(inode)) {
      const end = Math.min(e.la + e.llen, inode.size);
      if (!e.encoded) {
        if (chunk !== null) yield { offset, bytes: chunk.subarray(0, used) };
        chunk = null;
        if (e.hole && !holes) continue;
        for (let at = e.la; at < end; at += STREAM_CHUNK) {
          yield { offset: at, bytes: this.#bytes(inode, e, at, Math.min(STREAM_CHUNK, end - at)) };
        }
        continue;
      }
      // pclusters are small: gather them.
      const n = end - e.la;
      if (chunk === null || used + n > chunk.length) {
        if (chunk !== null) yield { offset, bytes: chunk.subarray(0, used) };
        offset = e.la;
        chunk = uncleared(Math.max(n, Math.min(STREAM_CHUNK, inode.size - e.la)));
        used = 0;
      }
      decodePcluster(this.#vol, inode, e, chunk, used, n);
      used += n;
    }
    if (chunk !== null) yield { offset, bytes: chunk.subarray(0, used) };
  }

  /** Decodes all of an inode, and reads what isn't encoded, to see that it can be done. */
  verify(inode: Inode, budget?: DataBudget): void {
    for (const e of this.extents(inode)) {
      if (e.hole) continue;
      const length = Math.min(e.llen, inode.size - e.la);
      budget?.take(inode.nid, length);
      this.verifyExtent(inode, e, length);
    }
  }

  /** The first `length` bytes of an extent that is no hole. */
  verifyExtent(inode: Inode, e: Extent, length: number): void {
    if (e.encoded) {
      decodePcluster(this.#vol, inode, e, null, 0, length);
      return;
    }
    if (e.meta) {
      this.#vol.window(inode.inMetabox, e.pa, length, inode.nid, 'inline data');
      return;
    }
    for (let at = 0; at < length; at += VERIFY_CHUNK) {
      const n = Math.min(VERIFY_CHUNK, length - at);
      if (e.fragment) this.#bytes(inode, e, e.la + at, n);
      else this.#vol.data(e.device, e.pa + at, n, inode.nid, codecInput);
    }
  }

  /** `[la, la + length)` of a file, within extent `e` */
  #bytes(inode: Inode, e: Extent, la: number, length: number): Uint8Array {
    if (e.hole) return new Uint8Array(length);
    if (e.fragment) return this.#fragment(inode.nid, e.fragmentOffset + (la - e.la), length);
    if (e.encoded) return this.#decode(inode, e).subarray(la - e.la, la - e.la + length);
    const pa = e.pa + (la - e.la);
    if (e.meta) return this.#vol.meta(inode.inMetabox, pa, length, inode.nid, 'inline data');
    return this.#vol.data(e.device, pa, length, inode.nid);
  }

  /** A whole pcluster, through a small cache: reading page by page decodes it once. */
  #decode(inode: Inode, e: Extent): Uint8Array {
    const cache = this.#decoded;
    const hit = cache.findIndex((d) => d.la === e.la && d.nid === inode.nid);
    if (hit >= 0) {
      const [d] = cache.splice(hit, 1);
      cache.unshift(d!);
      return d!.bytes;
    }
    if (e.llen > this.#vol.maxBytes) throw this.#vol.limit(`a pcluster of ${e.llen} bytes`, inode.nid);
    const bytes = uncleared(e.llen);
    this.#vol.decodedBytes += e.llen;
    decodePcluster(this.#vol, inode, e, bytes, 0, e.llen);
    cache.unshift({ nid: inode.nid, la: e.la, bytes });
    let sum = 0;
    for (const d of cache) sum += d.bytes.length;
    while (cache.length > DECODED_COUNT || (sum > DECODED_BYTES && cache.length > 1)) sum -= cache.pop()!.bytes.length;
    return bytes;
  }
}
