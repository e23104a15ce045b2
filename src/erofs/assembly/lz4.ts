import { copyLiterals, copyMatch } from './copy';

/**
 * Decodes one LZ4 block at `[s, sEnd)` to `[dStart, dEnd)`, which it must fill exactly.
 *
 * A block is sequences: a token (literal count in the high nibble, match length - 4 in the low one; 15 goes on in bytes
 * of up to 255), the literals, then, but for the last sequence, a u16 match offset into what was decoded.
 * The rules of the block's end are those of LZ4_decompress_safe (lz4 1.10), which the kernel uses: the last sequence is
 * literals only and ends with the input, the last 5 bytes are literals, no match starts within the last 12 bytes.
 * With `partial`, as LZ4_decompress_safe_partial, decoding stops when the output is full, and what follows isn't looked at.
 *
 * @returns 0, or the address where the block is wrong; the output is garbage then
 */
export function lz4(s: usize, sEnd: usize, dStart: usize, dEnd: usize, partial: bool): usize {
  const matchLimit = dEnd - 12;
  const literalLimit = sEnd - 8;
  // What begins before these, and is short, is clear of the rules of the end.
  const sQuick = max(s, literalLimit - 32);
  const dQuick = max(dStart, matchLimit - 64);
  let d = dStart;
  do {
    // Sequences clear of the end. One that turns out to reach it is begun again below.
    while (s < sQuick && d < dQuick) {
      const s0 = s;
      const d0 = d;
      const token: usize = load<u8>(s);
      let n = token >> 4;
      if (n !== 15) {
        v128.store(d, v128.load(s, 1));
        s += n + 1;
        d += n;
      } else {
        s++;
        let more: usize;
        do {
          more = load<u8>(s++);
          n += more;
        } while (more === 255 && s < sQuick);
        if (s + n >= sQuick || d + n >= dQuick) {
          s = s0;
          break;
        }
        copyLiterals(d, s, n);
        s += n;
        d += n;
      }
      const offset: usize = load<u16>(s);
      const m = d - offset;
      if (offset - 1 >= d - dStart) return s;
      s += 2;
      n = token & 15;
      if (n !== 15) {
        if (offset >= 16) {
          v128.store(d, v128.load(m));
          store<u16>(d, load<u16>(m, 16), 16);
          d += n + 4;
          continue;
        }
        if (offset >= 8) {
          store<u64>(d, load<u64>(m));
          store<u64>(d, load<u64>(m, 8), 8);
          store<u16>(d, load<u16>(m, 16), 16);
          d += n + 4;
          continue;
        }
      } else {
        let more: usize;
        do {
          more = load<u8>(s++);
          n += more;
        } while (more === 255 && s < sQuick);
        if (s >= sQuick || d + n >= dQuick) {
          s = s0;
          d = d0;
          break;
        }
      }
      n += 4;
      copyMatch(d, offset, n);
      d += n;
    }
    if (s >= sEnd) return s;
    const token: usize = load<u8>(s++);
    let n = token >> 4;
    if (n === 15) {
      let more: usize;
      do {
        if (s >= sEnd) return s;
        more = load<u8>(s++);
        n += more;
      } while (more === 255);
    }
    if (d + n > matchLimit || s + n > literalLimit) {
      if (!partial) {
        if (s + n !== sEnd || d + n !== dEnd) return s;
      } else {
        n = min(n, min(sEnd - s, dEnd - d));
      }
      memory.copy(d, s, n);
      s += n;
      d += n;
      if (d === dEnd) return 0;
      if (s + 2 >= sEnd) return s;
    } else {
      copyLiterals(d, s, n);
      s += n;
      d += n;
    }

    const offset: usize = load<u16>(s);
    if (offset === 0 || offset > d - dStart) return s;
    s += 2;
    n = (token & 15) + 4;
    if (n === 19) {
      let more: usize;
      do {
        if (s >= sEnd) return s;
        more = load<u8>(s++);
        n += more;
      } while (more === 255);
    }
    if (d + n > matchLimit) {
      if (!partial && d + n > dEnd - 5) return s;
      n = min(n, dEnd - d);
    }
    copyMatch(d, offset, n);
    d += n;
    if (d === dEnd) return 0;
  } while (true);
  return s;
}
