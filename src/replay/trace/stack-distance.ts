/**
 * Reuse distances: how many distinct pages were referenced since a page's last reference, itself included, so that LRU of that many frames
 * hits. Mattson et al. 1970 by a Fenwick tree over the references' times (Olken 1981), which is made anew when the times run out: memory
 * is bounded by distinct pages.
 */
export class StackDistances {
  /** by time: 1 where some page was last referenced */
  #tree: Int32Array;
  #last: Int32Array = new Int32Array(1024).fill(-1);
  #time = 0;
  #pages = 0;

  constructor() {
    this.#tree = new Int32Array(4096 + 1);
  }

  /** @param page dense number. @returns the distance from 1; 0 the first time */
  reference(page: number): number {
    if (page >= this.#last.length) {
      const grown = new Int32Array(Math.max(page + 1, 2 * this.#last.length)).fill(-1);
      grown.set(this.#last);
      this.#last = grown;
    }
    if (this.#time === this.#tree.length - 1) this.#compact();
    const before = this.#last[page]!;
    let distance = 0;
    if (before >= 0) {
      distance = this.#pages - this.#sum(before);
      this.#add(before, -1);
    } else {
      this.#pages++;
    }
    this.#add(this.#time, 1);
    this.#last[page] = this.#time++;
    return distance;
  }

  /** How many pages were last referenced before `time`. */
  #sum(time: number): number {
    const tree = this.#tree;
    let sum = 0;
    for (let i = time; i > 0; i &= i - 1) sum += tree[i]!;
    return sum;
  }

  #add(time: number, by: number): void {
    const tree = this.#tree;
    for (let i = time + 1; i < tree.length; i += i & -i) tree[i]! += by;
  }

  /** Gives the pages the times 0, 1, 2 … in the order of their last references. */
  #compact(): void {
    const last = this.#last;
    const order = new Int32Array(this.#tree.length - 1).fill(-1);
    for (let page = 0; page < last.length; page++) if (last[page]! >= 0) order[last[page]!] = page;
    let time = 0;
    for (const page of order) if (page >= 0) last[page] = time++;
    this.#tree = new Int32Array(Math.max(4096, 4 * this.#pages) + 1);
    for (let i = 1; i < this.#tree.length; i++) {
      this.#tree[i]! += i <= time ? 1 : 0;
      const parent = i + (i & -i);
      if (parent < this.#tree.length) this.#tree[parent]! += this.#tree[i]!;
    }
    this.#time = time;
  }
}
