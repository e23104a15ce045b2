/**
 * Decodes one LZ4 block into `dst[dAt, dEnd)`, which it must fill exactly.
 *
 * A block is sequences: a token (literal count in the high nibble, match length - 4 in the low one; 15 goes on in bytes
 * of up to 255), the literals, then, but for the last sequence, a u16 match offset into what was decoded.
 * The rules of the block's end are those of LZ4_decompress_safe (lz4 1.10), which the kernel uses: the last sequence is
 * literals only and ends with the input, the last 5 bytes are literals, no match starts within the last 12 bytes.
 * With `partial`, as LZ4_decompress_safe_partial, decoding stops when `dst` is full, and what follows isn't looked at.
 *
 * @returns -1, or the position in `src` where the block is wrong
 */
export function lz4Decode(
  src: Uint8Array,
  sAt: number,
  sEnd: number,
  dst: Uint8Array,
  dAt: number,
  dEnd: number,
  partial: boolean,
): number {
  let s = sAt;
  let d = dAt;
  for (;;) {
    if (s >= sEnd) return s;
    const token = src[s++]!;
    let n = token >>> 4;
    if (n === 15) {
      let more: number;
      do {
        if (s >= sEnd) return s;
        more = src[s++]!;
        n += more;
      } while (more === 255);
    }
    if (d + n > dEnd - 12 || s + n > sEnd - 8) {
      if (!partial) {
        if (s + n !== sEnd || d + n !== dEnd) return s;
      } else {
        n = Math.min(n, sEnd - s, dEnd - d);
      }
      for (const end = s + n; s < end; ) dst[d++] = src[s++]!;
      if (d === dEnd) return -1;
      if (s + 2 >= sEnd) return s;
    } else if (n > 64) {
      // A call costs as much as some 60 single bytes.
      dst.set(src.subarray(s, s + n), d);
      s += n;
      d += n;
    } else {
      for (const end = s + n; s < end; ) dst[d++] = src[s++]!;
    }

    const offset = src[s]! | (src[s + 1]! << 8);
    if (offset === 0 || offset > d - dAt) return s;
    s += 2;
    n = token & 15;
    if (n === 15) {
      let more: number;
      do {
        if (s >= sEnd) return s;
        more = src[s++]!;
        n += more;
      } while (more === 255);
    }
    n += 4;
    if (d + n > dEnd - 5) {
      if (!partial) return s;
      n = Math.min(n, dEnd - d);
    }
    let m = d - offset;
    if (n > 64 && offset >= n) {
      dst.copyWithin(d, m, m + n);
      d += n;
    } else {
      for (const end = d + n; d < end; ) dst[d++] = dst[m++]!;
    }
    if (d === dEnd) return -1;
  }
}
