/** The entries of an XArray node (XA_CHUNK_SIZE, include/linux/xarray.h). */
const NODE = 64;
/** folios of this order and above fill nodes of the level above */
const ORDER_OF_NODE = 6;
const READAHEAD = 0x80;

/** Why a page was put in: the rules of the model, as `verify --explain` names them. */
export const FILL_RULES = [
  'cached before the recording',
  'read: initial window',
  'read: window grown from cached pages before it',
  'read: random, no more than asked for',
  'readahead mark reached: next window',
  'fault: read-around',
  'fault: executable mapping, forward to its end',
  'fault: single page, misses prevail',
  'single page, nothing read ahead',
  'EROFS: from the start of the compressed extent',
  'EROFS: to the end of the compressed extent',
] as const;
export type FillRule = (typeof FILL_RULES)[number];

/**
 * The cached pages of one mapping (struct address_space): for each page whether it is there and the order of the folio it belongs to,
 * for each folio whether it carries the readahead mark (PG_readahead). A byte a page, and one more for the rule that put it in.
 */
export class MappingPages {
  /** pages of the file */
  readonly pages: number;
  /** 0: not cached; else the folio's order + 1, with {@link READAHEAD} in a marked folio's first page */
  readonly #state: Uint8Array;
  readonly #rule: Uint8Array;
  readonly #filled: ((page: number, count: number) => void) | null;
  /** pages cached now */
  cached = 0;

  /**
   * @param pages pages of the file
   * @param filled told of pages that are put in
   */
  constructor(pages: number, filled: ((page: number, count: number) => void) | null = null) {
    this.pages = pages;
    this.#filled = filled;
    this.#state = new Uint8Array(pages);
    this.#rule = new Uint8Array(pages);
  }

  has(page: number): boolean {
    return page < this.pages && this.#state[page] !== 0;
  }

  /** The first page of the folio that a cached page is in: folios lie at multiples of their size. */
  head(page: number): number {
    return page - (page % this.folioPages(page));
  }

  /** Pages of the folio that a cached page is in. */
  folioPages(page: number): number {
    return 2 ** ((this.#state[page]! & ~READAHEAD) - 1);
  }

  isMarked(page: number): boolean {
    return (this.#state[this.head(page)]! & READAHEAD) !== 0;
  }

  clearMark(page: number): void {
    this.#state[this.head(page)]! &= ~READAHEAD;
  }

  /** Puts a folio in, whose pages aren't there. */
  add(page: number, order: number, marked: boolean, rule: FillRule): void {
    const end = page + 2 ** order;
    this.#state.fill(order + 1, page, end);
    this.#rule.fill(FILL_RULES.indexOf(rule), page, end);
    if (marked) this.#state[page]! |= READAHEAD;
    this.cached += end - page;
    this.#filled?.(page, end - page);
  }

  /** Takes pages out; those of a folio go together, as events say. */
  drop(page: number, count: number): void {
    for (let p = page; p < Math.min(page + count, this.pages); p++) {
      if (this.#state[p] !== 0) this.cached--;
      this.#state[p] = 0;
    }
  }

  /** The rule that put a cached page in, or the last one that did. */
  ruleOf(page: number): FillRule {
    return FILL_RULES[this.#rule[page]!]!;
  }

  /**
   * The first page from `page` on that isn't cached, or one past `page + most` when none of so many is: page_cache_next_miss(),
   * mm/filemap.c, as it is and not as it is meant. Its XArray cursor goes to the first slot of a large folio when it starts inside one,
   * but counts on from where it was asked: until it leaves the node it looks that many slots behind what it reports.
   */
  nextMiss(page: number, most: number): number {
    if (!this.has(page)) return page;
    let slot = this.#slot(page);
    for (let at = page + 1; at < page + most; at++) {
      slot = slot % NODE === NODE - 1 ? at : slot + 1;
      if (!this.has(slot)) return at;
    }
    return page + most;
  }

  /** The same backwards, page_cache_prev_miss(): −1 when all pages down to the first are cached. */
  previousMiss(page: number, most: number): number {
    if (!this.has(page)) return page;
    let slot = this.#slot(page);
    for (let at = page - 1; at > page - most; at--) {
      if (at < 0) return -1;
      const node = slot - (slot % NODE);
      if (slot !== node) slot--;
      // __xas_prev() leaves the node unless the count has come to its first slot only now.
      else if (at % NODE !== 0) {
        if (node === 0) return at;
        slot = node - NODE + (at % NODE);
      }
      if (!this.has(slot)) return at;
    }
    return page - most;
  }

  #slot(page: number): number {
    return this.#state[page]! - 1 < ORDER_OF_NODE ? this.head(page) : page;
  }
}
