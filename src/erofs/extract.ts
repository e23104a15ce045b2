import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { DataBudget } from './budget.ts';
import { nameBytes, printableName } from './bytes.ts';
import { ErofsError } from './error.ts';
import type { Image, WalkEntry } from './image.ts';
import type { Inode } from './inode.ts';

/** What {@link extractImage} wrote. */
export interface ExtractResult {
  /** the root included */
  readonly directories: number;
  /** regular files, each inode once */
  readonly files: number;
  /** further names of files, symlinks and specials */
  readonly hardLinks: number;
  /** each inode once */
  readonly symlinks: number;
  /** device nodes and FIFOs */
  readonly specials: number;
  /** regular files' data, holes included */
  readonly dataBytes: number;
}

/**
 * Writes an image's tree into a directory, which must be empty or not exist: files, directories, symlinks, hard links,
 * modes and times (to 2 µs, before 1970 to 1 ms: Node's precision); owners and device nodes only when root. Holes stay
 * holes, and the rest is bounded by `maxData`. Sockets and extended attributes are not written, with a warning.
 *
 * Nothing is written outside `dir`, whatever the image says: names are single components (the decoder refuses others);
 * every file is made anew and never through an existing one; symlinks come last, so that no path leads through one.
 * If it fails, what it wrote is removed.
 *
 * @param warn told what could not be restored
 * @throws ErofsError of the image, or with an errno name as its code when `dir` can't be written
 */
export function extractImage(image: Image, dir: string, warn: (what: string) => void = () => {}): ExtractResult {
  let created = false;
  attempt(dir, () => {
    try {
      mkdirSync(dir, { mode: 0o700 });
      created = true;
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'EEXIST') throw e;
    }
  });
  if (!created && attempt(dir, () => readdirSync(dir)).length > 0) {
    throw new ErofsError('ENOTEMPTY', 'directory is not empty', { path: dir });
  }
  try {
    return write(image, dir, warn);
  } catch (e) {
    for (const name of readdirSync(dir, { encoding: 'buffer' })) {
      rmSync(join(dir, name), { recursive: true, force: true });
    }
    if (created) rmSync(dir, { recursive: true, force: true });
    throw e;
  }
}

function write(image: Image, dir: string, warn: (what: string) => void): ExtractResult {
  const root = process.geteuid?.() === 0;
  const counts = { directories: 0, files: 0, hardLinks: 0, symlinks: 0, specials: 0, dataBytes: 0 };
  const links = new Map<number, Buffer>();
  const directories: { to: Buffer; inode: Inode }[] = [];
  const symlinks: WalkEntry[] = [];
  let withXattrs = 0;
  const budget = new DataBudget(image);
  const linked = (to: Buffer, inode: Inode): boolean => {
    const first = links.get(inode.nid);
    if (first === undefined) {
      if (inode.nlink > 1) links.set(inode.nid, to);
      return false;
    }
    attempt(to, () => linkSync(first, to));
    counts.hardLinks++;
    return true;
  };
  const stamp = (to: Buffer, f: () => void) => {
    try {
      f();
    } catch (e) {
      warn(`${shown(to)}: owner, mode or time not set: ${(e as Error).message}`);
    }
  };

  for (const entry of image.walk()) {
    const { path, inode } = entry;
    const to = path === '/' ? Buffer.from(dir) : join(dir, nameBytes(path.slice(1)));
    if (inode.xattrSize > 0) withXattrs++;
    switch (inode.type) {
      case 'directory':
        // Its mode may forbid writing into it: that comes last.
        if (path !== '/') attempt(to, () => mkdirSync(to, { mode: 0o700 }));
        directories.push({ to, inode });
        counts.directories++;
        break;
      case 'file':
        if (linked(to, inode)) break;
        writeFile(image, inode, to, budget, (fd) => {
          stamp(to, () => {
            if (root) fchownSync(fd, inode.uid, inode.gid);
            fchmodSync(fd, inode.mode & 0o7777);
            futimesSync(fd, seconds(inode), seconds(inode));
          });
        });
        counts.files++;
        counts.dataBytes += inode.size;
        break;
      case 'symlink':
        symlinks.push(entry);
        break;
      default: {
        if (linked(to, inode)) break;
        const problem = special(to, inode, root);
        if (problem === null) {
          counts.specials++;
        } else {
          links.delete(inode.nid);
          warn(`${printableName(path)}: ${inode.type} not written: ${problem}`);
        }
      }
    }
  }
  for (const { path, inode } of symlinks) {
    const to = join(dir, nameBytes(path.slice(1)));
    if (linked(to, inode)) continue;
    const target = Buffer.from(nameBytes(image.readlink(inode)));
    attempt(to, () => symlinkSync(target, to));
    stamp(to, () => {
      if (root) lchownSync(to, inode.uid, inode.gid);
      lutimesSync(to, seconds(inode), seconds(inode));
    });
    counts.symlinks++;
  }
  for (const { to, inode } of directories.reverse()) {
    // Through a descriptor that can't be a symlink's.
    const fd = attempt(to, () => openSync(to, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW));
    stamp(to, () => {
      if (root) fchownSync(fd, inode.uid, inode.gid);
      futimesSync(fd, seconds(inode), seconds(inode));
      fchmodSync(fd, inode.mode & 0o7777);
    });
    closeSync(fd);
  }
  if (withXattrs > 0) warn(`extended attributes of ${withXattrs} names not written`);
  return counts;
}

function writeFile(image: Image, inode: Inode, to: Buffer, budget: DataBudget, finish: (fd: number) => void): void {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const fd = attempt(to, () => openSync(to, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600));
  try {
    for (const { offset, bytes } of image.pieces(inode)) {
      budget.take(inode.nid, bytes.length);
      for (let done = 0; done < bytes.length; ) {
        done += attempt(to, () => writeSync(fd, bytes, done, bytes.length - done, offset + done));
      }
    }
    attempt(to, () => ftruncateSync(fd, inode.size));
    finish(fd);
  } finally {
    closeSync(fd);
  }
}

/** Node has no mknod(2): the command does it. @returns why it could not */
function special(to: Buffer, inode: Inode, root: boolean): string | null {
  const path = to.toString();
  if (inode.type === 'socket') return 'sockets are made by who listens on them';
  if (Buffer.compare(Buffer.from(path), to) !== 0) return 'its name is not UTF-8';
  if (!root) return 'only root can';
  const mode = (inode.mode & 0o7777).toString(8);
  const { rdev } = inode;
  const what = rdev === null ? ['p'] : [inode.type === 'chardev' ? 'c' : 'b', String(rdev.major), String(rdev.minor)];
  try {
    execFileSync('mknod', ['-m', mode, '--', path, ...what], { stdio: ['ignore', 'ignore', 'pipe'] });
    lchownSync(to, inode.uid, inode.gid);
    lutimesSync(to, seconds(inode), seconds(inode));
    return null;
  } catch (e) {
    return (e as Error).message.replaceAll('\n', ' ');
  }
}

/** Seconds for utimes(2), or a Date before 1970, for Node takes a negative number as now. */
function seconds(inode: Inode): number | Date {
  const time = inode.mtime + inode.mtimeNsec / 1e9;
  return time < 0 ? new Date(time * 1000) : time;
}

function join(dir: string, name: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${dir}/`), name]);
}

function shown(to: Buffer | string): string {
  return printableName(to.toString());
}

/** Turns an errno of the file system into an ErofsError that names the file. */
function attempt<T>(to: Buffer | string, f: () => T): T {
  try {
    return f();
  } catch (e) {
    const { code = 'EIO', message } = e as NodeJS.ErrnoException;
    const what = /^\w+: ([^,]*)/.exec(message)?.[1] ?? message;
    throw new ErofsError(code, `can't be written: ${what}`, { path: shown(to) });
  }
}
