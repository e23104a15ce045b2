import { createHash } from 'node:crypto';
import { compareNames, type FileType, type Image, type Inode } from '../../src/erofs/index.ts';

/** A row of describe.py: a name, and what is there unless it is another name of what has a row already. */
export type Row = Link | Entry;

export interface Link {
  path: string;
  /** the first of its inode's paths, bytewise */
  link: string;
}

export interface Entry {
  path: string;
  link?: undefined;
  type: FileType;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  size: number;
  /** seconds, nanoseconds */
  mtime: [number, number];
  ino: string;
  sha256?: string;
  target?: string;
  rdev?: [number, number];
  /** values in hex, by name; in the order on disk here, of names in what describe.py gives */
  xattrs?: Record<string, string>;
}

/** What the decoder makes of an image, as describe.py says what a mounted one holds. */
export function describeImage(image: Image): Row[] {
  const first = new Map<number, string>();
  const found = [...image.walk()].sort((a, b) => compareNames(a.path, b.path));
  return found.map(({ path, inode }): Row => {
    const known = first.get(inode.nid);
    if (known !== undefined) return { path, link: known };
    first.set(inode.nid, path);
    return describeInode(image, path, inode);
  });
}

function describeInode(image: Image, path: string, inode: Inode): Entry {
  const { type, mode, uid, gid, nlink, size, mtime, mtimeNsec, nid, rdev } = inode;
  const row: Entry = { path, type, mode, uid, gid, nlink, size, mtime: [mtime, mtimeNsec], ino: String(nid) };
  if (type === 'file') {
    const hash = createHash('sha256');
    for (const bytes of image.stream(inode)) hash.update(bytes);
    row.sha256 = hash.digest('hex');
  }
  if (type === 'symlink') row.target = image.readlink(inode);
  if (rdev) row.rdev = [rdev.major, rdev.minor];
  const xattrs = image.xattrs(inode);
  if (xattrs.length > 0) {
    row.xattrs = Object.fromEntries(xattrs.map((x) => [x.name, Buffer.from(x.value).toString('hex')]));
  }
  return row;
}
