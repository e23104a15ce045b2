import { DataError } from '../../error.ts';
import { readHead, readWhole } from '../io/input.ts';
import { looksLikeIndex } from './columns.ts';
import { indexImage } from './from-image.ts';
import { ImageIndex } from './image-index.ts';

const EROFS_MAGIC = 0xe0f5e1e2;
const SUPERBLOCK_AT = 1024;

/**
 * Opens an index, or indexes an image on the spot; which of the two a file is, its first bytes tell.
 * @throws DataError when it is neither, and whatever reading it throws
 */
export async function openImageIndex(path: string): Promise<ImageIndex> {
  const head = await readHead(path, SUPERBLOCK_AT + 4);
  if (looksLikeIndex(head)) return ImageIndex.parse(path, (await readWhole(path)).bytes);
  if (head.length === SUPERBLOCK_AT + 4 && head.readUInt32LE(SUPERBLOCK_AT) === EROFS_MAGIC) return indexImage(path);
  throw new DataError(path, 'is neither an index of foliolab nor an EROFS image');
}
