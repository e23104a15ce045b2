const CHUNK_PAGES = 1024;
const CHUNK_WORDS = CHUNK_PAGES / 32;

/** Pages of one file, in room for those that were in, wherever in the file they say that they lie: a bitmap in chunks. */
export class PageSet {
  /** how many are in */
  size = 0;
  readonly #chunks = new Map<number, Uint32Array>();
  /** the chunk that was looked at last: pages come and go in runs */
  #key = -1;
  #chunk: Uint32Array | undefined = undefined;

  has(page: number): boolean {
    const chunk = this.#chunkOf(Math.floor(page / CHUNK_PAGES));
    return chunk !== undefined && (chunk[(page >>> 5) % CHUNK_WORDS]! & (1 << (page & 31))) !== 0;
  }

  /** Puts a run in. */
  add(first: number, pages: number): void {
    const end = first + pages;
    for (let page = first; page < end; ) {
      const key = Math.floor(page / CHUNK_PAGES);
      let chunk = this.#chunkOf(key);
      if (chunk === undefined) {
        chunk = new Uint32Array(CHUNK_WORDS);
        this.#chunk = chunk;
        this.#chunks.set(key, chunk);
      }
      for (const stop = Math.min(end, (key + 1) * CHUNK_PAGES); page < stop; page++) {
        const word = (page >>> 5) % CHUNK_WORDS;
        const bit = 1 << (page & 31);
        if ((chunk[word]! & bit) === 0) this.size++;
        chunk[word]! |= bit;
      }
    }
  }

  /** Takes a run out. */
  delete(first: number, pages: number): void {
    const end = first + pages;
    for (let page = first; page < end; ) {
      const key = Math.floor(page / CHUNK_PAGES);
      const chunk = this.#chunkOf(key);
      const stop = Math.min(end, (key + 1) * CHUNK_PAGES);
      if (chunk === undefined) page = stop;
      else
        for (; page < stop; page++) {
          const word = (page >>> 5) % CHUNK_WORDS;
          const bit = 1 << (page & 31);
          if ((chunk[word]! & bit) !== 0) this.size--;
          chunk[word]! &= ~bit;
        }
    }
  }

  /** Runs of pages, in order: first page, how many. */
  *runs(): Generator<[number, number]> {
    let first = 0;
    let end = 0;
    for (const key of [...this.#chunks.keys()].sort((a, b) => a - b))
      for (let page = key * CHUNK_PAGES; page < (key + 1) * CHUNK_PAGES; page++) {
        if (!this.has(page)) continue;
        if (page !== end) {
          if (end > first) yield [first, end - first];
          first = page;
        }
        end = page + 1;
      }
    if (end > first) yield [first, end - first];
  }

  /** How many pages only one of the two has. */
  difference(other: PageSet): number {
    let common = 0;
    for (const [key, chunk] of this.#chunks) {
      const its = other.#chunks.get(key);
      if (its === undefined) continue;
      for (let i = 0; i < CHUNK_WORDS; i++) for (let both = chunk[i]! & its[i]!; both !== 0; both &= both - 1) common++;
    }
    return this.size + other.size - 2 * common;
  }

  #chunkOf(key: number): Uint32Array | undefined {
    if (key !== this.#key) {
      this.#key = key;
      this.#chunk = this.#chunks.get(key);
    }
    return this.#chunk;
  }
}
