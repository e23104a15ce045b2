/** 4 words a slot, so that a look-up is one cache line: low, high, number + 1 (0: free), nothing. Signed, for a number above 2^31 is a double. */
const SHIFT = 2;
const WORDS = 1 << SHIFT;
/** of {@link IdInterner.internAll} */
const BLOCK = 64;
/** beyond it `slot << SHIFT` would be negative; 8 GiB */
const MAX_SLOTS = 2 ** 29;

/**
 * Numbers 64-bit ids from 0 in the order of their first appearance: open addressing over one typed array, linear probing, doubled when half full.
 * 32 to 64 bytes a distinct id. Several times as fast as a Map, which also can't hold more than 2^24 entries.
 */
export class IdInterner {
  #slots: Int32Array;
  #mask: number;
  readonly #home = new Int32Array(BLOCK);
  /** distinct ids so far */
  size = 0;
  /** nothing */
  touched = 0;

  /** @param expected distinct ids */
  constructor(expected = 512) {
    let capacity = 1024;
    while (capacity < 2 * expected) capacity *= 2;
    this.#slots = new Int32Array(capacity * WORDS);
    this.#mask = capacity - 1;
  }

  /** @returns the id's number; it is new if it equals what {@link size} was */
  intern(low: number, high: number): number {
    low |= 0;
    high |= 0;
    const slots = this.#slots;
    const mask = this.#mask;
    for (let slot = hash(low, high) & mask; ; slot = (slot + 1) & mask) {
      const at = slot << SHIFT;
      const number = slots[at + 2]!;
      if (number === 0) {
        slots[at] = low;
        slots[at + 1] = high;
        slots[at + 2] = ++this.size;
        if (this.size > mask >> 1) this.#grow();
        return this.size - 1;
      }
      if (slots[at] === low && slots[at + 1] === high) return number - 1;
    }
  }

  /**
   * Numbers many ids: up to twice the speed for ids that are known, because a first pass without branches asks for all the slots of a
   * block at once.
   * @param out gets the number of each
   */
  internAll(low: Uint32Array, high: Uint32Array, count: number, out: Uint32Array): void {
    const home = this.#home;
    let touched = 0;
    for (let from = 0; from < count; from += BLOCK) {
      const end = Math.min(count, from + BLOCK);
      while (this.size + BLOCK > this.#mask >> 1) this.#grow();
      const slots = this.#slots;
      const mask = this.#mask;
      for (let i = from; i < end; i++) {
        const slot = hash(low[i]! | 0, high[i]! | 0) & mask;
        home[i - from] = slot;
        touched ^= slots[slot << SHIFT]!;
      }
      let size = this.size;
      for (let i = from; i < end; i++) {
        const l = low[i]! | 0;
        const h = high[i]! | 0;
        for (let slot = home[i - from]!; ; slot = (slot + 1) & mask) {
          const at = slot << SHIFT;
          const number = slots[at + 2]!;
          if (number === 0) {
            slots[at] = l;
            slots[at + 1] = h;
            slots[at + 2] = size + 1;
            out[i] = size++;
            break;
          }
          if (slots[at] === l && slots[at + 1] === h) {
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

  #grow(): void {
    const old = this.#slots;
    const mask = this.#mask * 2 + 1;
    if (mask >= MAX_SLOTS) throw new RangeError(`more than ${MAX_SLOTS / 2} distinct ids`);
    const slots = new Int32Array((mask + 1) * WORDS);
    for (let from = 0; from < old.length; from += WORDS) {
      if (old[from + 2] === 0) continue;
      let slot = hash(old[from]!, old[from + 1]!) & mask;
      while (slots[(slot << SHIFT) + 2] !== 0) slot = (slot + 1) & mask;
      slots[slot << SHIFT] = old[from]!;
      slots[(slot << SHIFT) + 1] = old[from + 1]!;
      slots[(slot << SHIFT) + 2] = old[from + 2]!;
    }
    this.#slots = slots;
    this.#mask = mask;
  }
}

/**
 * MurmurHash3's finalizer over both halves, but for the two lowest bits, which choose a slot of four that are one cache line: neighbouring pages
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
