import { crc32c, METABOX_NID_BIT, nameString, nidAt, roundUp, s64, u16, u32, u64 } from './bytes.ts';
import { ErofsCorruptError, ErofsUnsupportedError, type Fault } from './error.ts';
import {
  ALGORITHMS,
  type Algorithm,
  COMPAT_ISHARE_XATTRS,
  COMPAT_NAMES,
  COMPAT_SB_CHKSUM,
  EROFS_DEVT_SLOT_SIZE,
  EROFS_SB_EXTSLOT_SIZE,
  EROFS_SUPER_BLOCK_SIZE,
  EROFS_SUPER_MAGIC_V1,
  EROFS_SUPER_OFFSET,
  INCOMPAT_48BIT,
  INCOMPAT_BIG_PCLUSTER,
  INCOMPAT_DEVICE_TABLE,
  INCOMPAT_KNOWN,
  INCOMPAT_METABOX,
  INCOMPAT_NAMES,
  INCOMPAT_ZERO_PADDING,
  Z_LZMA_MAX_DICT_SIZE,
  Z_PCLUSTER_MAX_SIZE,
} from './format.ts';
import type { BlockReader } from './reader.ts';

/** One `erofs_deviceslot`. */
export interface DeviceSlot {
  /** 64 bytes as mkfs wrote them, trailing NULs cut; a digest or a name */
  readonly tag: string;
  /** size in blocks */
  readonly blocks: number;
  /** where the device appears in the primary device's address space, in blocks; 0: nowhere */
  readonly mappedBlkaddr: number;
}

/** The superblock, checked. On-disk names; sizes and addresses as stored (blocks) unless the name says otherwise. */
export interface Superblock {
  /** CRC-32C as stored; believed only if `checksumVerified` */
  readonly checksum: number;
  /** whether a checksum was there to be verified */
  readonly checksumVerified: boolean;
  /** bit mask; see `features` */
  readonly featureCompat: number;
  /** bit mask; see `features` */
  readonly featureIncompat: number;
  /** names of the set bits, compat then incompat */
  readonly features: readonly string[];
  /** log2 of `blockSize` */
  readonly blkszbits: number;
  /** bytes; 512 to 65536 */
  readonly blockSize: number;
  /** bytes of the superblock, extension slots included */
  readonly sbSize: number;
  /** bytes of a block of a directory: blocks times 2^dirblkbits */
  readonly dirBlockSize: number;
  /** the root directory */
  readonly rootNid: number;
  /** how many inodes mkfs counted; nothing depends on it */
  readonly inos: number;
  /** seconds since 1970 that compact inodes' mtimes count from */
  readonly epoch: number;
  /** nanoseconds of every compact inode's mtime */
  readonly fixedNsec: number;
  /** when the image was made, seconds since 1970 */
  readonly buildTime: number;
  /** blocks of the primary device as announced */
  readonly blocks: number;
  /** first block of the metadata area, which nids count from */
  readonly metaBlkaddr: number;
  /** first block of the shared xattrs */
  readonly xattrBlkaddr: number;
  /** lower-case, with hyphens */
  readonly uuid: string;
  /** up to 16 bytes; empty where there is none */
  readonly volumeName: string;
  /** algorithms the image may use; always LZ4 where the image is older than the list (compr_cfgs) */
  readonly algorithms: readonly Algorithm[];
  /** LZ4 window in bytes; 0: the default of 65535 */
  readonly lz4MaxDistance: number;
  /** largest LZ4 pcluster, in blocks */
  readonly lz4MaxPclusterBlks: number;
  /** LZMA dictionary in bytes; 0 where the image has no LZMA */
  readonly lzmaDictSize: number;
  /** log2 of the window in bytes; 0 where the image has none of the kind */
  readonly deflateWindowBits: number;
  /** log2 of the window in bytes; 0 where the image has none of the kind */
  readonly zstdWindowLog: number;
  /** whether compressed data sits at the end of its pcluster behind zeros, or at its start */
  readonly zeroPadding: boolean;
  /** the device table; empty where all data is on the primary device */
  readonly devices: readonly DeviceSlot[];
  /** how many long xattr name prefixes the image has */
  readonly xattrPrefixCount: number;
  /** in units of 4 bytes */
  readonly xattrPrefixStart: number;
  /** the inode that holds fragments; 0 where the image has none */
  readonly packedNid: number;
  /** the inode whose data holds metadata, or -1 */
  readonly metaboxNid: number;
  /** index of the long prefix that names the fingerprint xattr, or -1 */
  readonly ishareXattrPrefixId: number;
}

/**
 * Reads and checks the superblock.
 *
 * struct erofs_super_block, 128 bytes at 1024: magic u32 @0, checksum u32 @4, feature_compat u32 @8, blkszbits u8 @12,
 * sb_extslots u8 @13, rootnid_2b u16 @14, inos u64 @16, epoch u64 @24, fixed_nsec u32 @32, blocks_lo u32 @36,
 * meta_blkaddr u32 @40, xattr_blkaddr u32 @44, uuid[16] @48, volume_name[16] @64, feature_incompat u32 @80,
 * available_compr_algs or lz4_max_distance u16 @84, extra_devices u16 @86, devt_slotoff u16 @88, dirblkbits u8 @90,
 * xattr_prefix_count u8 @91, xattr_prefix_start u32 @92, packed_nid u64 @96, xattr_filter_reserved u8 @104,
 * ishare_xattr_prefix_id u8 @105.
 *
 * @throws ErofsCorruptError, ErofsUnsupportedError
 */
export function readSuperblock(reader: BlockReader): Superblock {
  const path = reader.path;
  const fault: Fault = { path, offset: EROFS_SUPER_OFFSET, object: 'superblock' };
  if (reader.size < EROFS_SUPER_OFFSET + EROFS_SUPER_BLOCK_SIZE) {
    throw new ErofsCorruptError(`not an EROFS image: ${reader.size} bytes hold no superblock`, fault);
  }
  const b = reader.readAt(EROFS_SUPER_OFFSET, EROFS_SUPER_BLOCK_SIZE);
  const magic = u32(b, 0);
  if (magic !== EROFS_SUPER_MAGIC_V1) {
    throw new ErofsCorruptError(`not an EROFS image: magic is ${hex(magic)}, not ${hex(EROFS_SUPER_MAGIC_V1)}`, fault);
  }
  const featureCompat = u32(b, 8);
  const featureIncompat = u32(b, 80);
  const blkszbits = b[12]!;
  if (blkszbits < 9 || blkszbits > 16) {
    throw new ErofsCorruptError(`blkszbits ${blkszbits} is outside 9..16`, fault);
  }
  const blockSize = 1 << blkszbits;

  const checksum = u32(b, 4);
  const checksumVerified = (featureCompat & COMPAT_SB_CHKSUM) !== 0;
  if (checksumVerified) {
    // The sum covers the rest of the superblock's block, or a whole small block; its own field counts as zero.
    const length = blockSize > EROFS_SUPER_OFFSET ? blockSize - EROFS_SUPER_OFFSET : blockSize;
    if (reader.size < EROFS_SUPER_OFFSET + length) {
      throw new ErofsCorruptError(`the image ends inside the superblock's block`, fault);
    }
    const covered = Uint8Array.from(reader.readAt(EROFS_SUPER_OFFSET, length));
    covered.fill(0, 4, 8);
    const sum = crc32c(0xffffffff, covered);
    if (sum !== checksum) {
      throw new ErofsCorruptError(`crc32c is ${hex(sum)}, the superblock says ${hex(checksum)}`, fault);
    }
  }

  const unknown = (featureIncompat & ~INCOMPAT_KNOWN) >>> 0;
  if (unknown !== 0) {
    const names = bitNames(unknown, INCOMPAT_NAMES);
    throw new ErofsUnsupportedError(
      `unsupported: incompatible feature ${names.join(', ')} (mask ${hex(unknown)})`,
      fault,
    );
  }
  const dirBlockBits = blkszbits + b[90]!;
  if (dirBlockBits > 16) {
    // nameoff is 16 bits.
    throw new ErofsUnsupportedError(`unsupported: directory blocks of 2^${dirBlockBits} bytes (dirblkbits)`, fault);
  }

  const sbSize = EROFS_SUPER_BLOCK_SIZE + b[13]! * EROFS_SB_EXTSLOT_SIZE;
  if (EROFS_SUPER_OFFSET + sbSize > reader.size) {
    throw new ErofsCorruptError(`sb_extslots ${b[13]} leads past the end of the image`, fault);
  }
  const xattrPrefixCount = b[91]!;
  let ishareXattrPrefixId = -1;
  if (featureCompat & COMPAT_ISHARE_XATTRS) {
    ishareXattrPrefixId = b[105]!;
    if (ishareXattrPrefixId >= xattrPrefixCount) {
      throw new ErofsCorruptError(
        `ishare_xattr_prefix_id ${ishareXattrPrefixId} of only ${xattrPrefixCount} long xattr prefixes`,
        fault,
      );
    }
  }
  const hasMetabox = (featureIncompat & INCOMPAT_METABOX) !== 0;
  let metaboxNid = -1;
  if (hasMetabox) {
    if (sbSize < 136) throw new ErofsCorruptError(`${sbSize} bytes hold no metabox_nid`, fault);
    metaboxNid = nidAt(reader.readAt(EROFS_SUPER_OFFSET + 128, 8), 0, true);
    if (inMetabox(metaboxNid)) throw new ErofsCorruptError('the metabox inode is in the metabox', fault);
  }
  const packedNid = nidAt(b, 96, hasMetabox);
  if (hasMetabox && inMetabox(packedNid)) throw new ErofsCorruptError('the packed inode is in the metabox', fault);
  const wide = (featureIncompat & INCOMPAT_48BIT) !== 0;
  // Without the 8-byte root nid the field it shares with blocks_hi is the 2-byte one.
  const rootNid8 = wide ? nidAt(b, 112, hasMetabox) : 0;
  const compression = readCompression(
    reader,
    u16(b, 84),
    featureIncompat,
    blockSize,
    EROFS_SUPER_OFFSET + sbSize,
    fault,
  );
  const devices =
    featureIncompat & INCOMPAT_DEVICE_TABLE ? readDevices(reader, u16(b, 86), u16(b, 88), wide, fault) : [];

  return {
    checksum,
    checksumVerified,
    featureCompat,
    featureIncompat,
    features: [...bitNames(featureCompat, COMPAT_NAMES), ...bitNames(featureIncompat, INCOMPAT_NAMES)],
    blkszbits,
    blockSize,
    sbSize,
    dirBlockSize: 1 << dirBlockBits,
    rootNid: rootNid8 || u16(b, 14),
    inos: u64(b, 16),
    epoch: s64(b, 24),
    fixedNsec: u32(b, 32),
    buildTime: s64(b, 24) + u32(b, 108),
    blocks: u32(b, 36) + (rootNid8 ? u16(b, 14) * 0x100000000 : 0),
    metaBlkaddr: u32(b, 40),
    xattrBlkaddr: u32(b, 44),
    uuid: uuidString(b.subarray(48, 64)),
    volumeName: cString(b.subarray(64, 80)),
    ...compression,
    zeroPadding: (featureIncompat & INCOMPAT_ZERO_PADDING) !== 0,
    devices,
    xattrPrefixCount,
    xattrPrefixStart: u32(b, 92),
    packedNid,
    metaboxNid,
    ishareXattrPrefixId,
  };
}

interface Compression {
  algorithms: readonly Algorithm[];
  lz4MaxDistance: number;
  lz4MaxPclusterBlks: number;
  lzmaDictSize: number;
  deflateWindowBits: number;
  zstdWindowLog: number;
}

/**
 * Compression configurations, after the superblock when COMPR_CFGS is set: one record per set bit of
 * available_compr_algs, each 4-aligned: length u16, then that many bytes.
 * struct z_erofs_lz4_cfgs, 14 bytes: max_distance u16 @0, max_pclusterblks u16 @2.
 * struct z_erofs_lzma_cfgs, 14 bytes: dict_size u32 @0, format u16 @4.
 * struct z_erofs_deflate_cfgs, 6 bytes: windowbits u8 @0.
 * struct z_erofs_zstd_cfgs, 6 bytes: format u8 @0, windowlog - 10 u8 @1.
 */
function readCompression(
  reader: BlockReader,
  algsOrDistance: number,
  featureIncompat: number,
  blockSize: number,
  start: number,
  fault: Fault,
): Compression {
  const out: Compression = {
    algorithms: ['lz4'],
    lz4MaxDistance: 0,
    lz4MaxPclusterBlks: 1,
    lzmaDictSize: 0,
    deflateWindowBits: 0,
    zstdWindowLog: 0,
  };
  // Images older than COMPR_CFGS know LZ4 only, and the field is its window.
  if (!(featureIncompat & INCOMPAT_BIG_PCLUSTER)) return { ...out, lz4MaxDistance: algsOrDistance };
  const unknown = algsOrDistance & ~((1 << ALGORITHMS.length) - 1);
  if (unknown !== 0) {
    throw new ErofsUnsupportedError(`unsupported: compression algorithms ${hex(unknown)}`, fault);
  }
  const algorithms: Algorithm[] = [];
  let at = start;
  for (let alg = 0; alg < ALGORITHMS.length; alg++) {
    if (!(algsOrDistance & (1 << alg))) continue;
    algorithms.push(ALGORITHMS[alg]!);
    at = roundUp(at, 4);
    const where: Fault = { path: fault.path, offset: at, object: `${ALGORITHMS[alg]} configuration` };
    const length = at + 2 <= reader.size ? u16(reader.readAt(at, 2), 0) : 0;
    if (length === 0 || at + 2 + length > reader.size) {
      throw new ErofsCorruptError('it is empty or leads past the end of the image', where);
    }
    const fields = ALGORITHMS[alg] === 'lz4' || ALGORITHMS[alg] === 'lzma' ? 14 : 6;
    if (length < fields) throw new ErofsCorruptError(`${length} bytes, fewer than ${fields}`, where);
    const cfg = reader.readAt(at + 2, length);
    switch (ALGORITHMS[alg]) {
      case 'lz4':
        out.lz4MaxDistance = u16(cfg, 0);
        out.lz4MaxPclusterBlks = u16(cfg, 2) || 1; // 0 is how the first big-pcluster mkfs wrote 1
        if (out.lz4MaxPclusterBlks > Z_PCLUSTER_MAX_SIZE / blockSize) {
          throw new ErofsCorruptError(`max_pclusterblks ${out.lz4MaxPclusterBlks} exceeds 1 MiB`, where);
        }
        break;
      case 'lzma':
        out.lzmaDictSize = u32(cfg, 0);
        if (u16(cfg, 4) !== 0) throw new ErofsUnsupportedError(`unsupported: format ${u16(cfg, 4)}`, where);
        if (out.lzmaDictSize < 4096 || out.lzmaDictSize > Z_LZMA_MAX_DICT_SIZE) {
          throw new ErofsUnsupportedError(`unsupported: dictionary of ${out.lzmaDictSize} bytes`, where);
        }
        break;
      case 'deflate':
        out.deflateWindowBits = cfg[0]!;
        if (cfg[0]! > 15) throw new ErofsUnsupportedError(`unsupported: window of 2^${cfg[0]} bytes`, where);
        break;
      case 'zstd':
        out.zstdWindowLog = cfg[1]! + 10;
        if (cfg[0] !== 0) throw new ErofsUnsupportedError(`unsupported: format ${cfg[0]}`, where);
        if (out.zstdWindowLog > 20) {
          throw new ErofsUnsupportedError(`unsupported: window of 2^${out.zstdWindowLog} bytes`, where);
        }
        break;
    }
    at += 2 + length;
  }
  return { ...out, algorithms };
}

/**
 * struct erofs_deviceslot, 128 bytes at devt_slotoff * 128: tag[64] @0, blocks_lo u32 @64, uniaddr_lo u32 @68,
 * and with the 48-bit layout blocks_hi u16 @72, uniaddr_hi u16 @74.
 */
function readDevices(reader: BlockReader, count: number, slotoff: number, wide: boolean, fault: Fault): DeviceSlot[] {
  const devices: DeviceSlot[] = [];
  const start = slotoff * EROFS_DEVT_SLOT_SIZE;
  if (start + count * EROFS_DEVT_SLOT_SIZE > reader.size) {
    const where = { path: fault.path, offset: start, object: 'device table' };
    throw new ErofsCorruptError(`${count} slots lead past the end of the image`, where);
  }
  for (let i = 0; i < count; i++) {
    const slot = reader.readAt(start + i * EROFS_DEVT_SLOT_SIZE, EROFS_DEVT_SLOT_SIZE);
    devices.push({
      tag: cString(slot.subarray(0, 64)),
      blocks: u32(slot, 64) + (wide ? u16(slot, 72) * 0x100000000 : 0),
      mappedBlkaddr: u32(slot, 68) + (wide ? u16(slot, 74) * 0x100000000 : 0),
    });
  }
  return devices;
}

function inMetabox(nid: number): boolean {
  return Math.floor(nid / METABOX_NID_BIT) % 2 === 1;
}

function bitNames(mask: number, names: readonly string[]): string[] {
  const out: string[] = [];
  for (let bit = 0; bit < 32; bit++) {
    if ((mask >>> bit) & 1) out.push(names[bit] ?? `unknown_${hex(2 ** bit)}`);
  }
  return out;
}

function uuidString(b: Uint8Array): string {
  const h = Buffer.from(b).toString('hex');
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
}

function cString(b: Uint8Array): string {
  const end = b.indexOf(0);
  return nameString(end < 0 ? b : b.subarray(0, end));
}

function hex(n: number): string {
  return `0x${n.toString(16)}`;
}
