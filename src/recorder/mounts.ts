import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { Image } from '../erofs/image.ts';
import { DataError, located, UsageError } from '../error.ts';
import { hashFile } from '../replay/io/input.ts';
import type { MountFacts } from '../replay/trace/trace.ts';

/** A line of /proc/self/mountinfo, proc_pid_mountinfo(5). */
export interface MountInfo {
  readonly device: string;
  /** what of the filesystem is mounted there */
  readonly root: string;
  readonly mountPoint: string;
  readonly fstype: string;
  readonly source: string;
  readonly options: string;
}

/** A file of a watched mount. */
export interface WatchedFile {
  /** from the filesystem's root */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  readonly sizeBytes: number;
}

/** A superblock that is recorded: every access to its inodes, through whatever mount. */
export interface WatchedMount {
  readonly facts: MountFacts;
  /** s_dev, as the kernel's events have it: major << 20 | minor */
  readonly device: number;
  /** where the files are */
  readonly dir: string;
  readonly root: string;
  readonly files: Map<number, WatchedFile>;
}

/** What the user asked for: `DIR[=NAME]`. */
export interface MountRequest {
  readonly dir: string;
  /** of the mount in the trace, or the image that is mounted there */
  readonly name: string | null;
}

export function readMountInfo(text = readFileSync('/proc/self/mountinfo', 'utf8')): MountInfo[] {
  const plain = (word: string): string =>
    word.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const words = line.split(' ');
      const [fstype, source, options] = words.slice(words.indexOf('-') + 1) as [string, string, string];
      return {
        device: words[2]!,
        root: plain(words[3]!),
        mountPoint: plain(words[4]!),
        fstype,
        source: plain(source),
        options,
      };
    });
}

/**
 * What to record for the directories asked for: the superblock each lies on; of an overlay, those of its lower layers, for theirs are the
 * inodes that the page cache has.
 * @throws UsageError for what can't be recorded
 */
export async function watchedMounts(requests: readonly MountRequest[]): Promise<WatchedMount[]> {
  const table = readMountInfo();
  const out = new Map<string, WatchedMount>();
  for (const request of requests) {
    let dir: string;
    try {
      dir = realpathSync(request.dir);
    } catch (error) {
      throw located(request.dir, error);
    }
    const mount = mountOf(dir, table);
    const lowers = mount.fstype === 'overlay' ? lowerDirs(mount.options) : null;
    const image = request.name !== null && isFile(request.name) ? request.name : null;
    const name = image === null ? request.name : nameOf(image);
    if (lowers === null) {
      if (!out.has(mount.device)) out.set(mount.device, await watch(mount, dir, name ?? nameOf(dir), image));
      continue;
    }
    for (const [i, lower] of lowers.entries()) {
      const under = mountOf(realpathSync(lower), table);
      if (out.has(under.device)) continue;
      const own = name ?? nameOf(dir);
      out.set(under.device, await watch(under, lower, lowers.length === 1 ? own : `${own}.${i}`, image));
    }
  }
  const names = [...out.values()].map(({ facts }) => facts.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UsageError(`two mounts are named ${twice}: give each a name, --mount DIR=NAME`);
  return [...out.values()];
}

async function watch(mount: MountInfo, dir: string, name: string, asked: string | null): Promise<WatchedMount> {
  if (mount.options.split(',').includes('inode_share'))
    throw new UsageError(
      `${dir} is mounted with inode_share, under which all shared inodes look alike: record it mounted without`,
    );
  const image = asked ?? backingImage(mount);
  const [major, minor] = mount.device.split(':').map(Number) as [number, number];
  const readAheadKb = readAhead(mount.device);
  return {
    facts: {
      name,
      ...(image !== null && { image: basename(image).replace(/^\.+/, ''), imageSha256: await hashFile(image) }),
      fstype: mount.fstype,
      options: mount.options,
      backing: mount.source.startsWith('/dev/') ? 'block' : 'file',
      ...(readAheadKb !== null && { readAheadKb }),
    },
    device: major * 2 ** 20 + minor,
    dir: mount.mountPoint,
    root: mount.root,
    files: image === null ? walkTree(mount, dir) : walkImage(image, mount),
  };
}

/** The file that an EROFS mount reads, if it can be told. */
function backingImage(mount: MountInfo): string | null {
  if (mount.fstype !== 'erofs') return null;
  const loop = /^\/dev\/(loop\d+)$/.exec(mount.source)?.[1];
  const file = loop === undefined ? mount.source : loopFile(loop);
  return file !== null && isFile(file) ? file : null;
}

function loopFile(loop: string): string | null {
  try {
    return readFileSync(`/sys/block/${loop}/loop/backing_file`, 'utf8').trimEnd();
  } catch {
    return null;
  }
}

/** Inodes of an EROFS image: their numbers are its nids, which is checked against the mount's root. */
function walkImage(path: string, mount: MountInfo): Map<number, WatchedFile> {
  const files = new Map<number, WatchedFile>();
  const image = Image.open(path);
  try {
    for (const { path: at, inode } of image.walk()) {
      if (files.has(inode.nid)) continue;
      const type =
        inode.type === 'file' || inode.type === 'directory' || inode.type === 'symlink' ? inode.type : 'other';
      files.set(inode.nid, { path: at, type, sizeBytes: inode.size });
    }
  } finally {
    image.close();
  }
  const root = statSync(mount.mountPoint);
  const found = files.get(root.ino);
  if (found === undefined || found.path !== mount.root)
    throw new DataError(
      path,
      `isn't what is mounted on ${mount.mountPoint}, whose root is inode ${root.ino}: name its image, --mount DIR=IMAGE`,
    );
  return files;
}

/** Inodes of any other filesystem, as far as `dir` shows them. */
function walkTree(mount: MountInfo, dir: string): Map<number, WatchedFile> {
  const files = new Map<number, WatchedFile>();
  const device = statSync(dir).dev;
  const visit = (path: string): void => {
    const stat = lstatSync(path);
    if (stat.dev !== device) return;
    const at = join(mount.root, relative(mount.mountPoint, path));
    const type = stat.isFile()
      ? 'file'
      : stat.isDirectory()
        ? 'directory'
        : stat.isSymbolicLink()
          ? 'symlink'
          : 'other';
    if (!files.has(stat.ino)) files.set(stat.ino, { path: at, type, sizeBytes: stat.size });
    if (type !== 'directory') return;
    for (const name of readdirSync(path)) {
      try {
        visit(join(path, name));
      } catch (error) {
        // it may have gone in the meantime
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  };
  visit(dir);
  return files;
}

/** @throws UsageError */
function mountOf(dir: string, table: readonly MountInfo[]): MountInfo {
  const over = table.filter(
    ({ mountPoint }) => mountPoint === '/' || dir === mountPoint || dir.startsWith(`${mountPoint}/`),
  );
  const deepest = over.reduce<MountInfo | null>(
    (best, mount) => (best === null || mount.mountPoint.length >= best.mountPoint.length ? mount : best),
    null,
  );
  if (deepest === null) throw new UsageError(`${dir} is on no mount`);
  return deepest;
}

/** The lower directories of an overlay: lowerdir=A:B, with `\:` for a colon in one, or lowerdir+=A. */
function lowerDirs(options: string): string[] {
  const dirs: string[] = [];
  for (const option of options.split(/(?<!\\),/)) {
    const value = /^lowerdir\+?=(.*)$/s.exec(option)?.[1];
    if (value !== undefined) dirs.push(...value.split(/(?<!\\)::?/).map((dir) => dir.replaceAll(/\\(.)/g, '$1')));
  }
  return dirs;
}

function readAhead(device: string): number | null {
  try {
    return Number(readFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, 'utf8'));
  } catch {
    return null;
  }
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

function nameOf(path: string): string {
  return basename(path).replace(/\.(erofs|img)$/, '') || 'root';
}
