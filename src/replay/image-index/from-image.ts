import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { DataBudget, type Extent, Image, type Inode, MetadataBudget, nameBytes } from '../../erofs/index.ts';
import { DataError, located } from '../../error.ts';
import { PAGE_SIZE } from '../result.ts';
import { type HeaderFields, IndexBuilder, type IndexedExtent, MAX_PAGES } from './builder.ts';
import { type DigestJob, digestJob, finish, isElf, pagesOf, runLane, sha256Of } from './digest.ts';
import { DigestPool } from './digest-pool.ts';
import { elfSegments } from './elf.ts';
import type { ImageIndex } from './image-index.ts';
import { xattrsDigest } from './xattrs-digest.ts';

export interface ImageOptions {
  /** the image's extra devices, in slot order */
  devices?: readonly string[];
  /** threads; as many as the image is worth by default, one a core at most. The index is the same, byte for byte, whatever their number. */
  jobs?: number;
  /** file data that may be decoded, in bytes; by default 1 GiB plus 1,024 times the image's size */
  maxData?: number;
  /** of directories, xattrs and paths, in bytes; by default 64 MiB plus 64 times the image's size */
  maxMetadata?: number;
  /** what any one buffer and any one directory may take; by default 64 MiB */
  maxBytes?: number;
  /** SHA-256 (hex) of the image and of each of its devices, where they are known already */
  sha256?: readonly string[];
}

/**
 * Indexes an EROFS image: decodes every file once, for its digest and that of each of its pages.
 * @returns the index as a file's bytes
 * @throws ErofsError or DataError with the place at fault
 */
export async function packImage(path: string, options: ImageOptions = {}): Promise<Buffer> {
  const { builder, header } = await lookThrough(path, options);
  return builder.pack(header);
}

/** As {@link packImage}, without the detour over bytes. */
export async function indexImage(path: string, options: ImageOptions = {}): Promise<ImageIndex> {
  const { builder, header } = await lookThrough(path, options);
  return builder.build(header);
}

/** The tree of an image: every inode once, and every name. */
interface Tree {
  inodes: Inode[];
  names: { name: string; inode: number }[];
}

async function lookThrough(
  path: string,
  { devices = [], jobs, sha256, ...bounds }: ImageOptions,
): Promise<{ builder: IndexBuilder; header: HeaderFields }> {
  const image = Image.open(path, { devices, ...bounds });
  const pool = new DigestPool(jobs, image.size);
  try {
    const tree = readTree(image);
    const files = tree.inodes.filter(({ type }) => type === 'file');
    const hashed = sha256 === undefined ? [path, ...devices] : [];
    const job = digestJob(path, devices, hashed.map(sized), files);
    pool.begin(job);
    const builder = new IndexBuilder(path);
    const fingerprints = addTree(builder, image, tree, job);
    runLane(job, image);
    await pool.ended();
    finish(job, image);
    addSegments(builder, image, tree, job);
    const hashes = sha256 ?? hashed.map((_, unit) => Buffer.from(sha256Of(job, unit)).toString('hex'));
    const name = basename(path);
    return {
      builder,
      header: {
        source: { kind: 'image', name, sha256: hashes[0]!, sizeBytes: image.size },
        image: {
          name,
          sha256: hashes[0]!,
          blockSize: image.superblock.blockSize,
          uuid: image.superblock.uuid,
          fingerprints,
          devices: devices.map((device, at) => ({ name: basename(device), sha256: hashes[at + 1]! })),
        },
        known: { layout: true, mtime: true, xattrs: true },
      },
    };
  } finally {
    await pool.stop();
    image.close();
  }
}

function sized(path: string): { path: string; size: number } {
  try {
    return { path, size: statSync(path).size };
  } catch (error) {
    throw located(path, error);
  }
}

function readTree(image: Image): Tree {
  const tree: Tree = { inodes: [], names: [] };
  const known = new Map<number, number>();
  let pages = 0;
  const budget = new DataBudget(image);
  for (const { path: name, inode } of image.walk()) {
    let ordinal = known.get(inode.nid);
    if (ordinal === undefined) {
      if (inode.type === 'file') {
        pages += Math.ceil(inode.size / PAGE_SIZE);
        budget.take(inode.nid, inode.size);
      }
      if (pages > MAX_PAGES)
        throw new DataError(
          image.path,
          `inode nid ${inode.nid}: with its ${inode.size} bytes the image has more than ${MAX_PAGES} pages of file data`,
        );
      ordinal = tree.inodes.push(inode) - 1;
      known.set(inode.nid, ordinal);
    }
    tree.names.push({ name, inode: ordinal });
  }
  return tree;
}

/** Adds all but what is in the files' content; digests are filled in later. @returns whether any file has a fingerprint */
function addTree(builder: IndexBuilder, image: Image, { inodes, names }: Tree, job: DigestJob): boolean {
  let fingerprints = false;
  let file = 0;
  const budget = new MetadataBudget(image);
  for (const inode of inodes) {
    const isFile = inode.type === 'file';
    const fingerprint = isFile ? image.fingerprint(inode, budget) : null;
    fingerprints ||= fingerprint !== null;
    builder.addInode({
      nid: inode.nid,
      type: isFile ? 'f' : inode.type === 'directory' ? 'd' : inode.type === 'symlink' ? 'l' : 'o',
      mode: inode.mode & 0xffff,
      uid: inode.uid,
      gid: inode.gid,
      nlink: inode.nlink,
      sizeBytes: inode.size,
      mtimeSec: inode.mtime,
      mtimeNsec: inode.mtimeNsec,
      layout: inode.layout,
      contentSha256: isFile ? sha256Of(job, job.paths.length + file) : null,
      xattrsSha256: digestXattrs(image, inode, budget),
      fingerprint,
      pageDigests: isFile ? pagesOf(job, file) : new Uint8Array(0),
      extents: isFile ? indexExtents(image, inode) : [],
      segments: [],
    });
    if (isFile) file++;
  }
  for (const { name, inode } of names) builder.addPath(Buffer.from(nameBytes(name)), inode);
  return fingerprints;
}

/** Adds the segments of ELF files, which their digests told from the others: of a compressed one the beginning has to be decoded again. */
function addSegments(builder: IndexBuilder, image: Image, { inodes }: Tree, job: DigestJob): void {
  let file = 0;
  inodes.forEach((inode, ordinal) => {
    if (inode.type !== 'file' || !isElf(job, file++)) return;
    builder.addSegments(
      ordinal,
      elfSegments(inode.size, (offset, length) => image.read(inode, offset, length)),
    );
  });
}

/**
 * A file's extents as an index has them: addresses on the device that they are really on, and runs of blocks that continue each other joined,
 * so that a page has one place however finely its file is mapped.
 */
function* indexExtents(image: Image, inode: Inode): Generator<IndexedExtent> {
  let last: IndexedExtent | null = null;
  for (const extent of image.mapBlocks(inode)) {
    const next = indexExtent(image, inode, extent);
    if (last !== null && continues(last, next)) {
      last.llen += next.llen;
      last.plen += next.plen;
      continue;
    }
    if (last !== null) yield last;
    last = next;
  }
  if (last !== null) yield last;
}

function continues(last: IndexedExtent, next: IndexedExtent): boolean {
  if (last.compressed || next.compressed || last.fragment || next.fragment || last.hole !== next.hole) return false;
  if (last.device !== next.device || last.metabox !== next.metabox) return false;
  return last.hole || last.pa + last.plen === next.pa;
}

function indexExtent(image: Image, inode: Inode, extent: Extent): IndexedExtent {
  const { la, llen, plen, hole, algorithm: codec } = extent;
  if (extent.fragment)
    return {
      la,
      llen,
      pa: extent.fragmentOffset,
      plen: llen,
      device: 0,
      hole,
      compressed: false,
      fragment: true,
      codec,
    };
  const metabox = extent.meta && inode.inMetabox;
  const { device, pa } = extent.meta ? extent : onDevice(image, extent);
  return { la, llen, pa, plen, device, hole, compressed: extent.encoded, metabox, codec };
}

/**
 * An address above the image's own end may be that of a block on an extra device (mapped_blkaddr), as the kernel's erofs_map_dev() has it.
 * Of a flattened image everything is on the image itself.
 */
function onDevice(image: Image, { device, pa, hole }: Extent): { device: number; pa: number } {
  const { devices, blockSize } = image.superblock;
  if (image.flattened && !hole)
    return { device: 0, pa: pa + (device > 0 ? devices[device - 1]!.mappedBlkaddr * blockSize : 0) };
  if (device > 0 || hole) return { device, pa };
  for (let slot = 0; slot < devices.length; slot++) {
    const start = devices[slot]!.mappedBlkaddr * blockSize;
    if (start > 0 && pa >= start && pa < start + devices[slot]!.blocks * blockSize)
      return { device: slot + 1, pa: pa - start };
  }
  return { device, pa };
}

/** Digest of the xattrs, the fingerprint left out. What is shared is digested for each inode. */
function digestXattrs(image: Image, inode: Inode, budget: MetadataBudget): Uint8Array | null {
  const own = image.fingerprintXattr;
  const xattrs = image.xattrs(inode, budget).filter(({ name }) => name !== own);
  budget.take(
    inode.nid,
    xattrs.reduce((sum, { name, value }) => sum + name.length + value.length, 0),
  );
  return xattrsDigest(xattrs.map(({ name, value }) => ({ name: nameBytes(name), value })));
}
