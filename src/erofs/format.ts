// Names and numbers of the on-disk format: linux fs/erofs/erofs_fs.h (7.x).

export const EROFS_SUPER_MAGIC_V1 = 0xe0f5e1e2;
export const EROFS_SUPER_OFFSET = 1024;
export const EROFS_SUPER_BLOCK_SIZE = 128;
export const EROFS_SB_EXTSLOT_SIZE = 16;
export const EROFS_DEVT_SLOT_SIZE = 128;

export const COMPAT_SB_CHKSUM = 0x01;
export const COMPAT_SHARED_EA_IN_METABOX = 0x08;
export const COMPAT_PLAIN_XATTR_PFX = 0x10;
export const COMPAT_ISHARE_XATTRS = 0x20;

/** feature_compat bits, lowest first; unknown ones are harmless by definition */
export const COMPAT_NAMES = [
  'sb_chksum',
  'mtime',
  'xattr_filter',
  'shared_ea_in_metabox',
  'plain_xattr_pfx',
  'ishare_xattrs',
];

export const INCOMPAT_ZERO_PADDING = 0x01;
/** with COMPR_CFGS, the same bit */
export const INCOMPAT_BIG_PCLUSTER = 0x02;
export const INCOMPAT_CHUNKED_FILE = 0x04;
/** with COMPR_HEAD2, the same bit */
export const INCOMPAT_DEVICE_TABLE = 0x08;
export const INCOMPAT_ZTAILPACKING = 0x10;
/** with DEDUPE, the same bit */
export const INCOMPAT_FRAGMENTS = 0x20;
export const INCOMPAT_XATTR_PREFIXES = 0x40;
export const INCOMPAT_48BIT = 0x80;
export const INCOMPAT_METABOX = 0x100;

/** feature_incompat bits, lowest first */
export const INCOMPAT_NAMES = [
  'zero_padding',
  'compr_cfgs/big_pcluster',
  'chunked_file',
  'device_table/compr_head2',
  'ztailpacking',
  'fragments/dedupe',
  'xattr_prefixes',
  '48bit',
  'metabox',
];

/** what an image may announce; any other bit is refused when it is opened */
export const INCOMPAT_KNOWN =
  INCOMPAT_ZERO_PADDING |
  INCOMPAT_BIG_PCLUSTER |
  INCOMPAT_CHUNKED_FILE |
  INCOMPAT_DEVICE_TABLE |
  INCOMPAT_ZTAILPACKING |
  INCOMPAT_FRAGMENTS |
  INCOMPAT_XATTR_PREFIXES |
  INCOMPAT_48BIT |
  INCOMPAT_METABOX;

// i_format: bit 0 version, bits 1-3 data layout, bit 4 NLINK_1 (compact non-directories) or DOT_OMITTED (directories)
export const I_VERSION_EXTENDED = 0x01;
export const I_DATALAYOUT_SHIFT = 1;
export const I_DATALAYOUT_MASK = 0x07;
export const I_NLINK_1 = 0x10;
export const I_ALL = 0x1f;

export const FLAT_PLAIN = 0;
export const COMPRESSED_FULL = 1;
export const FLAT_INLINE = 2;
export const COMPRESSED_COMPACT = 3;
export const CHUNK_BASED = 4;

/** How an inode's data lies: the kernel's five data layouts. `flat-inline` has its tail behind the inode. */
export type Layout = 'flat-plain' | 'compressed-full' | 'flat-inline' | 'compressed-compact' | 'chunk-based';
export const LAYOUTS: readonly Layout[] = [
  'flat-plain',
  'compressed-full',
  'flat-inline',
  'compressed-compact',
  'chunk-based',
];

export const CHUNK_FORMAT_BLKBITS_MASK = 0x1f;
export const CHUNK_FORMAT_INDEXES = 0x20;
export const CHUNK_FORMAT_48BIT = 0x40;
export const CHUNK_FORMAT_ALL = 0x7f;

/** block address of a hole, 32-bit form */
export const NULL_ADDR_32 = 0xffffffff;
/** block address of a hole, 48-bit form */
export const NULL_ADDR_48 = 0xffffffffffff;

export const S_IFMT = 0o170000;
export const S_IFREG = 0o100000;
export const S_IFDIR = 0o040000;
export const S_IFLNK = 0o120000;
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;
export const S_IFIFO = 0o010000;
export const S_IFSOCK = 0o140000;

/** What an inode is, by its st_mode. */
export type FileType = 'file' | 'directory' | 'chardev' | 'blockdev' | 'fifo' | 'socket' | 'symlink';
/** dirent file_type; 0 is unknown */
export const FILE_TYPES: readonly (FileType | null)[] = [
  null,
  'file',
  'directory',
  'chardev',
  'blockdev',
  'fifo',
  'socket',
  'symlink',
];

export const EROFS_NAME_LEN = 255;
export const EROFS_DIRENT_SIZE = 12;
/** Linux PATH_MAX; a symlink's target and its NUL fit in it */
export const PATH_MAX = 4096;

// xattr name indexes: the prefix each stands for
export const XATTR_PREFIXES: readonly (string | null)[] = [
  null,
  'user.',
  'system.posix_acl_access',
  'system.posix_acl_default',
  'trusted.',
  null, // lustre: defined, never written, and the kernel has no handler for it
  'security.',
];
export const XATTR_LONG_PREFIX = 0x80;
export const XATTR_IBODY_HEADER_SIZE = 12;

// z_erofs_map_header.h_advise
export const Z_ADVISE_COMPACTED_2B = 0x01;
/** the same bit, in COMPRESSED_FULL inodes */
export const Z_ADVISE_EXTENTS = 0x01;
export const Z_ADVISE_BIG_PCLUSTER_1 = 0x02;
export const Z_ADVISE_BIG_PCLUSTER_2 = 0x04;
export const Z_ADVISE_INLINE_PCLUSTER = 0x08;
export const Z_ADVISE_INTERLACED_PCLUSTER = 0x10;
export const Z_ADVISE_FRAGMENT_PCLUSTER = 0x20;
/** extent records: their size is 4 << the two bits from here */
export const Z_ADVISE_EXTRECSZ_BIT = 1;
export const Z_ADVISE_EXTRECSZ_MASK = 0x3;
export const Z_FRAGMENT_INODE = 0x80;

// z_erofs_extent.plen
export const Z_EXTENT_PLEN_MASK = 0x1fffff;
export const Z_EXTENT_PLEN_PARTIAL = 0x8000000;
export const Z_EXTENT_PLEN_FMT_BIT = 28;

export const Z_PLAIN = 0;
export const Z_HEAD1 = 1;
export const Z_NONHEAD = 2;
export const Z_HEAD2 = 3;
export const Z_LI_PARTIAL_REF = 0x8000;
export const Z_LI_D0_CBLKCNT = 0x800;

/** the kernel's bounds of one pcluster, encoded and decoded, in bytes */
export const Z_PCLUSTER_MAX_SIZE = 1 << 20;
export const Z_PCLUSTER_MAX_DSIZE = 12 << 20;

/** the kernel's bound of an LZMA dictionary, in bytes */
export const Z_LZMA_MAX_DICT_SIZE = 8 << 20;

/** How the bytes of an extent are encoded. */
export type Algorithm = 'none' | 'lz4' | 'lzma' | 'deflate' | 'zstd';
/** h_algorithmtype */
export const ALGORITHMS: readonly Algorithm[] = ['lz4', 'lzma', 'deflate', 'zstd'];
