import { METABOX_NID_BIT, roundDown } from './bytes.ts';
import { ErofsCorruptError, ErofsError, ErofsUnsupportedError } from './error.ts';
import type { BlockReader, Window } from './reader.ts';
import type { Superblock } from './superblock.ts';
import type { Xattr } from './xattr.ts';

/** The metadata that lies inside an inode (metabox) instead of in the image itself. */
export interface Metabox {
  /** bytes */
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

const XATTR_CACHE = 4 << 20;
/** bytes read at once where a reader has no windows, and of the metabox */
const WINDOW = 4096;

/** Shared xattrs; null for one that isn't shown. Those of most images fit; of one with more, all are forgotten again and again. */
class XattrCache {
  readonly #known = new Map<number, Xattr | null>();
  #bytes = 0;

  get(at: number): Xattr | null | undefined {
    return this.#known.get(at);
  }

  add(at: number, xattr: Xattr | null, bytes: number): void {
    if (this.#bytes + bytes > XATTR_CACHE) {
      this.#known.clear();
      this.#bytes = 0;
    }
    this.#known.set(at, xattr);
    this.#bytes += bytes;
  }
}

/** The superblock and the devices behind it: every byte the decoder takes comes through here, checked. */
export class Volume {
  readonly path: string;
  readonly sb: Superblock;
  /** upper bound of any one allocation made on the image's word, in bytes */
  readonly maxBytes: number;
  /** set by whoever can read an inode */
  metabox: Metabox | null = null;
  /** decoded already, by where they lie */
  readonly sharedXattrs = new XattrCache();
  /** of pclusters, by reads that may ask for them again: of the metabox, of fragments, of files at any offset */
  decodedBytes = 0;
  readonly #primary: BlockReader;
  readonly #extra: readonly BlockReader[];
  /** the pieces that were read last: of the primary device if it has no windows, and of the metabox */
  #primaryWindow: Window = { bytes: new Uint8Array(0), from: 0 };
  #boxWindow = this.#primaryWindow;

  constructor(primary: BlockReader, sb: Superblock, extra: readonly BlockReader[], maxBytes: number) {
    this.path = primary.path;
    this.sb = sb;
    this.maxBytes = maxBytes;
    this.#primary = primary;
    this.#extra = extra;
    if (extra.length > 0 && extra.length !== sb.devices.length) {
      const what = `the image names ${sb.devices.length} extra devices, ${extra.length} were given`;
      throw new ErofsError('EINVAL', what, { path: this.path });
    }
  }

  /**
   * Whether the image has a device table and was opened without devices: what they have may lie behind the image in the same
   * file, at their mapped_blkaddr.
   */
  get flattened(): boolean {
    return this.sb.devices.length > 0 && this.#extra.length === 0;
  }

  /** bytes of the primary device */
  get size(): number {
    return this.#primary.size;
  }

  /** bytes of the primary device, or of the metabox */
  metaSize(inMetabox: boolean): number {
    return inMetabox ? this.#box().size : this.#primary.size;
  }

  /**
   * Metadata of the primary device, or of the metabox.
   * @param what names the structure in the error
   */
  meta(inMetabox: boolean, offset: number, length: number, nid: number | null, what: string): Uint8Array {
    this.inside(inMetabox, offset, length, nid, what);
    return inMetabox ? this.#box().read(offset, length) : this.#primary.readAt(offset, length);
  }

  /**
   * As {@link meta}, for fields that are looked at at once: a piece that holds those bytes, good until the next call of any
   * function that reads. Nothing is copied, nor is a view made.
   */
  window(inMetabox: boolean, offset: number, length: number, nid: number | null, what: string): Window {
    this.inside(inMetabox, offset, length, nid, what);
    const primary = this.#primary;
    if (!inMetabox && primary.window) return primary.window(offset, length);
    const last = inMetabox ? this.#boxWindow : this.#primaryWindow;
    if (offset >= last.from && offset + length <= last.from + last.bytes.length) return last;
    const from = roundDown(offset, WINDOW);
    const n = Math.max(offset + length - from, Math.min(WINDOW, this.metaSize(inMetabox) - from));
    const read = { bytes: inMetabox ? this.#box().read(from, n) : primary.readAt(from, n), from };
    if (inMetabox) this.#boxWindow = read;
    else this.#primaryWindow = read;
    return read;
  }

  /** Throws unless {@link meta} can give these bytes. */
  inside(inMetabox: boolean, offset: number, length: number, nid: number | null, what: string): void {
    const size = this.metaSize(inMetabox);
    if (offset + length <= size) return;
    const whole = inMetabox ? 'the metabox' : 'the image';
    throw this.corrupt(`${what} leads past the end of ${whole} (${size} bytes)`, nid, offset);
  }

  #box(): Metabox {
    if (this.metabox === null) throw this.corrupt('metadata is in a metabox, and the image has none', null, null);
    return this.metabox;
  }

  /**
   * File data.
   * @param device 0 is the primary device, whose address space also shows the others at their mapped_blkaddr; n is slot n - 1
   * @param pa byte address on that device
   * @param room where readers that can do so put it, instead of memory of its own
   */
  data(device: number, pa: number, length: number, nid: number, room?: (length: number) => Uint8Array): Uint8Array {
    let reader = this.#primary;
    let at = pa;
    const { devices, blkszbits } = this.sb;
    if (device > devices.length) {
      throw this.corrupt(`device ${device} of only ${devices.length}`, nid, null);
    }
    if (devices.length > 0) {
      let slot = device - 1;
      if (device === 0) {
        slot = devices.findIndex((d) => {
          const start = d.mappedBlkaddr * 2 ** blkszbits;
          return start > 0 && pa >= start && pa < start + d.blocks * 2 ** blkszbits;
        });
        if (slot >= 0 && !this.flattened) at -= devices[slot]!.mappedBlkaddr * 2 ** blkszbits;
      } else if (this.flattened) {
        at += devices[slot]!.mappedBlkaddr * 2 ** blkszbits;
      }
      const joined = this.flattened && devices[slot]?.mappedBlkaddr !== 0 && at + length <= reader.size;
      if (slot >= 0 && !joined) {
        const extra = this.#extra[slot];
        if (!extra) {
          throw this.unsupported(`unsupported: data on extra device ${slot + 1}, which was not given`, nid, null);
        }
        reader = extra;
      }
    }
    if (!(at + length <= reader.size)) {
      const end = reader === this.#primary ? 'the image' : reader.path;
      throw this.corrupt(`data at 0x${at.toString(16)}+${length} leads past the end of ${end}`, nid, at);
    }
    if (room === undefined || !reader.readInto) return reader.readAt(at, length);
    const target = room(length);
    reader.readInto(target, at);
    return target;
  }

  corrupt(what: string, nid: number | null, offset: number | null): ErofsCorruptError {
    return new ErofsCorruptError(what, { path: this.path, nid, offset, ...this.#object(nid) });
  }

  unsupported(what: string, nid: number | null, offset: number | null): ErofsUnsupportedError {
    return new ErofsUnsupportedError(what, { path: this.path, nid, offset, ...this.#object(nid) });
  }

  /** An inode of the metabox is named as one, for its offset is one there too. */
  #object(nid: number | null): { object?: string } {
    if (nid === null || this.sb.metaboxNid < 0 || !(Math.floor(nid / METABOX_NID_BIT) % 2)) return {};
    return { object: `metabox inode nid ${nid}` };
  }

  /** An answer that may be sound but would be larger than the caller allowed. */
  limit(what: string, nid: number | null): ErofsError {
    const hint = `exceeds the limit of ${this.maxBytes} bytes (maxBytes)`;
    return new ErofsError('LIMIT', `${what} ${hint}`, { path: this.path, nid });
  }

  close(): void {
    this.#primary.close?.();
    for (const r of this.#extra) r.close?.();
  }
}
