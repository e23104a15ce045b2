import { DataBudget } from './budget.ts';
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
  /** of metadata first, then of the files' data; none: the image is sound */
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
  const check = new Check(image, onFault);
  check.metadata();
  return check.data(() => false);
}

/** The two halves of a check: so that files can be decoded by others in between. */
export class Check {
  /** regular files, each inode once, as {@link metadata} found them */
  readonly files: { readonly path: string; readonly inode: Inode }[] = [];
  readonly #image: Image;
  readonly #onFault: (fault: CheckFault) => void;
  readonly #faults: CheckFault[] = [];
  readonly #seen = new Set<number>();
  #names = 0;

  constructor(image: Image, onFault: (fault: CheckFault) => void) {
    this.#image = image;
    this.#onFault = onFault;
  }

  /** All but the data of files. */
  metadata(): void {
    const image = this.#image;
    const { packedNid, featureIncompat } = image.superblock;
    this.#attempt(null, null, () => void image.longPrefixes());
    if (packedNid > 0 && featureIncompat & INCOMPAT_FRAGMENTS) {
      this.#attempt(null, packedNid, () => image.verify(image.inode(packedNid), new DataBudget(image)));
    }
    const root = image.root();
    this.#names++;
    this.#inode('/', root);
    const todo: { path: string; dir: Inode; parentNid: number }[] = [{ path: '/', dir: root, parentNid: root.nid }];
    while (todo.length > 0 && this.#faults.length < MAX_FAULTS) {
      const { path, dir, parentNid } = todo.pop()!;
      const prefix = path === '/' ? path : `${path}/`;
      this.#attempt(path, dir.nid, () => {
        for (const entry of image.dirents(dir)) {
          const expected = entry.name === '.' ? dir.nid : entry.name === '..' ? parentNid : null;
          if (expected !== null) {
            if (entry.nid !== expected) this.#wrong(path, dir, `'${entry.name}' is nid ${entry.nid}, not ${expected}`);
            continue;
          }
          this.#names++;
          const child = prefix + entry.name;
          this.#attempt(child, entry.nid, () => {
            const inode = image.inode(entry.nid);
            if (entry.type !== null && entry.type !== inode.type) {
              this.#wrong(child, inode, `is a ${inode.type}, its name says ${entry.type}`);
            }
            const again = this.#seen.has(inode.nid);
            if (!again) this.#inode(child, inode);
            if (inode.type !== 'directory') return;
            if (again) this.#wrong(child, inode, 'directory reached again');
            else todo.push({ path: child, dir: inode, parentNid: dir.nid });
          });
        }
      });
    }
  }

  /**
   * The data of {@link files}.
   * @param sound tells of each, by its place, whether it was decoded already
   */
  data(sound: (file: number) => boolean): CheckResult {
    let dataBytes = 0;
    const budget = new DataBudget(this.#image);
    for (const [at, { path, inode }] of this.files.entries()) {
      if (sound(at) || this.#attempt(path, inode.nid, () => this.#image.verify(inode, budget))) dataBytes += inode.size;
      if (budget.exceeded) break;
    }
    return { names: this.#names, inodes: this.#seen.size, dataBytes, faults: this.#faults };
  }

  #inode(path: string, inode: Inode): void {
    const image = this.#image;
    this.#seen.add(inode.nid);
    this.#attempt(path, inode.nid, () => void image.xattrs(inode));
    if (inode.type === 'symlink') this.#attempt(path, inode.nid, () => void image.readlink(inode));
    if (inode.type === 'file') this.files.push({ path, inode });
  }

  #attempt(path: string | null, nid: number | null, f: () => void): boolean {
    if (this.#faults.length >= MAX_FAULTS) return false;
    try {
      f();
      return true;
    } catch (e) {
      if (!(e instanceof ErofsError)) throw e;
      this.#add({ path, nid: e.nid ?? nid, offset: e.offset, code: e.code, message: e.message });
      return false;
    }
  }

  #wrong(path: string, inode: Inode, what: string): void {
    const { nid, offset } = inode;
    const error = new ErofsError('CORRUPT', what, { path: this.#image.path, nid, offset });
    this.#add({ path, nid, offset, code: error.code, message: error.message });
  }

  #add(fault: CheckFault): void {
    this.#faults.push(fault);
    this.#onFault(fault);
  }
}
