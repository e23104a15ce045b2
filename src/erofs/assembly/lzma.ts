import { copyMatch } from './copy';

// Probabilities, in one array: 11 bits each, of a 0.
const IS_MATCH: usize = 0; // [state][posState of 16]
const IS_REP: usize = 192;
const IS_REP_G0: usize = 204;
const IS_REP_G1: usize = 216;
const IS_REP_G2: usize = 228;
const IS_REP0_LONG: usize = 240; // [state][posState of 16]
const POS_SLOT: usize = 432; // [length of 4][64]
const POS_SPECIAL: usize = 688; // reverse trees of slots 4..13
const ALIGN: usize = 816;
const LEN: usize = 832; // choice, choice2, low[16][8], mid[16][8], high[256]
const REP_LEN: usize = 1346;
const LITERAL: usize = 1860; // [0x300] per context
const LEN_LOW: usize = 2;
const LEN_MID: usize = 130;
const LEN_HIGH: usize = 258;

const probs = memory.data(2 * (1860 + (0x300 << 4)), 16);

/**
 * Decodes a MicroLZMA stream at `[sStart, sEnd)` to `[dStart, dEnd)`, which it must fill exactly.
 *
 * MicroLZMA is LZMA without a header or an end marker: the range coder's first byte, always zero in LZMA, holds the
 * complement of the properties instead, (pb * 5 + lp) * 9 + lc with lc + lp <= 4 as liblzma and the kernel demand.
 * Not `partial`, the input must end with the output, and the range coder with a zero code, as the kernel checks it.
 *
 * All in one function, so that range, code and positions are locals.
 *
 * @returns 0, or the address where the stream is wrong; the output is garbage then
 */
export function lzma(sStart: usize, sEnd: usize, dStart: usize, dEnd: usize, partial: bool): usize {
  if (sEnd - sStart < 5) return sStart;
  let props: u32 = ~load<u8>(sStart) & 0xff;
  if (props > 224) return sStart;
  const lc: u32 = props % 9;
  props = (props - lc) / 9;
  const lp = props % 5;
  const pb = (props - lp) / 5;
  if (lc + lp > 4) return sStart;
  const p = probs;
  for (let i: usize = 0; i < LITERAL + ((<usize>0x300) << (lc + lp)); i++) store<u16>(p + (i << 1), 1024);
  const lpMask: usize = (1 << lp) - 1;
  const pbMask: usize = (1 << pb) - 1;

  let code: u32 = bswap<u32>(load<u32>(sStart, 1));
  let range: u32 = 0xffffffff;
  let s = sStart + 5;
  let d = dStart;
  let state: usize = 0;
  let rep0: usize = 0;
  let rep1: usize = 0;
  let rep2: usize = 0;
  let rep3: usize = 0;

  while (d < dEnd) {
    // The input ends at most one byte too early: that of the last normalisation, which may not be needed.
    if (s > sEnd + 1) return sEnd;
    const posState = (d - dStart) & pbMask;
    let i: usize = p + ((IS_MATCH + (state << 4) + posState) << 1);
    let v: u32 = load<u16>(i);
    let bound: u32 = (range >> 11) * v;
    let mask: u32;
    let at: usize;
    if (code < bound) {
      range = bound;
      store<u16>(i, <u16>(v + ((2048 - v) >> 5)));
      if (range < 0x1000000) {
        range <<= 8;
        code = (code << 8) | load<u8>(s++);
      }
      const before: usize = d > dStart ? load<u8>(d - 1) : 0;
      const base = LITERAL + 0x300 * ((((d - dStart) & lpMask) << lc) + (before >> (8 - lc)));
      let symbol: usize = 1;
      if (state >= 7) {
        // After a match: the byte that would have gone on with it helps, as long as it agrees.
        let match: usize = load<u8>(d - rep0 - 1);
        let offset: usize = 0x100;
        do {
          match <<= 1;
          const bit = match & offset;
          i = p + ((base + offset + bit + symbol) << 1);
          v = load<u16>(i);
          bound = (range >> 11) * v;
          mask = 0 - <u32>(code < bound);
          range -= bound;
          range += (bound - range) & mask;
          code -= bound & ~mask;
          store<u16>(i, <u16>(v - (<i32>(v - (mask & 2017)) >> 5)));
          symbol = (symbol << 1) + 1 + mask;
          offset &= bit ^ mask;
          if (range < 0x1000000) {
            range <<= 8;
            code = (code << 8) | load<u8>(s++);
          }
        } while (symbol < 0x100);
      } else {
        at = p + (base << 1);
        v = load<u16>(at, 2);
        do {
          const pair = load<u32>(at + (symbol << 2));
          bound = (range >> 11) * v;
          mask = 0 - <u32>(code < bound);
          range -= bound;
          range += (bound - range) & mask;
          code -= bound & ~mask;
          store<u16>(at + (symbol << 1), <u16>(v - (<i32>(v - (mask & 2017)) >> 5)));
          symbol = (symbol << 1) + 1 + mask;
          v = (pair >> (~mask & 16)) & 0xffff;
          if (range < 0x1000000) {
            range <<= 8;
            code = (code << 8) | load<u8>(s++);
          }
        } while (symbol < 0x100);
      }
      store<u8>(d++, <u8>symbol);
      state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
      continue;
    }
    range = range - bound;
    code = code - bound;
    store<u16>(i, <u16>(v - (v >> 5)));
    if (range < 0x1000000) {
      range <<= 8;
      code = (code << 8) | load<u8>(s++);
    }

    let lengths = LEN;
    i = p + ((IS_REP + state) << 1);
    v = load<u16>(i);
    bound = (range >> 11) * v;
    const simple = code < bound;
    if (simple) {
      range = bound;
      store<u16>(i, <u16>(v + ((2048 - v) >> 5)));
      rep3 = rep2;
      rep2 = rep1;
      rep1 = rep0;
      state = state < 7 ? 7 : 10;
    } else {
      range = range - bound;
      code = code - bound;
      store<u16>(i, <u16>(v - (v >> 5)));
    }
    if (range < 0x1000000) {
      range <<= 8;
      code = (code << 8) | load<u8>(s++);
    }
    if (!simple) {
      if (d === dStart) return min(s, sEnd);
      lengths = REP_LEN;
      let distance = rep0;
      i = p + ((IS_REP_G0 + state) << 1);
      v = load<u16>(i);
      bound = (range >> 11) * v;
      if (code < bound) {
        range = bound;
        store<u16>(i, <u16>(v + ((2048 - v) >> 5)));
        if (range < 0x1000000) {
          range <<= 8;
          code = (code << 8) | load<u8>(s++);
        }
        i = p + ((IS_REP0_LONG + (state << 4) + posState) << 1);
        v = load<u16>(i);
        bound = (range >> 11) * v;
        const short = code < bound;
        if (short) {
          range = bound;
          store<u16>(i, <u16>(v + ((2048 - v) >> 5)));
        } else {
          range = range - bound;
          code = code - bound;
          store<u16>(i, <u16>(v - (v >> 5)));
        }
        if (range < 0x1000000) {
          range <<= 8;
          code = (code << 8) | load<u8>(s++);
        }
        if (short) {
          if (rep0 >= d - dStart) return min(s, sEnd);
          store<u8>(d, load<u8>(d - rep0 - 1));
          d++;
          state = state < 7 ? 9 : 11;
          continue;
        }
      } else {
        range = range - bound;
        code = code - bound;
        store<u16>(i, <u16>(v - (v >> 5)));
        if (range < 0x1000000) {
          range <<= 8;
          code = (code << 8) | load<u8>(s++);
        }
        i = p + ((IS_REP_G1 + state) << 1);
        v = load<u16>(i);
        bound = (range >> 11) * v;
        if (code < bound) {
          range = bound;
          store<u16>(i, <u16>(v + ((2048 - v) >> 5)));
          distance = rep1;
        } else {
          range = range - bound;
          code = code - bound;
          store<u16>(i, <u16>(v - (v >> 5)));
          if (range < 0x1000000) {
            range <<= 8;
            code = (code << 8) | load<u8>(s++);
          }
          i = p + ((IS_REP_G2 + state) << 1);
          v = load<u16>(i);
          bound = (range >> 11) * v;
          if (code < bound) {
            range = bound;
            store<u16>(i, <u16>(v + ((2048 - v) >> 5)));
            distance = rep2;
          } else {
            range = range - bound;
            code = code - bound;
            store<u16>(i, <u16>(v - (v >> 5)));
            distance = rep3;
            rep3 = rep2;
          }
          rep2 = rep1;
        }
        if (range < 0x1000000) {
          range <<= 8;
          code = (code << 8) | load<u8>(s++);
        }
        rep1 = rep0;
        rep0 = distance;
      }
      state = state < 7 ? 8 : 11;
    }

    // The length: 2..9, 10..17 or 18..273, by one of three trees.
    let tree: usize;
    let limit: usize;
    let length: usize;
    i = p + (lengths << 1);
    v = load<u16>(i);
    bound = (range >> 11) * v;
    if (code < bound) {
      range = bound;
      store<u16>(i, <u16>(v + ((2048 - v) >> 5)));
      tree = lengths + LEN_LOW + (posState << 3);
      limit = 8;
      length = 2 - 8;
    } else {
      range = range - bound;
      code = code - bound;
      store<u16>(i, <u16>(v - (v >> 5)));
      if (range < 0x1000000) {
        range <<= 8;
        code = (code << 8) | load<u8>(s++);
      }
      i = p + ((lengths + 1) << 1);
      v = load<u16>(i);
      bound = (range >> 11) * v;
      if (code < bound) {
        range = bound;
        store<u16>(i, <u16>(v + ((2048 - v) >> 5)));
        tree = lengths + LEN_MID + (posState << 3);
        limit = 8;
        length = 10 - 8;
      } else {
        range = range - bound;
        code = code - bound;
        store<u16>(i, <u16>(v - (v >> 5)));
        tree = lengths + LEN_HIGH;
        limit = 256;
        length = 18 - 256;
      }
    }
    if (range < 0x1000000) {
      range <<= 8;
      code = (code << 8) | load<u8>(s++);
    }
    let symbol: usize = 1;
    at = p + (tree << 1);
    v = load<u16>(at, 2);
    do {
      const pair = load<u32>(at + (symbol << 2));
      bound = (range >> 11) * v;
      mask = 0 - <u32>(code < bound);
      range -= bound;
      range += (bound - range) & mask;
      code -= bound & ~mask;
      store<u16>(at + (symbol << 1), <u16>(v - (<i32>(v - (mask & 2017)) >> 5)));
      symbol = (symbol << 1) + 1 + mask;
      v = (pair >> (~mask & 16)) & 0xffff;
      if (range < 0x1000000) {
        range <<= 8;
        code = (code << 8) | load<u8>(s++);
      }
    } while (symbol < limit);
    length += symbol;

    if (simple) {
      tree = POS_SLOT + (min<usize>(length - 2, 3) << 6);
      symbol = 1;
      at = p + (tree << 1);
      v = load<u16>(at, 2);
      do {
        const pair = load<u32>(at + (symbol << 2));
        bound = (range >> 11) * v;
        mask = 0 - <u32>(code < bound);
        range -= bound;
        range += (bound - range) & mask;
        code -= bound & ~mask;
        store<u16>(at + (symbol << 1), <u16>(v - (<i32>(v - (mask & 2017)) >> 5)));
        symbol = (symbol << 1) + 1 + mask;
        v = (pair >> (~mask & 16)) & 0xffff;
        if (range < 0x1000000) {
          range <<= 8;
          code = (code << 8) | load<u8>(s++);
        }
      } while (symbol < 64);
      const slot = symbol - 64;
      rep0 = slot;
      if (slot >= 4) {
        let direct = (slot >> 1) - 1;
        rep0 = 2 | (slot & 1);
        if (slot < 14) {
          rep0 <<= direct;
          tree = POS_SPECIAL + rep0 - slot;
        } else {
          direct -= 4;
          do {
            range >>= 1;
            code -= range;
            mask = <i32>code >> 31; // all ones when the bit is 0
            code += range & mask;
            rep0 = (rep0 << 1) + mask + 1;
            if (range < 0x1000000) {
              range <<= 8;
              code = (code << 8) | load<u8>(s++);
            }
          } while (--direct > 0);
          rep0 <<= 4;
          direct = 4;
          tree = ALIGN;
        }
        symbol = 1;
        let sum: usize = 0;
        for (let bit: usize = 1, n = direct; n > 0; n--, bit <<= 1) {
          i = p + ((tree + symbol) << 1);
          v = load<u16>(i);
          bound = (range >> 11) * v;
          mask = 0 - <u32>(code < bound);
          range -= bound;
          range += (bound - range) & mask;
          code -= bound & ~mask;
          store<u16>(i, <u16>(v - (<i32>(v - (mask & 2017)) >> 5)));
          symbol = (symbol << 1) + 1 + mask;
          sum |= bit & ~mask;
          if (range < 0x1000000) {
            range <<= 8;
            code = (code << 8) | load<u8>(s++);
          }
        }
        rep0 += sum;
      }
    }

    if (rep0 >= d - dStart) return min(s, sEnd); // also the end marker, which MicroLZMA hasn't got
    let end = d + length;
    if (end > dEnd) {
      if (!partial) return min(s, sEnd);
      end = dEnd;
    }
    const distance = rep0 + 1;
    copyMatch(d, distance, end - d);
    d = end;
  }
  if (partial) return s <= sEnd + 1 ? 0 : sEnd;
  return s === sEnd && code === 0 ? 0 : min(s, sEnd);
}
