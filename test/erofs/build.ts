import type { BlockReader } from '../../src/erofs/index.ts';

// Writes small images that mkfs.erofs can't: other block sizes, record sizes, addresses above 2^32 blocks, device tables.
// One directory, the root, with regular files; every inode is extended and has its metadata behind it.

export interface BuiltFile {
  name: string;
  /** i_size */
  size: number;
  /** data layout, 0 to 4 */
  layout: number;
  /** i_u */
  iu?: number;
  /** i_nb: bits 32-47 of the start block */
  inb?: number;
  /** what lies behind the inode */
  tail?: Uint8Array;
  /** i_mode; a regular file's by default */
  mode?: number;
  /** the 32-byte form, whose i_nb is an address because it has NLINK_1 */
  compact?: boolean;
  /** i_xattr_icount: of `tail`, so much is xattrs */
  icount?: number;
}

export interface BuildOptions {
  blkszbits: number;
  dirblkbits?: number;
  extslots?: number;
  featureIncompat?: number;
  /** bits of available_compr_algs (LZ4 only here) */
  lz4?: boolean;
  /** blocks of data, from block `dataBlock` on */
  data: Uint8Array[];
  files: BuiltFile[];
  devices?: { tag: string; blocks: number; uniaddr: number }[];
  /** use rootnid_8b, and metadata from block 0 on, and blocks_hi */
  wide?: { blocksHigh: number };
  xattrBlkaddr?: number;
  volumeName?: string;
  /** fixed_nsec, with an epoch of 0 */
  fixedNsec?: number;
}

/** nid of file `i` of a built image that isn't wide */
export function nidOf(i: number): number {
  return (SPAN * (i + 1)) / 32;
}

/** where a built image's data starts: behind 64 KiB of superblock and tables, and 128 KiB of metadata */
export const DATA_AT = 192 << 10;
const META_AT = 64 << 10;
const DEVICES_AT = 8 << 10;

export function build(o: BuildOptions): Uint8Array {
  const blockSize = 1 << o.blkszbits;
  const dirBlock = blockSize << (o.dirblkbits ?? 0);
  const blocks = o.data.map((d) => Math.ceil(d.length / blockSize) * blockSize);
  const rootNid = o.wide ? META_AT / 32 : 0;
  const dir = directory(o.files, dirBlock, rootNid);
  const total = DATA_AT + blocks.reduce((a, b) => a + b, 0) + Math.ceil(dir.length / blockSize) * blockSize;
  const out = new Uint8Array(total);
  const view = new DataView(out.buffer);
  let at = DATA_AT;
  o.data.forEach((d, i) => {
    out.set(d, at);
    at += blocks[i]!;
  });
  out.set(dir, at);
  inode(view, META_AT, 0o040755, 2, { name: '', size: dir.length, layout: 0, iu: at / blockSize });
  o.files.forEach((f, i) => {
    inode(view, META_AT + SPAN * (i + 1), f.mode ?? 0o100644, 1, f);
    if (f.tail) out.set(f.tail, META_AT + SPAN * (i + 1) + (f.compact ? 32 : 64));
  });

  view.setUint32(1024, 0xe0f5e1e2, true);
  out[1024 + 12] = o.blkszbits;
  out[1024 + 13] = o.extslots ?? 0;
  if (o.wide) {
    view.setUint16(1024 + 14, o.wide.blocksHigh, true);
    view.setUint32(1024 + 112, rootNid, true);
  }
  view.setUint32(1024 + 16, o.files.length + 1, true);
  view.setUint32(1024 + 36, total / blockSize, true);
  view.setUint32(1024 + 40, o.wide ? 0 : META_AT / blockSize, true);
  view.setUint32(1024 + 32, o.fixedNsec ?? 0, true);
  out.set(Buffer.from(o.volumeName ?? ''), 1024 + 64);
  view.setUint32(1024 + 44, o.xattrBlkaddr ?? 0, true);
  view.setUint32(1024 + 80, o.featureIncompat ?? 0, true);
  out[1024 + 90] = o.dirblkbits ?? 0;
  if (o.lz4) {
    view.setUint16(1024 + 84, 1, true);
    const cfg = 1024 + 128 + 16 * (o.extslots ?? 0);
    view.setUint16(cfg, 14, true);
    view.setUint16(cfg + 4, 1, true);
  }
  if (o.devices) {
    view.setUint16(1024 + 86, o.devices.length, true);
    view.setUint16(1024 + 88, DEVICES_AT / 128, true);
    o.devices.forEach((d, i) => {
      const slot = DEVICES_AT + 128 * i;
      out.set(Buffer.from(d.tag), slot);
      view.setUint32(slot + 64, d.blocks, true);
      view.setUint32(slot + 68, d.uniaddr >>> 0, true);
      view.setUint16(slot + 72, Math.floor(d.blocks / 2 ** 32), true);
      view.setUint16(slot + 74, Math.floor(d.uniaddr / 2 ** 32), true);
    });
  }
  return out;
}

/** room for an inode and what follows it */
const SPAN = 512;

function inode(view: DataView, at: number, mode: number, nlink: number, f: BuiltFile): void {
  view.setUint16(at, (f.compact ? 0x10 : 1) | (f.layout << 1), true);
  view.setUint16(at + 2, f.icount ?? 0, true);
  view.setUint16(at + 4, mode, true);
  view.setUint16(at + 6, f.inb ?? 0, true);
  if (f.compact) view.setUint32(at + 8, f.size, true);
  else view.setBigUint64(at + 8, BigInt(f.size), true);
  view.setUint32(at + 16, f.iu ?? 0, true);
  if (!f.compact) view.setUint32(at + 44, nlink, true);
}

function directory(files: BuiltFile[], blockSize: number, rootNid: number): Uint8Array {
  return packEntries(blockSize, [
    { name: '.', nid: rootNid, type: 2 },
    { name: '..', nid: rootNid, type: 2 },
    ...files.map((f, i) => ({
      name: f.name,
      nid: rootNid + (SPAN * (i + 1)) / 32,
      type: TYPES[(f.mode ?? 0) >> 12] ?? 1,
    })),
  ]);
}

/** dirent file types, by mode: a fifo, a directory and a symlink; all else is a file */
const TYPES: Record<number, number> = { 1: 5, 4: 2, 10: 7 };

/** Entries, sorted, packed into blocks. */
export function packEntries(
  blockSize: number,
  some: readonly { name: string; nid: number; type: number }[],
): Uint8Array {
  const entries = [...some].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  const blocks: Uint8Array[] = [];
  for (let from = 0; from < entries.length; ) {
    let to = from;
    let used = 0;
    while (to < entries.length && used + 12 + entries[to]!.name.length <= blockSize)
      used += 12 + entries[to++]!.name.length;
    const block = new Uint8Array(to < entries.length ? blockSize : used);
    const view = new DataView(block.buffer);
    let nameoff = 12 * (to - from);
    for (let i = from; i < to; i++) {
      const { name, nid, type } = entries[i]!;
      view.setUint32(12 * (i - from), nid, true);
      view.setUint16(12 * (i - from) + 8, nameoff, true);
      block[12 * (i - from) + 10] = type;
      block.set(Buffer.from(name), nameoff);
      nameoff += name.length;
    }
    blocks.push(block);
    from = to;
  }
  return new Uint8Array(Buffer.concat(blocks));
}

/** An LZ4 block that is all literals. */
export function lz4Literals(data: Uint8Array): Uint8Array {
  const out: number[] = [Math.min(data.length, 15) << 4];
  if (data.length >= 15) {
    let rest = data.length - 15;
    for (; rest >= 255; rest -= 255) out.push(255);
    out.push(rest);
  }
  return Uint8Array.from([...out, ...data]);
}

/** A device of which only some bytes exist: the rest reads as zeros. */
export function sparseReader(path: string, size: number, at: number, bytes: Uint8Array): BlockReader {
  return {
    path,
    size,
    readAt(offset, length) {
      const out = new Uint8Array(length);
      for (let i = 0; i < length; i++) out[i] = bytes[offset + i - at] ?? 0;
      return out;
    },
  };
}
