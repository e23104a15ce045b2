import { ErofsError } from './error.ts';
import { INCOMPAT_FRAGMENTS } from './format.ts';
import type { Image } from './image.ts';
import type { Inode } from './inode.ts';

/** Something that is wrong with an image, or that can't be told. */
export interface CheckFault {
  /** where it was found; null for what has no name (the packed inode, the metabox) */
  readonly path: string | null;
  /** the inode at fault; null when the fault has none */
  readonly nid: number | null;
  /** byte offset in the image or the metabox, or null */
  readonly offset: number | null;
  /** as {@link ErofsError.code}: CORRUPT, UNSUPPORTED, LIMIT, … */
  readonly code: string;
  /** one line, {@link ErofsError}'s */
  readonly message: string;
}

/** What {@link checkImage} found. */
export interface CheckResult {
  /** names in directories, and the root */
  readonly names: number;
  /** different inodes those names lead to */
  readonly inodes: number;
  /** of regular files, each inode once */
  readonly dataBytes: number;
  /** in the order found; none: the image is sound */
  readonly faults: readonly CheckFault[];
}

const MAX_FAULTS = 10_000;

/**
 * Decodes everything that an image has: directories and what their entries say, xattrs, symlinks, every file's data, the
 * packed inode. It goes on after a fault, past what the fault hides.
 *
 * @param onFault told of each fault as it is found
 */
export function checkImage(image: Image, onFault: (fault: CheckFault) => void = () => {}): CheckResult {
  const faults: CheckFault[] = [];
  const add = (fault: CheckFault) => {
    faults.push(fault);
    onFault(fault);
  };
  const attempt = (path: string | null, nid: number | null, f: () => void): boolean => {
    if (faults.length >= MAX_FAULTS) return false;
    try {
      f();
      return true;
    } catch (e) {
      if (!(e instanceof ErofsError)) throw e;
      add({ path, nid: e.nid ?? nid, offset: e.offset, code: e.code, message: e.message });
      return false;
    }
  };
  const wrong = (path: string, inode: Inode, what: string) => {
    const { nid, offset } = inode;
    const error = new ErofsError('CORRUPT', what, { path: image.path, nid, offset });
    add({ path, nid, offset, code: error.code, message: error.message });
  };
  const seen = new Set<number>();
  let names = 0;
  let dataBytes = 0;
  const content = (path: string, inode: Inode) => {
    seen.add(inode.nid);
    attempt(path, inode.nid, () => void image.xattrs(inode));
    if (inode.type === 'symlink') attempt(path, inode.nid, () => void image.readlink(inode));
    if (inode.type !== 'file') return;
    if (attempt(path, inode.nid, () => image.verify(inode))) dataBytes += inode.size;
  };

  const { packedNid, featureIncompat } = image.superblock;
  attempt(null, null, () => void image.longPrefixes());
  if (packedNid > 0 && featureIncompat & INCOMPAT_FRAGMENTS) {
    attempt(null, packedNid, () => image.verify(image.inode(packedNid)));
  }
  const root = image.root();
  names++;
  content('/', root);
  const todo: { path: string; dir: Inode; parentNid: number }[] = [{ path: '/', dir: root, parentNid: root.nid }];
  while (todo.length > 0 && faults.length < MAX_FAULTS) {
    const { path, dir, parentNid } = todo.pop()!;
    const prefix = path === '/' ? path : `${path}/`;
    attempt(path, dir.nid, () => {
      for (const entry of image.dirents(dir)) {
        const expected = entry.name === '.' ? dir.nid : entry.name === '..' ? parentNid : null;
        if (expected !== null) {
          if (entry.nid !== expected) wrong(path, dir, `'${entry.name}' is nid ${entry.nid}, not ${expected}`);
          continue;
        }
        names++;
        const child = prefix + entry.name;
        attempt(child, entry.nid, () => {
          const inode = image.inode(entry.nid);
          if (entry.type !== null && entry.type !== inode.type) {
            wrong(child, inode, `is a ${inode.type}, its name says ${entry.type}`);
          }
          const again = seen.has(inode.nid);
          if (!again) content(child, inode);
          if (inode.type !== 'directory') return;
          if (again) wrong(child, inode, 'directory reached again');
          else todo.push({ path: child, dir: inode, parentNid: dir.nid });
        });
      }
    });
  }
  return { names, inodes: seen.size, dataBytes, faults };
}
