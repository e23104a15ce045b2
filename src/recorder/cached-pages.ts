import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { join, relative } from 'node:path';
import { DataError } from '../error.ts';
import { PageSet } from '../replay/trace/kernel/page-set.ts';
import type { WatchedMount } from './mounts.ts';
import type { SystemCalls } from './system-calls.ts';

/** What mincore(2) showed of one regular file, and when. */
export interface Look {
  readonly ino: number;
  readonly pages: PageSet;
  /** CLOCK_MONOTONIC */
  readonly timeNs: number;
}

/**
 * What the page cache holds of a mount's files now, as mincore(2) shows it, one after the other. Files are opened and mapped, none of their
 * pages is touched; opening them does bring directories and inodes in.
 * @param unseen is told of each file that has bytes and can't be looked at: it can't be opened, or something else is in its place
 * @throws DataError when a file isn't what the image says
 */
export function* cachedPages(
  mount: WatchedMount,
  calls: SystemCalls,
  unseen: (ino: number) => void = () => {},
): Generator<Look> {
  for (const [ino, { path, type, sizeBytes }] of mount.files) {
    if (type !== 'file' || sizeBytes === 0) continue;
    const below = relative(mount.root, path);
    const outside = below === '..' || below.startsWith('../');
    let fd = -1;
    try {
      if (!outside)
        fd = openSync(join(mount.dir, below), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch {}
    if (fd < 0) {
      unseen(ino);
      continue;
    }
    try {
      const stat = fstatSync(fd);
      const other = stat.ino !== ino || !stat.isFile();
      if (mount.image === null ? other : deviceOf(stat.dev) !== mount.device) {
        unseen(ino);
        continue;
      }
      if (mount.image !== null && (other || stat.size !== sizeBytes))
        throw new DataError(
          mount.image,
          `isn't what is mounted on ${mount.dir}, where ${path} is inode ${stat.ino} of ${stat.size} bytes, not ${ino} of ${sizeBytes}: name its image, --mount DIR=IMAGE`,
        );
      const bits = calls.cachedPages(fd, stat.size);
      const pages = new PageSet();
      for (let i = 0; i < bits.length; i++) if ((bits[i]! & 1) !== 0) pages.add(i, 1);
      yield { ino, pages, timeNs: Number(process.hrtime.bigint()) };
    } finally {
      closeSync(fd);
    }
  }
}

/** A device number of the user's, glibc's makedev(3), as the kernel's events have it. */
function deviceOf(dev: number): number {
  const major = (Math.floor(dev / 256) & 0xfff) + Math.floor(dev / 2 ** 44) * 4096;
  const minor = (dev & 0xff) + (Math.floor(dev / 2 ** 12) & 0xfff00);
  return major * 2 ** 20 + minor;
}
