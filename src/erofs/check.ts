import { DataBudget, MetadataBudget } from './budget.ts';
import { ErofsError } from './error.ts';
import { type FileType, INCOMPAT_FRAGMENTS } from './format.ts';
import type { Image } from './image.ts';
import type { Inode } from './inode.ts';
import type { Sweep } from './sweep.ts';

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
/** names gathered before they are followed in the order of their nids, which is that of the inodes on disk */
const OTHERS = 1 << 13;

interface Directory {
  readonly path: string;
  readonly inode: Inode;
  readonly parentNid: number;
}

/** A regular file that was found: its inode is read again when it is wanted, for a hundred thousand take much room. */
interface CheckedFile {
  readonly path: string;
  readonly nid: number;
  /** bytes */
  readonly size: number;
  /** of the name in the tree */
  readonly place: number;
}

/** A name, and what its entry says it leads to. */
interface Name {
  readonly path: string;
  readonly nid: number;
  readonly type: FileType | null;
  readonly parentNid: number;
  /** how many names were found before it */
  readonly place: number;
}

/**
 * Decodes everything that an image has: directories and what their entries say, xattrs, symlinks, every file's data, the
 * packed inode. It goes on after a fault, past what the fault hides.
 *
 * @param onFault told of each fault as it is found
 */
export function checkImage(image: Image, onFault: (fault: CheckFault) => void = () => {}): CheckResult {
  const check = new Check(image, onFault, true);
  check.metadata();
  return check.data();
}

/** The two halves of a check: so that files can be decoded by others in between. */
export class Check {
  /** regular files, each inode once, mostly in the order of their nids */
  readonly files: CheckedFile[] = [];
  readonly #image: Image;
  readonly #onFault: (fault: CheckFault) => void;
  readonly #faults: CheckFault[] = [];
  readonly #seen = new Set<number>();
  readonly #budget: MetadataBudget;
  #names = 0;
  /** bytes of {@link files} */
  #claimed = 0;
  /** {@link Image.decodedBytes} before */
  readonly #decoded: number;
  /** what decodes the files while their inodes are at hand */
  readonly #sweep: Sweep | null;

  /** @param sweep whether files are decoded while they are found */
  constructor(image: Image, onFault: (fault: CheckFault) => void, sweep: boolean) {
    this.#image = image;
    this.#onFault = onFault;
    this.#sweep = sweep ? image.sweep() : null;
    this.#budget = new MetadataBudget(image);
    this.#decoded = image.decodedBytes;
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
    this.#inode('/', root, 0);
    const dirs: Directory[] = [{ path: '/', inode: root, parentNid: root.nid }];
    let others: Name[] = [];
    while (this.#faults.length < MAX_FAULTS && !this.#budget.exceeded) {
      const dir = others.length < OTHERS ? dirs.pop() : undefined;
      if (dir !== undefined) {
        this.#attempt(dir.path, dir.inode.nid, () => this.#directory(dir, dirs, others));
        continue;
      }
      if (others.length === 0) break;
      for (const name of others.sort((a, b) => a.nid - b.nid)) {
        if (!this.#budget.exceeded) this.#name(name, dirs);
      }
      others = [];
    }
  }

  /** The names in a directory. What they say are directories is looked at now, and goes to `dirs`; the rest to `others`. */
  #directory({ path, inode: dir, parentNid }: Directory, dirs: Directory[], others: Name[]): void {
    const prefix = path === '/' ? path : `${path}/`;
    this.#budget.directory(dir);
    for (const { name, nid, type } of this.#image.dirents(dir)) {
      const expected = name === '.' ? dir.nid : name === '..' ? parentNid : null;
      if (expected !== null) {
        if (nid !== expected) this.#wrong(path, dir, `'${name}' is nid ${nid}, not ${expected}`);
        continue;
      }
      this.#names++;
      this.#budget.take(nid, prefix.length + name.length);
      const found = { path: prefix + name, nid, type, parentNid: dir.nid, place: this.#names };
      if (type === 'directory') this.#name(found, dirs);
      else others.push(found);
    }
  }

  /** The inode that a name leads to. */
  #name({ path, nid, type, parentNid, place }: Name, dirs: Directory[]): void {
    if (this.#faults.length >= MAX_FAULTS) return;
    try {
      const inode = this.#image.inode(nid);
      if (type !== null && type !== inode.type) this.#wrong(path, inode, `is a ${inode.type}, its name says ${type}`);
      const again = this.#seen.has(nid);
      if (!again) this.#inode(path, inode, place);
      if (inode.type !== 'directory') return;
      if (again) this.#wrong(path, inode, 'directory reached again');
      else dirs.push({ path, inode, parentNid });
    } catch (e) {
      this.#fault(path, nid, e);
    }
  }

  /** Whether the files' data is within {@link Image.maxData}, whatever is wrong with it. */
  get bounded(): boolean {
    return this.#claimed + this.#image.decodedBytes - this.#decoded <= this.#image.maxData;
  }

  /**
   * The data of {@link files}. What may be beyond the bound is decoded file by file, so that the same is left out every time.
   * @param sound tells of each, by its place, whether it was decoded already
   */
  data(sound: (file: number) => boolean = this.#swept()): CheckResult {
    let dataBytes = 0;
    for (const [at, { size }] of this.files.entries()) if (sound(at)) dataBytes += size;
    const rest = this.files.filter((_, at) => !sound(at)).sort((a, b) => a.place - b.place);
    const budget = new DataBudget(this.#image);
    for (const { path, nid, size } of rest) {
      if (this.#attempt(path, nid, () => this.#image.verify(this.#image.inode(nid), budget))) dataBytes += size;
      if (budget.exceeded) break;
    }
    return { names: this.#names, inodes: this.#seen.size, dataBytes, faults: this.#faults };
  }

  #swept(): (file: number) => boolean {
    const sweep = this.#sweep;
    if (sweep === null || !this.bounded) return () => false;
    sweep.flush();
    return (file) => !sweep.failed.has(this.files[file]!.nid);
  }

  #inode(path: string, inode: Inode, place: number): void {
    const image = this.#image;
    this.#seen.add(inode.nid);
    if (inode.xattrSize > 0) this.#attempt(path, inode.nid, () => image.verifyXattrs(inode, this.#budget));
    if (inode.type === 'symlink') this.#attempt(path, inode.nid, () => void image.readlink(inode));
    if (inode.type !== 'file') return;
    this.files.push({ path, nid: inode.nid, size: inode.size, place });
    this.#claimed += inode.size;
    if (this.bounded) this.#sweep?.add(inode);
  }

  #attempt(path: string | null, nid: number | null, f: () => void): boolean {
    if (this.#faults.length >= MAX_FAULTS) return false;
    try {
      f();
      return true;
    } catch (e) {
      this.#fault(path, nid, e);
      return false;
    }
  }

  #fault(path: string | null, nid: number | null, e: unknown): void {
    if (!(e instanceof ErofsError)) throw e;
    this.#add({ path, nid: e.nid ?? nid, offset: e.offset, code: e.code, message: e.message });
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
