import { createHash, type Hash, hash } from 'node:crypto';
import { basename } from 'node:path';
import { type Extent, Image, type Inode, nameBytes } from '../../erofs/index.ts';
import { DataError } from '../../error.ts';
import { hashFile } from '../io/input.ts';
import { PAGE_SIZE } from '../result.ts';
import { IndexBuilder, type IndexedExtent, type IndexedInode, MAX_PAGES } from './builder.ts';
import { elfSegments } from './elf.ts';

const EMPTY = new Uint8Array(0);

/**
 * Indexes an EROFS image: decodes every file once, for its digest and that of each of its pages.
 * @param devices the image's extra devices, in slot order
 * @throws ErofsError or DataError with the place at fault
 */
export async function packImage(path: string, devices: readonly string[] = []): Promise<Buffer> {
  const sha256 = await hashFile(path);
  const extra: { name: string; sha256: string }[] = [];
  for (const device of devices) extra.push({ name: basename(device), sha256: await hashFile(device) });
  const image = Image.open(path, { devices });
  try {
    const builder = new IndexBuilder(path);
    const known = new Map<number, number>();
    let pages = 0;
    let fingerprints = false;
    for (const { path: name, inode } of image.walk()) {
      let ordinal = known.get(inode.nid);
      if (ordinal === undefined) {
        if (inode.type === 'file') pages += Math.ceil(inode.size / PAGE_SIZE);
        if (pages > MAX_PAGES)
          throw new DataError(
            path,
            `inode nid ${inode.nid}: with its ${inode.size} bytes the image has more than ${MAX_PAGES} pages of file data`,
          );
        const indexed = indexInode(image, inode);
        fingerprints ||= indexed.fingerprint !== null;
        ordinal = builder.addInode(indexed);
        known.set(inode.nid, ordinal);
      }
      builder.addPath(Buffer.from(nameBytes(name)), ordinal);
    }
    return builder.pack({
      source: { kind: 'image', name: basename(path), sha256, sizeBytes: image.size },
      image: {
        name: basename(path),
        sha256,
        blockSize: image.superblock.blockSize,
        uuid: image.superblock.uuid,
        fingerprints,
        devices: extra,
      },
      known: { layout: true, mtime: true, xattrs: true },
    });
  } finally {
    image.close();
  }
}

function indexInode(image: Image, inode: Inode): IndexedInode {
  const isFile = inode.type === 'file';
  const content = isFile ? digest(image, inode) : null;
  return {
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
    contentSha256: content?.sha256 ?? null,
    xattrsSha256: digestXattrs(image, inode),
    fingerprint: isFile ? image.fingerprint(inode) : null,
    pageDigests: content?.pages ?? EMPTY,
    extents: isFile ? indexExtents(image, inode) : [],
    segments: isFile ? elfSegments(inode.size, (offset, length) => image.read(inode, offset, length)) : [],
  };
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

/** An address above the image's own end may be that of a block on an extra device (mapped_blkaddr), as the kernel's erofs_map_dev() has it. */
function onDevice(image: Image, { device, pa, hole }: Extent): { device: number; pa: number } {
  if (device > 0 || hole) return { device, pa };
  const { devices, blockSize } = image.superblock;
  for (let slot = 0; slot < devices.length; slot++) {
    const start = devices[slot]!.mappedBlkaddr * blockSize;
    if (start > 0 && pa >= start && pa < start + devices[slot]!.blocks * blockSize)
      return { device: slot + 1, pa: pa - start };
  }
  return { device, pa };
}

/** The SHA-256 of a file, and the first 8 bytes of that of each of its pages, the last one padded with zeroes. */
function digest(image: Image, inode: Inode): { sha256: Uint8Array; pages: Uint8Array } {
  const whole = createHash('sha256');
  const pages = Buffer.alloc(Math.ceil(inode.size / PAGE_SIZE) * 8);
  const page = Buffer.alloc(PAGE_SIZE);
  let filled = 0;
  let at = 0;
  const emit = (bytes: Uint8Array): void => {
    pages.set(hash('sha256', bytes, 'buffer').subarray(0, 8), at);
    at += 8;
  };
  for (const chunk of image.stream(inode)) {
    whole.update(chunk);
    let from = 0;
    if (filled > 0) {
      from = Math.min(PAGE_SIZE - filled, chunk.length);
      page.set(chunk.subarray(0, from), filled);
      filled += from;
      if (filled === PAGE_SIZE) {
        emit(page);
        filled = 0;
      }
    }
    for (; from + PAGE_SIZE <= chunk.length; from += PAGE_SIZE) emit(chunk.subarray(from, from + PAGE_SIZE));
    if (from < chunk.length) {
      page.set(chunk.subarray(from), 0);
      filled = chunk.length - from;
    }
  }
  if (filled > 0) emit(page.fill(0, filled));
  return { sha256: whole.digest(), pages };
}

/** SHA-256 over the xattrs in bytewise order, the fingerprint left out; null when there are none. */
function digestXattrs(image: Image, inode: Inode): Uint8Array | null {
  const own = image.fingerprintXattr;
  const entries = image
    .xattrs(inode)
    .filter(({ name }) => name !== own)
    .map(({ name, value }) => ({ name: Buffer.from(nameBytes(name)), value }))
    .sort((a, b) => Buffer.compare(a.name, b.name));
  if (entries.length === 0) return null;
  const sum = createHash('sha256');
  for (const { name, value } of entries) {
    lengthPrefixed(sum, name);
    lengthPrefixed(sum, value);
  }
  return sum.digest();
}

function lengthPrefixed(sum: Hash, bytes: Uint8Array): void {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  sum.update(length).update(bytes);
}
