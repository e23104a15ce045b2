/** of {@link IdInterner.internAll} */
const BLOCK = 64;
/** of slots: 4 GiB */
const MAX_WORDS = 2 ** 30;

/**
 * Numbers 64-bit ids from 0 in the order of their first appearance: open addressing, linear probing, doubled when half full. A slot is the hash and
 * the number + 1 (0: free); the ids lie apart, by number. So growing reads no id, and there is
 * a quarter less memory to fault in, which is most of what new ids cost. 24 to 48 bytes a distinct id. A Map can't hold more than 2^24 entries.
 */
export class IdInterner {
  /** signed, for a number above 2^31 is a double */
  #slots: Int32Array;
  /** by number: low, high */
  #ids: Int32Array;
  /** of words, not slots: its lowest bit is that of an odd word */
  #mask: number;
  readonly #hashes = new Int32Array(BLOCK);
  /** distinct ids so far */
  size = 0;
  /** nothing */
  touched = 0;

  /** @param expected distinct ids */
  constructor(expected = 512) {
    let capacity = 1024;
    while (capacity < 2 * expected) capacity *= 2;
    this.#slots = new Int32Array(2 * capacity);
    this.#ids = new Int32Array(capacity);
    this.#mask = 2 * capacity - 1;
  }

  /** @returns the id's number; it is new if it equals what {@link size} was */
  intern(low: number, high: number): number {
    low |= 0;
    high |= 0;
    const slots = this.#slots;
    const ids = this.#ids;
    const mask = this.#mask;
    const h = hash(low, high);
    for (let at = (h << 1) & mask; ; at = (at + 2) & mask) {
      const number = slots[at + 1]!;
      if (number === 0) {
        const fresh = this.size++;
        slots[at] = h;
        slots[at + 1] = fresh + 1;
        ids[2 * fresh] = low;
        ids[2 * fresh + 1] = high;
        if (this.size > mask >> 2) this.#grow();
        return fresh;
      }
      if (slots[at] === h && ids[2 * number - 2] === low && ids[2 * number - 1] === high) return number - 1;
    }
  }

  /**
   * Numbers many ids: up to twice the speed for ids that are known, because a first pass without branches asks for all the slots of a
   * block at once.
   * @param out gets the number of each
   */
  internAll(low: Uint32Array, high: Uint32Array, count: number, out: Uint32Array): void {
    const hashes = this.#hashes;
    let touched = 0;
    for (let from = 0; from < count; from += BLOCK) {
      const end = Math.min(count, from + BLOCK);
      while (this.size + BLOCK > this.#mask >> 2) this.#grow();
      const slots = this.#slots;
      const ids = this.#ids;
      const mask = this.#mask;
      for (let i = from; i < end; i++) {
        const h = hash(low[i]! | 0, high[i]! | 0);
        hashes[i - from] = h;
        touched ^= slots[(h << 1) & mask]!;
      }
      let size = this.size;
      for (let i = from; i < end; i++) {
        const l = low[i]! | 0;
        const u = high[i]! | 0;
        const h = hashes[i - from]!;
        for (let at = (h << 1) & mask; ; at = (at + 2) & mask) {
          const number = slots[at + 1]!;
          if (number === 0) {
            slots[at] = h;
            slots[at + 1] = size + 1;
            ids[2 * size] = l;
            ids[2 * size + 1] = u;
            out[i] = size++;
            break;
          }
          if (slots[at] === h && ids[2 * number - 2] === l && ids[2 * number - 1] === u) {
            out[i] = number - 1;
            break;
          }
        }
      }
      this.size = size;
    }
    // Or the first pass would be for nothing, and left out.
    this.touched = touched;
  }

  /** Low and high half of every id, by number, in shared memory. */
  ids(): Uint32Array {
    const ids = new Uint32Array(new SharedArrayBuffer(8 * this.size));
    ids.set(this.#ids.subarray(0, 2 * this.size));
    return ids;
  }

  #grow(): void {
    const old = this.#slots;
    if (old.length >= MAX_WORDS) throw new RangeError(`more than ${MAX_WORDS / 4} distinct ids`);
    const slots = new Int32Array(2 * old.length);
    const mask = slots.length - 1;
    for (let from = 0; from < old.length; from += 2) {
      if (old[from + 1] === 0) continue;
      let at = (old[from]! << 1) & mask;
      while (slots[at + 1] !== 0) at = (at + 2) & mask;
      slots[at] = old[from]!;
      slots[at + 1] = old[from + 1]!;
    }
    const ids = new Int32Array(2 * this.#ids.length);
    ids.set(this.#ids);
    this.#slots = slots;
    this.#ids = ids;
    this.#mask = mask;
  }
}

/**
 * MurmurHash3's finalizer over both halves, but for the two lowest bits, which choose a slot of four that are side by side: neighbouring pages
 * are found together.
 */
function hash(low: number, high: number): number {
  let h = (low >>> 2) ^ Math.imul(high ^ (high >>> 15), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) << 2) | (low & 3);
}

/** A column by dense number that grows to hold `number`. */
export function grown<T extends Float64Array | Uint32Array>(column: T, number: number): T {
  if (number < column.length) return column;
  const wider = new (column.constructor as new (length: number) => T)(Math.max(number + 1, column.length * 2));
  wider.set(column);
  return wider;
}
