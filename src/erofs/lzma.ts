// Probabilities, in one array: 11 bits each, of a 0.
const IS_MATCH = 0; // [state][posState of 16]
const IS_REP = 192;
const IS_REP_G0 = 204;
const IS_REP_G1 = 216;
const IS_REP_G2 = 228;
const IS_REP0_LONG = 240; // [state][posState of 16]
const POS_SLOT = 432; // [length of 4][64]
const POS_SPECIAL = 688; // reverse trees of slots 4..13
const ALIGN = 816;
const LEN = 832; // choice, choice2, low[16][8], mid[16][8], high[256]
const REP_LEN = 1346;
const LITERAL = 1860; // [0x300] per context
const LEN_LOW = 2;
const LEN_MID = 130;
const LEN_HIGH = 258;

const probs = new Uint16Array(LITERAL + (0x300 << 4));

/**
 * Decodes a MicroLZMA stream into `dst[dAt, dEnd)`, which it must fill exactly.
 *
 * MicroLZMA is LZMA without a header or an end marker: the range coder's first byte, always zero in LZMA, holds the
 * complement of the properties instead, (pb * 5 + lp) * 9 + lc with lc + lp <= 4 as liblzma and the kernel demand.
 * Not `partial`, the input must end with the output, and the range coder with a zero code, as the kernel checks it.
 *
 * All in one function, so that range, code and positions are locals: 38 MB/s on 64 KiB pclusters of programs.
 *
 * @returns -1, or the position in `src` where the stream is wrong; `dst[dAt, dEnd)` is garbage then
 */
export function microLzmaDecode(
  src: Uint8Array,
  sAt: number,
  sEnd: number,
  dst: Uint8Array,
  dAt: number,
  dEnd: number,
  partial: boolean,
): number {
  if (sEnd - sAt < 5) return sAt;
  let props = ~src[sAt]! & 0xff;
  if (props > 224) return sAt;
  const lc = props % 9;
  props = (props - lc) / 9;
  const lp = props % 5;
  const pb = (props - lp) / 5;
  if (lc + lp > 4) return sAt;
  const p = probs;
  p.fill(1024, 0, LITERAL + (0x300 << (lc + lp)));
  const lpMask = (1 << lp) - 1;
  const pbMask = (1 << pb) - 1;

  let code = (src[sAt + 1]! << 24) | (src[sAt + 2]! << 16) | (src[sAt + 3]! << 8) | src[sAt + 4]!;
  let range = -1; // both are u32, kept as i32
  let s = sAt + 5;
  let d = dAt;
  let state = 0;
  let rep0 = 0;
  let rep1 = 0;
  let rep2 = 0;
  let rep3 = 0;

  while (d < dEnd) {
    // The input ends at most one byte too early: that of the last normalisation, which may not be needed.
    if (s > sEnd + 1) return sEnd;
    const posState = (d - dAt) & pbMask;
    let i = IS_MATCH + (state << 4) + posState;
    let v = p[i]!;
    let bound = Math.imul(range >>> 11, v);
    if (code >>> 0 < bound >>> 0) {
      range = bound;
      p[i] = v + ((2048 - v) >> 5);
      if (range >>> 0 < 0x1000000) {
        range <<= 8;
        code = (code << 8) | src[s++]!;
      }
      const before = d > dAt ? dst[d - 1]! : 0;
      const base = LITERAL + 0x300 * ((((d - dAt) & lpMask) << lc) + (before >> (8 - lc)));
      let symbol = 1;
      if (state >= 7) {
        // After a match: the byte that would have gone on with it helps, as long as it agrees.
        let match = dst[d - rep0 - 1]!;
        let offset = 0x100;
        do {
          match <<= 1;
          const bit = match & offset;
          i = base + offset + bit + symbol;
          v = p[i]!;
          bound = Math.imul(range >>> 11, v);
          if (code >>> 0 < bound >>> 0) {
            range = bound;
            p[i] = v + ((2048 - v) >> 5);
            symbol <<= 1;
            offset &= ~bit;
          } else {
            range = (range - bound) | 0;
            code = (code - bound) | 0;
            p[i] = v - (v >> 5);
            symbol = (symbol << 1) | 1;
            offset &= bit;
          }
          if (range >>> 0 < 0x1000000) {
            range <<= 8;
            code = (code << 8) | src[s++]!;
          }
        } while (symbol < 0x100);
      } else {
        do {
          i = base + symbol;
          v = p[i]!;
          bound = Math.imul(range >>> 11, v);
          if (code >>> 0 < bound >>> 0) {
            range = bound;
            p[i] = v + ((2048 - v) >> 5);
            symbol <<= 1;
          } else {
            range = (range - bound) | 0;
            code = (code - bound) | 0;
            p[i] = v - (v >> 5);
            symbol = (symbol << 1) | 1;
          }
          if (range >>> 0 < 0x1000000) {
            range <<= 8;
            code = (code << 8) | src[s++]!;
          }
        } while (symbol < 0x100);
      }
      dst[d++] = symbol;
      state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
      continue;
    }
    range = (range - bound) | 0;
    code = (code - bound) | 0;
    p[i] = v - (v >> 5);
    if (range >>> 0 < 0x1000000) {
      range <<= 8;
      code = (code << 8) | src[s++]!;
    }

    let lengths = LEN;
    i = IS_REP + state;
    v = p[i]!;
    bound = Math.imul(range >>> 11, v);
    const simple = code >>> 0 < bound >>> 0;
    if (simple) {
      range = bound;
      p[i] = v + ((2048 - v) >> 5);
      rep3 = rep2;
      rep2 = rep1;
      rep1 = rep0;
      state = state < 7 ? 7 : 10;
    } else {
      range = (range - bound) | 0;
      code = (code - bound) | 0;
      p[i] = v - (v >> 5);
    }
    if (range >>> 0 < 0x1000000) {
      range <<= 8;
      code = (code << 8) | src[s++]!;
    }
    if (!simple) {
      if (d === dAt) return Math.min(s, sEnd);
      lengths = REP_LEN;
      let distance = rep0;
      i = IS_REP_G0 + state;
      v = p[i]!;
      bound = Math.imul(range >>> 11, v);
      if (code >>> 0 < bound >>> 0) {
        range = bound;
        p[i] = v + ((2048 - v) >> 5);
        if (range >>> 0 < 0x1000000) {
          range <<= 8;
          code = (code << 8) | src[s++]!;
        }
        i = IS_REP0_LONG + (state << 4) + posState;
        v = p[i]!;
        bound = Math.imul(range >>> 11, v);
        const short = code >>> 0 < bound >>> 0;
        if (short) {
          range = bound;
          p[i] = v + ((2048 - v) >> 5);
        } else {
          range = (range - bound) | 0;
          code = (code - bound) | 0;
          p[i] = v - (v >> 5);
        }
        if (range >>> 0 < 0x1000000) {
          range <<= 8;
          code = (code << 8) | src[s++]!;
        }
        if (short) {
          if (rep0 >= d - dAt) return Math.min(s, sEnd);
          dst[d] = dst[d - rep0 - 1]!;
          d++;
          state = state < 7 ? 9 : 11;
          continue;
        }
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        p[i] = v - (v >> 5);
        if (range >>> 0 < 0x1000000) {
          range <<= 8;
          code = (code << 8) | src[s++]!;
        }
        i = IS_REP_G1 + state;
        v = p[i]!;
        bound = Math.imul(range >>> 11, v);
        if (code >>> 0 < bound >>> 0) {
          range = bound;
          p[i] = v + ((2048 - v) >> 5);
          distance = rep1;
        } else {
          range = (range - bound) | 0;
          code = (code - bound) | 0;
          p[i] = v - (v >> 5);
          if (range >>> 0 < 0x1000000) {
            range <<= 8;
            code = (code << 8) | src[s++]!;
          }
          i = IS_REP_G2 + state;
          v = p[i]!;
          bound = Math.imul(range >>> 11, v);
          if (code >>> 0 < bound >>> 0) {
            range = bound;
            p[i] = v + ((2048 - v) >> 5);
            distance = rep2;
          } else {
            range = (range - bound) | 0;
            code = (code - bound) | 0;
            p[i] = v - (v >> 5);
            distance = rep3;
            rep3 = rep2;
          }
          rep2 = rep1;
        }
        if (range >>> 0 < 0x1000000) {
          range <<= 8;
          code = (code << 8) | src[s++]!;
        }
        rep1 = rep0;
        rep0 = distance;
      }
      state = state < 7 ? 8 : 11;
    }

    // The length: 2..9, 10..17 or 18..273, by one of three trees.
    let tree: number;
    let limit: number;
    let length: number;
    i = lengths;
    v = p[i]!;
    bound = Math.imul(range >>> 11, v);
    if (code >>> 0 < bound >>> 0) {
      range = bound;
      p[i] = v + ((2048 - v) >> 5);
      tree = lengths + LEN_LOW + (posState << 3);
      limit = 8;
      length = 2 - 8;
    } else {
      range = (range - bound) | 0;
      code = (code - bound) | 0;
      p[i] = v - (v >> 5);
      if (range >>> 0 < 0x1000000) {
        range <<= 8;
        code = (code << 8) | src[s++]!;
      }
      i = lengths + 1;
      v = p[i]!;
      bound = Math.imul(range >>> 11, v);
      if (code >>> 0 < bound >>> 0) {
        range = bound;
        p[i] = v + ((2048 - v) >> 5);
        tree = lengths + LEN_MID + (posState << 3);
        limit = 8;
        length = 10 - 8;
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        p[i] = v - (v >> 5);
        tree = lengths + LEN_HIGH;
        limit = 256;
        length = 18 - 256;
      }
    }
    if (range >>> 0 < 0x1000000) {
      range <<= 8;
      code = (code << 8) | src[s++]!;
    }
    let symbol = 1;
    do {
      i = tree + symbol;
      v = p[i]!;
      bound = Math.imul(range >>> 11, v);
      if (code >>> 0 < bound >>> 0) {
        range = bound;
        p[i] = v + ((2048 - v) >> 5);
        symbol <<= 1;
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        p[i] = v - (v >> 5);
        symbol = (symbol << 1) | 1;
      }
      if (range >>> 0 < 0x1000000) {
        range <<= 8;
        code = (code << 8) | src[s++]!;
      }
    } while (symbol < limit);
    length += symbol;

    if (simple) {
      tree = POS_SLOT + (Math.min(length - 2, 3) << 6);
      symbol = 1;
      do {
        i = tree + symbol;
        v = p[i]!;
        bound = Math.imul(range >>> 11, v);
        if (code >>> 0 < bound >>> 0) {
          range = bound;
          p[i] = v + ((2048 - v) >> 5);
          symbol <<= 1;
        } else {
          range = (range - bound) | 0;
          code = (code - bound) | 0;
          p[i] = v - (v >> 5);
          symbol = (symbol << 1) | 1;
        }
        if (range >>> 0 < 0x1000000) {
          range <<= 8;
          code = (code << 8) | src[s++]!;
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
            range >>>= 1;
            code = (code - range) | 0;
            const mask = code >> 31; // all ones when the bit is 0
            code = (code + (range & mask)) | 0;
            rep0 = ((rep0 << 1) + mask + 1) >>> 0;
            if (range >>> 0 < 0x1000000) {
              range <<= 8;
              code = (code << 8) | src[s++]!;
            }
          } while (--direct > 0);
          rep0 = (rep0 << 4) >>> 0;
          direct = 4;
          tree = ALIGN;
        }
        symbol = 1;
        let sum = 0;
        for (let bit = 1, n = direct; n > 0; n--, bit <<= 1) {
          i = tree + symbol;
          v = p[i]!;
          bound = Math.imul(range >>> 11, v);
          if (code >>> 0 < bound >>> 0) {
            range = bound;
            p[i] = v + ((2048 - v) >> 5);
            symbol <<= 1;
          } else {
            range = (range - bound) | 0;
            code = (code - bound) | 0;
            p[i] = v - (v >> 5);
            symbol = (symbol << 1) | 1;
            sum |= bit;
          }
          if (range >>> 0 < 0x1000000) {
            range <<= 8;
            code = (code << 8) | src[s++]!;
          }
        }
        rep0 += sum;
      }
    }

    if (rep0 >= d - dAt) return Math.min(s, sEnd); // also the end marker, which MicroLZMA hasn't got
    let end = d + length;
    if (end > dEnd) {
      if (!partial) return Math.min(s, sEnd);
      end = dEnd;
    }
    const distance = rep0 + 1;
    if (distance >= length && length > 32) {
      dst.copyWithin(d, d - distance, end - distance);
      d = end;
    } else {
      for (let m = d - distance; d < end; ) dst[d++] = dst[m++]!;
    }
  }
  if (partial) return s <= sEnd + 1 ? -1 : sEnd;
  return s === sEnd && code === 0 ? -1 : Math.min(s, sEnd);
}
