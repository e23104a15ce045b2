import { constants, existsSync, lstatSync, openSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, isAbsolute, join, normalize, relative } from 'node:path';
import { Image } from '../erofs/image.ts';
import { DataError, located, UsageError } from '../error.ts';
import { hashFile } from '../replay/io/input.ts';
import type { MountFacts } from '../replay/trace/trace.ts';

/** A line of /proc/self/mountinfo, proc_pid_mountinfo(5). */
export interface MountInfo {
  readonly device: string;
  /** what of the filesystem is mounted there */
  readonly root: string;
  /** where this process finds it: in another mount namespace, below /proc/PID/root */
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
  /** where the files are, and where in the filesystem that is */
  readonly dir: string;
  readonly root: string;
  readonly files: Map<number, WatchedFile>;
  /** the image that the files were read from, null if they were found by walking */
  readonly image: string | null;
  /** whether `files` are all there are; else the others are somebody else's, and aren't recorded */
  readonly whole: boolean;
}

/** What the user asked for: `DIR[=NAME]`. */
export interface MountRequest {
  readonly dir: string;
  /** of the mount in the trace, or the image that is mounted there */
  readonly name: string | null;
}

/** @param under where the root of that mount namespace is: `/proc/PID/root`, or nothing for our own */
export function readMountInfo(text = readFileSync('/proc/self/mountinfo', 'utf8'), under = ''): MountInfo[] {
  const plain = (word: string): string =>
    word.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const words = line.split(' ');
      const [fstype, source, options] = words.slice(words.indexOf('-') + 1) as [string, string, string];
      const mountPoint = plain(words[4]!);
      return {
        device: words[2]!,
        root: plain(words[3]!),
        mountPoint: under === '' ? mountPoint : under + (mountPoint === '/' ? '' : mountPoint),
        fstype,
        source: plain(source),
        options,
      };
    });
}

/** A directory, and the mounts of the namespace that it is in. */
interface Place {
  readonly dir: string;
  readonly under: string;
  readonly table: readonly MountInfo[];
}

/**
 * What to record for the directories asked for: the superblock each lies on; of an overlay, those of its lower layers, for theirs are the
 * inodes that the page cache has.
 * @param table our own mounts
 * @throws UsageError for what can't be recorded
 */
export async function watchedMounts(
  requests: readonly MountRequest[],
  warn: (line: string) => void,
  table: readonly MountInfo[] = readMountInfo(),
): Promise<WatchedMount[]> {
  const out = new Map<string, WatchedMount>();
  const add = async (mount: MountInfo, dir: string, name: string, image: string | null): Promise<void> => {
    const known = out.get(mount.device);
    if (known === undefined) out.set(mount.device, await watch(mount, dir, name, image, warn));
    else if (known.whole) warn(`${dir} is the same filesystem as ${known.facts.name}, and recorded under that name`);
    else walkTree(mount, dir, known.files);
  };
  for (const request of requests) {
    const place = placeOf(request.dir, table);
    const mount = mountOf(place.dir, place.table);
    const image = request.name !== null && isFile(request.name) ? request.name : null;
    const name = image === null ? (request.name ?? nameOf(place.dir)) : nameOf(image);
    if (mount.fstype !== 'overlay') {
      await add(mount, place.dir, name, image);
      continue;
    }
    const lowers = lowerDirs(mount.options);
    if (lowers.length === 0 || !lowers.every(isAbsolute))
      throw new UsageError(`${request.dir}: the overlay doesn't say where its lower layers are: --mount each of them`);
    for (const [i, lower] of lowers.entries()) {
      // As the one who mounted it saw it: in that namespace, or in ours.
      const there = existsSync(place.under + lower) ? place.under + lower : lower;
      const layer = placeOf(there, table);
      await add(mountOf(layer.dir, layer.table), layer.dir, lowers.length === 1 ? name : `${name}.${i}`, image);
    }
  }
  const names = [...out.values()].map(({ facts }) => facts.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UsageError(`two mounts are named ${twice}: give each a name, --mount DIR=NAME`);
  return [...out.values()];
}

/**
 * Every EROFS filesystem that is mounted here, or in the mount namespace of one of the processes, once.
 * @returns requests, named by their mount points' last parts, or by all of them where those are equal
 */
export function everyErofs(pids: readonly number[], own: readonly MountInfo[] = readMountInfo()): MountRequest[] {
  const dirs = new Map<string, string>();
  for (const table of [own, ...pids.map(mountsOf)])
    for (const { fstype, device, mountPoint } of table)
      if (fstype === 'erofs' && !dirs.has(device)) dirs.set(device, mountPoint);
  const all = [...dirs.values()];
  const names = all.map(nameOf);
  return all.map((dir, i) => ({
    dir,
    name: names.filter((name) => name === names[i]).length === 1 ? names[i]! : dir,
  }));
}

/** @throws UsageError when there is no such process */
function mountsOf(pid: number): MountInfo[] {
  try {
    return readMountInfo(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'), `/proc/${pid}/root`);
  } catch {
    throw new UsageError(`there is no process ${pid}`);
  }
}

function placeOf(asked: string, table: readonly MountInfo[]): Place {
  const foreign = /^(\/proc\/(\d+)\/root)(?:\/.*)?$/.exec(normalize(asked));
  try {
    if (foreign === null) return { dir: realpathSync(asked), under: '', table };
    // realpath(3) takes /proc/PID/root for a link to our own root.
    const dir = normalize(asked).replace(/\/$/, '');
    statSync(dir);
    return { dir, under: foreign[1]!, table: mountsOf(Number(foreign[2])) };
  } catch (error) {
    throw located(asked, error);
  }
}

async function watch(
  mount: MountInfo,
  dir: string,
  name: string,
  asked: string | null,
  warn: (line: string) => void,
): Promise<WatchedMount> {
  if (mount.options.split(',').includes('inode_share'))
    throw new UsageError(
      `${dir} is mounted with inode_share, under which all shared inodes look alike: record it mounted without`,
    );
  const image = asked ?? backingImage(mount);
  if (image === null && mount.fstype === 'erofs')
    warn(`${dir}: which image is mounted there isn't known: name it, --mount DIR=IMAGE, or bind it when you replay`);
  const [major, minor] = mount.device.split(':').map(Number) as [number, number];
  const readAheadKb = readAhead(mount.device, mount.fstype);
  const files = new Map<number, WatchedFile>();
  if (image === null) walkTree(mount, dir, files);
  else walkImage(image, mount, files);
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
    dir: keptDir(mount.mountPoint),
    root: mount.root,
    files,
    image,
    whole: image !== null || (mount.root === '/' && dir === mount.mountPoint),
  };
}

/** A directory by a name that stays good when the process whose root it is below has ended. */
function keptDir(dir: string): string {
  return dir.startsWith('/proc/') ? `/proc/self/fd/${openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY)}` : dir;
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

/** Inodes of an EROFS image: their numbers are its nids. That it is what is mounted is seen at the root, and when its files are opened. */
function walkImage(path: string, mount: MountInfo, files: Map<number, WatchedFile>): void {
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
  const root = statSync(mount.mountPoint).ino;
  if (files.get(root)?.path !== mount.root)
    throw new DataError(
      path,
      `isn't what is mounted on ${mount.mountPoint}, whose root is inode ${root}: name its image, --mount DIR=IMAGE`,
    );
}

/** Inodes of any other filesystem, as far as `dir` shows them. */
function walkTree(mount: MountInfo, dir: string, files: Map<number, WatchedFile>): void {
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
}

/** @throws UsageError */
export function mountOf(dir: string, table: readonly MountInfo[]): MountInfo {
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

function readAhead(device: string, fstype: string): number | null {
  const value = (name: string): number => Number(readFileSync(`/sys/class/bdi/${name}/read_ahead_kb`, 'utf8'));
  try {
    if (existsSync(`/sys/class/bdi/${device}`)) return value(device);
    // Of a filesystem on no device, super_setup_bdi() names it `erofs-13`, and nothing says which is whose.
    const values = readdirSync('/sys/class/bdi')
      .filter((name) => name.startsWith(`${fstype}-`))
      .map(value);
    return values.every((each) => each === values[0]) ? (values[0] ?? null) : null;
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
