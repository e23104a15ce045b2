// Raw DEFLATE: RFC 1951.
import { copyMatch } from './copy';

const LITLEN_BITS: u32 = 11;
const DISTANCE_BITS: u32 = 8;
const PRECODE_BITS: u32 = 7;

// An entry, u32. Bits 0-7: how many bits of input it stands for, extra bits included; bits 8-11: those of the code alone.
// What it stands for is in bits 16-30: a literal, a base that extra bits are added to, or where a second table starts.
const LITERAL: u32 = 1 << 31;
const SPECIAL: u32 = 1 << 15;
const SUBTABLE: u32 = 1 << 14; // bits 8-11: of its index
const END_OF_BLOCK: u32 = 1 << 13;
const INVALID: u32 = SPECIAL; // no code, or one that RFC 1951 leaves without a meaning

/** entries; zlib's enough(1): the largest are 1,334 for 288 symbols at 11 bits and 402 for 32 at 8, in their own ways of filling */
const litlenTable = memory.data(4 * (2048 + 2048), 16);
const distanceTable = memory.data(4 * (256 + 1024), 16);
const precodeTable = memory.data(4 * 128, 16);
const lengths = memory.data(288 + 32 + 138, 16);
const precodeLengths = memory.data(19);
const counts = memory.data(2 * 16, 16);
const starts = memory.data(2 * 16, 16);
const sorted = memory.data(2 * 288, 16);

const PRECODE_ORDER = memory.data<u8>([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]);
const LENGTH_BASE = memory.data<u16>([
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
]);
const LENGTH_EXTRA = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
]);

/**
 * Decodes a raw DEFLATE stream at `[sStart, sEnd)` to `[dStart, dEnd)`, which it must fill exactly; with `partial` it may hold more.
 * It refuses what zlib refuses. Bytes behind its end aren't looked at.
 *
 * As libdeflate does, a table entry holds a whole length or distance with the number of its extra bits, and 64 bits of
 * input are at hand, so that a match needs no more than one look each.
 *
 * @returns 0, or about where the stream is wrong; the output is garbage then
 */
export function deflate(sStart: usize, sEnd: usize, dStart: usize, dEnd: usize, partial: bool): usize {
  const litlen = litlenTable;
  const distance = distanceTable;
  // Up to here three literals and the longest match, and the input that two of them take, are clear of the ends.
  const sFast = max(sStart, sEnd - 32);
  const dFast = max(dStart, dEnd - 264);
  let s = sStart;
  let d = dStart;
  let bits: u64 = 0;
  let count: u32 = 0;
  let last: u32 = 0;
  while (!last) {
    // The bits refilled are at least 56; those past the input's end are none of its, which is found at the end at the latest.
    bits |= load<u64>(s) << count;
    s += (63 - count) >> 3;
    count |= 56;
    if (s > sEnd + 8) return sEnd;
    last = <u32>bits & 1;
    const type = <u32>(bits >> 1) & 3;
    bits >>= 3;
    count -= 3;

    if (type === 0) {
      // Stored: from the next byte on, its length and the length's complement.
      s -= count >> 3;
      if (s + 4 > sEnd) return sEnd;
      let n: usize = load<u16>(s);
      if (n !== (load<u16>(s, 2) ^ 0xffff)) return s;
      s += 4;
      if (s + n > sEnd) {
        if (!partial) return sEnd;
        n = sEnd - s;
      }
      if (d + n > dEnd) {
        if (!partial) return s;
        n = dEnd - d;
      }
      memory.copy(d, s, n);
      s += n;
      d += n;
      bits = 0;
      count = 0;
      if (partial && d === dEnd) break;
      continue;
    }
    if (type === 3) return s - (count >> 3);

    if (type === 1) {
      memory.fill(lengths, 8, 144);
      memory.fill(lengths + 144, 9, 112);
      memory.fill(lengths + 256, 7, 24);
      memory.fill(lengths + 280, 8, 8);
      memory.fill(lengths + 288, 5, 32);
      makeTable(litlen, LITLEN_BITS, lengths, 288, 0);
      makeTable(distance, DISTANCE_BITS, lengths + 288, 32, 1);
    } else {
      const litlens = (<u32>bits & 31) + 257;
      const distances = ((<u32>bits >> 5) & 31) + 1;
      const precodes = ((<u32>bits >> 10) & 15) + 4;
      bits >>= 14;
      count -= 14;
      if (litlens > 286 || distances > 30) return s - (count >> 3);
      memory.fill(precodeLengths, 0, 19);
      for (let i: u32 = 0; i < precodes; i++) {
        if (count < 3) {
          bits |= load<u64>(s) << count;
          s += (63 - count) >> 3;
          count |= 56;
        }
        store<u8>(precodeLengths + load<u8>(PRECODE_ORDER + i), <u8>(bits & 7));
        bits >>= 3;
        count -= 3;
      }
      if (!makeTable(precodeTable, PRECODE_BITS, precodeLengths, 19, 2)) return s - (count >> 3);
      const total = litlens + distances;
      for (let i: u32 = 0; i < total; ) {
        bits |= load<u64>(s) << count;
        s += (63 - count) >> 3;
        count |= 56;
        if (s > sEnd + 8) return sEnd;
        const entry = load<u32>(precodeTable + ((<usize>bits & 127) << 2));
        if (entry & SPECIAL) return s - (count >> 3);
        bits >>= entry & 255;
        count -= entry & 255;
        const symbol = entry >> 16;
        if (symbol < 16) {
          store<u8>(lengths + i++, <u8>symbol);
          continue;
        }
        let value: u8 = 0;
        let times: u32;
        if (symbol === 16) {
          if (i === 0) return s - (count >> 3);
          value = load<u8>(lengths + i - 1);
          times = 3 + (<u32>bits & 3);
          bits >>= 2;
          count -= 2;
        } else if (symbol === 17) {
          times = 3 + (<u32>bits & 7);
          bits >>= 3;
          count -= 3;
        } else {
          times = 11 + (<u32>bits & 127);
          bits >>= 7;
          count -= 7;
        }
        if (i + times > total) return s - (count >> 3);
        memory.fill(lengths + i, value, times);
        i += times;
      }
      if (load<u8>(lengths + 256) === 0) return s - (count >> 3); // a block without an end
      // The distances first: the other table's symbols are sorted over them.
      if (!makeTable(distance, DISTANCE_BITS, lengths + litlens, distances, 1)) return s - (count >> 3);
      if (!makeTable(litlen, LITLEN_BITS, lengths, litlens, 0)) return s - (count >> 3);
    }

    // Far from both ends nothing has to be looked at but the codes. Of `count`, only the low 8 bits are kept true here: a
    // whole entry is subtracted, and shifts look at no more than their low bits.
    let ended = false;
    if (s < sFast && d < dFast) {
      bits |= load<u64>(s) << count;
      s += (63 - count) >> 3;
      count |= 56;
      let entry = load<u32>(litlen + ((<usize>bits & 2047) << 2));
      do {
        if (entry & LITERAL) {
          bits >>= entry;
          count -= entry;
          store<u8>(d++, <u8>(entry >> 16));
          entry = load<u32>(litlen + ((<usize>bits & 2047) << 2));
          if (entry & LITERAL) {
            bits >>= entry;
            count -= entry;
            store<u8>(d++, <u8>(entry >> 16));
            entry = load<u32>(litlen + ((<usize>bits & 2047) << 2));
            if (entry & LITERAL) {
              bits >>= entry;
              count -= entry;
              store<u8>(d++, <u8>(entry >> 16));
              bits |= load<u64>(s) << count;
              s += 7 - ((count >> 3) & 7);
              count |= 56;
              entry = load<u32>(litlen + ((<usize>bits & 2047) << 2));
              continue;
            }
          }
          bits |= load<u64>(s) << count;
          s += 7 - ((count >> 3) & 7);
          count |= 56;
        }
        if (entry & SPECIAL) {
          if (entry & SUBTABLE) {
            bits >>= LITLEN_BITS;
            count -= LITLEN_BITS;
            const mask = (<usize>1 << ((entry >> 8) & 15)) - 1;
            entry = load<u32>(litlen + ((<usize>(entry >> 16) + (<usize>bits & mask)) << 2));
          }
          if (entry & LITERAL) {
            bits >>= entry;
            count -= entry;
            store<u8>(d++, <u8>(entry >> 16));
            bits |= load<u64>(s) << count;
            s += 7 - ((count >> 3) & 7);
            count |= 56;
            entry = load<u32>(litlen + ((<usize>bits & 2047) << 2));
            continue;
          }
          if (entry & SPECIAL) {
            bits >>= entry;
            count -= entry;
            if (!(entry & END_OF_BLOCK)) return s - ((count >> 3) & 7);
            ended = true;
            break;
          }
        }
        const n: usize = (entry >> 16) + ((<u32>bits & ((1 << entry) - 1)) >> (entry >> 8));
        bits >>= entry;
        count -= entry;
        entry = load<u32>(distance + ((<usize>bits & 255) << 2));
        if (entry & SPECIAL) {
          if (!(entry & SUBTABLE)) return s - ((count >> 3) & 7);
          bits >>= DISTANCE_BITS;
          count -= DISTANCE_BITS;
          const mask = (<usize>1 << ((entry >> 8) & 15)) - 1;
          entry = load<u32>(distance + ((<usize>(entry >> 16) + (<usize>bits & mask)) << 2));
          if (entry & SPECIAL) return s - ((count >> 3) & 7);
        }
        const offset: usize = (entry >> 16) + ((<u32>bits & ((1 << entry) - 1)) >> (entry >> 8));
        bits >>= entry;
        count -= entry;
        if (offset > d - dStart) return s - ((count >> 3) & 7);
        // The next code is looked up while the copy is under way.
        bits |= load<u64>(s) << count;
        s += 7 - ((count >> 3) & 7);
        count |= 56;
        entry = load<u32>(litlen + ((<usize>bits & 2047) << 2));
        copyMatch(d, offset, n);
        d += n;
      } while (s < sFast && d < dFast);
      count &= 63;
    }

    while (!ended) {
      bits |= load<u64>(s) << count;
      s += (63 - count) >> 3;
      count |= 56;
      if (d >= dEnd) {
        if (partial) break;
        if (d > dEnd) return s - (count >> 3); // by one literal
      }
      if (s > sEnd + 8) return sEnd;
      let entry = load<u32>(litlen + ((<usize>bits & 2047) << 2));
      if (entry & SUBTABLE) {
        bits >>= LITLEN_BITS;
        count -= LITLEN_BITS;
        const mask = (<usize>1 << ((entry >> 8) & 15)) - 1;
        entry = load<u32>(litlen + ((<usize>(entry >> 16) + (<usize>bits & mask)) << 2));
      }
      if (entry & LITERAL) {
        store<u8>(d++, <u8>(entry >> 16));
        bits >>= entry & 255;
        count -= entry & 255;
        continue;
      }
      if (entry & END_OF_BLOCK) {
        bits >>= entry & 255;
        count -= entry & 255;
        break;
      }
      if (entry & SPECIAL) return s - (count >> 3);
      // extra bits, if any, sit above the code's own
      let n: usize = (entry >> 16) + ((<u32>bits & ((1 << (entry & 255)) - 1)) >> ((entry >> 8) & 15));
      bits >>= entry & 255;
      count -= entry & 255;

      entry = load<u32>(distance + ((<usize>bits & 255) << 2));
      if (entry & SPECIAL) {
        if (!(entry & SUBTABLE)) return s - (count >> 3);
        bits >>= DISTANCE_BITS;
        count -= DISTANCE_BITS;
        const mask = (<usize>1 << ((entry >> 8) & 15)) - 1;
        entry = load<u32>(distance + ((<usize>(entry >> 16) + (<usize>bits & mask)) << 2));
        if (entry & SPECIAL) return s - (count >> 3);
      }
      const offset: usize = (entry >> 16) + ((<u32>bits & ((1 << (entry & 255)) - 1)) >> ((entry >> 8) & 15));
      bits >>= entry & 255;
      count -= entry & 255;
      if (offset > d - dStart) return s - (count >> 3);
      if (d + n > dEnd) {
        if (!partial) return s - (count >> 3);
        n = dEnd - d;
      }
      copyMatch(d, offset, n);
      d += n;
    }
    if (partial && d === dEnd) break;
  }
  s -= count >> 3;
  if (s > sEnd) return sEnd;
  return d === dEnd ? 0 : s;
}

/** The entry of a symbol, but for the lengths. @param kind 0: literals and lengths, 1: distances, 2: the precode */
// @ts-expect-error: decorator
@inline
function entryOf(kind: u32, symbol: u32, length: u32): u32 {
  if (kind === 2) return (symbol << 16) | length;
  if (kind === 0) {
    if (symbol < 256) return LITERAL | (symbol << 16) | length;
    if (symbol === 256) return SPECIAL | END_OF_BLOCK | length;
    if (symbol > 285) return INVALID;
    const extra: u32 = load<u8>(LENGTH_EXTRA + (symbol - 257));
    return (<u32>load<u16>(LENGTH_BASE + ((symbol - 257) << 1)) << 16) | (length << 8) | (length + extra);
  }
  if (symbol > 29) return INVALID;
  if (symbol < 4) return ((symbol + 1) << 16) | (length << 8) | length;
  const extra = (symbol >> 1) - 1;
  return ((((2 + (symbol & 1)) << extra) + 1) << 16) | (length << 8) | (length + extra);
}

/**
 * Fills a table from code lengths, 0 to 15 each: by the next `tableBits` bits of input, longer codes by second tables behind it.
 * @returns whether the lengths are a code: complete, or of a single symbol of one bit, or (distances) of none
 */
function makeTable(table: usize, tableBits: u32, from: usize, symbols: u32, kind: u32): bool {
  memory.fill(counts, 0, 32);
  for (let i: u32 = 0; i < symbols; i++) {
    const at = counts + (<usize>load<u8>(from + i) << 1);
    store<u16>(at, load<u16>(at) + 1);
  }
  let left: i32 = 1;
  let longest: u32 = 0;
  let start: u32 = 0;
  for (let n: u32 = 1; n < 16; n++) {
    const c: u32 = load<u16>(counts + (n << 1));
    left = (left << 1) - c;
    if (left < 0) return false;
    if (c > 0) longest = n;
    store<u16>(starts + (n << 1), <u16>start);
    start += c;
  }
  if (left > 0) {
    if (longest > 1 || kind === 2) return false;
    const size: usize = 1 << tableBits;
    for (let i: usize = 0; i < size; i++) store<u32>(table + (i << 2), INVALID);
    if (longest === 0) return kind === 1;
  }
  for (let i: u32 = 0; i < symbols; i++) {
    const length: usize = load<u8>(from + i);
    if (length === 0) continue;
    const at = starts + (length << 1);
    const place = load<u16>(at);
    store<u16>(sorted + (<usize>place << 1), <u16>i);
    store<u16>(at, place + 1);
  }

  // Codes count up, but come first bit first: `code` is the reverse.
  const mainMask: u32 = (1 << tableBits) - 1;
  let code: u32 = 0;
  let next: u32 = 1 << tableBits; // where the next second table goes
  let prefix: u32 = u32.MAX_VALUE;
  let sub: usize = 0;
  let subBits: u32 = 0;
  let at: usize = sorted;
  for (let length: u32 = 1; length <= longest; length++) {
    let rest: u32 = load<u16>(counts + (length << 1));
    for (; rest > 0; rest--) {
      const symbol: u32 = load<u16>(at);
      at += 2;
      if (length <= tableBits) {
        const entry = entryOf(kind, symbol, length);
        const step = 1 << length;
        for (let i: u32 = code; i <= mainMask; i += step) store<u32>(table + (i << 2), entry);
      } else {
        if ((code & mainMask) !== prefix) {
          prefix = code & mainMask;
          // As many bits as the codes with this prefix fill.
          subBits = length - tableBits;
          let used = rest;
          while (used < <u32>1 << subBits) {
            subBits++;
            used = (used << 1) + load<u16>(counts + ((tableBits + subBits) << 1));
          }
          sub = table + (next << 2);
          store<u32>(table + (prefix << 2), (next << 16) | SPECIAL | SUBTABLE | (subBits << 8) | tableBits);
          next += 1 << subBits;
        }
        const entry = entryOf(kind, symbol, length - tableBits);
        const step = 1 << (length - tableBits);
        for (let i: u32 = code >> tableBits; i < <u32>1 << subBits; i += step) store<u32>(sub + (i << 2), entry);
      }
      // The reverse of adding one: the highest bit that is 0 becomes 1, those above it 0.
      const ones = (1 << length) - 1;
      if (code === ones) break;
      const bit: u32 = 1 << (31 - clz<u32>(code ^ ones));
      code = (code & (bit - 1)) | bit;
    }
  }
  return true;
}
