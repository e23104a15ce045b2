import { createHash } from 'node:crypto';
import { z } from 'zod';
import { nameString } from '../../erofs/index.ts';
import { DataError } from '../../error.ts';
import { PAGE_SIZE } from '../result.ts';
import { type ColumnEntry, columnTypeName, unpackColumns } from './columns.ts';

export const INDEX_SCHEMA = 'foliolab.index/1';

/** Inode types, as the letters of `ls -l` in this order. */
export const INODE_TYPES = ['f', 'd', 'l', 'o'] as const;
export const TYPE_FILE = 0;
export const TYPE_DIRECTORY = 1;

/** Data layouts, named as the decoder names them; `unknown` where the index was made without the image. */
export const LAYOUTS = [
  'unknown',
  'flat-plain',
  'flat-inline',
  'chunk-based',
  'compressed-full',
  'compressed-compact',
] as const;
export type Layout = (typeof LAYOUTS)[number];
export const FIRST_COMPRESSED_LAYOUT = LAYOUTS.indexOf('compressed-full');

/** Bits of the column extentFlags. */
export const EXTENT_HOLE = 1;
export const EXTENT_COMPRESSED = 2;
/** the bytes are part of the packed inode; extentPa is the offset in it */
export const EXTENT_FRAGMENT = 4;

const HASH = z.string().regex(/^[0-9a-f]{64}$/);

const Header = z
  .object({
    schema: z.literal(INDEX_SCHEMA),
    tool: z.string(),
    source: z.object({
      kind: z.enum(['image', 'manifest']),
      name: z.string(),
      sha256: HASH,
      sizeBytes: z.number(),
    }),
    /** The image itself; hash null where only a manifest was at hand and nobody said it. */
    image: z.object({
      name: z.string(),
      sha256: HASH.nullable(),
      blockSize: z.number().nullable(),
      uuid: z.string().nullable(),
      fingerprints: z.boolean(),
      /** extra devices in slot order, by hash: extents on device n lie on the nth of them */
      devices: z.array(z.object({ name: z.string(), sha256: HASH })).default([]),
    }),
    /** What the source could not say. A model that needs it says so, too. */
    known: z.object({ layout: z.boolean(), mtime: z.boolean(), xattrs: z.boolean() }),
    inodes: z.number().int().nonnegative(),
    pages: z.number().int().nonnegative(),
  })
  .refine(
    ({ known, image }) => !known.layout || image.sha256 !== null,
    'layout is known, but not whose: image.sha256 is null',
  );
export type IndexHeader = z.infer<typeof Header>;

/** Columns, one value an inode unless said otherwise. Everything replay needs of an image. */
export interface IndexColumns {
  nid: Float64Array;
  /** index into INODE_TYPES */
  type: Uint8Array;
  mode: Uint16Array;
  uid: Uint32Array;
  gid: Uint32Array;
  nlink: Uint32Array;
  sizeBytes: Float64Array;
  mtimeSec: Float64Array;
  mtimeNsec: Uint32Array;
  /** index into LAYOUTS */
  layout: Uint8Array;
  /** 32 bytes an inode: SHA-256 of a regular file's content, zero for anything else */
  contentSha256: Uint8Array;
  /** 32 bytes an inode: SHA-256 over the sorted xattrs without the fingerprint, zero for none */
  xattrsSha256: Uint8Array;
  /** bytes of this inode's fingerprint within fingerprints; inodes + 1 values */
  fingerprintAt: Uint32Array;
  fingerprints: Uint8Array;
  /** first page of the inode in pageDigest; inodes + 1 values, only regular files have pages */
  firstPage: Uint32Array;
  /** two values a page: the first 8 bytes, big-endian, of the SHA-256 of the page padded with zeroes */
  pageDigest: Uint32Array;
  /** first extent of the inode; inodes + 1 values */
  firstExtent: Uint32Array;
  /** extents: logical offset, decoded length, physical byte address, all in bytes */
  extentLa: Float64Array;
  extentLlen: Float64Array;
  extentPa: Float64Array;
  extentPlen: Float64Array;
  extentDevice: Uint16Array;
  extentFlags: Uint8Array;
  /** paths, each ended by a NUL, in bytewise order, hard links included; pathInode: the inode each names */
  paths: Uint8Array;
  pathInode: Uint32Array;
  /** loadable ELF segments: inode, flags (1 x, 2 w, 4 r), file offset, bytes in the file, virtual address, bytes in memory */
  segmentInode: Uint32Array;
  segmentFlags: Uint8Array;
  segmentOffset: Float64Array;
  segmentFileBytes: Float64Array;
  segmentAddress: Float64Array;
  segmentMemoryBytes: Float64Array;
}

const COLUMN_TYPES: { [name in keyof IndexColumns]: new (length: number) => IndexColumns[name] } = {
  nid: Float64Array,
  type: Uint8Array,
  mode: Uint16Array,
  uid: Uint32Array,
  gid: Uint32Array,
  nlink: Uint32Array,
  sizeBytes: Float64Array,
  mtimeSec: Float64Array,
  mtimeNsec: Uint32Array,
  layout: Uint8Array,
  contentSha256: Uint8Array,
  xattrsSha256: Uint8Array,
  fingerprintAt: Uint32Array,
  fingerprints: Uint8Array,
  firstPage: Uint32Array,
  pageDigest: Uint32Array,
  firstExtent: Uint32Array,
  extentLa: Float64Array,
  extentLlen: Float64Array,
  extentPa: Float64Array,
  extentPlen: Float64Array,
  extentDevice: Uint16Array,
  extentFlags: Uint8Array,
  paths: Uint8Array,
  pathInode: Uint32Array,
  segmentInode: Uint32Array,
  segmentFlags: Uint8Array,
  segmentOffset: Float64Array,
  segmentFileBytes: Float64Array,
  segmentAddress: Float64Array,
  segmentMemoryBytes: Float64Array,
};

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
   * Reads an index's bytes, from a file or just made from an image, and checks every reference in it, so that no later look-up can leave its column.
   * @throws DataError when it is foreign, damaged or contradicts itself
   */
  static parse(path: string, bytes: Buffer, kind: 'index' | 'image' = 'index'): ImageIndex {
    const { header, columns } = unpackColumns(path, bytes, (json, entries) => {
      const checked = checkHeader(path, json);
      checkLengths(path, checked, entries);
      return checked;
    });
    const content = Object.fromEntries(columns) as unknown as IndexColumns;
    checkContent(path, header, content);
    const fileSha256 = kind === 'image' ? header.source.sha256 : createHash('sha256').update(bytes).digest('hex');
    return new ImageIndex(path, fileSha256, kind, header, content);
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

function checkHeader(path: string, json: Record<string, unknown>): IndexHeader {
  if (json.schema !== INDEX_SCHEMA)
    throw new DataError(
      path,
      `unsupported: index schema '${String(json.schema)}'; this foliolab reads ${INDEX_SCHEMA}`,
    );
  const parsed = Header.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new DataError(path, `index header: ${issue.path.join('.')}: ${issue.message}`);
}

/** Columns whose lengths are equal: the first of each group says how long. */
const EXTENT_COLUMNS = ['extentLa', 'extentLlen', 'extentPa', 'extentPlen', 'extentDevice', 'extentFlags'];
const SEGMENT_COLUMNS = [
  'segmentInode',
  'segmentFlags',
  'segmentOffset',
  'segmentFileBytes',
  'segmentAddress',
  'segmentMemoryBytes',
];
const INODE_COLUMNS = ['nid', 'type', 'mode', 'uid', 'gid', 'nlink', 'sizeBytes', 'mtimeSec', 'mtimeNsec', 'layout'];

/** Every column is there, none is unknown, and each has the type and the number of values that the header's counts ask for. */
function checkLengths(path: string, { inodes, pages }: IndexHeader, entries: readonly ColumnEntry[]): void {
  const fail = (what: string): never => {
    throw new DataError(path, `index is inconsistent: ${what}`);
  };
  const found = new Map(entries.map((entry) => [entry.name, entry]));
  for (const [name, { type }] of found) {
    if (!Object.hasOwn(COLUMN_TYPES, name)) fail(`column ${name.slice(0, 40)} is unknown`);
    if (columnTypeName(COLUMN_TYPES[name as keyof IndexColumns]) !== type) fail(`column ${name} has another type`);
  }
  for (const name of Object.keys(COLUMN_TYPES)) if (!found.has(name)) fail(`column ${name} is missing`);
  const expect = (names: readonly string[], length: number): void => {
    for (const name of names)
      if (found.get(name)!.length !== length)
        fail(`column ${name} has ${found.get(name)!.length} values, not ${length}`);
  };
  expect(INODE_COLUMNS, inodes);
  expect(['contentSha256', 'xattrsSha256'], inodes * 32);
  expect(['fingerprintAt', 'firstPage', 'firstExtent'], inodes + 1);
  expect(['pageDigest'], pages * 2);
  expect(EXTENT_COLUMNS, found.get('extentLa')!.length);
  expect(SEGMENT_COLUMNS, found.get('segmentInode')!.length);
}

function checkContent(path: string, header: IndexHeader, c: IndexColumns): void {
  const fail = (what: string): never => {
    throw new DataError(path, `index is inconsistent: ${what}`);
  };
  const n = header.inodes;
  checkOffsets(c.fingerprintAt, c.fingerprints.length, (at) => fail(`fingerprintAt of inode ${at}`));
  checkOffsets(c.firstPage, header.pages, (at) => fail(`firstPage of inode ${at}`));
  checkOffsets(c.firstExtent, c.extentLa.length, (at) => fail(`firstExtent of inode ${at}`));
  const nids = new Set<number>();
  for (let i = 0; i < n; i++) {
    const nid = c.nid[i]!;
    if (!Number.isSafeInteger(nid) || nid < 0 || nids.has(nid)) fail(`nid ${nid} of inode ${i}`);
    nids.add(nid);
    if (c.type[i]! >= INODE_TYPES.length) fail(`type of inode ${i}`);
    if (c.layout[i]! >= LAYOUTS.length) fail(`layout of inode ${i}`);
    const size = c.sizeBytes[i]!;
    if (!Number.isSafeInteger(size) || size < 0) fail(`size of inode ${i}`);
    const pages = c.type[i] === TYPE_FILE ? Math.ceil(size / PAGE_SIZE) : 0;
    if (c.firstPage[i + 1]! - c.firstPage[i]! !== pages)
      fail(`inode ${i} of ${size} bytes has ${c.firstPage[i + 1]! - c.firstPage[i]!} pages`);
  }
  for (const column of [c.extentLa, c.extentLlen, c.extentPa, c.extentPlen])
    for (const value of column) if (!Number.isSafeInteger(value) || value < 0) fail('an extent is out of range');
  for (let i = 0; i < n; i++)
    for (let e = c.firstExtent[i]!; e < c.firstExtent[i + 1]!; e++) {
      const expected = e === c.firstExtent[i] ? 0 : c.extentLa[e - 1]! + c.extentLlen[e - 1]!;
      if (c.extentLa[e] !== expected || c.extentLlen[e] === 0) fail(`extents of inode ${i} have gaps`);
    }
  for (const device of c.extentDevice)
    if (device > header.image.devices.length)
      fail(`an extent lies on device ${device} of ${header.image.devices.length}`);
  for (const inode of c.pathInode) if (inode >= n) fail('a path names no inode');
  for (const inode of c.segmentInode) if (inode >= n) fail('a segment names no inode');
  let terminators = 0;
  for (const byte of c.paths) if (byte === 0) terminators++;
  if (terminators !== c.pathInode.length || (c.paths.length > 0 && c.paths[c.paths.length - 1] !== 0))
    fail('paths and pathInode differ in number');
}

function checkOffsets(offsets: Uint32Array, end: number, fail: (at: number) => void): void {
  if (offsets[0] !== 0 || offsets[offsets.length - 1] !== end) fail(0);
  for (let i = 1; i < offsets.length; i++) if (offsets[i]! < offsets[i - 1]!) fail(i);
}

function hex(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString('hex');
}
