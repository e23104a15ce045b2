import { FILL, type FillRule, type MappingPages } from './mapping-pages.ts';

/*
 * Linux's readahead, mm/readahead.c and mm/filemap.c as of 6.18, for mappings that support large folios, as EROFS's do. Names are the
 * kernel's. All numbers are pages. Left out: congestion of a blkio cgroup, folios under writeback, mmap_miss held back for folios that
 * were evicted lately, fadvise and madvise (VM_HUGEPAGE, VM_RAND_READ, VM_SEQ_READ, FMODE_RANDOM). A read that ends with a page leaves
 * prev_pos on the next one; reads are known by their pages here, so it is taken for ending within its last.
 */

/** PMD_ORDER of x86-64 with 4 KiB pages: the largest folio that is allocated. */
const MAX_ORDER = 9;
/** mm/filemap.c */
const MMAP_LOTSAMISS = 100;
/** folios that filemap_get_read_batch() takes: PAGEVEC_SIZE */
const BATCH = 31;

/** What a mount's device reads ahead. */
export interface ReadaheadLimits {
  /** bdi.ra_pages: read_ahead_kb / 4 */
  readonly windowPages: number;
  /** bdi.io_pages: what a single read may be, where it asks for more than a window; 0 where no block device is below */
  readonly ioPages: number;
}

/** struct file_ra_state: of one open file. */
export interface FileReadahead {
  start: number;
  size: number;
  asyncSize: number;
  order: number;
  mmapMiss: number;
  /** page of the last byte of the read before, for prev_pos, the byte behind it; −1 at first */
  previous: number;
  /** the same of the read that is under way: a read of several rounds ends after the last */
  reading: number;
}

export function openedFile(): FileReadahead {
  return { start: 0, size: 0, asyncSize: 0, order: 0, mmapMiss: 0, previous: -1, reading: -1 };
}

/** What a filesystem puts in beside what it is asked to read. */
export interface FillFurther {
  /**
   * Of a run of folios.
   * @returns how many pages it grew by at its end: readahead_expand()
   */
  run(pages: MappingPages, first: number, count: number): number;
  /** Of a single page, without readahead. */
  single(pages: MappingPages, page: number): void;
}

/** One mapping with its readahead: reads and faults put pages in. */
export class MappingReadahead {
  readonly pages: MappingPages;
  readonly #limits: ReadaheadLimits;
  readonly #fillFurther: FillFurther | null;
  #rule: FillRule = FILL.initial;

  constructor(pages: MappingPages, limits: ReadaheadLimits, fillFurther: FillFurther | null) {
    this.pages = pages;
    this.#limits = limits;
    this.#fillFurther = fillFurther;
  }

  /**
   * One round of a buffered read: filemap_get_pages().
   * @param asked pages from `page` on to the end of the read, which may be past the end of the file
   * @param goesOn whether it is a further round of the read before
   */
  read(file: FileReadahead, page: number, asked: number, goesOn: boolean): void {
    const { pages } = this;
    if (!goesOn) file.previous = file.reading;
    if (page >= pages.pages) return;
    if (!pages.has(page)) this.#sync(file, page, asked);
    const last = page + asked - 1;
    let at = page;
    for (let n = 0; n < BATCH && at <= last && pages.has(at); n++) {
      const head = pages.head(at);
      if (pages.isMarked(at)) {
        this.#async(file, head, last + 1 - head);
        break;
      }
      at = head + pages.folioPages(at);
    }
    if (!pages.has(page)) this.#readSingle(page, FILL.single); // filemap_create_folio()
    file.reading = Math.min(last, pages.pages - 1);
  }

  /**
   * filemap_fault()
   * @param executableEnd end of the executable mapping that the page is in; −1 where it is in none
   * @param tried whether the fault comes again after it waited for the page (FAULT_FLAG_TRIED)
   */
  fault(file: FileReadahead, page: number, executableEnd: number, tried: boolean): void {
    const { pages } = this;
    if (page >= pages.pages) return;
    if (pages.has(page)) {
      if (tried) return;
      // do_async_mmap_readahead()
      if (this.#limits.windowPages === 0) return;
      if (file.mmapMiss > 0) file.mmapMiss--;
      if (pages.isMarked(page)) this.#async(file, page, this.#limits.windowPages);
      return;
    }
    this.#faultMiss(file, page, executableEnd);
    if (!pages.has(page)) this.#readSingle(page, FILL.misses);
  }

  /** filemap_map_pages(): what is there of a window is mapped, but for folios with the readahead mark. */
  faultAround(file: FileReadahead, page: number, count: number): void {
    const { pages } = this;
    const end = Math.min(page + count, pages.pages);
    for (let at = page; at < end && file.mmapMiss > 0; at++) if (pages.has(at) && !pages.isMarked(at)) file.mmapMiss--;
  }

  /** do_sync_mmap_readahead() */
  #faultMiss(file: FileReadahead, page: number, executableEnd: number): void {
    const { windowPages } = this.#limits;
    if (windowPages === 0) return;
    if (file.mmapMiss < MMAP_LOTSAMISS * 10) file.mmapMiss++;
    if (file.mmapMiss > MMAP_LOTSAMISS) return;
    file.order = 0;
    if (executableEnd >= 0) {
      this.#rule = FILL.executable;
      file.start = page;
      file.size = Math.min(page + windowPages, executableEnd) - page;
      file.asyncSize = 0;
    } else {
      this.#rule = FILL.around;
      file.start = Math.max(0, page - Math.floor(windowPages / 2));
      file.size = windowPages;
      file.asyncSize = Math.floor(windowPages / 4);
    }
    this.#readOrdered(file);
  }

  /** page_cache_sync_ra() */
  #sync(file: FileReadahead, page: number, asked: number): void {
    const max = this.#maxPages(asked);
    if (this.#limits.windowPages === 0) {
      this.#rule = FILL.single;
      this.#readUnordered(file, page, 1, 0);
      return;
    }
    const next = file.previous >= 0 && (page === file.previous || page === file.previous + 1);
    if (page === 0 || asked > max || next) {
      this.#rule = FILL.initial;
      file.start = page;
      file.size = initialSize(asked, max);
      file.asyncSize = file.size > asked ? file.size - asked : file.size >> 1;
    } else {
      const miss = this.pages.previousMiss(page - 1, max);
      const before = page - miss - 1;
      if (before <= asked) {
        this.#rule = FILL.random;
        this.#readUnordered(file, page, asked, 0);
        return;
      }
      this.#rule = FILL.grown;
      file.start = page;
      file.size = Math.min((miss < 0 ? 2 * before : before) + asked, max);
      file.asyncSize = 1;
    }
    file.order = 0;
    this.#readOrdered(file);
  }

  /** page_cache_async_ra(). @param page where the folio was met, its first page or one of it */
  #async(file: FileReadahead, page: number, asked: number): void {
    const { pages } = this;
    const folioPages = pages.folioPages(page);
    pages.clearMark(page);
    if (this.#limits.windowPages === 0) return;
    const max = this.#maxPages(asked);
    const mark = file.start + file.size - file.asyncSize;
    if (page === mark - (mark % folioPages)) {
      file.start += file.size;
      file.size = Math.max(file.size, nextSize(file.size, max));
    } else {
      const start = pages.nextMiss(page + 1, max);
      if (start - page > max) return;
      file.start = start;
      file.size = nextSize(start - page + asked, max);
    }
    this.#rule = FILL.mark;
    file.order += 2;
    const align = 1 << Math.min(file.order, trailingZeros(max));
    const end = file.start + file.size;
    const aligned = end - (end % align);
    if (aligned > file.start) file.size = aligned - file.start;
    file.asyncSize = file.size;
    this.#readOrdered(file);
  }

  #maxPages(asked: number): number {
    const { windowPages, ioPages } = this.#limits;
    return asked > windowPages && ioPages > windowPages ? Math.min(asked, ioPages) : windowPages;
  }

  /** page_cache_ra_order(): folios as large as the state says, as far as nothing is cached yet. */
  #readOrdered(file: FileReadahead): void {
    const { pages } = this;
    const { start, size } = file;
    const mark = start + size - file.asyncSize;
    const limit = Math.min(pages.pages, start + size) - 1;
    file.order = Math.min(MAX_ORDER, file.order, size > 0 ? 31 - Math.clz32(size) : 0);
    let page = start;
    let met = false;
    while (page <= limit && !met) {
      let order = file.order;
      if (page & ((1 << order) - 1)) order = trailingZeros(page);
      while (order > 0 && page + (1 << order) - 1 > limit) order--;
      const end = page + (1 << order);
      for (let at = page; at < end && !met; at++) met = pages.has(at);
      if (met) break;
      pages.add(page, order, page === mark - (mark % (1 << order)), this.#rule);
      page = end;
    }
    if (page > start) this.#readRun(file, start, page - start);
    if (met) this.#readUnordered(file, page, file.size - (page - start), file.asyncSize);
  }

  /** do_page_cache_ra(), page_cache_ra_unbounded(): single pages, past those that are cached; each run of them is read by itself. */
  #readUnordered(file: FileReadahead, start: number, count: number, lookahead: number): void {
    const { pages } = this;
    const n = Math.min(count, pages.pages - start);
    const mark = lookahead <= n ? start + n - lookahead : -1;
    let first = -1;
    for (let page = start; page <= start + n; page++) {
      if (page < start + n && !pages.has(page)) {
        pages.add(page, 0, page === mark, this.#rule);
        if (first < 0) first = page;
      } else if (first >= 0) {
        this.#readRun(file, first, page - first);
        first = -1;
      }
    }
  }

  /** read_pages() */
  #readRun(file: FileReadahead, first: number, count: number): void {
    const grown = this.#fillFurther?.run(this.pages, first, count) ?? 0;
    file.size += grown;
    file.asyncSize += grown;
  }

  #readSingle(page: number, rule: FillRule): void {
    this.pages.add(page, 0, false, rule);
    this.#fillFurther?.single(this.pages, page);
  }
}

/** get_init_ra_size() */
function initialSize(asked: number, max: number): number {
  const size = 2 ** Math.ceil(Math.log2(asked));
  if (size <= Math.floor(max / 32)) return size * 4;
  if (size <= Math.floor(max / 4)) return size * 2;
  return max;
}

/** get_next_ra_size() */
function nextSize(size: number, max: number): number {
  if (size < Math.floor(max / 16)) return 4 * size;
  return size <= Math.floor(max / 2) ? 2 * size : max;
}

/** Of a number above 0: how often 2 divides it. */
function trailingZeros(n: number): number {
  return 31 - Math.clz32(n & -n);
}
