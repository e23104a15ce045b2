import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { located } from '../../error.ts';

/**
 * Writes a file under its final name only once it is whole: into a temporary file beside it, then renamed. Makes the folder.
 * @throws DataError when it can't be written; nothing is left behind then
 */
export async function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.tmp-${process.pid}-${counter++}`);
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(temporary, content, { flag: 'wx' });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw located(path, error);
  }
}

let counter = 0;
