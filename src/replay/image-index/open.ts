import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { DataError, located } from '../../error.ts';
import { hashFile, readHead, readWhole } from '../io/input.ts';
import type { IndexCache } from './cache.ts';
import { looksLikeIndex } from './columns.ts';
import { type ImageOptions, indexImage } from './from-image.ts';
import { ImageIndex } from './image-index.ts';
import { indexOci, looksLikeOci } from './oci/from-oci.ts';
import type { Choice } from './oci/manifest.ts';

const EROFS_MAGIC = 0xe0f5e1e2;
const SUPERBLOCK_AT = 1024;

export interface OpenIndexOptions {
  /** keeps the indexes of EROFS images for the next time */
  cache?: IndexCache | null;
  /** which image of an OCI layout or archive */
  oci?: Choice;
  /** how an EROFS image is indexed */
  erofs?: ImageOptions;
}

/**
 * Opens an index, or indexes an image on the spot; which of the two a file is, its first bytes tell.
 * @throws DataError when it is neither, and whatever reading it throws
 */
export async function openImageIndex(path: string, { cache, oci, erofs }: OpenIndexOptions = {}): Promise<ImageIndex> {
  switch (await kindOf(path)) {
    case 'index':
      return ImageIndex.parse(path, (await readWhole(path)).bytes);
    case 'erofs':
      return cache ? throughCache(cache, path, erofs) : indexImage(path, erofs);
    case 'oci':
      return indexOci(path, oci);
    case null:
      throw new DataError(
        path,
        'is neither an index of foliolab nor an EROFS image, nor an OCI image layout or docker save archive',
      );
  }
}

/** What a path is; a folder, a tar archive or anything compressed can only be an OCI image. */
export async function kindOf(path: string): Promise<'index' | 'erofs' | 'oci' | null> {
  if (await isFolder(path)) return 'oci';
  const head = await readHead(path, SUPERBLOCK_AT + 4);
  if (looksLikeIndex(head)) return 'index';
  if (head.length === SUPERBLOCK_AT + 4 && head.readUInt32LE(SUPERBLOCK_AT) === EROFS_MAGIC) return 'erofs';
  return looksLikeOci(head) ? 'oci' : null;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw located(path, error);
  }
}

async function throughCache(cache: IndexCache, path: string, options?: ImageOptions): Promise<ImageIndex> {
  const sha256 = await hashFile(path);
  const kept = await cache.read(path, basename(path), sha256);
  if (kept !== null) return kept;
  const index = await indexImage(path, { ...options, sha256: [sha256] });
  await cache.write(index);
  return index;
}
