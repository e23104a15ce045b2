// Copies that may write up to SLACK bytes past their end: the output has that much room behind it, and whatever is
// overshot is written again or never looked at.

/** Copies `n` bytes from another buffer, 16 at a time. */
// @ts-expect-error: decorator
@inline
export function copyLiterals(d: usize, s: usize, n: usize): void {
  if (n > 256) {
    memory.copy(d, s, n);
    return;
  }
  const end = d + n;
  do {
    v128.store(d, v128.load(s));
    d += 16;
    s += 16;
  } while (d < end);
}

/** Copies `n` bytes from `offset` bytes back; where they overlap, what was just written repeats. */
// @ts-expect-error: decorator
@inline
export function copyMatch(d: usize, offset: usize, n: usize): void {
  const end = d + n;
  let m = d - offset;
  if (offset >= 16) {
    do {
      v128.store(d, v128.load(m));
      v128.store(d, v128.load(m, 16), 16);
      d += 32;
      m += 32;
    } while (d < end);
    return;
  }
  if (offset === 1) {
    memory.fill(d, load<u8>(m), n);
    return;
  }
  if (offset < 8) {
    // Eight bytes one by one; from there on the pattern is found a multiple of its length back, at least eight bytes.
    for (let i: usize = 0; i < 8; i++) store<u8>(d + i, load<u8>(m + i));
    d += 8;
    m = d - offset * ((7 + offset) / offset);
  }
  while (d < end) {
    store<u64>(d, load<u64>(m));
    d += 8;
    m += 8;
  }
}
