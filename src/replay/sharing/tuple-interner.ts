/**
 * Gives equal tuples of 32-bit numbers one dense id, in the order of first sight. Open addressing over flat arrays: no object and
 * no string per key.
 */
export class TupleInterner {
  readonly #width: number;
  #keys: Uint32Array;
  #table: Uint32Array;
  #size = 0;

  constructor(width: number) {
    this.#width = width;
    this.#keys = new Uint32Array(width * 1024);
    this.#table = new Uint32Array(4096);
  }

  /** Tuples seen so far. */
  get size(): number {
    return this.#size;
  }

  intern(tuple: Uint32Array): number {
    const width = this.#width;
    const mask = this.#table.length - 1;
    let slot = hash(tuple, width) & mask;
    for (;;) {
      const entry = this.#table[slot]!;
      if (entry === 0) break;
      if (this.#equals(entry - 1, tuple)) return entry - 1;
      slot = (slot + 1) & mask;
    }
    const id = this.#size++;
    if ((id + 1) * width > this.#keys.length) {
      const grown = new Uint32Array(this.#keys.length * 2);
      grown.set(this.#keys);
      this.#keys = grown;
    }
    this.#keys.set(width === tuple.length ? tuple : tuple.subarray(0, width), id * width);
    this.#table[slot] = id + 1;
    if (this.#size * 2 > this.#table.length) this.#grow();
    return id;
  }

  #equals(id: number, tuple: Uint32Array): boolean {
    const at = id * this.#width;
    for (let i = 0; i < this.#width; i++) if (this.#keys[at + i] !== tuple[i]) return false;
    return true;
  }

  #grow(): void {
    const table = new Uint32Array(this.#table.length * 2);
    const mask = table.length - 1;
    const tuple = new Uint32Array(this.#width);
    for (let id = 0; id < this.#size; id++) {
      tuple.set(this.#keys.subarray(id * this.#width, (id + 1) * this.#width));
      let slot = hash(tuple, this.#width) & mask;
      while (table[slot] !== 0) slot = (slot + 1) & mask;
      table[slot] = id + 1;
    }
    this.#table = table;
  }
}

/** The finaliser of MurmurHash3, word by word. */
function hash(tuple: Uint32Array, width: number): number {
  let h = 0x9e3779b9;
  for (let i = 0; i < width; i++) {
    h = Math.imul(h ^ tuple[i]!, 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    h ^= h >>> 16;
  }
  return h >>> 0;
}
