/**
 * Reuse distances: how many distinct pages were referenced since a page's last reference, itself included, so that LRU of that many frames
 * hits. Mattson et al. 1970, by counting the times at which some page was last referenced (Bennett and Kruskal 1975).
 *
 * The times are bits, and a Fenwick tree holds how many are set in each word of 32: a thirty-second of a tree over times, which stays in
 * the processor’s caches and has five levels less: twice as fast for a million pages. When the times run out, the pages get new
 * ones in the same order: memory is bounded by distinct pages.
 */
export class StackDistances {
  /** by time: 1 where some page was last referenced */
  #bits = new Int32Array(MIN_WORDS);
  /** entry w + 1 is of word w */
  #tree = new Int32Array(MIN_WORDS + 1);
  #last = new Int32Array(1024).fill(-1);
  #time = 0;
  #pages = 0;

  /** @param page dense number. @returns the distance from 1; 0 the first time */
  reference(page: number): number {
    if (page >= this.#last.length) {
      const grown = new Int32Array(Math.max(page + 1, 2 * this.#last.length)).fill(-1);
      grown.set(this.#last);
      this.#last = grown;
    }
    if (this.#time === this.#bits.length * 32) this.#compact();
    const bits = this.#bits;
    const tree = this.#tree;
    const words = bits.length;
    const last = this.#last;
    const time = this.#time++;
    const before = last[page]!;
    const now = time >>> 5;
    last[page] = time;
    bits[now]! |= 1 << (time & 31);
    if (before < 0) {
      this.#pages++;
      for (let i = now + 1; i <= words; i += i & -i) tree[i]!++;
      return 0;
    }
    const then = before >>> 5;
    let earlier = ones(bits[then]! & ((1 << (before & 31)) - 1));
    for (let i = then; i > 0; i &= i - 1) earlier += tree[i]!;
    bits[then]! &= ~(1 << (before & 31));
    if (then !== now) {
      for (let i = then + 1; i <= words; i += i & -i) tree[i]!--;
      for (let i = now + 1; i <= words; i += i & -i) tree[i]!++;
    }
    return this.#pages - earlier;
  }

  /** Leaves a page out, as if it had never been referenced. */
  forget(page: number): void {
    const time = this.#last[page] ?? -1;
    if (time < 0) return;
    const tree = this.#tree;
    this.#bits[time >>> 5]! &= ~(1 << (time & 31));
    for (let i = (time >>> 5) + 1; i <= this.#bits.length; i += i & -i) tree[i]!--;
    this.#last[page] = -1;
    this.#pages--;
  }

  /** Gives the pages the times 0, 1, 2 … in the order of their last references. */
  #compact(): void {
    const last = this.#last;
    const pageAt = new Int32Array(this.#time).fill(-1);
    for (let page = 0; page < last.length; page++) if (last[page]! >= 0) pageAt[last[page]!] = page;
    let time = 0;
    for (let i = 0; i < pageAt.length; i++) if (pageAt[i]! >= 0) last[pageAt[i]!] = time++;
    const words = Math.max(MIN_WORDS, Math.ceil((4 * time) / 32));
    const bits = new Int32Array(words);
    const tree = new Int32Array(words + 1);
    bits.fill(-1, 0, time >>> 5);
    if ((time & 31) > 0) bits[time >>> 5] = (1 << (time & 31)) - 1;
    for (let i = 1; i <= words; i++) {
      tree[i]! += ones(bits[i - 1]!);
      const parent = i + (i & -i);
      if (parent <= words) tree[parent]! += tree[i]!;
    }
    this.#bits = bits;
    this.#tree = tree;
    this.#time = time;
  }
}

const MIN_WORDS = 128;

/** How many bits of a word are set. */
function ones(word: number): number {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
