import { createHash } from 'node:crypto';
import { nameString } from '../../erofs/index.ts';
import { checkContent, checkHeader, checkLengths, missingColumns } from './check.ts';
import { unpackColumns } from './columns.ts';
import {
  CODECS,
  type Codec,
  EXTENT_COMPRESSED,
  FIRST_COMPRESSED_LAYOUT,
  type IndexColumns,
  type IndexHeader,
  LAYOUTS,
  type Layout,
  TYPE_FILE,
} from './format.ts';
import { type Piece, placeOfPage } from './place.ts';

export * from './format.ts';

/** What replay knows of one image: its files, their identity, their pages and where these lie. */
export class ImageIndex {
  readonly #ordinals: Map<number, number>;
  #paths: string[] | null = null;
  #segments: Map<number, number[]> | null = null;

  /**
   * @param path the file it was read from, index or image, as the user named it
   * @param fileSha256 hash of that file
   * @param kind what that file is
   */
  constructor(
    readonly path: string,
    readonly fileSha256: string,
    readonly kind: 'index' | 'image',
    readonly header: IndexHeader,
    readonly columns: IndexColumns,
  ) {
    this.#ordinals = new Map();
    for (let i = 0; i < header.inodes; i++) this.#ordinals.set(columns.nid[i]!, i);
  }

  /**
   * Reads an index's bytes and checks every reference in it, so that no later look-up can leave its column.
   * @param kind `image` when the bytes stand for the image at `path`
   * @throws DataError when it is foreign, damaged or contradicts itself
   */
  static parse(path: string, bytes: Buffer, kind: 'index' | 'image' = 'index'): ImageIndex {
    const { header, columns } = unpackColumns(path, bytes, (json, entries) => {
      const checked = checkHeader(path, json);
      checkLengths(path, checked, entries);
      return checked;
    });
    const content = Object.fromEntries(columns) as unknown as IndexColumns;
    if (missingColumns(header.schema).includes('extentCodec')) content.extentCodec = unknownCodecs(content.extentFlags);
    checkContent(path, header, content);
    const fileSha256 = kind === 'image' ? header.source.sha256 : createHash('sha256').update(bytes).digest('hex');
    return new ImageIndex(path, fileSha256, kind, header, content);
  }

  /**
   * The index of an image that was just looked through, checked like one from a file.
   * @throws DataError when the image contradicts itself
   */
  static of(path: string, header: IndexHeader, columns: IndexColumns): ImageIndex {
    checkContent(path, header, columns);
    return new ImageIndex(path, header.source.sha256, 'image', header, columns);
  }

  /** Position of an inode in the columns, −1 when the image has no such nid. */
  ordinalOf(nid: number): number {
    return this.#ordinals.get(nid) ?? -1;
  }

  /** Pages of a regular file; 0 for anything else. */
  pagesOf(ordinal: number): number {
    return this.columns.firstPage[ordinal + 1]! - this.columns.firstPage[ordinal]!;
  }

  isFile(ordinal: number): boolean {
    return this.columns.type[ordinal] === TYPE_FILE;
  }

  layoutOf(ordinal: number): Layout {
    return LAYOUTS[this.columns.layout[ordinal]!]!;
  }

  isCompressed(ordinal: number): boolean {
    return this.columns.layout[ordinal]! >= FIRST_COMPRESSED_LAYOUT;
  }

  /** How a file's bytes are encoded, each codec once, in the order of its first extent; empty for an empty file, and where nothing is known. */
  codecsOf(ordinal: number): Codec[] {
    const { firstExtent, extentCodec } = this.columns;
    return [...new Set(extentCodec.subarray(firstExtent[ordinal]!, firstExtent[ordinal + 1]!))].map(
      (at) => CODECS[at]!,
    );
  }

  /**
   * Where a page of a file lies: its pieces in order, mostly one. It has more where extents are not page-aligned or the tail is packed
   * elsewhere. Null when the index was made without the image's layout.
   * @throws RangeError when the file has no such page
   */
  placeOf(ordinal: number, page: number): Piece[] | null {
    return this.header.known.layout ? placeOfPage(this, ordinal, page) : null;
  }

  /**
   * Which inode this is, whatever it is mounted as: hash of the image and nid. What makes files of different images the same file is
   * {@link contentKey}.
   */
  identityOf(ordinal: number): string {
    return `${this.header.image.sha256 ?? this.fileSha256}:${this.columns.nid[ordinal]}`;
  }

  /** SHA-256 of the content as a string of 64 hex digits. */
  contentKey(ordinal: number): string {
    return hex(this.columns.contentSha256, ordinal * 32, 32);
  }

  xattrsKey(ordinal: number): string {
    return hex(this.columns.xattrsSha256, ordinal * 32, 32);
  }

  /** The fingerprint xattr's value in hex, or null where the inode has none. */
  fingerprintKey(ordinal: number): string | null {
    const from = this.columns.fingerprintAt[ordinal]!;
    const to = this.columns.fingerprintAt[ordinal + 1]!;
    return from === to ? null : hex(this.columns.fingerprints, from, to - from);
  }

  /** The first path of an inode, `nid N` where it has none. */
  pathOf(ordinal: number): string {
    this.#paths ??= this.#firstPaths();
    return this.#paths[ordinal] ?? `nid ${this.columns.nid[ordinal]}`;
  }

  /** Every path of the image with the inode it names, in bytewise order. */
  *entries(): Generator<{ path: string; ordinal: number }> {
    const bytes = Buffer.from(this.columns.paths.buffer, this.columns.paths.byteOffset, this.columns.paths.byteLength);
    let from = 0;
    for (let i = 0; i < this.columns.pathInode.length; i++) {
      const to = bytes.indexOf(0, from);
      yield { path: nameString(Buffer.from(bytes.subarray(from, to))), ordinal: this.columns.pathInode[i]! };
      from = to + 1;
    }
  }

  /** Loadable segments of a file: positions in the segment columns. */
  segmentsOf(ordinal: number): readonly number[] {
    if (this.#segments === null) {
      this.#segments = new Map();
      for (let i = 0; i < this.columns.segmentInode.length; i++) {
        const inode = this.columns.segmentInode[i]!;
        const list = this.#segments.get(inode);
        if (list) list.push(i);
        else this.#segments.set(inode, [i]);
      }
    }
    return this.#segments.get(ordinal) ?? [];
  }

  #firstPaths(): string[] {
    const paths: string[] = [];
    for (const { path, ordinal } of this.entries()) paths[ordinal] ??= path;
    return paths;
  }
}

/** What an index of the first schema can say of codecs: only that there is one. */
function unknownCodecs(extentFlags: Uint8Array): Uint8Array {
  return extentFlags.map((flags) => CODECS.indexOf(flags & EXTENT_COMPRESSED ? 'unknown' : 'none'));
}

function hex(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString('hex');
}
