import { basename } from 'node:path';
import { hashFile, readHead, readWhole } from '../io/input.ts';
import { looksLikeIndex } from './columns.ts';
import { INDEX_SCHEMA, INDEX_TOOL } from './format.ts';
import { ImageIndex } from './image-index.ts';

/**
 * Whether a file is already what indexing an image again would write to it: an index by this version of the same image, by name and hash, and
 * of the same devices.
 * @returns the index there, or null; and the hashes of the image and its devices, where they had to be computed
 */
export async function findIndexOf(
  output: string,
  image: string,
  devices: readonly string[],
): Promise<{ index: ImageIndex | null; sha256?: readonly string[] }> {
  const there = await readIndex(output);
  if (there === null) return { index: null };
  const { schema, tool, source, image: of } = there.header;
  const names = [image, ...devices].map((path) => basename(path));
  const known = [of, ...of.devices];
  if (
    schema !== INDEX_SCHEMA ||
    tool !== INDEX_TOOL ||
    source.kind !== 'image' ||
    known.map(({ name }) => name).join('\0') !== names.join('\0')
  )
    return { index: null };
  const sha256: string[] = [];
  for (const path of [image, ...devices]) sha256.push(await hashFile(path));
  return { index: known.every((file, at) => file.sha256 === sha256[at]) ? there : null, sha256 };
}

/** The index at `path`; null when there is no file, or anything but a whole index. */
async function readIndex(path: string): Promise<ImageIndex | null> {
  try {
    if (!looksLikeIndex(await readHead(path, 8))) return null;
    return ImageIndex.parse(path, (await readWhole(path)).bytes);
  } catch {
    return null;
  }
}
