import { nameString, nidAt, u16 } from './bytes.ts';
import { EROFS_DIRENT_SIZE, EROFS_NAME_LEN, FILE_TYPES, type FileType } from './format.ts';
import type { Inode } from './inode.ts';
import type { Volume } from './volume.ts';

/** One directory entry. */
export interface Dirent {
  /** see {@link nameString} */
  readonly name: string;
  /** for {@link Image.inode} */
  readonly nid: number;
  /** what the entry says; null: it doesn't say */
  readonly type: FileType | null;
}

/** Reads `length` bytes of a directory at `offset`, never past its size. */
export type DirReader = (offset: number, length: number) => Uint8Array;

/** One block of a directory: how many entries it has, and their names' places, checked as they are asked for. */
class DirBlock {
  readonly count: number;
  readonly bytes: Buffer;
  /** where in `bytes` the name is that {@link seek} went to */
  start = 0;
  end = 0;
  readonly #vol: Volume;
  readonly #dir: Inode;
  /** offset in the directory */
  readonly #at: number;

  /**
   * A block is an array of struct erofs_dirent, 12 bytes: nid u64 @0, nameoff u16 @8, file_type u8 @10, reserved u8 @11;
   * then the names, back to back. The first nameoff is where the array ends, so it gives the count; the last name ends
   * at a NUL or with the block.
   */
  constructor(vol: Volume, dir: Inode, bytes: Uint8Array, at: number) {
    this.#vol = vol;
    this.#dir = dir;
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = at;
    const first = bytes.length >= EROFS_DIRENT_SIZE ? u16(bytes, 8) : 0;
    if (first < EROFS_DIRENT_SIZE || first % EROFS_DIRENT_SIZE !== 0 || first >= bytes.length) {
      throw this.#corrupt(0, `nameoff ${first} of the first entry in a block of ${bytes.length} bytes`);
    }
    this.count = first / EROFS_DIRENT_SIZE;
  }

  /** Goes to the name of entry `i`. */
  seek(i: number): void {
    const b = this.bytes;
    const start = u16(b, i * EROFS_DIRENT_SIZE + 8);
    let end: number;
    if (i + 1 < this.count) {
      end = u16(b, (i + 1) * EROFS_DIRENT_SIZE + 8);
    } else {
      end = start < b.length ? b.indexOf(0, start) : -1;
      if (end < 0) end = b.length;
    }
    const length = end - start;
    if (start < this.count * EROFS_DIRENT_SIZE || end > b.length || length <= 0 || length > EROFS_NAME_LEN) {
      throw this.#corrupt(i, `name at ${start}..${end} in a block of ${b.length} bytes`);
    }
    this.start = start;
    this.end = end;
  }

  /** Entry `i`, whose name {@link seek} went to. */
  entry(i: number): Dirent {
    const b = this.bytes;
    let all = 0;
    for (let at = this.start; at < this.end; at++) {
      const c = b[at]!;
      all |= c;
      if (c === 0 || c === 0x2f) throw this.#corrupt(i, `the name has a '/' or a NUL in it`);
    }
    const nid = nidAt(b, i * EROFS_DIRENT_SIZE, this.#vol.sb.metaboxNid >= 0);
    if (!Number.isSafeInteger(nid)) throw this.#corrupt(i, 'its nid is above 2^53');
    const type = b[i * EROFS_DIRENT_SIZE + 10]!;
    if (type >= FILE_TYPES.length) throw this.#corrupt(i, `file type ${type} is not defined`);
    const ascii = all < 0x80;
    const name = ascii ? b.toString('latin1', this.start, this.end) : nameString(b.subarray(this.start, this.end));
    return { name, nid, type: FILE_TYPES[type]! };
  }

  corruptOrder(i: number): Error {
    return this.#corrupt(i, 'the name is not above the one before it');
  }

  #corrupt(i: number, what: string): Error {
    const { nid, offset } = this.#dir;
    return this.#vol.corrupt(`directory block at ${this.#at}, entry ${i}: ${what}`, nid, offset);
  }
}

/** Orders the bytes `[aStart, aEnd)` of one array and `[bStart, bEnd)` of another, as memcmp does and the shorter first. */
function compareBytes(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const n = Math.min(aEnd - aStart, bEnd - bStart);
  for (let i = 0; i < n; i++) {
    const order = a[aStart + i]! - b[bStart + i]!;
    if (order !== 0) return order;
  }
  return aEnd - aStart - (bEnd - bStart);
}

/**
 * All entries, `.` and `..` included, in their order on disk, which is checked to be that of their bytes.
 * @throws ErofsCorruptError; ErofsError LIMIT when the directory is larger than maxBytes
 */
export function readDirents(vol: Volume, dir: Inode, read: DirReader): Dirent[] {
  const blockSize = vol.sb.dirBlockSize;
  if (dir.size > vol.maxBytes) throw vol.limit(`a directory of ${dir.size} bytes`, dir.nid);
  const out: Dirent[] = [];
  // the name before, in its block
  let before: Uint8Array = new Uint8Array(0);
  let start = 0;
  let end = 0;
  for (let at = 0; at < dir.size; at += blockSize) {
    const block = new DirBlock(vol, dir, read(at, Math.min(blockSize, dir.size - at)), at);
    for (let i = 0; i < block.count; i++) {
      block.seek(i);
      if (compareBytes(before, start, end, block.bytes, block.start, block.end) >= 0) throw block.corruptOrder(i);
      out.push(block.entry(i));
      before = block.bytes;
      ({ start, end } = block);
    }
  }
  return out;
}

/**
 * Finds one name as the kernel does: binary search for the block by its first name, then within the block.
 * @returns null when the directory hasn't got it
 */
export function findDirent(vol: Volume, dir: Inode, name: Uint8Array, read: DirReader): Dirent | null {
  const blockSize = vol.sb.dirBlockSize;
  const load = (i: number) => {
    const at = i * blockSize;
    return new DirBlock(vol, dir, read(at, Math.min(blockSize, dir.size - at)), at);
  };
  let low = 0;
  let high = Math.ceil(dir.size / blockSize) - 1;
  let block: DirBlock | null = null;
  while (low <= high) {
    const mid = low + Math.floor((high - low) / 2);
    const candidate = load(mid);
    candidate.seek(0);
    if (compareBytes(candidate.bytes, candidate.start, candidate.end, name, 0, name.length) <= 0) {
      block = candidate;
      low = mid + 1;
    } else {
      high = mid - 1;
    }
  }
  if (block === null) return null;
  low = 0;
  high = block.count - 1;
  while (low <= high) {
    const mid = (low + high) >> 1;
    block.seek(mid);
    const order = compareBytes(block.bytes, block.start, block.end, name, 0, name.length);
    if (order === 0) return block.entry(mid);
    if (order < 0) low = mid + 1;
    else high = mid - 1;
  }
  return null;
}
