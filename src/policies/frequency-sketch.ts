/*
 * A counting Bloom filter of page frequencies, as libCacheSim's minimalIncrementCBF.c at a false-positive rate of 0.001: 14.4 counters a
 * page expected, ten of them to a page. Counter i of a page is (a + i b mod 2^32) mod the number of counters, a and b being the low
 * halves of XXH64 of its id as eight bytes, under two seeds. For all its name, an insertion there raises all ten counters.
 */

const COUNTERS_A_PAGE = -Math.log(0.001) / 0.480453013918201; // ln(2)² with the reference's digits
const HASHES = 10;
/** So that sums of two indexes stay 32-bit integers: main caches of up to 74 million frames have what they ask for. */
const MAX_COUNTERS = 2 ** 30 - 1;
const SEED_A = 0x12345678;
const SEED_B = 0x12344321;

export class FrequencySketch {
  /** The counters' low bytes. What is above is rare, and in `carries`: a quarter of the memory of 32-bit counters. */
  private readonly counters: Uint8Array;
  /** Counter → its value divided by 256, where that isn't zero; and a bit for each such counter. */
  private readonly carries = new Map<number, number>();
  private readonly carried: Int32Array;
  /** a and b of each page, interleaved. */
  private readonly hashes: Int32Array;
  /** 2^32 modulo the number of counters, and the number's inverse. */
  private readonly wrap: number;
  private readonly inverse: number;

  /**
   * @param expectedPages pages that the filter is made for; it may be asked of any below `universe`
   * @param ids low and high half of each page's id, which otherwise is its number
   */
  constructor(universe: number, expectedPages: number, ids?: Uint32Array) {
    const wanted = Math.min(Math.ceil(COUNTERS_A_PAGE * expectedPages), MAX_COUNTERS);
    const length = wanted < HASHES ? 2 * HASHES : wanted;
    this.counters = new Uint8Array(length);
    this.carried = new Int32Array(Math.ceil(length / 32));
    this.wrap = 2 ** 32 % length;
    this.inverse = 1 / length;
    this.hashes = new Int32Array(2 * universe);
    for (let page = 0; page < universe; page++) {
      const idLow = ids === undefined ? page : ids[2 * page];
      const idHigh = ids === undefined ? 0 : ids[2 * page + 1];
      this.hashes[2 * page] = xxh64(idLow, idHigh, SEED_A);
      this.hashes[2 * page + 1] = xxh64(idLow, idHigh, SEED_B);
    }
  }

  /*
   * Both walks step from one counter of the page to the next by additions instead of divisions. When a + i b overflows 32 bits, the
   * counter falls back by 2^32 modulo the length. The masks are −1 or 0, because a branch on a hash is unpredictable; `| 0` keeps the
   * indexes 32-bit integers, without which an insertion took twice the time.
   */

  add(page: number): void {
    const { counters, hashes } = this;
    const wrap = this.wrap | 0;
    const length = counters.length | 0;
    let hash = hashes[page << 1];
    const step = hashes[(page << 1) + 1];
    let at = this.modulo(hash) | 0;
    const stride = this.modulo(step) | 0;
    for (let i = 0; i < HASHES; i++) {
      if (++counters[at] === 256) this.carry(at);
      const next = (hash + step) | 0;
      const overflow = ((hash & step) | ((hash | step) & ~next)) >> 31;
      hash = next;
      at = (at + stride - (wrap & overflow) - length) | 0;
      at = (at + (length & (at >> 31))) | 0;
      at = (at + (length & (at >> 31))) | 0;
    }
  }

  /** The least of the page's counters. */
  estimate(page: number): number {
    const { counters, carried, hashes } = this;
    const wrap = this.wrap | 0;
    const length = counters.length | 0;
    let hash = hashes[page << 1];
    const step = hashes[(page << 1) + 1];
    let at = this.modulo(hash) | 0;
    const stride = this.modulo(step) | 0;
    let least = Number.MAX_SAFE_INTEGER;
    for (let i = 0; i < HASHES; i++) {
      let count = counters[at];
      if (count < least) {
        if ((carried[at >> 5] & (1 << (at & 31))) !== 0) count += 256 * this.carries.get(at)!;
        if (count < least) least = count;
      }
      const next = (hash + step) | 0;
      const overflow = ((hash & step) | ((hash | step) & ~next)) >> 31;
      hash = next;
      at = (at + stride - (wrap & overflow) - length) | 0;
      at = (at + (length & (at >> 31))) | 0;
      at = (at + (length & (at >> 31))) | 0;
    }
    return least;
  }

  /** An unsigned 32-bit hash modulo the number of counters. */
  private modulo(hash: number): number {
    const length = this.counters.length;
    const value = hash >>> 0;
    const rest = value - Math.floor(value * this.inverse) * length;
    if (rest < 0) return rest + length;
    return rest >= length ? rest - length : rest;
  }

  /** A counter's low byte has passed 255. */
  private carry(at: number): void {
    this.carries.set(at, (this.carries.get(at) ?? 0) + 1);
    this.carried[at >> 5] |= 1 << (at & 31);
  }

  halve(): void {
    const { counters, carries, carried } = this;
    for (let i = 0; i < counters.length; i++) counters[i] >>= 1;
    for (const [at, value] of carries) {
      counters[at] |= (value & 1) << 7;
      if (value > 1) carries.set(at, value >> 1);
      else {
        carries.delete(at);
        carried[at >> 5] &= ~(1 << (at & 31));
      }
    }
  }
}

/** High and low half of the 64-bit value in hand: JavaScript's numbers hold 53 bits. */
let high = 0;
let low = 0;

/** Multiplies the value in hand by a 64-bit constant, modulo 2^64. */
function multiply(byHigh: number, byLow: number): void {
  const l0 = low & 0xffff;
  const l1 = low >>> 16;
  const b0 = byLow & 0xffff;
  const b1 = byLow >>> 16;
  const p00 = l0 * b0;
  const middle = l1 * b0 + (p00 >>> 16);
  const carried = l0 * b1 + (middle % 0x10000);
  const carry = l1 * b1 + Math.floor(middle / 0x10000) + Math.floor(carried / 0x10000);
  high = (carry + Math.imul(high, byLow) + Math.imul(low, byHigh)) | 0;
  low = Math.imul(low, byLow);
}

function rotate(bits: number): void {
  const h = (high << bits) | (low >>> (32 - bits));
  low = (low << bits) | (high >>> (32 - bits));
  high = h;
}

function add(addHigh: number, addLow: number): void {
  const sum = (low >>> 0) + addLow;
  high = (high + addHigh + (sum > 0xffffffff ? 1 : 0)) | 0;
  low = sum | 0;
}

/** Low half of the 64-bit xxHash of an id in two halves, as eight little-endian bytes. */
export function xxh64(idLow: number, idHigh: number, seed: number): number {
  high = idHigh;
  low = idLow;
  multiply(0xc2b2ae3d, 0x27d4eb4f);
  rotate(31);
  multiply(0x9e3779b1, 0x85ebca87);
  const roundHigh = high;
  const roundLow = low;
  high = 0x27d4eb2f;
  low = 0x165667c5;
  add(0, seed + 8);
  high ^= roundHigh;
  low ^= roundLow;
  rotate(27);
  multiply(0x9e3779b1, 0x85ebca87);
  add(0x85ebca77, 0xc2b2ae63);
  low ^= high >>> 1;
  multiply(0xc2b2ae3d, 0x27d4eb4f);
  const shiftedLow = (low >>> 29) | (high << 3);
  high ^= high >>> 29;
  low ^= shiftedLow;
  multiply(0x165667b1, 0x9e3779f9);
  return (low ^ high) >>> 0;
}
