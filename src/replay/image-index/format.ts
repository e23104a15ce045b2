import { z } from 'zod';
import { VERSION } from '../../version.ts';

/**
 * What an index says, by number. 2 has the column extentCodec and extents in the metabox. It goes up with anything that an index of the
 * same image would say otherwise: a cached one is trusted by it.
 */
export const INDEX_SCHEMA = 'foliolab.index/2';
/** Schemas that are read; the first knows no codecs. */
export const READABLE_SCHEMAS = ['foliolab.index/1', INDEX_SCHEMA] as const;
/** Who makes an index, as its header says it. */
export const INDEX_TOOL = `foliolab ${VERSION}`;

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

/** How the bytes at an extent's address are encoded, named as the decoder names it; `unknown` in an index of the first schema. */
export const CODECS = ['unknown', 'none', 'lz4', 'lzma', 'deflate', 'zstd'] as const;
export type Codec = (typeof CODECS)[number];

/** Bits of the column extentFlags. */
export const EXTENT_HOLE = 1;
/** a pcluster: encoded, or plain in a compressed file */
export const EXTENT_COMPRESSED = 2;
/** the bytes are part of the packed inode; extentPa is the offset in its data */
export const EXTENT_FRAGMENT = 4;
/** the bytes are in the metabox; extentPa is the offset in its data */
export const EXTENT_METABOX = 8;
export const EXTENT_FLAGS = 15;

const HASH = z.string().regex(/^[0-9a-f]{64}$/);

export const Header = z
  .object({
    schema: z.enum(READABLE_SCHEMAS),
    tool: z.string(),
    source: z.object({
      kind: z.enum(['image', 'manifest', 'oci']),
      name: z.string(),
      sha256: HASH,
      sizeBytes: z.number(),
    }),
    /** The image itself; hash null where only a manifest was at hand and nobody said it, an OCI image's its config's. */
    image: z.object({
      name: z.string(),
      sha256: HASH.nullable(),
      blockSize: z.number().nullable(),
      uuid: z.string().nullable(),
      fingerprints: z.boolean(),
      /** extra devices in slot order, by hash: extents on device n lie on the nth of them */
      devices: z.array(z.object({ name: z.string(), sha256: HASH })).default([]),
    }),
    /**
     * What the source could not say. A model that needs it says so, too. Without nids, which an EROFS image alone has, the inodes are
     * numbered by the index; absent: known.
     */
    known: z.object({ layout: z.boolean(), mtime: z.boolean(), xattrs: z.boolean(), nid: z.boolean().optional() }),
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
  /** extents: logical offset, decoded length, physical byte address, bytes there */
  extentLa: Float64Array;
  extentLlen: Float64Array;
  extentPa: Float64Array;
  extentPlen: Float64Array;
  /** 0 the image, n its nth extra device */
  extentDevice: Uint16Array;
  /** EXTENT_HOLE and so on */
  extentFlags: Uint8Array;
  /** index into CODECS; an extent's and not an inode's, for a compressed file may have two codecs, and plain pclusters between them */
  extentCodec: Uint8Array;
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

export const COLUMN_TYPES: { [name in keyof IndexColumns]: new (length: number) => IndexColumns[name] } = {
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
  extentCodec: Uint8Array,
  paths: Uint8Array,
  pathInode: Uint32Array,
  segmentInode: Uint32Array,
  segmentFlags: Uint8Array,
  segmentOffset: Float64Array,
  segmentFileBytes: Float64Array,
  segmentAddress: Float64Array,
  segmentMemoryBytes: Float64Array,
};
