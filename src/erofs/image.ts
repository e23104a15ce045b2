import { nameBytes, nameString, printableName, uncleared } from './bytes.ts';
import { type Extent, mapChunk, mapFlat } from './data.ts';
import { decodePcluster } from './decompress.ts';
import { type Dirent, findDirent, readDirents } from './dir.ts';
import { ErofsError } from './error.ts';
import { PATH_MAX } from './format.ts';
import { type Inode, readInode } from './inode.ts';
import { type BlockReader, FileReader, MemoryReader } from './reader.ts';
import { readSuperblock, type Superblock } from './superblock.ts';
import { Volume } from './volume.ts';
import { type LongPrefixes, prefixesArePacked, readLongPrefixes, readXattrs, type Xattr } from './xattr.ts';
import { PclusterMap } from './zmap.ts';

/** A file name (opened, and closed by {@link Image.close}), the bytes, or anything that reads blocks. */
export type ImageSource = string | Uint8Array | BlockReader;

export interface OpenOptions {
  /** the devices of the image's device table, in its order; without them their data is an unsupported error */
  devices?: readonly ImageSource[];
  /** bound of any one buffer made on the image's word, in bytes; default 64 MiB */
  maxBytes?: number;
}

/** What {@link Image.walk} yields. */
export interface WalkEntry {
  /** from `/`, which is the root itself; see {@link nameString} */
  readonly path: string;
  /** the directory it was found in; the root's own nid for the root */
  readonly parentNid: number;
  readonly inode: Inode;
}

const STREAM_CHUNK = 1 << 20;
const DECODED_COUNT = 8;
const DECODED_BYTES = 4 << 20;
const MAX_SYMLINKS = 40; // as Linux
const MAX_DEPTH = PATH_MAX / 2; // deeper than any path name can say

interface Decoded {
  readonly nid: number;
  readonly la: number;
  readonly bytes: Uint8Array;
}

/**
 * An EROFS image, open for reading. Nothing is believed: every method may throw {@link ErofsCorruptError} or
 * {@link ErofsUnsupportedError}, and throws nothing else but {@link ErofsError} because of what an image says.
 *
 * Names and paths are strings that hold exact bytes (see {@link nameString} and {@link nameBytes}).
 * Byte arrays that are returned may alias caches: don't write to them.
 */
export class Image {
  readonly superblock: Superblock;
  readonly #vol: Volume;
  #prefixes: LongPrefixes | null = null;
  #pclusters: PclusterMap | null = null;
  /** pclusters decoded by random access, the last used first */
  readonly #decoded: Decoded[] = [];

  private constructor(vol: Volume) {
    this.#vol = vol;
    this.superblock = vol.sb;
  }

  /** Reads and checks the superblock and the root directory's inode. */
  static open(source: ImageSource, options: OpenOptions = {}): Image {
    const opened: BlockReader[] = [];
    try {
      const primary = toReader(source, opened);
      const devices = (options.devices ?? []).map((d) => toReader(d, opened));
      const image = new Image(new Volume(primary, readSuperblock(primary), devices, options.maxBytes ?? 64 << 20));
      const root = image.root();
      if (root.type !== 'directory') {
        throw image.#vol.corrupt(`the root is a ${root.type}, not a directory`, root.nid, root.offset);
      }
      return image;
    } catch (e) {
      for (const r of opened) r.close?.();
      throw e;
    }
  }

  /** names the image in errors */
  get path(): string {
    return this.#vol.path;
  }

  /** bytes of the primary device */
  get size(): number {
    return this.#vol.size;
  }

  /** Closes what {@link Image.open} opened by name, and readers it was given that can be closed. */
  close(): void {
    this.#vol.close();
  }

  /** The inode at a nid. Any nid inside the image can be asked for; only one that a directory names means something. */
  inode(nid: number): Inode {
    return readInode(this.#vol, nid);
  }

  root(): Inode {
    return this.inode(this.superblock.rootNid);
  }

  /**
   * Resolves an absolute path (a missing first slash is forgiven). Symlinks on the way are followed inside the image;
   * one at the end is only when `follow` is set, or the path ends in a slash.
   *
   * @throws ErofsError ENOENT, ENOTDIR or ELOOP when there is no such file
   */
  lookup(path: string, options: { follow?: boolean } = {}): Inode {
    const trail: Inode[] = [this.root()];
    let links = 0;
    const follow = options.follow || path.endsWith('/');
    const todo = path.split('/').reverse();
    while (todo.length > 0) {
      const name = todo.pop()!;
      const dir = trail[trail.length - 1]!;
      if (name === '' || name === '.') continue;
      if (dir.type !== 'directory') throw this.#noSuch('ENOTDIR', 'not a directory', path);
      if (name === '..') {
        if (trail.length > 1) trail.pop();
        continue;
      }
      const entry = findDirent(this.#vol, dir, nameBytes(name), this.#dirReader(dir));
      if (entry === null) throw this.#noSuch('ENOENT', 'no such file or directory', path);
      const inode = this.inode(entry.nid);
      const last = todo.every((n) => n === '' || n === '.');
      if (inode.type === 'symlink' && (follow || !last)) {
        if (++links > MAX_SYMLINKS) throw this.#noSuch('ELOOP', 'too many symbolic links', path);
        const target = this.readlink(inode);
        if (target.startsWith('/')) trail.length = 1;
        todo.push(...target.split('/').reverse());
        continue;
      }
      trail.push(inode);
    }
    const found = trail[trail.length - 1]!;
    if (path.endsWith('/') && found.type !== 'directory') throw this.#noSuch('ENOTDIR', 'not a directory', path);
    return found;
  }

  /** All entries of a directory but `.` and `..`, sorted by their bytes as they are on disk. */
  readdir(dir: Inode): Dirent[] {
    return this.#dirents(dir).filter((e) => e.name !== '.' && e.name !== '..');
  }

  /** The target of a symlink; see {@link nameString}. */
  readlink(inode: Inode): string {
    if (inode.type !== 'symlink') throw this.#wrong(inode, 'a symlink');
    if (inode.size === 0 || inode.size >= PATH_MAX) {
      throw this.#vol.corrupt(`a symlink of ${inode.size} bytes`, inode.nid, inode.offset);
    }
    const target = this.#readBytes(inode, 0, inode.size);
    if (target.includes(0)) throw this.#vol.corrupt('the symlink has a NUL in it', inode.nid, inode.offset);
    return nameString(target);
  }

  /** All extended attributes, inline ones first, in the order on disk. */
  xattrs(inode: Inode): Xattr[] {
    return readXattrs(this.#vol, inode, () => this.longPrefixes());
  }

  /** The long xattr name prefixes of the image, as text. */
  longPrefixes(): LongPrefixes {
    if (this.#prefixes === null) {
      const vol = this.#vol;
      if (prefixesArePacked(vol)) {
        const packed = this.inode(this.superblock.packedNid);
        this.#prefixes = readLongPrefixes(vol, (offset, length) => {
          if (offset + length > packed.size) {
            throw vol.corrupt('the long xattr prefixes lead past the end of the packed inode', packed.nid, null);
          }
          return this.#readBytes(packed, offset, length);
        });
      } else {
        this.#prefixes = readLongPrefixes(vol, (at, length) => vol.meta(at, length, null, 'a long xattr prefix'));
      }
    }
    return this.#prefixes;
  }

  /** Name of the xattr that holds fingerprints, or null when the image has none (ishare_xattrs). */
  get fingerprintXattr(): string | null {
    const id = this.superblock.ishareXattrPrefixId;
    return id < 0 ? null : this.longPrefixes()[id]!;
  }

  /**
   * The value of the fingerprint xattr, as the kernel keys its shared page cache by: mkfs.erofs writes 39 bytes,
   * `sha256:` and the raw digest. Null when the image or the inode has none. What it says is not checked.
   */
  fingerprint(inode: Inode): Uint8Array | null {
    const name = this.fingerprintXattr;
    if (name === null) return null;
    return this.xattrs(inode).find((x) => x.name === name)?.value ?? null;
  }

  /**
   * Random access: the bytes `[offset, offset + length)` of a file, fewer at its end. Only what they lie in is decoded.
   * @throws ErofsError LIMIT when more than maxBytes are asked for: see {@link stream}
   */
  read(inode: Inode, offset: number, length: number): Uint8Array {
    if (inode.type !== 'file') throw this.#wrong(inode, 'a regular file');
    return this.#readBytes(inode, offset, length);
  }

  /** The whole file in order, in chunks of up to 1 MiB; every pcluster is decoded once. */
  *stream(inode: Inode): Generator<Uint8Array, void, undefined> {
    if (inode.type !== 'file') throw this.#wrong(inode, 'a regular file');
    let chunk: Uint8Array | null = null;
    let used = 0;
    for (const e of this.mapBlocks(inode)) {
      const end = Math.min(e.la + e.llen, inode.size);
      if (!e.encoded) {
        for (let at = e.la; at < end; at += STREAM_CHUNK) {
          yield this.#rawBytes(inode, e, at, Math.min(STREAM_CHUNK, end - at));
        }
        continue;
      }
      // pclusters are small: gather them.
      const n = end - e.la;
      if (chunk === null || used + n > chunk.length) {
        if (chunk !== null) yield chunk.subarray(0, used);
        chunk = uncleared(Math.max(n, Math.min(STREAM_CHUNK, inode.size - e.la)));
        used = 0;
      }
      decodePcluster(this.#vol, inode, e, chunk, used, n);
      used += n;
    }
    if (chunk !== null) yield chunk.subarray(0, used);
  }

  /**
   * Where a file, directory or symlink lies: its extents in order, without gaps, one per line that `dump.erofs -e`
   * prints (nothing is merged: a chunk or a pcluster is one extent). Addresses and lengths are bytes. Others have no extents.
   */
  *mapBlocks(inode: Inode): Generator<Extent, void, undefined> {
    if (inode.type !== 'file' && inode.type !== 'directory' && inode.type !== 'symlink') return;
    for (let la = 0; la < inode.size; ) {
      const e = this.#map(inode, la);
      if (e.la !== la || !(e.llen > 0)) {
        const what = `extent of ${e.llen} bytes at ${e.la} where one at ${la} is due`;
        throw this.#vol.corrupt(what, inode.nid, inode.offset);
      }
      yield e;
      la += e.llen;
    }
  }

  /**
   * The tree below a directory, itself first, depth first, entries sorted by their bytes; hard links come once per name.
   * `.` and `..` must agree with the way there, a dirent's type with its inode, and no directory may come twice.
   */
  *walk(from?: { path: string; inode: Inode }): Generator<WalkEntry, void, undefined> {
    const top = from?.inode ?? this.root();
    const topPath = from?.path ?? '/';
    yield { path: topPath, parentNid: top.nid, inode: top };
    if (top.type !== 'directory') return;
    interface Level {
      readonly nid: number;
      readonly prefix: string;
      readonly entries: Dirent[];
      next: number;
    }
    const seen = new Set<number>([top.nid]);
    // `..` of the top is only known when it is the root.
    const topParent = top.nid === this.superblock.rootNid ? top.nid : null;
    const stack: Level[] = [
      {
        nid: top.nid,
        prefix: topPath.endsWith('/') ? topPath : `${topPath}/`,
        entries: this.#checkedDirents(top, topParent),
        next: 0,
      },
    ];
    while (stack.length > 0) {
      const level = stack[stack.length - 1]!;
      const entry = level.entries[level.next++];
      if (entry === undefined) {
        stack.pop();
        continue;
      }
      const path = level.prefix + entry.name;
      const inode = this.inode(entry.nid);
      if (entry.type !== null && entry.type !== inode.type) {
        throw this.#vol.corrupt(
          `is a ${inode.type}, its name ${printableName(path)} says ${entry.type}`,
          inode.nid,
          inode.offset,
        );
      }
      yield { path, parentNid: level.nid, inode };
      if (inode.type === 'directory') {
        if (seen.has(inode.nid)) {
          throw this.#vol.corrupt(`directory reached again, as ${printableName(path)}`, inode.nid, inode.offset);
        }
        if (stack.length >= MAX_DEPTH) {
          throw this.#vol.unsupported(`directories are nested deeper than ${MAX_DEPTH}`, inode.nid, inode.offset);
        }
        seen.add(inode.nid);
        stack.push({ nid: inode.nid, prefix: `${path}/`, entries: this.#checkedDirents(inode, level.nid), next: 0 });
      }
    }
  }

  #dirents(dir: Inode): Dirent[] {
    if (dir.type !== 'directory') throw this.#wrong(dir, 'a directory');
    return readDirents(this.#vol, dir, this.#dirReader(dir));
  }

  #checkedDirents(dir: Inode, parentNid: number | null): Dirent[] {
    const out: Dirent[] = [];
    for (const e of this.#dirents(dir)) {
      const expected = e.name === '.' ? dir.nid : e.name === '..' ? parentNid : undefined;
      if (expected === undefined) out.push(e);
      else if (expected !== null && e.nid !== expected) {
        throw this.#vol.corrupt(`'${e.name}' is nid ${e.nid}, not ${expected}`, dir.nid, dir.offset);
      }
    }
    return out;
  }

  #dirReader(dir: Inode): (offset: number, length: number) => Uint8Array {
    return (offset, length) => this.#readBytes(dir, offset, length);
  }

  /** The layout switch: the extent that holds `la`, which is below the file's size. */
  #map(inode: Inode, la: number): Extent {
    switch (inode.layout) {
      case 'flat-plain':
      case 'flat-inline':
        return mapFlat(this.#vol, inode, la);
      case 'chunk-based':
        return mapChunk(this.#vol, inode, la);
      case 'compressed-full':
      case 'compressed-compact':
        // The map keeps its place in the index, so the last file's is worth keeping.
        if (this.#pclusters?.inode !== inode) this.#pclusters = new PclusterMap(this.#vol, inode);
        return this.#pclusters.map(la);
    }
  }

  /** Any inode's bytes, clipped to its size; one view when they are contiguous on disk. */
  #readBytes(inode: Inode, offset: number, length: number): Uint8Array {
    const from = Math.max(0, offset);
    const end = Math.min(inode.size, from + length);
    if (!(end > from)) return new Uint8Array(0);
    if (end - from > this.#vol.maxBytes) throw this.#vol.limit(`a read of ${end - from} bytes`, inode.nid);
    let out: Uint8Array | null = null;
    for (let la = from; la < end; ) {
      const e = this.#map(inode, la);
      const n = Math.min(e.la + e.llen, end) - la;
      const piece = this.#rawBytes(inode, e, la, n);
      if (n === end - from) return piece;
      out ??= uncleared(end - from);
      out.set(piece, la - from);
      la += n;
    }
    return out!;
  }

  /** `[la, la + length)` of a file, within extent `e` */
  #rawBytes(inode: Inode, e: Extent, la: number, length: number): Uint8Array {
    if (e.hole) return new Uint8Array(length);
    if (e.encoded) return this.#decode(inode, e).subarray(la - e.la, la - e.la + length);
    return this.#vol.data(e.device, e.pa + (la - e.la), length, inode.nid);
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
    decodePcluster(this.#vol, inode, e, bytes, 0, e.llen);
    cache.unshift({ nid: inode.nid, la: e.la, bytes });
    let sum = 0;
    for (const d of cache) sum += d.bytes.length;
    while (cache.length > DECODED_COUNT || (sum > DECODED_BYTES && cache.length > 1)) sum -= cache.pop()!.bytes.length;
    return bytes;
  }

  #wrong(inode: Inode, wanted: string): ErofsError {
    const { nid, offset } = inode;
    const code = wanted === 'a directory' ? 'ENOTDIR' : inode.type === 'directory' ? 'EISDIR' : 'EINVAL';
    return new ErofsError(code, `is a ${inode.type}, not ${wanted}`, { path: this.path, nid, offset });
  }

  #noSuch(code: string, what: string, name: string): ErofsError {
    return new ErofsError(code, what, { path: this.path, object: printableName(name) });
  }
}

function toReader(source: ImageSource, opened: BlockReader[]): BlockReader {
  if (typeof source === 'string') {
    const reader = new FileReader(source);
    opened.push(reader);
    return reader;
  }
  return source instanceof Uint8Array ? new MemoryReader(source) : source;
}
