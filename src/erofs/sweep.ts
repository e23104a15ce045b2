import type { Contents } from './contents.ts';
import type { Extent } from './data.ts';
import { decodeFrom } from './decompress.ts';
import { ErofsError } from './error.ts';
import type { Inode } from './inode.ts';
import type { Volume } from './volume.ts';
import { codecInput } from './wasm.ts';

/** Bytes of the image that are read at once: they stay in the cache of a core while they are decoded. */
const READ = 1 << 18;
/** between pieces that are read at once */
const MAX_GAP = 1 << 14;
/** pieces that are gathered before they are decoded */
const MAX_PIECES = 1 << 11;

/** An extent of a file that is to be read, and the first bytes of it that the file has. */
interface Piece {
  readonly inode: Inode;
  readonly extent: Extent;
  readonly length: number;
}

/**
 * Decodes many files to see that it can be done, as `Image.verify` does one: in the order in which their data lies, so that
 * it is read in few calls. What is read isn't kept, so files come best in the order of their nids, each once.
 */
export class Sweep {
  /** nids of the files added that `Image.verify` throws for: known after {@link flush} */
  readonly failed = new Set<number>();
  readonly #vol: Volume;
  readonly #contents: Contents;
  #pieces: Piece[] = [];
  /** what was read last: bytes of a device, in the codecs' memory if its reader can do that */
  #bytes: Uint8Array = new Uint8Array(0);
  #device = 0;
  #from = 0;
  #end = 0;

  constructor(vol: Volume, contents: Contents) {
    this.#vol = vol;
    this.#contents = contents;
  }

  /**
   * Decodes what lies in the metadata behind the inode, or in the packed inode, and gathers the rest.
   * @param inode of a regular file
   */
  add(inode: Inode): void {
    try {
      let extent: Extent;
      for (let la = 0; la < inode.size; la += extent.llen) {
        extent = this.#contents.extent(inode, la);
        if (extent.hole) continue;
        const length = Math.min(extent.llen, inode.size - extent.la);
        if (extent.meta || extent.fragment) this.#contents.verifyExtent(inode, extent, length);
        else if (this.#pieces.push({ inode, extent, length }) >= MAX_PIECES) this.flush();
      }
    } catch (e) {
      this.#fail(inode, e);
    }
  }

  /** Decodes what was gathered. */
  flush(): void {
    const pieces = this.#pieces;
    this.#pieces = [];
    // The codecs' memory has been used for others meanwhile.
    this.#end = this.#from;
    pieces.sort((a, b) => a.extent.device - b.extent.device || a.extent.pa - b.extent.pa);
    for (let i = 0; i < pieces.length; i++) {
      const { inode, extent, length } = pieces[i]!;
      if (this.failed.size > 0 && this.failed.has(inode.nid)) continue;
      try {
        if (extent.encoded) {
          if (!this.#holds(extent.device, extent.pa) || extent.pa + extent.plen > this.#end) {
            this.#read(pieces, i, extent.pa, extent.plen);
          }
          const at = extent.pa - this.#from;
          decodeFrom(this.#vol, inode, extent, this.#bytes.subarray(at, at + extent.plen), null, 0, length);
        } else {
          const end = extent.pa + length;
          for (let at = extent.pa; at < end; at = this.#end)
            if (!this.#holds(extent.device, at)) this.#read(pieces, i, at, 0);
        }
      } catch (e) {
        this.#fail(inode, e);
      }
    }
  }

  #holds(device: number, at: number): boolean {
    return device === this.#device && at >= this.#from && at < this.#end;
  }

  /** Reads from `at` on: at least `length` bytes, and as far as the pieces from number `i` on go, within {@link READ}. */
  #read(pieces: readonly Piece[], i: number, at: number, length: number): void {
    const { inode, extent } = pieces[i]!;
    let end = at + length;
    for (; i < pieces.length && end - at < READ; i++) {
      const next = pieces[i]!;
      if (next.extent.device !== extent.device || next.extent.pa > end + MAX_GAP) break;
      end = Math.max(end, next.extent.pa + (next.extent.encoded ? next.extent.plen : next.length));
    }
    end = Math.max(at + length, Math.min(end, at + READ));
    this.#end = this.#from;
    this.#bytes = this.#vol.data(extent.device, at, end - at, inode.nid, codecInput);
    this.#device = extent.device;
    this.#from = at;
    this.#end = end;
  }

  #fail(inode: Inode, e: unknown): void {
    if (!(e instanceof ErofsError)) throw e;
    this.failed.add(inode.nid);
  }
}
