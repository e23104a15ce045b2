import { ErofsError } from './error.ts';
import type { Image } from './image.ts';
import type { Inode } from './inode.ts';

/**
 * How much file data an image may be decoded to in one pass, unless the caller says: an image of a few KiB can claim
 * terabytes, all of them in one pcluster. DEFLATE makes at most 1,032 bytes of one.
 *
 * @param size of the image, bytes
 */
export function defaultMaxData(size: number): number {
  return 2 ** 30 + 1024 * size;
}

/** What a pass over an image (a check, digests, an extraction, an index) may still decode. */
export class DataBudget {
  readonly #image: Image;
  #left: number;
  /** {@link Image.decodedBytes} when it began: a pcluster may be decoded for one byte of it, again for the next file */
  readonly #decoded: number;
  /** whether more was asked for than there was */
  exceeded = false;

  constructor(image: Image) {
    this.#image = image;
    this.#left = image.maxData;
    this.#decoded = image.decodedBytes;
  }

  /**
   * @param bytes of file data that are to be decoded next
   * @throws ErofsError LIMIT when they are too many
   */
  take(nid: number, bytes: number): void {
    this.#left -= bytes;
    if (this.#left >= this.#image.decodedBytes - this.#decoded) return;
    this.exceeded = true;
    const { path, size, maxData } = this.#image;
    const what = `more than ${maxData} bytes of file data in an image of ${size}: see maxData, --max-data`;
    throw new ErofsError('LIMIT', what, { path, nid });
  }
}

/**
 * How many bytes of metadata a pass may take, unless the caller says. A sound image has its inline xattrs and uncompressed
 * directories in itself, so this is for what is counted more than once: shared xattrs, compressed directories, paths.
 *
 * @param size of the image, bytes
 */
export function defaultMaxMetadata(size: number): number {
  return 2 ** 26 + 64 * size;
}

/** A byte of a compressed directory is counted so often: a name takes 13 or more, and far longer to follow than to read. */
const COMPRESSED_DIRECTORY = 8;
/** so is a byte of an xattr area, whose entries may be of 4 bytes each */
const XATTR_AREA = 4;

/**
 * What a pass over an image may still take of metadata: the bytes of directories, of xattrs, and of the paths it makes.
 * Each inode of a hostile image can name the same bytes as all others do.
 */
export class MetadataBudget {
  readonly #image: Image;
  readonly #decoded: number;
  #left: number;
  #directories: number;
  /** whether more was asked for than there was */
  exceeded = false;

  constructor(image: Image) {
    this.#image = image;
    this.#left = image.maxMetadata;
    this.#decoded = image.decodedBytes;
    this.#directories = image.size;
  }

  /**
   * A directory that is to be read next.
   * @throws ErofsError LIMIT when all that came are too large: the uncompressed ones together larger than the image
   */
  directory(dir: Inode): void {
    if (dir.inMetabox || dir.layout.startsWith('compressed')) {
      this.take(dir.nid, COMPRESSED_DIRECTORY * dir.size);
      return;
    }
    this.#directories -= dir.size;
    if (this.#directories >= 0) return;
    this.exceeded = true;
    const { path, size } = this.#image;
    throw new ErofsError('LIMIT', `more than ${size} bytes of directories in an image of ${size}`, {
      path,
      nid: dir.nid,
    });
  }

  /** As {@link take}, of the xattr area behind an inode. */
  xattrArea(inode: Inode): void {
    this.take(inode.nid, XATTR_AREA * inode.xattrSize);
  }

  /** @throws ErofsError LIMIT when these bytes are too many, or all that was decoded for them is more than maxData */
  take(nid: number, bytes: number): void {
    this.#left -= bytes;
    const { path, size, maxMetadata, maxData, decodedBytes } = this.#image;
    const decoded = decodedBytes - this.#decoded;
    if (this.#left >= 0 && decoded <= maxData) return;
    this.exceeded = true;
    if (decoded > maxData) {
      const what = `more than ${maxData} bytes decoded, again and again, for metadata in an image of ${size}`;
      throw new ErofsError('LIMIT', `${what}: see maxData, --max-data`, { path, nid });
    }
    const what = `more than ${maxMetadata} bytes of metadata (directories, xattrs, paths) in an image of ${size}`;
    throw new ErofsError('LIMIT', `${what}: see maxMetadata, --max-metadata`, { path, nid });
  }
}
