import type { MetadataBudget } from './budget.ts';
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
  /** may alias a cache: don't write to it */
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
 * The name filter is not believed: it is a hint against lookups, and what is listed is what is there. So is an attribute
 * left out whose name index or long prefix is not defined, as Linux does.
 *
 * @param budget what may still be read
 * @param strict whether a long prefix that isn't there is an error
 * @throws ErofsCorruptError, ErofsUnsupportedError
 */
export function readXattrs(
  vol: Volume,
  inode: Inode,
  prefixes: () => LongPrefixes,
  budget?: MetadataBudget,
  strict = false,
): Xattr[] {
  const out: Xattr[] = [];
  for (const e of entries(vol, inode, budget)) {
    const xattr =
      e.bytes === null
        ? sharedXattr(vol, inode, e, prefixes, budget, strict)
        : decodeEntry(vol, inode, e, prefixes, strict);
    if (xattr !== null) out.push(xattr);
  }
  return out;
}

/** The value of one xattr, or null: the others' values aren't read. Parameters and errors are {@link readXattrs}'s. */
export function findXattr(
  vol: Volume,
  inode: Inode,
  name: string,
  prefixes: () => LongPrefixes,
  budget?: MetadataBudget,
): Uint8Array | null {
  for (const e of entries(vol, inode, budget)) {
    if (entryName(vol, inode, e, prefixes, false) === name) return valueBytes(vol, inode, e);
  }
  return null;
}

/** struct erofs_xattr_entry: e_name_len u8 @0, e_name_index u8 @1, e_value_size u16 @2, name @4, value; 4-aligned. */
interface Entry {
  /** where it lies in the image, or in the metabox */
  readonly at: number;
  readonly inMetabox: boolean;
  /** its bytes; null for a shared one, which may be known already */
  readonly bytes: Uint8Array | null;
  readonly nameLength: number;
  readonly nameIndex: number;
  readonly valueSize: number;
}

/** What the xattr area behind an inode has, in its order; shared ones as far as their first 4 bytes. */
function* entries(vol: Volume, inode: Inode, budget: MetadataBudget | undefined): Generator<Entry, void, undefined> {
  const { nid, xattrSize, inMetabox } = inode;
  if (xattrSize === 0) return;
  budget?.xattrArea(inode);
  const start = inodeEnd(inode) - xattrSize;
  if (xattrSize === XATTR_IBODY_HEADER_SIZE) {
    throw vol.unsupported('xattr area of a header only is reserved', nid, start);
  }
  const area = vol.meta(inMetabox, start, xattrSize, nid, 'the xattr area');
  const sharedCount = area[4]!;
  let at = XATTR_IBODY_HEADER_SIZE + 4 * sharedCount;
  if (at > xattrSize) throw vol.corrupt(`${sharedCount} shared xattrs in an area of ${xattrSize} bytes`, nid, start);
  while (at < xattrSize) {
    const size = at + 4 <= xattrSize ? entrySize(area, at) : Number.POSITIVE_INFINITY;
    if (at + size > xattrSize) {
      throw vol.corrupt(`xattr entry leads past the xattr area of ${xattrSize} bytes`, nid, start + at);
    }
    yield entry(area, at, start + at, inMetabox, area.subarray(at, at + size));
    at += size;
  }
  const inBox = (vol.sb.featureCompat & COMPAT_SHARED_EA_IN_METABOX) !== 0;
  const base = vol.sb.xattrBlkaddr * vol.sb.blockSize;
  for (let i = 0; i < sharedCount; i++) {
    const pos = base + 4 * u32(area, XATTR_IBODY_HEADER_SIZE + 4 * i);
    const head = vol.meta(inBox, pos, 4, nid, `shared xattr ${i}`);
    vol.inside(inBox, pos, entrySize(head, 0), nid, `shared xattr ${i}`);
    yield entry(head, 0, pos, inBox, null);
  }
}

function entry(b: Uint8Array, i: number, at: number, inMetabox: boolean, bytes: Uint8Array | null): Entry {
  return { at, inMetabox, bytes, nameLength: b[i]!, nameIndex: b[i + 1]!, valueSize: u16(b, i + 2) };
}

function entrySize(b: Uint8Array, at: number): number {
  return (4 + b[at]! + u16(b, at + 2) + 3) & ~3;
}

/** Through the volume's cache of shared xattrs, which thousands of inodes may have. */
function sharedXattr(
  vol: Volume,
  inode: Inode,
  e: Entry,
  prefixes: () => LongPrefixes,
  budget: MetadataBudget | undefined,
  strict: boolean,
): Xattr | null {
  let xattr = vol.sharedXattrs.get(e.at);
  if (xattr === undefined) {
    const size = e.nameLength + e.valueSize;
    budget?.take(inode.nid, size);
    xattr = decodeEntry(vol, inode, e, prefixes, strict);
    vol.sharedXattrs.add(e.at, xattr, SHARED_OVERHEAD + size);
  } else if (xattr === null && strict) {
    entryName(vol, inode, e, prefixes, strict);
  }
  return xattr;
}

/** about what an object and its place in a map take, bytes */
const SHARED_OVERHEAD = 200;

/** @returns null for a name that Linux doesn't show either: see {@link entryName} */
function decodeEntry(vol: Volume, inode: Inode, e: Entry, prefixes: () => LongPrefixes, strict: boolean): Xattr | null {
  const name = entryName(vol, inode, e, prefixes, strict);
  return name === null ? null : { name, value: valueBytes(vol, inode, e) };
}

/**
 * @param strict whether a long prefix that can't be used is an error
 * @returns null for a name index that Linux has no handler for
 */
function entryName(vol: Volume, inode: Inode, e: Entry, prefixes: () => LongPrefixes, strict: boolean): string | null {
  let prefix: string | null | undefined;
  if (e.nameIndex & XATTR_LONG_PREFIX) {
    const long = prefixes();
    const index = e.nameIndex & ~XATTR_LONG_PREFIX;
    prefix = long[index];
    if (prefix === undefined && strict) {
      throw vol.corrupt(`xattr uses long prefix ${index} of only ${long.length}`, inode.nid, e.at);
    }
  } else {
    prefix = XATTR_PREFIXES[e.nameIndex];
  }
  if (prefix == null) return null;
  return prefix + nameString(part(vol, inode, e, 4, e.nameLength));
}

/** a copy: what was read may be a view of something large */
function valueBytes(vol: Volume, inode: Inode, e: Entry): Uint8Array {
  return part(vol, inode, e, 4 + e.nameLength, e.valueSize).slice();
}

function part(vol: Volume, inode: Inode, e: Entry, from: number, length: number): Uint8Array {
  if (e.bytes !== null) return e.bytes.subarray(from, from + length);
  return vol.meta(e.inMetabox, e.at + from, length, inode.nid, 'a shared xattr');
}
