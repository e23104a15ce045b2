/** Entries of a block at most, and when the stack is packed anew. */
const CAPACITY = 512;
const PACKED = 384;
const NONE = -1;
/** What became of an entry's place as another was put before it: it is where it was, or one further on, or its block was split. */
const LEFT = 0;
const PUT = 1;
const SPLIT = 2;

/**
 * Stack distances of OPT (Belady's MIN): a cache of that many pages hits. Mattson et al. 1970, priority stacks: the referenced page goes to the
 * top of the stack, and whatever it displaces moves down until it meets a page that is needed later and displaces that one in turn, as far as the
 * place that the referenced page left.
 *
 * Seen as a list from which the referenced page is taken and put in front, hardly anything moves: each page that is needed later than all above it
 * passes those right below it that are needed sooner. OPT's stack is nearly in the order of need, so two or three do so at a reference, where
 * hundreds change their place. The list is kept in blocks, each with its latest need and the number of neighbours that aren't in order, by
 * which most blocks are passed over at a glance.
 *
 * The counts are Belady's at every size at once: a page that is never needed again counts as needed last, and in which order such pages leave
 * changes no count. Memory: some 40 bytes a page.
 */
export class OptDistances {
  /** by block: its pages in order, and when each is needed next */
  #pages = new Uint32Array(0);
  #keys = new Uint32Array(0);
  #length = new Int32Array(0);
  /** what no entry is needed after, and how many neighbours aren't in rising order */
  #latest = new Uint32Array(0);
  #falls = new Int32Array(0);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  /** of each page */
  readonly #blockOf: Int32Array;
  #head = NONE;
  #tail = NONE;
  /** blocks in the list, and numbers of blocks that aren't */
  #blocks = 0;
  readonly #free: number[] = [];
  #depth = 0;

  constructor(universe: number) {
    this.#blockOf = new Int32Array(universe).fill(NONE);
  }

  /** @param next position of the page's next reference, 0xffffffff if there is none. @returns the distance from 1; 0 the first time */
  reference(page: number, next: number): number {
    let distance = 0;
    const home = this.#blockOf[page]!;
    if (home !== NONE) {
      for (let b = this.#head; b !== home; b = this.#next[b]!) distance += this.#length[b]!;
      distance += this.#find(home, page) + 1;
    }
    if (distance !== 1) this.#sink(page);
    if (home === NONE) this.#depth++;
    else this.#remove(this.#blockOf[page]!, this.#find(this.#blockOf[page]!, page));
    this.#pushFront(page, next);
    if (this.#blocks > (3 * this.#depth) / PACKED + 16) this.#pack();
    return distance;
  }

  /** Moves down what passes others, above a page or, if it isn't there yet, in the whole stack. */
  #sink(page: number): void {
    let home = this.#blockOf[page]!;
    let homeAt = home === NONE ? NONE : this.#find(home, page);
    let b = this.#head;
    if (b === NONE) return;
    // What is being carried: the page of the latest need so far.
    let carriedIn = b;
    let carriedAt = 0;
    let key = this.#keys[b * CAPACITY]!;
    /** whether something that is needed sooner lies below it */
    let passes = false;
    for (let i = 1; ; ) {
      const end = b === home ? homeAt : this.#length[b]!;
      const base = b * CAPACITY;
      const keys = this.#keys;
      if (i < end) {
        if (!passes) {
          if (this.#falls[b] === 0 && keys[base + i]! > key) {
            carriedIn = b;
            carriedAt = end - 1;
            key = keys[base + carriedAt]!;
            i = end;
            continue;
          }
          while (i < end && keys[base + i]! > key) {
            key = keys[base + i]!;
            carriedIn = b;
            carriedAt = i++;
          }
          passes = i < end;
          continue;
        }
        if (this.#latest[b]! <= key) i = end;
        else {
          const from = i;
          while (i < end && keys[base + i]! <= key) i++;
          if (from === 0 && i === end && b !== home) this.#latest[b] = key;
        }
        if (i < end) {
          const later = this.#pages[base + i]!;
          key = keys[base + i]!;
          const placed = this.#move(carriedIn, carriedAt, b, i);
          if (home !== NONE && (placed === SPLIT || (placed === PUT && b === home))) {
            home = this.#blockOf[page]!;
            homeAt = this.#find(home, page);
          }
          if (placed === SPLIT) {
            b = this.#blockOf[later]!;
            i = this.#find(b, later);
          } else if (placed === PUT) i++;
          carriedIn = b;
          carriedAt = i++;
          passes = false;
          continue;
        }
      }
      if (b === home || this.#next[b] === NONE) break;
      b = this.#next[b]!;
      i = 0;
    }
    if (!passes) return;
    if (home !== NONE) this.#move(carriedIn, carriedAt, home, homeAt);
    else this.#move(carriedIn, carriedAt, this.#tail, this.#length[this.#tail]!);
  }

  /** Moves an entry down, to the place before another or behind the last. @returns what became of the other's place */
  #move(from: number, fromAt: number, to: number, toAt: number): number {
    const page = this.#pages[from * CAPACITY + fromAt]!;
    const key = this.#keys[from * CAPACITY + fromAt]!;
    if (from === to) {
      const base = from * CAPACITY;
      // In both orders the same neighbours are neighbours, but for those at the two places.
      this.#falls[from]! -= this.#fall(from, fromAt - 1) + this.#fall(from, fromAt) + this.#fall(from, toAt - 1);
      this.#pages.copyWithin(base + fromAt, base + fromAt + 1, base + toAt);
      this.#keys.copyWithin(base + fromAt, base + fromAt + 1, base + toAt);
      this.#pages[base + toAt - 1] = page;
      this.#keys[base + toAt - 1] = key;
      this.#falls[from]! += this.#fall(from, fromAt - 1) + this.#fall(from, toAt - 2) + this.#fall(from, toAt - 1);
      return LEFT;
    }
    this.#remove(from, fromAt);
    const above = this.#previous[to]!;
    if (toAt === 0 && above !== NONE && this.#length[above]! < CAPACITY) {
      this.#insert(above, this.#length[above]!, page, key);
      return LEFT;
    }
    if (this.#length[to]! < CAPACITY) {
      this.#insert(to, toAt, page, key);
      return PUT;
    }
    const half = CAPACITY >> 1;
    const below = this.#split(to, half);
    if (toAt > half) this.#insert(below, toAt - half, page, key);
    else this.#insert(to, toAt, page, key);
    return SPLIT;
  }

  /** 1 if an entry and the one below it in its block aren't in rising order. */
  #fall(b: number, at: number): number {
    if (at < 0 || at + 1 >= this.#length[b]!) return 0;
    const i = b * CAPACITY + at;
    return this.#keys[i]! >= this.#keys[i + 1]! ? 1 : 0;
  }

  #find(b: number, page: number): number {
    const base = b * CAPACITY;
    return this.#pages.indexOf(page, base) - base;
  }

  #pushFront(page: number, key: number): void {
    if (this.#head === NONE || this.#length[this.#head] === CAPACITY) this.#newBlock(NONE);
    this.#insert(this.#head, 0, page, key);
  }

  #insert(b: number, at: number, page: number, key: number): void {
    const base = b * CAPACITY;
    const length = this.#length[b]!;
    this.#falls[b]! -= this.#fall(b, at - 1);
    this.#pages.copyWithin(base + at + 1, base + at, base + length);
    this.#keys.copyWithin(base + at + 1, base + at, base + length);
    this.#pages[base + at] = page;
    this.#keys[base + at] = key;
    this.#length[b] = length + 1;
    this.#falls[b]! += this.#fall(b, at - 1) + this.#fall(b, at);
    if (key > this.#latest[b]!) this.#latest[b] = key;
    this.#blockOf[page] = b;
  }

  #remove(b: number, at: number): void {
    const base = b * CAPACITY;
    const length = this.#length[b]!;
    if (length === 1) {
      this.#drop(b);
      return;
    }
    this.#falls[b]! -= this.#fall(b, at - 1) + this.#fall(b, at);
    this.#pages.copyWithin(base + at, base + at + 1, base + length);
    this.#keys.copyWithin(base + at, base + at + 1, base + length);
    this.#length[b] = length - 1;
    this.#falls[b]! += this.#fall(b, at - 1);
  }

  /** Puts the entries from `half` on into a block of their own. @returns it */
  #split(b: number, half: number): number {
    const below = this.#newBlock(b);
    this.#fill(below, this.#pages, this.#keys, b * CAPACITY + half, (b + 1) * CAPACITY);
    this.#length[b] = half;
    this.#count(b);
    return below;
  }

  /** Fills a block with entries from elsewhere. */
  #fill(b: number, pages: Uint32Array, keys: Uint32Array, from: number, to: number): void {
    const base = b * CAPACITY;
    for (let i = from; i < to; i++) {
      this.#pages[base + i - from] = pages[i]!;
      this.#keys[base + i - from] = keys[i]!;
      this.#blockOf[pages[i]!] = b;
    }
    this.#length[b] = to - from;
    this.#count(b);
  }

  #count(b: number): void {
    let falls = 0;
    let latest = 0;
    for (let i = 0; i < this.#length[b]!; i++) {
      falls += this.#fall(b, i);
      latest = Math.max(latest, this.#keys[b * CAPACITY + i]!);
    }
    this.#falls[b] = falls;
    this.#latest[b] = latest;
  }

  /** A block without entries below another, or on top. @returns it */
  #newBlock(above: number): number {
    if (this.#free.length === 0) this.#grow();
    const b = this.#free.pop()!;
    const below = above === NONE ? this.#head : this.#next[above]!;
    this.#length[b] = 0;
    this.#latest[b] = 0;
    this.#falls[b] = 0;
    this.#link(above, b);
    this.#link(b, below);
    this.#blocks++;
    return b;
  }

  #drop(b: number): void {
    this.#length[b] = 0;
    this.#link(this.#previous[b]!, this.#next[b]!);
    this.#free.push(b);
    this.#blocks--;
  }

  #link(above: number, below: number): void {
    if (above === NONE) this.#head = below;
    else this.#next[above] = below;
    if (below === NONE) this.#tail = above;
    else this.#previous[below] = above;
  }

  #grow(): void {
    const had = this.#length.length;
    const blocks = Math.max(8, 2 * had);
    const wider = <T extends Uint32Array | Int32Array>(column: T, length: number): T => {
      const wide = new (column.constructor as new (length: number) => T)(length);
      wide.set(column);
      return wide;
    };
    this.#pages = wider(this.#pages, blocks * CAPACITY);
    this.#keys = wider(this.#keys, blocks * CAPACITY);
    this.#length = wider(this.#length, blocks);
    this.#latest = wider(this.#latest, blocks);
    this.#falls = wider(this.#falls, blocks);
    this.#next = wider(this.#next, blocks);
    this.#previous = wider(this.#previous, blocks);
    for (let b = blocks - 1; b >= had; b--) this.#free.push(b);
  }

  /** Puts the stack into few blocks again. */
  #pack(): void {
    const pages = new Uint32Array(this.#depth);
    const keys = new Uint32Array(this.#depth);
    let at = 0;
    for (let b = this.#head; b !== NONE; b = this.#next[b]!) {
      const base = b * CAPACITY;
      pages.set(this.#pages.subarray(base, base + this.#length[b]!), at);
      keys.set(this.#keys.subarray(base, base + this.#length[b]!), at);
      at += this.#length[b]!;
    }
    for (let b = this.#head; b !== NONE; ) {
      const below = this.#next[b]!;
      this.#drop(b);
      b = below;
    }
    for (let from = 0; from < at; from += PACKED)
      this.#fill(this.#newBlock(this.#tail), pages, keys, from, Math.min(at, from + PACKED));
  }
}
