import { basename } from 'node:path';
import { DataError } from '../../error.ts';
import { hashFile, readHead, readWhole } from '../io/input.ts';
import type { IndexCache } from './cache.ts';
import { looksLikeIndex } from './columns.ts';
import { indexImage } from './from-image.ts';
import { ImageIndex } from './image-index.ts';

const EROFS_MAGIC = 0xe0f5e1e2;
const SUPERBLOCK_AT = 1024;

/**
 * Opens an index, or indexes an image on the spot; which of the two a file is, its first bytes tell.
 * @param cache keeps the indexes of images for the next time
 * @throws DataError when it is neither, and whatever reading it throws
 */
export async function openImageIndex(path: string, { cache }: { cache?: IndexCache | null } = {}): Promise<ImageIndex> {
  const head = await readHead(path, SUPERBLOCK_AT + 4);
  if (looksLikeIndex(head)) return ImageIndex.parse(path, (await readWhole(path)).bytes);
  if (head.length === SUPERBLOCK_AT + 4 && head.readUInt32LE(SUPERBLOCK_AT) === EROFS_MAGIC)
    return cache ? throughCache(cache, path) : indexImage(path);
  throw new DataError(path, 'is neither an index of foliolab nor an EROFS image');
}

async function throughCache(cache: IndexCache, path: string): Promise<ImageIndex> {
  const sha256 = await hashFile(path);
  const kept = await cache.read(path, basename(path), sha256);
  if (kept !== null) return kept;
  const index = await indexImage(path, { sha256: [sha256] });
  await cache.write(index);
  return index;
}
