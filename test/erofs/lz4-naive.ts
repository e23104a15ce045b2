/**
 * LZ4 blocks the plain way, from doc/lz4_Block_format.md, to hold the fast decoder against: arrays, one byte at a time,
 * an exception for whatever is wrong.
 */
export function naiveDecode(src: Uint8Array, size: number, partial: boolean): number[] {
  const out: number[] = [];
  let i = 0;
  const next = () => {
    if (i >= src.length) throw new Error('input ends');
    return src[i++]!;
  };
  const length = (nibble: number) => {
    let n = nibble;
    if (nibble === 15) {
      let b: number;
      do {
        b = next();
        n += b;
      } while (b === 255);
    }
    return n;
  };
  for (;;) {
    const token = next();
    const literals = length(token >> 4);
    // Within 12 bytes of the output's end, or 8 of the input's, only the last literals may come.
    const near = out.length + literals > size - 12 || i + literals > src.length - 8;
    if (near && !partial && (i + literals !== src.length || out.length + literals !== size)) throw new Error('end');
    for (let k = 0; k < literals && out.length < size && i < src.length; k++) out.push(src[i++]!);
    if (out.length === size) return out;
    if (near && i + 2 >= src.length) throw new Error('input ends');
    const offset = next() | (next() << 8);
    if (offset === 0 || offset > out.length) throw new Error('offset');
    const match = length(token & 15) + 4;
    if (!partial && out.length + match > size - 5) throw new Error('end');
    for (let k = 0; k < match && out.length < size; k++) out.push(out[out.length - offset]!);
    if (out.length === size && partial) return out;
  }
}

/** One step of a block to be made: literals, then a match (none in the last). */
export interface Sequence {
  literals: Uint8Array;
  offset: number;
  match: number;
}

/**
 * Writes sequences as a block. Offsets are taken modulo what was written, so that any numbers make a valid block; five
 * and more literals end it.
 */
export function encode(sequences: readonly Sequence[], tail: Uint8Array): { block: Uint8Array; size: number } {
  const out: number[] = [];
  let size = 0;
  const put = (literals: Uint8Array, match: number) => {
    const low = match < 0 ? 0 : match - 4;
    out.push((Math.min(15, literals.length) << 4) | Math.min(15, low));
    extend(literals.length);
    out.push(...literals);
    size += literals.length;
  };
  const extend = (n: number) => {
    if (n < 15) return;
    let rest = n - 15;
    for (; rest >= 255; rest -= 255) out.push(255);
    out.push(rest);
  };
  for (const s of sequences) {
    if (size + s.literals.length === 0) continue;
    put(s.literals, s.match);
    const offset = 1 + ((s.offset - 1) % Math.min(size, 65535));
    out.push(offset & 255, offset >> 8);
    extend(s.match - 4);
    size += s.match;
  }
  put(tail, -1);
  return { block: Uint8Array.from(out), size };
}
