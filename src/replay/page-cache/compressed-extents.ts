import { CODECS, EXTENT_COMPRESSED, EXTENT_FRAGMENT, EXTENT_HOLE } from '../image-index/format.ts';
import type { ImageIndex } from '../image-index/image-index.ts';
import { PAGE_SIZE } from '../result.ts';
import { FILL, type MappingPages } from './mapping-pages.ts';
import type { FillFurther } from './readahead.ts';

/** Codecs whose extents are looked up whole: z_erofs_map_blocks_iter() names them. */
const WHOLE = (['lzma', 'deflate', 'zstd'] as const).map((codec) => CODECS.indexOf(codec));
/** Z_EROFS_PCLUSTER_MAX_DSIZE: Linux refuses what decodes to more. */
const MAX_EXTENT_PAGES = (12 * 2 ** 20) / PAGE_SIZE;

/**
 * What EROFS decodes beside the pages it is asked for: z_erofs_pcluster_readmore(), fs/erofs/zdata.c, Linux 6.18. From the start of the
 * extent that the first page lies in; of one in LZMA, DEFLATE or Zstandard also to its end, for its whole length is looked up
 * (EROFS_GET_BLOCKS_READMORE, z_erofs_map_blocks_iter(), fs/erofs/zmap.c).
 *
 * Left out: files mapped by extent records (mkfs.erofs -E48bit), whose extents Linux knows whole whatever the codec, so that LZ4's are
 * decoded to their end, too; an index doesn't tell them from others. Blocks are taken for 4 KiB.
 */
export class CompressedExtents implements FillFurther {
  readonly #index: ImageIndex;
  readonly #from: number;
  readonly #to: number;
  readonly #sizeBytes: number;

  /** @param ordinal of a compressed file, in an index that knows the layout */
  constructor(index: ImageIndex, ordinal: number) {
    this.#index = index;
    this.#from = index.columns.firstExtent[ordinal]!;
    this.#to = index.columns.firstExtent[ordinal + 1]!;
    this.#sizeBytes = index.columns.sizeBytes[ordinal]!;
  }

  run(pages: MappingPages, first: number, count: number): number {
    let grown = 0;
    const end = (first + count) * PAGE_SIZE - 1;
    const last = this.#encoded(end);
    if (last >= 0 && this.#wholeLength(last, end)) {
      for (let page = first + count; page < this.#endPage(last) && page < pages.pages && !pages.has(page); page++) {
        pages.add(page, 0, false, FILL.extentEnd);
        grown++;
      }
    }
    this.#before(pages, first);
    return grown;
  }

  single(pages: MappingPages, page: number): void {
    const end = (page + 1) * PAGE_SIZE - 1;
    const extent = this.#encoded(end);
    if (extent >= 0 && this.#wholeLength(extent, end))
      for (let more = page + 1; more < Math.min(this.#endPage(extent), pages.pages); more++)
        if (!pages.has(more)) pages.add(more, 0, false, FILL.extentEnd);
    this.#before(pages, page);
  }

  #before(pages: MappingPages, first: number): void {
    const extent = this.#encoded(first * PAGE_SIZE);
    if (extent < 0) return;
    const from = Math.max(Math.ceil(this.#index.columns.extentLa[extent]! / PAGE_SIZE), first - MAX_EXTENT_PAGES);
    for (let page = first - 1; page >= from; page--) if (!pages.has(page)) pages.add(page, 0, false, FILL.extentStart);
  }

  /** The pcluster that holds a byte of the file; −1 where it is none, or past the end. */
  #encoded(offset: number): number {
    if (offset >= this.#sizeBytes) return -1;
    const { extentLa, extentFlags } = this.#index.columns;
    let low = this.#from;
    let high = this.#to - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (extentLa[mid]! <= offset) low = mid;
      else high = mid - 1;
    }
    const flags = low < this.#to ? extentFlags[low]! : 0;
    return flags & EXTENT_COMPRESSED && !(flags & (EXTENT_FRAGMENT | EXTENT_HOLE)) ? low : -1;
  }

  /** Whether the length of an extent is looked up for byte `at` of the file: not where the extent begins in that byte's own block. */
  #wholeLength(extent: number, at: number): boolean {
    const { extentCodec, extentLa } = this.#index.columns;
    return WHOLE.includes(extentCodec[extent]!) && extentLa[extent]! <= at - (at % PAGE_SIZE);
  }

  /** page behind the last that has bytes of an extent */
  #endPage(extent: number): number {
    const { extentLa, extentLlen } = this.#index.columns;
    return Math.ceil((extentLa[extent]! + Math.min(extentLlen[extent]!, MAX_EXTENT_PAGES * PAGE_SIZE)) / PAGE_SIZE);
  }
}
