/** The entries of an XArray node (XA_CHUNK_SIZE, include/linux/xarray.h). */
const NODE = 64;
/** folios of this order and above fill nodes of the level above */
const ORDER_OF_NODE = 6;

/** Why a page was put in: the rules of the model. */
export const FILL = {
  before: 0,
  initial: 1,
  grown: 2,
  random: 3,
  mark: 4,
  around: 5,
  executable: 6,
  misses: 7,
  single: 8,
  extentStart: 9,
  extentEnd: 10,
} as const;
export type FillRule = (typeof FILL)[keyof typeof FILL];

/** The rules by number, as `verify --explain` names them. */
export const FILL_RULES: readonly string[] = [
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
];

/** state of a page: 0 not cached; else its folio's order + 1, whether that carries the mark (in its first page), the rule that put it in */
const ORDER = 0x0f;
const READAHEAD = 0x10;
const RULE_SHIFT = 8;

/**
 * The cached pages of one mapping (struct address_space): for each page whether it is there, the order of the folio it belongs to and the
 * rule that put it in; for each folio whether it carries the readahead mark (PG_readahead). Two bytes a page.
 */
export class MappingPages {
  /** pages of the file, at most 2^27 */
  readonly pages: number;
  readonly #state: Uint16Array;
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
    this.#state = new Uint16Array(pages);
  }

  has(page: number): boolean {
    return page < this.pages && this.#state[page] !== 0;
  }

  /** The first page of the folio that a cached page is in: folios lie at multiples of their size. */
  head(page: number): number {
    return page & -this.folioPages(page);
  }

  /** Pages of the folio that a cached page is in. */
  folioPages(page: number): number {
    return 1 << ((this.#state[page]! & ORDER) - 1);
  }

  isMarked(page: number): boolean {
    return (this.#state[this.head(page)]! & READAHEAD) !== 0;
  }

  clearMark(page: number): void {
    this.#state[this.head(page)]! &= ~READAHEAD;
  }

  /** Puts a folio in, whose pages aren't there. */
  add(page: number, order: number, marked: boolean, rule: FillRule): void {
    const state = (order + 1) | (rule << RULE_SHIFT);
    const count = 1 << order;
    for (let at = page; at < page + count; at++) this.#state[at] = state;
    if (marked) this.#state[page] = state | READAHEAD;
    this.cached += count;
    this.#filled?.(page, count);
  }

  /** Takes pages out; those of a folio go together, as events say. */
  drop(page: number, count: number): void {
    for (let p = page; p < Math.min(page + count, this.pages); p++) {
      if (this.#state[p] !== 0) this.cached--;
      this.#state[p] = 0;
    }
  }

  /** Whether a page is cached since before the recording: nothing was predicted of it. */
  wasBefore(page: number): boolean {
    return this.has(page) && this.#state[page]! >> RULE_SHIFT === FILL.before;
  }

  /** The rule that put a cached page in. */
  ruleOf(page: number): string {
    return FILL_RULES[this.#state[page]! >> RULE_SHIFT]!;
  }

  /**
   * The first page from `page` on that isn't cached, or `page + most` when none of so many is: page_cache_next_miss(), mm/filemap.c, as it
   * is and not as it is meant. Its XArray cursor (lib/xarray.c) goes to the first slot of a large folio when it starts inside one, but
   * counts on from where it was asked: until it leaves the node it looks that many slots behind what it reports.
   */
  nextMiss(page: number, most: number): number {
    if (!this.has(page)) return page;
    let slot = this.head(page);
    for (let at = page + 1; at < page + most; at++) {
      if (this.#fillsSlots(slot)) {
        // __xas_next(): the cursor moves unless the count is in its slot already.
        if (digit(slot, NODE) !== digit(at, NODE)) slot = this.#descend(slot + NODE, at);
      } else slot = slot % NODE === NODE - 1 ? this.#descend(slot + 1, at) : slot + 1;
      if (!this.has(slot)) return at;
    }
    return page + most;
  }

  /**
   * The same backwards, page_cache_prev_miss(): −1 when all pages down to the first are cached. When none of `most` is missing it
   * returns the last that it looked at, though it is cached.
   */
  previousMiss(page: number, most: number): number {
    if (!this.has(page)) return page;
    let slot = this.head(page);
    for (let at = page - 1; at > page - most; at--) {
      if (at < 0) return -1;
      let span = this.#fillsSlots(slot) ? NODE : 1;
      if (span === 1 && slot % NODE !== 0) slot--;
      // __xas_prev(): the cursor moves unless the count has come to its slot only now.
      else if (digit(slot, span) !== digit(at, span)) {
        // Up from nodes in whose first slot it is, then one back, and down again where the count says.
        while (digit(slot, span) === 0) {
          span *= NODE;
          if (span > slot) return at;
        }
        slot = this.#descend((Math.floor(slot / span) - 1) * span + (at % span), at);
      }
      if (!this.has(slot)) return at;
    }
    return page - most + 1;
  }

  /** Whether the folio at a page fills slots of the level above, NODE pages each. */
  #fillsSlots(page: number): boolean {
    return (this.#state[page]! & ORDER) - 1 >= ORDER_OF_NODE;
  }

  /** From a slot of the level above, given by a page in it: the folio that fills it, or in the node below where the count says. */
  #descend(page: number, at: number): number {
    const first = page - (page % NODE);
    return this.#fillsSlots(first) ? first : first + (at % NODE);
  }
}

/** A page's place in its node, at the level whose slots are of `span` pages: get_offset(). */
function digit(page: number, span: number): number {
  return Math.floor(page / span) % NODE;
}
