import { DataError } from '../../error.ts';
import { VERSION } from '../../version.ts';
import { packColumns } from './columns.ts';
import type { Segment } from './elf.ts';
import {
  EXTENT_COMPRESSED,
  EXTENT_FRAGMENT,
  EXTENT_HOLE,
  ImageIndex,
  INDEX_SCHEMA,
  INODE_TYPES,
  type IndexHeader,
  LAYOUTS,
  type Layout,
} from './image-index.ts';

/** More pages than this (512 GiB of file data) are refused: a sparse file may claim any size. */
export const MAX_PAGES = 2 ** 27;

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
  /** 32 bytes, or null for anything but a regular file */
  contentSha256: Uint8Array | null;
  xattrsSha256: Uint8Array | null;
  fingerprint: Uint8Array | null;
  /** 8 bytes a page */
  pageDigests: Uint8Array;
  extents: readonly IndexedExtent[];
  segments: readonly Segment[];
}

/** Collects the inodes of one image and turns them into an index. */
export class IndexBuilder {
  readonly #path: string;
  readonly #inodes: IndexedInode[] = [];
  readonly #names: { name: Buffer; inode: number }[] = [];
  #pages = 0;

  /** @param path the file the inodes come from, for errors */
  constructor(path: string) {
    this.#path = path;
  }

  /** @returns the inode's position, for {@link addPath} */
  addInode(inode: IndexedInode): number {
    this.#pages += inode.pageDigests.length / 8;
    if (this.#pages > MAX_PAGES)
      throw new DataError(
        this.#path,
        `holds more than ${MAX_PAGES} pages of file data, which is more than an index takes`,
      );
    return this.#inodes.push(inode) - 1;
  }

  /** @param name path from the root with a leading slash, as bytes */
  addPath(name: Buffer, inode: number): void {
    this.#names.push({ name, inode });
  }

  /** The index as a file's bytes. */
  pack(header: Pick<IndexHeader, 'source' | 'image' | 'known'>): Buffer {
    const inodes = this.#inodes;
    const n = inodes.length;
    this.#names.sort((a, b) => Buffer.compare(a.name, b.name));
    const extents = inodes.flatMap((inode) => [...inode.extents]);
    const segments = inodes.flatMap((inode, at) => inode.segments.map((segment) => ({ ...segment, inode: at })));
    const full: IndexHeader = {
      schema: INDEX_SCHEMA,
      tool: `foliolab ${VERSION}`,
      ...header,
      inodes: n,
      pages: this.#pages,
    };
    return packColumns(full, {
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
      fingerprints: Buffer.concat(inodes.map((inode) => inode.fingerprint ?? new Uint8Array(0))),
      firstPage: offsets(inodes.map((inode) => inode.pageDigests.length / 8)),
      pageDigest: this.#digests(),
      firstExtent: offsets(inodes.map((inode) => inode.extents.length)),
      extentLa: Float64Array.from(extents, (extent) => extent.la),
      extentLlen: Float64Array.from(extents, (extent) => extent.llen),
      extentPa: Float64Array.from(extents, (extent) => extent.pa),
      extentPlen: Float64Array.from(extents, (extent) => extent.plen),
      extentDevice: Uint16Array.from(extents, (extent) => extent.device),
      extentFlags: Uint8Array.from(
        extents,
        (extent) =>
          (extent.hole ? EXTENT_HOLE : 0) |
          (extent.compressed ? EXTENT_COMPRESSED : 0) |
          (extent.fragment ? EXTENT_FRAGMENT : 0),
      ),
      paths: Buffer.concat(this.#names.flatMap(({ name }) => [name, Buffer.of(0)])),
      pathInode: Uint32Array.from(this.#names, ({ inode }) => inode),
      segmentInode: Uint32Array.from(segments, (segment) => segment.inode),
      segmentFlags: Uint8Array.from(segments, (segment) => segment.flags),
      segmentOffset: Float64Array.from(segments, (segment) => segment.offset),
      segmentFileBytes: Float64Array.from(segments, (segment) => segment.fileBytes),
      segmentAddress: Float64Array.from(segments, (segment) => segment.address),
      segmentMemoryBytes: Float64Array.from(segments, (segment) => segment.memoryBytes),
    });
  }

  /** The index itself, read back from {@link pack}'s bytes and so checked like any other. */
  build(header: Pick<IndexHeader, 'source' | 'image' | 'known'>): ImageIndex {
    return ImageIndex.parse(this.#path, this.pack(header));
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

function fixedBytes(values: readonly (Uint8Array | null)[]): Uint8Array {
  const result = new Uint8Array(values.length * 32);
  for (let i = 0; i < values.length; i++) if (values[i]) result.set(values[i]!, i * 32);
  return result;
}
