/** Pages of one file: a bitmap that grows with the highest of them. */
export class PageSet {
  #bits = new Uint32Array(8);
  /** how many are in */
  size = 0;

  has(page: number): boolean {
    const word = page >>> 5;
    return word < this.#bits.length && (this.#bits[word]! & (1 << (page & 31))) !== 0;
  }

  /** Puts a run in. */
  add(first: number, pages: number): void {
    if (pages === 0) return;
    const words = ((first + pages - 1) >>> 5) + 1;
    if (words > this.#bits.length) {
      const grown = new Uint32Array(Math.max(words, 2 * this.#bits.length));
      grown.set(this.#bits);
      this.#bits = grown;
    }
    for (let page = first; page < first + pages; page++) {
      const bit = 1 << (page & 31);
      if ((this.#bits[page >>> 5]! & bit) === 0) this.size++;
      this.#bits[page >>> 5]! |= bit;
    }
  }

  /** Takes a run out. */
  delete(first: number, pages: number): void {
    const end = Math.min(first + pages, 32 * this.#bits.length);
    for (let page = first; page < end; page++) {
      const bit = 1 << (page & 31);
      if ((this.#bits[page >>> 5]! & bit) !== 0) this.size--;
      this.#bits[page >>> 5]! &= ~bit;
    }
  }

  /** Runs of pages, in order: first page, how many. */
  *runs(): Generator<[number, number]> {
    const end = 32 * this.#bits.length;
    for (let page = 0; page < end; page++) {
      if (!this.has(page)) continue;
      const first = page;
      while (page < end && this.has(page)) page++;
      yield [first, page - first];
    }
  }

  /** How many pages only one of the two has. */
  difference(other: PageSet): number {
    let common = 0;
    const words = Math.min(this.#bits.length, other.#bits.length);
    for (let i = 0; i < words; i++) {
      let both = this.#bits[i]! & other.#bits[i]!;
      for (; both !== 0; both &= both - 1) common++;
    }
    return this.size + other.size - 2 * common;
  }
}
