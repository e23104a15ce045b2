import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { located } from '../../error.ts';

/**
 * Writes a file under its final name only once it is whole: into a temporary file beside it, then renamed. Makes the folder. What is
 * there and is no regular file, such as /dev/null or a pipe, is written to as it is, never replaced; what a symlink leads to is, not the link.
 * @throws DataError when it can't be written; nothing is left behind then
 */
export async function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const target = linkTarget(path);
  const temporary = join(dirname(target), `.${basename(target)}.tmp-${process.pid}-${counter++}`);
  try {
    if (await isSpecial(path)) return await writeFile(path, content);
    await makeFolder(dirname(target));
    await writeFile(temporary, content, { flag: 'wx' });
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw located(path, error);
  }
}

let counter = 0;

/** Where a file of this name is: what a symlink there leads to, so that a file that takes its place doesn't take the link's. */
export function linkTarget(path: string): string {
  try {
    if (!lstatSync(path).isSymbolicLink()) return path;
  } catch {
    return path;
  }
  try {
    return realpathSync(path);
  } catch {
    return resolve(dirname(path), readlinkSync(path));
  }
}

/** Whether something is there that must not be replaced by a file. */
export async function isSpecial(path: string): Promise<boolean> {
  const there = await stat(path).catch(() => null);
  return there !== null && !there.isFile();
}

/** mkdir -p. Node's own recursive mkdir never ends where a folder can't be made though its parent is there, as under /proc. */
async function makeFolder(path: string): Promise<void> {
  const make = (): Promise<boolean> =>
    mkdir(path).then(
      () => true,
      async (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST' && (await stat(path)).isDirectory()) return true;
        if (error.code === 'ENOENT' && dirname(path) !== path) return false;
        throw error;
      },
    );
  if (await make()) return;
  await makeFolder(dirname(path));
  if (!(await make())) throw Object.assign(new Error('cannot be made'), { code: 'ENOENT', syscall: 'mkdir' });
}
