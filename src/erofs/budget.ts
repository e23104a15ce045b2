import { ErofsError } from './error.ts';
import type { Image } from './image.ts';

/**
 * How much file data an image may be decoded to in one pass, unless the caller says: an image of a few KiB can claim
 * terabytes, all of them in one pcluster. DEFLATE makes at most 1,032 bytes of one.
 *
 * @param size of the image, bytes
 */
export function defaultMaxData(size: number): number {
  return 2 ** 30 + 1024 * size;
}

/** What a pass over an image (a check, digests, an extraction, an index) may still decode. */
export class DataBudget {
  readonly #image: Image;
  #left: number;
  /** whether more was asked for than there was */
  exceeded = false;

  constructor(image: Image) {
    this.#image = image;
    this.#left = image.maxData;
  }

  /**
   * @param bytes of file data that are to be decoded next
   * @throws ErofsError LIMIT when they are too many
   */
  take(nid: number, bytes: number): void {
    this.#left -= bytes;
    if (this.#left >= 0) return;
    this.exceeded = true;
    const { path, size, maxData } = this.#image;
    const what = `more than ${maxData} bytes of file data in an image of ${size}: see maxData, --max-data`;
    throw new ErofsError('LIMIT', what, { path, nid });
  }
}
