import { type DataBudget, defaultMaxData, defaultMaxMetadata, MetadataBudget } from './budget.ts';
import { nameBytes, nameString, printableName } from './bytes.ts';
import { Contents, type Piece } from './contents.ts';
import type { Extent } from './data.ts';
import { type Dirent, findDirent, readDirents } from './dir.ts';
import { ErofsError } from './error.ts';
import { INCOMPAT_FRAGMENTS, PATH_MAX } from './format.ts';
import { type Inode, readInode } from './inode.ts';
import { type BlockReader, FileReader, MemoryReader, OffsetReader } from './reader.ts';
import { readSuperblock, type Superblock } from './superblock.ts';
import { Sweep } from './sweep.ts';
import { Volume } from './volume.ts';
import { findXattr, type LongPrefixes, prefixPlace, readLongPrefixes, readXattrs, type Xattr } from './xattr.ts';

/** A file name (opened, and closed by {@link Image.close}), the bytes, or anything that reads blocks. */
export type ImageSource = string | Uint8Array | BlockReader;

/** What {@link Image.open} takes beside the image. */
export interface OpenOptions {
  /** the devices of the image's device table, in its order; without them their data is looked for behind the image itself ({@link Image.flattened}), and an unsupported error if it isn't there */
  devices?: readonly ImageSource[];
  /** where in the source the image starts, in bytes (mkfs.erofs --offset, mount -o fsoffset); offsets in errors count from there; default 0 */
  offset?: number;
  /** bound of any one buffer made on the image's word, in bytes; default 64 MiB */
  maxBytes?: number;
  /** bound of the file data that one pass over the image decodes (check, extract, and what else asks for it), in bytes; default 1 GiB plus 1,024 times its size */
  maxData?: number;
  /** bound of the metadata that one pass takes: bytes of directories, xattrs and paths; default 64 MiB plus 64 times its size; see {@link MetadataBudget} */
  maxMetadata?: number;
}

/** What {@link Image.walk} yields. */
export interface WalkEntry {
  /** from `/`, which is the root itself; see {@link nameString} */
  readonly path: string;
  /** the directory it was found in; the root's own nid for the root */
  readonly parentNid: number;
  /** what the name leads to; another object for each hard link, of the same nid */
  readonly inode: Inode;
}

const MAX_SYMLINKS = 40; // as Linux
const MAX_DEPTH = PATH_MAX / 2; // deeper than any path name can say

/**
 * An EROFS image, open for reading. Nothing is believed: every method may throw {@link ErofsCorruptError} or
 * {@link ErofsUnsupportedError}, and throws nothing else but {@link ErofsError} because of what an image says.
 *
 * Names and paths are strings that hold exact bytes (see {@link nameString} and {@link nameBytes}).
 * Byte arrays that are returned may alias caches: don't write to them.
 */
export class Image {
  /** as it was when the image was opened */
  readonly superblock: Superblock;
  /** see {@link OpenOptions.maxData} */
  readonly maxData: number;
  /** see {@link OpenOptions.maxMetadata} */
  readonly maxMetadata: number;
  readonly #vol: Volume;
  #prefixes: LongPrefixes | null = null;
  readonly #contents: Contents;
  readonly #packedContents: Contents;
  #packed: Inode | null = null;

  private constructor(vol: Volume, maxData: number, maxMetadata: number) {
    this.#vol = vol;
    this.maxData = maxData;
    this.maxMetadata = maxMetadata;
    this.superblock = vol.sb;
    const { metaboxNid } = vol.sb;
    this.#contents = new Contents(vol, (nid, offset, length) => this.#readPacked(nid, offset, length));
    this.#packedContents = new Contents(vol, (nid) => {
      throw vol.corrupt('the packed inode has a fragment, which would be in itself', nid, null);
    });
    if (metaboxNid >= 0) {
      const box = readInode(vol, metaboxNid);
      const contents = new Contents(vol, (nid, offset, length) => this.#readPacked(nid, offset, length));
      vol.metabox = { size: box.size, read: (offset, length) => contents.read(box, offset, length) };
    }
  }

  /**
   * Reads and checks the superblock and the root directory's inode.
   *
   * @throws ErofsCorruptError, ErofsUnsupportedError; ErofsError with an errno name when a source can't be read, EINVAL
   *   when the number of devices given is not the image's. What it opened itself is closed then.
   */
  static open(source: ImageSource, options: OpenOptions = {}): Image {
    for (const name of ['maxBytes', 'maxData', 'maxMetadata'] as const) {
      const bound = options[name];
      if (bound !== undefined && !(bound >= 0)) throw new TypeError(`${name} is ${bound}, not a number of bytes`);
    }
    const opened: BlockReader[] = [];
    try {
      const whole = toReader(source, opened);
      const primary = options.offset === undefined ? whole : new OffsetReader(whole, options.offset);
      const devices = (options.devices ?? []).map((d) => toReader(d, opened));
      const vol = new Volume(primary, readSuperblock(primary), devices, options.maxBytes ?? 64 << 20);
      const size = [primary, ...devices].reduce((sum, reader) => sum + reader.size, 0);
      const { maxData = defaultMaxData(size), maxMetadata = defaultMaxMetadata(size) } = options;
      const image = new Image(vol, maxData, maxMetadata);
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

  /**
   * Whether the image has a device table and was opened without devices: the bytes of device slot n at `pa` are then those at
   * `pa + devices[n].mappedBlkaddr * blockSize` of the image, as Linux has it (erofs_map_dev), if it is as large.
   */
  get flattened(): boolean {
    return this.#vol.flattened;
  }

  /**
   * Bytes that were decoded by reads that may decode the same again, since it was opened: of directories and inodes in a metabox, of
   * fragments, by {@link read}. A budget counts them too.
   */
  get decodedBytes(): number {
    return this.#vol.decodedBytes;
  }

  /** bytes of the primary device */
  get size(): number {
    return this.#vol.size;
  }

  /** Closes what {@link Image.open} opened by name, and readers it was given that can be closed. */
  close(): void {
    this.#vol.close();
  }

  /**
   * The inode at a nid. Any nid inside the image can be asked for; only one that a directory names means something.
   * @throws ErofsCorruptError, ErofsUnsupportedError
   */
  inode(nid: number): Inode {
    return readInode(this.#vol, nid);
  }

  /** The directory that `/` is. */
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

  /**
   * All entries of a directory but `.` and `..`, sorted by their bytes as they are on disk.
   * @throws ErofsError ENOTDIR when it is no directory, LIMIT when it is larger than maxBytes
   */
  readdir(dir: Inode): Dirent[] {
    return this.dirents(dir).filter((e) => e.name !== '.' && e.name !== '..');
  }

  /**
   * The target of a symlink; see {@link nameString}. Of a longer one than Linux's page, its first 4,095 bytes, as readlink(2)
   * gives them: mkfs.erofs --tar may write such.
   */
  readlink(inode: Inode): string {
    if (inode.type !== 'symlink') throw this.#wrong(inode, 'a symlink');
    if (inode.size === 0) throw this.#vol.corrupt('a symlink of 0 bytes', inode.nid, inode.offset);
    const target = this.#contents.read(inode, 0, Math.min(inode.size, PATH_MAX - 1));
    if (target.includes(0)) throw this.#vol.corrupt('the symlink has a NUL in it', inode.nid, inode.offset);
    return nameString(target);
  }

  /**
   * All extended attributes, inline ones first, in the order on disk.
   * @param budget what may still be read
   */
  xattrs(inode: Inode, budget?: MetadataBudget): Xattr[] {
    return readXattrs(this.#vol, inode, () => this.longPrefixes(), budget);
  }

  /** As {@link xattrs}, to see that it can be done: here a long prefix that isn't there is an error. */
  verifyXattrs(inode: Inode, budget?: MetadataBudget): void {
    readXattrs(this.#vol, inode, () => this.longPrefixes(), budget, true);
  }

  /** The long xattr name prefixes of the image, as text. */
  longPrefixes(): LongPrefixes {
    if (this.#prefixes === null) {
      const vol = this.#vol;
      const place = prefixPlace(vol);
      this.#prefixes = readLongPrefixes(vol, (at, length) =>
        place === 'packed'
          ? this.#readPacked(vol.sb.packedNid, at, length)
          : vol.meta(place === 'metabox', at, length, null, 'a long xattr prefix'),
      );
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
   * @param budget what may still be read
   */
  fingerprint(inode: Inode, budget?: MetadataBudget): Uint8Array | null {
    const name = this.fingerprintXattr;
    return name === null ? null : findXattr(this.#vol, inode, name, () => this.longPrefixes(), budget);
  }

  /**
   * Random access: the bytes `[offset, offset + length)` of a file, fewer at its end, none behind it. Only the pclusters
   * that they lie in are decoded; the last few are kept, so that reading on page by page decodes each once.
   *
   * @param offset bytes, a whole number not below 0, as is the length
   * @throws ErofsError EINVAL when they aren't, LIMIT when more than maxBytes are asked for: see {@link stream}
   */
  read(inode: Inode, offset: number, length: number): Uint8Array {
    if (inode.type !== 'file') throw this.#wrong(inode, 'a regular file');
    for (const n of [offset, length]) {
      if (Number.isInteger(n) && n >= 0) continue;
      throw new ErofsError('EINVAL', `a read at ${offset} of ${length} bytes`, { path: this.path, nid: inode.nid });
    }
    return this.#contents.read(inode, offset, length);
  }

  /**
   * The whole file in order, in chunks of up to 1 MiB (12 MiB where one pcluster decodes to that); every pcluster is
   * decoded once. Holes come as zeros: see {@link pieces}.
   */
  *stream(inode: Inode): Generator<Uint8Array, void, undefined> {
    if (inode.type !== 'file') throw this.#wrong(inode, 'a regular file');
    for (const { bytes } of this.#contents.pieces(inode, true)) yield bytes;
  }

  /** As {@link stream}, but without the holes, which read as zeros. */
  *pieces(inode: Inode): Generator<Piece, void, undefined> {
    if (inode.type !== 'file') throw this.#wrong(inode, 'a regular file');
    yield* this.#contents.pieces(inode, false);
  }

  /**
   * Decodes a whole file and keeps nothing of it: returns when every byte of it can be read.
   * @param budget what may still be decoded; holes cost nothing
   */
  verify(inode: Inode, budget?: DataBudget): void {
    if (inode.type !== 'file') throw this.#wrong(inode, 'a regular file');
    this.#contents.verify(inode, budget);
  }

  /** For {@link verify} of many files, in the order in which their data lies. */
  sweep(): Sweep {
    return new Sweep(this.#vol, this.#contents);
  }

  /**
   * Where a file, directory or symlink lies: its extents in order, without gaps, one per line that `dump.erofs -e`
   * prints (nothing is merged: a chunk or a pcluster is one extent). Addresses and lengths are bytes. Others have no extents.
   */
  *mapBlocks(inode: Inode): Generator<Extent, void, undefined> {
    if (inode.type !== 'file' && inode.type !== 'directory' && inode.type !== 'symlink') return;
    yield* this.#contents.extents(inode);
  }

  /**
   * The tree below a directory, itself first, depth first, entries sorted by their bytes; hard links come once per name.
   * `.` and `..` must agree with the way there, a dirent's type with its inode, and no directory may come twice.
   * @throws ErofsError LIMIT when directories and paths are more than {@link MetadataBudget} has
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
    const budget = new MetadataBudget(this);
    // `..` of the top is only known when it is the root.
    const topParent = top.nid === this.superblock.rootNid ? top.nid : null;
    const stack: Level[] = [
      {
        nid: top.nid,
        prefix: topPath.endsWith('/') ? topPath : `${topPath}/`,
        entries: this.#checkedDirents(top, topParent, budget),
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
      budget.take(entry.nid, path.length);
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
        stack.push({
          nid: inode.nid,
          prefix: `${path}/`,
          entries: this.#checkedDirents(inode, level.nid, budget),
          next: 0,
        });
      }
    }
  }

  /** All entries of a directory, `.` and `..` included where they are, in the order on disk. */
  dirents(dir: Inode): Dirent[] {
    if (dir.type !== 'directory') throw this.#wrong(dir, 'a directory');
    return readDirents(this.#vol, dir, this.#dirReader(dir));
  }

  #checkedDirents(dir: Inode, parentNid: number | null, budget: MetadataBudget): Dirent[] {
    budget.directory(dir);
    const out: Dirent[] = [];
    for (const e of this.dirents(dir)) {
      const expected = e.name === '.' ? dir.nid : e.name === '..' ? parentNid : undefined;
      if (expected === undefined) out.push(e);
      else if (expected !== null && e.nid !== expected) {
        throw this.#vol.corrupt(`'${e.name}' is nid ${e.nid}, not ${expected}`, dir.nid, dir.offset);
      }
    }
    return out;
  }

  #dirReader(dir: Inode): (offset: number, length: number) => Uint8Array {
    return (offset, length) => this.#contents.read(dir, offset, length);
  }

  /** Bytes of the packed inode, where other files' fragments lie. @param nid who asks, for errors */
  #readPacked(nid: number, offset: number, length: number): Uint8Array {
    const vol = this.#vol;
    const { packedNid, featureIncompat } = vol.sb;
    if (this.#packed === null) {
      if (packedNid === 0 || !(featureIncompat & INCOMPAT_FRAGMENTS)) {
        throw vol.corrupt('has a fragment, but the image has no packed inode', nid, null);
      }
      const packed = this.inode(packedNid);
      if (packed.type !== 'file') throw vol.corrupt(`the packed inode is a ${packed.type}`, packedNid, packed.offset);
      this.#packed = packed;
    }
    if (!(offset + length <= this.#packed.size)) {
      const what = `${length} bytes at ${offset} lead past the end of the packed inode (${this.#packed.size} bytes)`;
      throw vol.corrupt(what, nid, null);
    }
    return this.#packedContents.read(this.#packed, offset, length);
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
