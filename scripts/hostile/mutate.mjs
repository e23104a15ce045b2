// Seeded damage to sound images, aware of what the bytes mean.

/** splitmix32: one stream of numbers for each image, the same on every machine. */
export function random(seed) {
  let x = seed | 0;
  return (below) => {
    x = (x + 0x9e3779b9) | 0;
    let z = x ^ (x >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) % below;
  };
}

/**
 * What of an image's bytes means what: for each kind, the ranges that hold it.
 * @param {import('../../dist/erofs/index.js').Image} image a sound one
 */
export function regionsOf(image) {
  const regions = { superblock: [{ at: 1024, length: 160 }], inode: [], xattr: [], index: [], dir: [], data: [] };
  const seen = new Set();
  const add = (path, inode) => {
    if (seen.has(inode.nid)) return;
    seen.add(inode.nid);
    const of = { path, nid: inode.nid };
    if (!inode.inMetabox) {
      const end = inode.offset + inode.inodeSize;
      regions.inode.push({ ...of, at: inode.offset, length: inode.inodeSize });
      if (inode.xattrSize > 0) regions.xattr.push({ ...of, at: end, length: inode.xattrSize });
      if (inode.type === 'file' && inode.size > 0) regions.index.push({ ...of, at: end + inode.xattrSize, length: 64 });
    }
    for (const e of image.mapBlocks(inode)) {
      if (e.device !== 0 || e.plen === 0 || e.pa >= image.size) continue;
      const length = Math.min(e.plen, image.size - e.pa);
      if (inode.type !== 'directory') regions.data.push({ ...of, at: e.pa, length });
      else if (!e.encoded) regions.dir.push({ ...of, at: e.pa, length: Math.min(length, inode.size - e.la) });
      else regions.data.push({ ...of, at: e.pa, length });
    }
  };
  const { packedNid, metaboxNid } = image.superblock;
  if (packedNid > 0) add('/', image.inode(packedNid));
  if (metaboxNid > 0) add('/', image.inode(metaboxNid));
  for (const { path, inode } of image.walk()) add(path, inode);
  const { xattrBlkaddr, blockSize } = image.superblock;
  if (xattrBlkaddr > 0 && xattrBlkaddr * blockSize < image.size) {
    regions.xattr.push({ path: '/', nid: -1, at: xattrBlkaddr * blockSize, length: 128 });
  }
  for (const kind of Object.keys(regions)) if (regions[kind].length === 0) delete regions[kind];
  return regions;
}

/** Of 100 changes, so many in bytes of each kind. */
const SHARES = { superblock: 6, inode: 36, xattr: 8, index: 20, dir: 18, data: 12 };
/** where fields start in an inode: format, xattr count, mode, size, start block, uid, nlink */
const INODE_FIELDS = [0, 2, 4, 6, 8, 12, 16, 20, 24, 44];
const NUMBERS = [0, 1, 2, 7, 0x7f, 0x80, 0xff, 0xfff, 0x1000, 0x7fff, 0x8000, 0xffff, 0x10000, 0xffffff, 0x7fffffff];

/** A sound image that can be damaged and mended in place. */
export class Victim {
  constructor(name, bytes, regions) {
    this.name = name;
    this.bytes = bytes;
    this.regions = regions;
    this.kinds = Object.keys(regions);
    this.total = this.kinds.reduce((sum, kind) => sum + SHARES[kind], 0);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.undo = [];
  }

  /** Damages it. @returns what was damaged (paths), and how long the image still is */
  damage(next) {
    const paths = new Set();
    for (let k = 1 + next(next(2) ? 2 : 5); k > 0; k--) {
      let share = next(this.total);
      const kind = this.kinds.find((name) => {
        share -= SHARES[name];
        return share < 0;
      });
      const regions = this.regions[kind];
      const region = regions[next(regions.length)];
      if (region.path) paths.add(region.path);
      this.change(kind, region, next);
    }
    const { length } = this.bytes;
    return { paths: [...paths], length: next(40) === 0 ? next(next(4) === 0 ? 4096 : length) : length };
  }

  /** Takes the damage back. */
  mend() {
    for (let i = this.undo.length - 2; i >= 0; i -= 2) this.bytes[this.undo[i]] = this.undo[i + 1];
    this.undo.length = 0;
  }

  change(kind, region, next) {
    const { at, length } = region;
    const how = next(8);
    if (kind === 'dir' && how < 4) return this.dirent(region, next);
    if (kind === 'inode' && how < 3) {
      const field = INODE_FIELDS[next(INODE_FIELDS.length)];
      if (field < length) return this.number(at + field, next(3) === 0 ? 8 : next(2) === 0 ? 4 : 2, next);
    }
    if ((kind === 'inode' || kind === 'index') && how === 3) {
      // Another's inode, or the index entry before: cycles and overlaps.
      const regions = this.regions[kind];
      const from = kind === 'inode' ? regions[next(regions.length)].at : at + 8 * next(6);
      const to = kind === 'inode' ? at : at + 8 * next(8);
      for (let i = 0; i < (kind === 'inode' ? 32 : 8); i++) this.set(to + i, this.bytes[from + i] ?? 0);
      return;
    }
    if (kind === 'index' && how < 6) return this.number(at + 2 * next(length / 2), next(2) ? 4 : 2, next);
    if (kind === 'superblock' && how < 3) return this.number(at + 4 * next(length / 4), 4, next);
    const place = at + next(kind === 'data' && next(2) ? Math.min(length, 32) : length);
    if (how === 7) this.set(place, next(256));
    else this.set(place, (this.bytes[place] ?? 0) ^ (1 << next(8)));
  }

  /** A directory that leads to itself, to its like, or nowhere; a name with what no name may hold. */
  dirent(region, next) {
    const count = this.bytes.length > region.at + 10 ? this.view.getUint16(region.at + 8, true) / 12 : 0;
    const slot = region.at + 12 * next(Math.max(1, Math.floor(count)));
    const how = next(6);
    if (how < 3) {
      const { inode } = this.regions;
      const nid = [region.nid, inode?.[0].nid ?? 0, inode?.[next(inode.length)].nid ?? 0, next(2 ** 32)][next(4)];
      for (let i = 0; i < 4; i++) this.set(slot + i, (nid / 2 ** (8 * i)) & 255);
      if (next(6) === 0) this.set(slot + 7, 0x80);
    } else if (how === 3) {
      this.number(slot + 8, 2, next);
    } else if (how === 4) {
      this.set(slot + 10, next(10));
    } else {
      const name = region.at + 12 * count + next(Math.max(1, region.length - 12 * count));
      const bad = [[0x2f], [0], [0x2e, 0x2e], [0x2e], [0x2e, 0x2e, 0x2f]][next(5)];
      for (const [i, byte] of bad.entries()) this.set(Math.floor(name) + i, byte);
    }
  }

  /** A number of `size` bytes that is likely to hurt. */
  number(at, size, next) {
    let value = next(3) === 0 ? next(2 ** 32) : NUMBERS[next(NUMBERS.length)];
    if (next(4) === 0) value = 2 ** next(8 * size) - next(2);
    for (let i = 0; i < size; i++) {
      this.set(at + i, value % 256);
      value = Math.floor(value / 256);
    }
  }

  set(at, byte) {
    if (at >= this.bytes.length) return;
    this.undo.push(at, this.bytes[at]);
    this.bytes[at] = byte;
  }
}
