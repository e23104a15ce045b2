import { DataError } from '../../error.ts';
import { packColumns } from './columns.ts';
import type { Segment } from './elf.ts';
import {
  CODECS,
  type Codec,
  EXTENT_COMPRESSED,
  EXTENT_FRAGMENT,
  EXTENT_HOLE,
  EXTENT_METABOX,
  INDEX_SCHEMA,
  INDEX_TOOL,
  INODE_TYPES,
  type IndexColumns,
  type IndexHeader,
  LAYOUTS,
  type Layout,
} from './format.ts';
import { ImageIndex } from './image-index.ts';

/** More pages than this (512 GiB of file data) are refused: a sparse file may claim any size. */
export const MAX_PAGES = 2 ** 27;
/** More extents than this are refused: a compressed file may have one for each of its 512-byte blocks, at 2 bytes of the image. */
export const MAX_EXTENTS = 2 ** 24;

export interface IndexedExtent {
  la: number;
  llen: number;
  pa: number;
  plen: number;
  device: number;
  hole: boolean;
  compressed: boolean;
  /** part of the packed inode: pa is the offset in it */
  fragment?: boolean;
  /** part of the metabox: pa is the offset in it */
  metabox?: boolean;
  /** unless it is said: `unknown` for a compressed one, `none` for any other */
  codec?: Codec;
}

export interface IndexedInode {
  nid: number;
  type: (typeof INODE_TYPES)[number];
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  sizeBytes: number;
  mtimeSec: number;
  mtimeNsec: number;
  layout: Layout;
  /** 32 bytes, or null for anything but a regular file; may be filled in until the index is made */
  contentSha256: Uint8Array | null;
  xattrsSha256: Uint8Array | null;
  fingerprint: Uint8Array | null;
  /** 8 bytes a page; may be filled in until the index is made */
  pageDigests: Uint8Array;
  extents: Iterable<IndexedExtent>;
  segments: readonly Segment[];
}

/** What the caller of a builder knows of the index. */
export type HeaderFields = Pick<IndexHeader, 'source' | 'image' | 'known'>;

/** Collects the inodes of one image and turns them into an index. */
export class IndexBuilder {
  readonly #path: string;
  readonly #maxExtents: number;
  readonly #inodes: Omit<IndexedInode, 'extents' | 'segments'>[] = [];
  readonly #names: { name: Buffer; inode: number }[] = [];
  readonly #segments: (Segment & { inode: number })[] = [];
  // An image has more extents than anything else; as numbers they take a quarter of what objects take.
  readonly #firstExtent: number[] = [0];
  readonly #la: number[] = [];
  readonly #llen: number[] = [];
  readonly #pa: number[] = [];
  readonly #plen: number[] = [];
  readonly #device: number[] = [];
  readonly #flags: number[] = [];
  readonly #codec: number[] = [];
  #pages = 0;

  /** @param path the file the inodes come from, for errors */
  constructor(path: string, maxExtents = MAX_EXTENTS) {
    this.#path = path;
    this.#maxExtents = maxExtents;
  }

  /** @returns the inode's position, for {@link addPath} */
  addInode({ extents, segments, ...inode }: IndexedInode): number {
    this.#pages += inode.pageDigests.length / 8;
    if (this.#pages > MAX_PAGES)
      throw new DataError(
        this.#path,
        `holds more than ${MAX_PAGES} pages of file data, which is more than an index takes`,
      );
    const ordinal = this.#inodes.push(inode) - 1;
    for (const extent of extents) this.#addExtent(inode.nid, extent);
    this.#firstExtent.push(this.#la.length);
    this.addSegments(ordinal, segments);
    return ordinal;
  }

  /** Loadable segments of a file that were not at hand yet when it was added. */
  addSegments(inode: number, segments: readonly Segment[]): void {
    for (const segment of segments) this.#segments.push({ ...segment, inode });
  }

  /** @param name path from the root with a leading slash, as bytes */
  addPath(name: Buffer, inode: number): void {
    this.#names.push({ name, inode });
  }

  /** The index as a file's bytes. */
  pack(header: HeaderFields): Buffer {
    return packColumns(this.#header(header), { ...this.#columns() });
  }

  /** The index itself, checked like one that is read. */
  build(header: HeaderFields): ImageIndex {
    return ImageIndex.of(this.#path, this.#header(header), this.#columns());
  }

  #addExtent(nid: number, extent: IndexedExtent): void {
    if (this.#la.length === this.#maxExtents)
      throw new DataError(
        this.#path,
        `inode nid ${nid}: with its extents the image has more than ${this.#maxExtents}, which is more than an index takes`,
      );
    this.#la.push(extent.la);
    this.#llen.push(extent.llen);
    this.#pa.push(extent.pa);
    this.#plen.push(extent.plen);
    this.#device.push(extent.device);
    this.#flags.push(
      (extent.hole ? EXTENT_HOLE : 0) |
        (extent.compressed ? EXTENT_COMPRESSED : 0) |
        (extent.fragment ? EXTENT_FRAGMENT : 0) |
        (extent.metabox ? EXTENT_METABOX : 0),
    );
    this.#codec.push(CODECS.indexOf(extent.codec ?? (extent.compressed ? 'unknown' : 'none')));
  }

  #header(fields: HeaderFields): IndexHeader {
    return { schema: INDEX_SCHEMA, tool: INDEX_TOOL, ...fields, inodes: this.#inodes.length, pages: this.#pages };
  }

  #columns(): IndexColumns {
    const inodes = this.#inodes;
    const segments = this.#segments;
    this.#names.sort((a, b) => Buffer.compare(a.name, b.name));
    return {
      nid: Float64Array.from(inodes, (inode) => inode.nid),
      type: Uint8Array.from(inodes, (inode) => INODE_TYPES.indexOf(inode.type)),
      mode: Uint16Array.from(inodes, (inode) => inode.mode),
      uid: Uint32Array.from(inodes, (inode) => inode.uid),
      gid: Uint32Array.from(inodes, (inode) => inode.gid),
      nlink: Uint32Array.from(inodes, (inode) => inode.nlink),
      sizeBytes: Float64Array.from(inodes, (inode) => inode.sizeBytes),
      mtimeSec: Float64Array.from(inodes, (inode) => inode.mtimeSec),
      mtimeNsec: Uint32Array.from(inodes, (inode) => inode.mtimeNsec),
      layout: Uint8Array.from(inodes, (inode) => LAYOUTS.indexOf(inode.layout)),
      contentSha256: fixedBytes(inodes.map((inode) => inode.contentSha256)),
      xattrsSha256: fixedBytes(inodes.map((inode) => inode.xattrsSha256)),
      fingerprintAt: offsets(inodes.map((inode) => inode.fingerprint?.length ?? 0)),
      fingerprints: joined(inodes.map((inode) => inode.fingerprint ?? new Uint8Array(0))),
      firstPage: offsets(inodes.map((inode) => inode.pageDigests.length / 8)),
      pageDigest: this.#digests(),
      firstExtent: new Uint32Array(this.#firstExtent),
      extentLa: new Float64Array(this.#la),
      extentLlen: new Float64Array(this.#llen),
      extentPa: new Float64Array(this.#pa),
      extentPlen: new Float64Array(this.#plen),
      extentDevice: new Uint16Array(this.#device),
      extentFlags: new Uint8Array(this.#flags),
      extentCodec: new Uint8Array(this.#codec),
      paths: joined(this.#names.flatMap(({ name }) => [name, Buffer.of(0)])),
      pathInode: Uint32Array.from(this.#names, ({ inode }) => inode),
      segmentInode: Uint32Array.from(segments, (segment) => segment.inode),
      segmentFlags: Uint8Array.from(segments, (segment) => segment.flags),
      segmentOffset: Float64Array.from(segments, (segment) => segment.offset),
      segmentFileBytes: Float64Array.from(segments, (segment) => segment.fileBytes),
      segmentAddress: Float64Array.from(segments, (segment) => segment.address),
      segmentMemoryBytes: Float64Array.from(segments, (segment) => segment.memoryBytes),
    };
  }

  #digests(): Uint32Array {
    const words = new Uint32Array(this.#pages * 2);
    let at = 0;
    for (const { pageDigests } of this.#inodes) {
      const view = new DataView(pageDigests.buffer, pageDigests.byteOffset, pageDigests.byteLength);
      for (let i = 0; i < pageDigests.length; i += 4) words[at++] = view.getUint32(i);
    }
    return words;
  }
}

function offsets(lengths: readonly number[]): Uint32Array {
  const result = new Uint32Array(lengths.length + 1);
  for (let i = 0; i < lengths.length; i++) result[i + 1] = result[i]! + lengths[i]!;
  return result;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function fixedBytes(values: readonly (Uint8Array | null)[]): Uint8Array {
  const result = new Uint8Array(values.length * 32);
  for (let i = 0; i < values.length; i++) if (values[i]) result.set(values[i]!, i * 32);
  return result;
}
