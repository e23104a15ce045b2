import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CHUNK_FORMAT_INDEXES } from '../../src/erofs/format.ts';
import type { Extent, Image, Inode } from '../../src/erofs/index.ts';
import type { Entry, Row } from './decoder.ts';

/** An image, as `images.py --list` has it. */
export interface Spec {
  name: string;
  suite: 'bookworm' | 'trixie' | 'sid';
  options: string;
  /** whether -T gives all inodes one time */
  fixed: boolean;
  /** the tree it holds, OUT/TREE.json */
  tree: string;
  /** what mkfs.erofs read, if no folder */
  source?: string;
  handmade?: string;
  digest?: string;
  without?: string[];
  owner?: [number, number];
  xattrs?: false;
  refused?: string;
}

const FIXED_TIME = 1_000_000_000;

const isEntry = (row: Row): row is Entry => row.link === undefined;

/** Without what differs from file system to file system: inode numbers, and sizes of directories. */
export function portable(rows: readonly Row[]): Row[] {
  return rows.map((row) => {
    if (!isEntry(row)) return row;
    const out = { ...row, ino: '' };
    if (row.type === 'directory') out.size = 0;
    return out;
  });
}

/** What mkfs.erofs is to make of a source tree. */
export function ofTree(rows: readonly Row[], spec: Spec, image: Image): Row[] {
  const whiteouts = rows.filter((r): r is Entry => isEntry(r) && r.type === 'chardev' && !r.rdev![0] && !r.rdev![1]);
  const marked = new Set(whiteouts.map((r) => r.path.slice(0, r.path.lastIndexOf('/'))));
  return portable(rows.filter((r) => !spec.without?.includes(r.path))).map((row) => {
    if (!isEntry(row)) return row;
    const out = { ...row, mtime: mtime(row, spec, image) };
    if (spec.owner) [out.uid, out.gid] = spec.owner;
    const xattrs = spec.xattrs === false ? {} : { ...row.xattrs };
    // mkfs.erofs 1.9 marks the folder of an overlayfs whiteout, if it reads a folder.
    if (spec.suite === 'sid' && !spec.source && marked.has(row.path)) xattrs['trusted.overlay.origin'] = '';
    if (spec.digest && row.sha256 && row.size > 0) {
      xattrs[spec.digest] = Buffer.from('sha256:').toString('hex') + row.sha256;
    }
    out.xattrs = xattrs;
    if (Object.keys(xattrs).length === 0) delete out.xattrs;
    // A tree that mkfs.erofs puts together of images has a root that anyone may write to.
    if (spec.source && !spec.source.startsWith('tar') && spec.source !== 'incremental' && row.path === '/')
      out.mode |= 0o777;
    return out;
  });
}

/** Compact inodes have the time of the image; in the 48-bit layout 32 bits of seconds from that on. */
function mtime(row: Entry, spec: Spec, image: Image): [number, number] {
  if (spec.fixed) return [FIXED_TIME, 0];
  const { epoch, fixedNsec, features } = image.superblock;
  if (image.lookup(row.path).extended) return row.mtime;
  if (!features.includes('48bit')) return [epoch, fixedNsec];
  return [epoch + ((row.mtime[0] - epoch) >>> 0), fixedNsec];
}

/** What erofs-utils 1.9.4 is known to get wrong of an image that the kernel and the source tree agree on, by name. */
export type Known =
  | 'empty xattr'
  | 'file capability'
  | 'last hole'
  | 'inline in metabox'
  | 'chunk map in metabox'
  | 'inline pcluster in metabox';

/** What fsck.erofs is to extract. */
export interface Extracted {
  rows: Row[];
  known: Set<Known>;
  /** exit status */
  status: number;
  /** its errors, without the nid at the end */
  said: string[];
}

/**
 * From the decoder's rows to those of fsck.erofs 1.9.4, which differ in this, and in nothing else:
 * - `empty xattr`: of an inode's xattrs the first that is empty is missing, and all behind it;
 * - `file capability`: the xattr is written before the file gets its owner, which makes Linux take it away again;
 * - `last hole`: an uncompressed file that ends in a hole ends where the hole starts;
 * - `inline in metabox`: the inline tail of an inode in the metabox is read from that address of the image itself;
 * - `chunk map in metabox`: so is the chunk map, and then what is at the addresses it seems to give (zeros past the end);
 * - `inline pcluster in metabox`: so is ztailpacking's, which ends everything, in the first such file, with status 1.
 */
export function ofFsck(rows: readonly Row[], image: Image): Extracted {
  const out: Extracted = { rows: [], known: new Set(), status: 0, said: [] };
  for (const row of portable(rows)) {
    out.rows.push(row);
    if (!isEntry(row)) continue;
    if (row.type === 'file') misreadContent(image, row, out.known);
    const xattrs = Object.entries(row.xattrs ?? {});
    const empty = xattrs.findIndex(([, value]) => value === '');
    if (empty >= 0) {
      out.known.add('empty xattr');
      out.said.push(`failed to get xattr value size of \`${xattrs[empty]![0]}\``);
      xattrs.length = empty;
    }
    const kept = xattrs.filter(([name]) => row.type !== 'file' || name !== 'security.capability');
    if (kept.length < xattrs.length) out.known.add('file capability');
    delete row.xattrs;
    if (kept.length > 0) row.xattrs = Object.fromEntries(kept);
  }
  return out;
}

/** @returns the first file that has an inline pcluster in the metabox, in the order of directories on disk, or null */
export function firstInlinePcluster(image: Image): string | null {
  for (const { path, inode } of image.walk()) {
    if (inode.type !== 'file' || !inode.inMetabox) continue;
    for (const e of image.mapBlocks(inode)) if (e.meta && e.encoded) return path;
  }
  return null;
}

/** Changes size and sha256 of a file to those of what fsck.erofs makes of it. */
function misreadContent(image: Image, row: Entry, known: Set<Known>): void {
  const inode = image.lookup(row.path);
  if (inode.layout.startsWith('compressed')) return;
  const extents = misreadExtents(image, inode);
  let end = inode.size;
  // In a block map it takes the null address for one, far past the end, where it reads zeros.
  const blockMap = inode.layout === 'chunk-based' && !(inode.chunkFormat & CHUNK_FORMAT_INDEXES);
  for (const e of blockMap ? [] : [...extents].reverse()) {
    if (!e.hole) break;
    end = e.la;
  }
  if (end < inode.size) known.add('last hole');
  const misread = extents.filter((e) => e.misread);
  if (misread.length === 0 && end === inode.size) return;
  const content = Buffer.concat([...image.stream(inode)]).subarray(0, end);
  for (const e of misread) {
    known.add(e.misread!);
    const length = Math.min(e.llen, inode.size - e.la);
    content.fill(0, e.la, e.la + length);
    imageBytes(image)
      .subarray(e.pa, e.pa + length)
      .copy(content, e.la);
  }
  row.size = end;
  row.sha256 = createHash('sha256').update(content).digest('hex');
}

export interface MisreadExtent extends Extent {
  misread?: Known;
}

/** The extents of an uncompressed file as erofs-utils 1.9.4 takes them, which forgets that some are in the metabox. */
export function misreadExtents(image: Image, inode: Inode): MisreadExtent[] {
  const extents: MisreadExtent[] = [...image.mapBlocks(inode)];
  if (!inode.inMetabox) return extents;
  if (inode.layout !== 'chunk-based') return extents.map((e) => (e.meta ? { ...e, misread: 'inline in metabox' } : e));
  // A block map: 4 bytes a chunk, behind inode and xattrs.
  const map = inode.offset + inode.inodeSize + inode.xattrSize;
  return extents.map((e, i) => {
    const pa = imageBytes(image).readUInt32LE(map + 4 * i) * image.superblock.blockSize;
    return { ...e, pa, misread: 'chunk map in metabox' };
  });
}

const read = new WeakMap<Image, Buffer>();

function imageBytes(image: Image): Buffer {
  let bytes = read.get(image);
  if (bytes === undefined) {
    bytes = readFileSync(image.path);
    read.set(image, bytes);
  }
  return bytes;
}
