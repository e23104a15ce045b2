import { METABOX_NID_BIT, s64, u16, u32, u64 } from './bytes.ts';
import {
  CHUNK_BASED,
  CHUNK_FORMAT_ALL,
  CHUNK_FORMAT_BLKBITS_MASK,
  type FileType,
  FLAT_PLAIN,
  I_ALL,
  I_DATALAYOUT_MASK,
  I_DATALAYOUT_SHIFT,
  I_NLINK_1,
  I_VERSION_EXTENDED,
  LAYOUTS,
  type Layout,
  NULL_ADDR_32,
  NULL_ADDR_48,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from './format.ts';
import type { Volume } from './volume.ts';

/** One inode, decoded and checked as far as it can be without its data. */
export interface Inode {
  /** the inode's 32-byte slot in the metadata area or, with bit 31 set, in the metabox; what Linux shows as st_ino */
  readonly nid: number;
  /** whether it lies in the metabox */
  readonly inMetabox: boolean;
  /** byte offset in the image or the metabox */
  readonly offset: number;
  /** i_ino, for 32-bit stat(2) only; not an identity */
  readonly ino: number;
  /** from `mode` */
  readonly type: FileType;
  /** type bits and permissions, as st_mode */
  readonly mode: number;
  /** the owner */
  readonly uid: number;
  /** the owner's group */
  readonly gid: number;
  /** how many names lead to it, as mkfs counted */
  readonly nlink: number;
  /** bytes */
  readonly size: number;
  /** seconds since 1970 */
  readonly mtime: number;
  /** nanoseconds on top of `mtime` */
  readonly mtimeNsec: number;
  /** device number of a chardev or blockdev, else null */
  readonly rdev: { readonly major: number; readonly minor: number } | null;
  /** how the data lies, whatever the type */
  readonly layout: Layout;
  /** whether it is the 64-byte form */
  readonly extended: boolean;
  /** bytes of the on-disk inode: 32 or 64 */
  readonly inodeSize: number;
  /** bytes of the xattr area that follows it */
  readonly xattrSize: number;
  /** flat layouts: first block of the data, or -1 when the whole file is a hole; other layouts: 0 */
  readonly startBlock: number;
  /** compressed layouts: blocks the data takes, as mkfs counted them; other layouts: 0 */
  readonly compressedBlocks: number;
  /** chunk-based layout: i_u.c.format; other layouts: 0 */
  readonly chunkFormat: number;
  /** chunk-based layout: log2 of the chunk size in bytes; other layouts: 0 */
  readonly chunkBits: number;
}

/**
 * Reads inode `nid`. i_format u16 @0 chooses between two forms (@ is the offset in the inode):
 *
 * struct erofs_inode_compact, 32 bytes: i_format u16 @0, i_xattr_icount u16 @2, i_mode u16 @4, i_nb u16 @6 (nlink, or
 * startblk_hi when NLINK_1), i_size u32 @8, i_mtime u32 @12 (from sb epoch), i_u u32 @16, i_ino u32 @20, i_uid u16 @24,
 * i_gid u16 @26.
 *
 * struct erofs_inode_extended, 64 bytes: i_format u16 @0, i_xattr_icount u16 @2, i_mode u16 @4, i_nb u16 @6 (startblk_hi),
 * i_size u64 @8, i_u u32 @16, i_ino u32 @20, i_uid u32 @24, i_gid u32 @28, i_mtime u64 @32, i_mtime_nsec u32 @40,
 * i_nlink u32 @44.
 *
 * i_u is blocks (compressed), first block (flat), rdev (special) or { format u16 @16 } (chunk-based).
 *
 * @throws ErofsCorruptError, ErofsUnsupportedError
 */
export function readInode(vol: Volume, nid: number): Inode {
  const { sb } = vol;
  let slot = nid;
  let inMetabox = false;
  if (sb.metaboxNid >= 0) {
    const upper = Math.floor(nid / METABOX_NID_BIT);
    inMetabox = upper % 2 === 1;
    slot = Math.floor(upper / 2) * METABOX_NID_BIT + (nid % METABOX_NID_BIT);
  }
  const offset = (inMetabox ? 0 : sb.metaBlkaddr * sb.blockSize) + slot * 32;
  if (!Number.isSafeInteger(nid) || nid < 0 || offset > Number.MAX_SAFE_INTEGER) {
    throw vol.corrupt(`nid is outside 0..2^53`, nid, null);
  }
  let { bytes: b, from } = vol.window(inMetabox, offset, 32, nid, 'the inode');
  let at = offset - from;
  const format = u16(b, at);
  if (format & ~I_ALL) throw vol.unsupported(`i_format 0x${format.toString(16)} has reserved bits set`, nid, offset);
  const datalayout = (format >> I_DATALAYOUT_SHIFT) & I_DATALAYOUT_MASK;
  if (datalayout >= LAYOUTS.length) throw vol.unsupported(`data layout ${datalayout} is reserved`, nid, offset);
  const extended = (format & I_VERSION_EXTENDED) !== 0;
  const inodeSize = extended ? 64 : 32;
  if (extended) {
    ({ bytes: b, from } = vol.window(inMetabox, offset, 64, nid, 'the extended inode'));
    at = offset - from;
  }

  const icount = u16(b, at + 2);
  const mode = u16(b, at + 4);
  const type = fileType(mode);
  if (type === null) throw vol.corrupt(`i_mode 0${mode.toString(8)} has no file type`, nid, offset);
  const size = extended ? u64(b, at + 8) : u32(b, at + 8);
  if (!Number.isSafeInteger(size)) throw vol.corrupt(`i_size is above 2^53`, nid, offset);

  const nlink1 = !extended && type !== 'directory' && (format & I_NLINK_1) !== 0;
  // Where i_nb isn't a link count it holds address bits 32..47.
  const wide = extended || nlink1;
  const iu = u32(b, at + 16);
  let startBlock = 0;
  let compressedBlocks = 0;
  let chunkFormat = 0;
  let chunkBits = 0;
  let rdev: Inode['rdev'] = null;
  if (type === 'chardev' || type === 'blockdev') {
    // new_decode_dev()
    rdev = { major: (iu & 0xfff00) >>> 8, minor: (iu & 0xff) | ((iu >>> 12) & 0xfff00) };
  } else if (type === 'file' || type === 'directory' || type === 'symlink') {
    if (datalayout === CHUNK_BASED) {
      chunkFormat = iu & 0xffff;
      if (chunkFormat & ~CHUNK_FORMAT_ALL) {
        throw vol.unsupported(`chunk format 0x${chunkFormat.toString(16)} has reserved bits set`, nid, offset);
      }
      chunkBits = sb.blkszbits + (chunkFormat & CHUNK_FORMAT_BLKBITS_MASK);
    } else if (LAYOUTS[datalayout]!.startsWith('compressed')) {
      compressedBlocks = iu;
    } else {
      startBlock = iu + (wide ? u16(b, at + 6) * 0x100000000 : 0);
      const none = wide ? NULL_ADDR_48 : NULL_ADDR_32;
      if (datalayout === FLAT_PLAIN && startBlock === none) startBlock = -1;
    }
  }
  return {
    nid,
    inMetabox,
    offset,
    ino: u32(b, at + 20),
    type,
    mode,
    uid: extended ? u32(b, at + 24) : u16(b, at + 24),
    gid: extended ? u32(b, at + 28) : u16(b, at + 26),
    nlink: extended ? u32(b, at + 44) : nlink1 ? 1 : u16(b, at + 6),
    size,
    mtime: extended ? s64(b, at + 32) : sb.epoch + u32(b, at + 12),
    mtimeNsec: extended ? u32(b, at + 40) : sb.fixedNsec,
    rdev,
    layout: LAYOUTS[datalayout]!,
    extended,
    inodeSize,
    xattrSize: icount === 0 ? 0 : 12 + 4 * (icount - 1),
    startBlock,
    compressedBlocks,
    chunkFormat,
    chunkBits,
  };
}

/** byte offset right behind the inode and its xattrs: inline data, chunk map or compression indexes start here, aligned */
export function inodeEnd(inode: Inode): number {
  return inode.offset + inode.inodeSize + inode.xattrSize;
}

/** @returns the type an st_mode stands for, or null */
export function fileType(mode: number): FileType | null {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 'file';
    case S_IFDIR:
      return 'directory';
    case S_IFLNK:
      return 'symlink';
    case S_IFCHR:
      return 'chardev';
    case S_IFBLK:
      return 'blockdev';
    case S_IFIFO:
      return 'fifo';
    case S_IFSOCK:
      return 'socket';
    default:
      return null;
  }
}
