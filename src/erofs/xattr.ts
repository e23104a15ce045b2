import { nameString, roundUp, u16, u32 } from './bytes.ts';
import {
  COMPAT_PLAIN_XATTR_PFX,
  COMPAT_SHARED_EA_IN_METABOX,
  INCOMPAT_FRAGMENTS,
  XATTR_IBODY_HEADER_SIZE,
  XATTR_LONG_PREFIX,
  XATTR_PREFIXES,
} from './format.ts';
import { type Inode, inodeEnd } from './inode.ts';
import type { Volume } from './volume.ts';

/** One extended attribute. */
export interface Xattr {
  /** the full name, `trusted.overlay.opaque`; see {@link nameString} */
  readonly name: string;
  /** a copy, the caller's own */
  readonly value: Uint8Array;
}

/** A long name prefix: the text that its index in an xattr entry stands for. */
export type LongPrefixes = readonly string[];

/** Reads bytes of the packed inode's data, or of the image. */
export type PrefixReader = (offset: number, length: number) => Uint8Array;

/** @returns where the long prefixes lie: in the image itself, the metabox, or the packed inode's data */
export function prefixPlace(vol: Volume): 'image' | 'metabox' | 'packed' {
  const { packedNid, metaboxNid, featureCompat, featureIncompat } = vol.sb;
  if (featureCompat & COMPAT_PLAIN_XATTR_PFX) return 'image';
  if (metaboxNid >= 0) return 'metabox';
  return packedNid !== 0 && featureIncompat & INCOMPAT_FRAGMENTS ? 'packed' : 'image';
}

/**
 * Reads the table of long prefixes: xattr_prefix_count records from xattr_prefix_start * 4, each 4-aligned: length u16,
 * then struct erofs_xattr_long_prefix of that length: base_index u8 @0, infix @1.
 */
export function readLongPrefixes(vol: Volume, read: PrefixReader): LongPrefixes {
  const out: string[] = [];
  let at = vol.sb.xattrPrefixStart * 4;
  for (let i = 0; i < vol.sb.xattrPrefixCount; i++) {
    at = roundUp(at, 4);
    const length = u16(read(at, 2), 0);
    if (length < 1 || length > 256) throw vol.corrupt(`long xattr prefix ${i} has length ${length}`, null, at);
    const record = read(at + 2, length);
    // Base 0 is no namespace: mkfs.erofs's default fingerprint name, which getxattr(2) can't ask for but inode_share reads.
    const base = record[0] === 0 ? '' : XATTR_PREFIXES[record[0]!];
    if (base == null) throw vol.corrupt(`long xattr prefix ${i} has base index ${record[0]}`, null, at);
    out.push(base + nameString(record.subarray(1)));
    at += 2 + length;
  }
  return out;
}

/**
 * All xattrs of an inode: the inline ones, then the shared ones.
 *
 * Behind the inode: struct erofs_xattr_ibody_header, 12 bytes: h_name_filter u32 @0, h_shared_count u8 @4; then that
 * many shared ids, u32 each; then entries, 4-aligned, to the end of the area. A shared id counts 4-byte units from
 * xattr_blkaddr (of the metabox with shared_ea_in_metabox), and an entry is there.
 *
 * An attribute under a long prefix without namespace (base index 0) is listed by its bare name; Linux doesn't list it.
 *
 * The name filter is not believed: it is a hint against lookups, and what is listed is what is there.
 *
 * @throws ErofsCorruptError, ErofsUnsupportedError
 */
export function readXattrs(vol: Volume, inode: Inode, prefixes: () => LongPrefixes): Xattr[] {
  const { nid, xattrSize } = inode;
  if (xattrSize === 0) return [];
  const start = inodeEnd(inode) - xattrSize;
  if (xattrSize === XATTR_IBODY_HEADER_SIZE) {
    throw vol.unsupported('xattr area of a header only is reserved', nid, start);
  }
  const area = vol.meta(inode.inMetabox, start, xattrSize, nid, 'the xattr area');
  const sharedCount = area[4]!;
  let at = XATTR_IBODY_HEADER_SIZE + 4 * sharedCount;
  if (at > xattrSize) throw vol.corrupt(`${sharedCount} shared xattrs in an area of ${xattrSize} bytes`, nid, start);
  const out: Xattr[] = [];
  while (at < xattrSize) {
    const size = at + 4 <= xattrSize ? entrySize(area, at) : Number.POSITIVE_INFINITY;
    if (at + size > xattrSize) {
      throw vol.corrupt(`xattr entry leads past the xattr area of ${xattrSize} bytes`, nid, start + at);
    }
    const xattr = decodeEntry(vol, inode, area, at, start + at, prefixes);
    if (xattr !== null) out.push(xattr);
    at += size;
  }
  const inBox = (vol.sb.featureCompat & COMPAT_SHARED_EA_IN_METABOX) !== 0;
  const base = vol.sb.xattrBlkaddr * vol.sb.blockSize;
  for (let i = 0; i < sharedCount; i++) {
    const pos = base + 4 * u32(area, XATTR_IBODY_HEADER_SIZE + 4 * i);
    const head = vol.meta(inBox, pos, 4, nid, `shared xattr ${i}`);
    const entry = vol.meta(inBox, pos, entrySize(head, 0), nid, `shared xattr ${i}`);
    const xattr = decodeEntry(vol, inode, entry, 0, pos, prefixes);
    if (xattr !== null) out.push(xattr);
  }
  return out;
}

/** struct erofs_xattr_entry: e_name_len u8 @0, e_name_index u8 @1, e_value_size u16 @2, name @4, value; 4-aligned. */
function entrySize(b: Uint8Array, at: number): number {
  return (4 + b[at]! + u16(b, at + 2) + 3) & ~3;
}

/** @returns null for a name index that Linux has no handler for: it doesn't show such an attribute either */
function decodeEntry(
  vol: Volume,
  inode: Inode,
  b: Uint8Array,
  at: number,
  offset: number,
  prefixes: () => LongPrefixes,
): Xattr | null {
  const nameLen = b[at]!;
  const index = b[at + 1]!;
  const valueSize = u16(b, at + 2);
  let prefix: string | null | undefined;
  if (index & XATTR_LONG_PREFIX) {
    const long = prefixes();
    prefix = long[index & ~XATTR_LONG_PREFIX];
    if (prefix === undefined) {
      const what = `xattr uses long prefix ${index & ~XATTR_LONG_PREFIX} of only ${long.length}`;
      throw vol.corrupt(what, inode.nid, offset);
    }
  } else {
    prefix = XATTR_PREFIXES[index];
    if (prefix == null) return null;
  }
  const name = prefix + nameString(b.subarray(at + 4, at + 4 + nameLen));
  return { name, value: b.slice(at + 4 + nameLen, at + 4 + nameLen + valueSize) };
}
