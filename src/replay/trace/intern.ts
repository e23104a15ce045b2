/** 4 words a slot, so that a look-up is one cache line: low, high, number + 1 (0: free), nothing. Signed, for a number above 2^31 is a double. */
const SHIFT = 2;
const WORDS = 1 << SHIFT;
/** beyond it `slot << SHIFT` would be negative; 8 GiB */
const MAX_SLOTS = 2 ** 29;

/**
 * Numbers 64-bit ids from 0 in the order of their first appearance: open addressing over one typed array, linear probing, doubled when half full.
 * 32 to 64 bytes a distinct id. Several times as fast as a Map, which also can't hold more than 2^24 entries.
 */
export class IdInterner {
  #slots: Int32Array;
  #mask: number;
  /** distinct ids so far */
  size = 0;

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

/** MurmurHash3's finalizer over both halves: block numbers in a row and addresses of one alignment spread alike. */
function hash(low: number, high: number): number {
  let h = low ^ Math.imul(high ^ (high >>> 15), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** A column by dense number that grows to hold `number`. */
export function grown<T extends Float64Array | Uint32Array>(column: T, number: number): T {
  if (number < column.length) return column;
  const wider = new (column.constructor as new (length: number) => T)(Math.max(number + 1, column.length * 2));
  wider.set(column);
  return wider;
}
