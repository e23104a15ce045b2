// Zstandard: RFC 8878. No dictionaries, which EROFS doesn't use.

const BLOCK_MAX = 128 << 10;
const SLACK = 32;

// Baselines and extra bits of the length codes: RFC 8878, 3.1.1.3.2.1.1
const LL_BASE = Int32Array.from([
  ...Array(16).keys(),
  ...[16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536],
]);
const LL_BITS = Uint8Array.from([
  ...Array(16).fill(0),
  1,
  1,
  1,
  1,
  2,
  2,
  3,
  3,
  4,
  6,
  7,
  8,
  9,
  10,
  11,
  12,
  13,
  14,
  15,
  16,
]);
const ML_BASE = Int32Array.from([
  ...[...Array(32).keys()].map((i) => i + 3),
  ...[35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539],
]);
const ML_BITS = Uint8Array.from([
  ...Array(32).fill(0),
  ...[1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
]);
const LL_MAX = LL_BASE.length - 1;
const ML_MAX = ML_BASE.length - 1;
/** an offset of 2^24 is beyond what a pcluster may decode to */
const OF_MAX = 23;

/** A table of finite states: per state, the symbol in bits 0-7, how many bits to read in 8-15, what to add in 16-31. */
interface Fse {
  log: number;
  readonly table: Uint32Array;
}

function fse(): Fse {
  return { log: 0, table: new Uint32Array(512) };
}

const LL_DEFAULT = fse();
const OF_DEFAULT = fse();
const ML_DEFAULT = fse();
const norms = new Int16Array(256);
const nexts = new Uint16Array(256);
setDefault(LL_DEFAULT, 6, '4 3 2 2 2 2 2 2 2 2 2 2 2 1 1 1 2 2 2 2 2 2 2 2 2 3 2 1 1 1 1 1 -1 -1 -1 -1');
setDefault(OF_DEFAULT, 5, '1 1 1 1 1 1 2 2 2 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 -1 -1 -1 -1 -1');
setDefault(ML_DEFAULT, 6, `1 4 3 2 2 2 2 2 2 ${'1 '.repeat(37)}-1 -1 -1 -1 -1 -1 -1`);

// One decoder at a time: what it needs is kept between calls.
/** the input with room around it, so that bits may be read past its ends */
let input = new Uint8Array(64 << 10);
let view = new DataView(input.buffer);
const literals = new Uint8Array(BLOCK_MAX + SLACK);
const literalView = new DataView(literals.buffer);
/** Huffman codes by their next 11 bits or fewer: symbol in bits 0-7, length in 8-15; bits 0: none yet */
const huffman = new Uint16Array(2048);
let huffmanBits = 0;
const weights = new Uint8Array(256);
const weightTable = fse();
const llTable = fse();
const ofTable = fse();
const mlTable = fse();
/** where the last read description ended */
let readEnd = 0;

/**
 * Decodes one Zstandard frame into `dst[dAt, dEnd)`, which it must fill exactly; with `partial` it may hold more.
 * A checksum at its end isn't verified: mkfs.erofs writes none.
 *
 * Away from the output's end it copies 8 bytes at a time, as lz4.ts does. On 64 KiB pclusters of programs 195 MB/s,
 * where fzstd has 21, and every length is checked before it is used.
 *
 * @returns -1, or about where in `src` the frame is wrong; `dst[dAt, dEnd)` is garbage then
 */
export function zstdDecode(
  src: Uint8Array,
  sAt: number,
  sEnd: number,
  dst: Uint8Array,
  dAt: number,
  dEnd: number,
  partial: boolean,
): number {
  const size = sEnd - sAt;
  if (input.length < size + 2 * SLACK) {
    input = new Uint8Array(2 ** Math.ceil(Math.log2(size + 2 * SLACK)));
    view = new DataView(input.buffer);
  }
  input.set(src.subarray(sAt, sEnd), SLACK);
  input.fill(0, SLACK + size, 2 * SLACK + size);
  const end = SLACK + size;
  const wrong = decodeFrame(end, dst, dAt, dEnd, partial);
  return wrong < 0 ? -1 : sAt + Math.min(Math.max(wrong - SLACK, 0), size);
}

/** @returns -1, or the position in `input` where it is wrong */
function decodeFrame(end: number, dst: Uint8Array, dAt: number, dEnd: number, partial: boolean): number {
  let at = SLACK;
  // Frame header: magic, descriptor, then window, dictionary id and content size as it says.
  if (end - at < 6 || view.getUint32(at, true) !== 0xfd2fb528) return at;
  const descriptor = input[at + 4]!;
  const single = (descriptor >> 5) & 1;
  if (descriptor & 0x08 || descriptor & 3) return at + 4; // reserved; a dictionary
  const sizeFlag = descriptor >> 6;
  at += 5 + (single ? 0 : 1) + (sizeFlag === 0 ? single : 1 << sizeFlag);

  huffmanBits = 0;
  let ll: Fse | null = null;
  let of: Fse | null = null;
  let ml: Fse | null = null;
  let rep0 = 1;
  let rep1 = 4;
  let rep2 = 8;
  let d = dAt;
  const to = new DataView(dst.buffer, dst.byteOffset, dst.length);
  for (let last = 0; !last; ) {
    if (partial && d === dEnd) return -1;
    if (at + 3 > end) return end;
    const header = input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16);
    last = header & 1;
    const type = (header >> 1) & 3;
    const blockSize = header >> 3;
    at += 3;
    if (blockSize > BLOCK_MAX || type === 3) return at - 3;
    if (type === 1) {
      if (at >= end) return end;
      let n = blockSize;
      if (d + n > dEnd) {
        if (!partial) return at;
        n = dEnd - d;
      }
      dst.fill(input[at++]!, d, d + n);
      d += n;
      continue;
    }
    const blockEnd = at + blockSize;
    if (blockEnd > end) return end;
    if (type === 0) {
      let n = blockSize;
      if (d + n > dEnd) {
        if (!partial) return at;
        n = dEnd - d;
      }
      dst.set(input.subarray(at, at + n), d);
      d += n;
      at = blockEnd;
      continue;
    }

    const literalCount = readLiterals(at, blockEnd);
    if (literalCount < 0) return at;
    at = readEnd;

    // Sequences_Section_Header
    if (at >= blockEnd) return blockEnd;
    let count = input[at++]!;
    if (count > 127) {
      if (count < 255) {
        count = ((count - 128) << 8) + input[at++]!;
      } else {
        count = input[at]! + (input[at + 1]! << 8) + 0x7f00;
        at += 2;
      }
    }
    let lit = 0;
    if (count > 0) {
      if (at >= blockEnd) return blockEnd;
      const modes = input[at++]!;
      if (modes & 3) return at - 1;
      ll = readTable(at, blockEnd, modes >> 6, llTable, LL_DEFAULT, ll, 9, LL_MAX);
      if (ll === null) return at;
      at = readEnd;
      of = readTable(at, blockEnd, (modes >> 4) & 3, ofTable, OF_DEFAULT, of, 8, 31);
      if (of === null) return at;
      at = readEnd;
      ml = readTable(at, blockEnd, (modes >> 2) & 3, mlTable, ML_DEFAULT, ml, 9, ML_MAX);
      if (ml === null) return at;
      at = readEnd;

      // The bits are read backwards, from the last set one on.
      if (at >= blockEnd || input[blockEnd - 1] === 0) return blockEnd - 1;
      const start = at * 8;
      let bit = blockEnd * 8 - 8 + (31 - Math.clz32(input[blockEnd - 1]!));
      const llt = ll.table;
      const oft = of.table;
      const mlt = ml.table;
      bit -= ll.log;
      let llState = bits(bit, ll.log);
      bit -= of.log;
      let ofState = bits(bit, of.log);
      bit -= ml.log;
      let mlState = bits(bit, ml.log);
      for (; ; count--) {
        if (bit < start) return at;
        const llEntry = llt[llState]!;
        const ofEntry = oft[ofState]!;
        const mlEntry = mlt[mlState]!;
        const ofCode = ofEntry & 255;
        if (ofCode > OF_MAX) return at;
        bit -= ofCode;
        let offset = (1 << ofCode) + ((view.getUint32(bit >> 3, true) >>> (bit & 7)) & ((1 << ofCode) - 1));
        const mlCode = mlEntry & 255;
        let n = ML_BITS[mlCode]!;
        bit -= n;
        let length = ML_BASE[mlCode]! + ((view.getUint32(bit >> 3, true) >>> (bit & 7)) & ((1 << n) - 1));
        const llCode = llEntry & 255;
        n = LL_BITS[llCode]!;
        bit -= n;
        let run = LL_BASE[llCode]! + ((view.getUint32(bit >> 3, true) >>> (bit & 7)) & ((1 << n) - 1));
        if (count > 1) {
          n = (llEntry >> 8) & 255;
          bit -= n;
          llState = (llEntry >>> 16) + ((view.getUint32(bit >> 3, true) >>> (bit & 7)) & ((1 << n) - 1));
          n = (mlEntry >> 8) & 255;
          bit -= n;
          mlState = (mlEntry >>> 16) + ((view.getUint32(bit >> 3, true) >>> (bit & 7)) & ((1 << n) - 1));
          n = (ofEntry >> 8) & 255;
          bit -= n;
          ofState = (ofEntry >>> 16) + ((view.getUint32(bit >> 3, true) >>> (bit & 7)) & ((1 << n) - 1));
        }

        if (offset > 3) {
          offset -= 3;
          rep2 = rep1;
          rep1 = rep0;
          rep0 = offset;
        } else {
          const which = run === 0 ? offset : offset - 1;
          if (which === 0) {
            offset = rep0;
          } else {
            offset = which === 1 ? rep1 : which === 2 ? rep2 : rep0 - 1;
            if (which > 1) rep2 = rep1;
            rep1 = rep0;
            rep0 = offset;
          }
        }

        // Literals.
        if (lit + run > literalCount) return at;
        let stop = d + run;
        if (stop + 8 <= dEnd) {
          const skew = lit - d;
          while (d < stop) {
            to.setInt32(d, literalView.getInt32(d + skew, true), true);
            to.setInt32(d + 4, literalView.getInt32(d + skew + 4, true), true);
            d += 8;
          }
          d = stop;
        } else {
          if (stop > dEnd) {
            if (!partial) return at;
            run = dEnd - d;
            stop = dEnd;
          }
          dst.set(literals.subarray(lit, lit + run), d);
          d = stop;
          if (d === dEnd && partial) return -1;
        }
        lit += run;

        // The match.
        if (offset <= 0 || offset > d - dAt) return at;
        stop = d + length;
        if (stop > dEnd) {
          if (!partial) return at;
          length = dEnd - d;
          stop = dEnd;
        }
        if (offset >= 8 && stop + 8 <= dEnd) {
          if (length > 256 && offset >= length) {
            dst.copyWithin(d, d - offset, stop - offset);
          } else {
            while (d < stop) {
              to.setInt32(d, to.getInt32(d - offset, true), true);
              to.setInt32(d + 4, to.getInt32(d - offset + 4, true), true);
              d += 8;
            }
          }
        } else if (offset === 1) {
          dst.fill(dst[d - 1]!, d, stop);
        } else {
          for (let m = d - offset; d < stop; ) dst[d++] = dst[m++]!;
        }
        d = stop;
        if (count === 1) break;
        if (partial && d === dEnd) return -1;
      }
      if (bit !== start) return at;
    }
    let n = literalCount - lit;
    if (d + n > dEnd) {
      if (!partial) return at;
      n = dEnd - d;
    }
    dst.set(literals.subarray(lit, lit + n), d);
    d += n;
    at = blockEnd;
  }
  if (d !== dEnd) return at;
  if (!partial && (descriptor & 4) !== 0 && at + 4 > end) return end;
  return -1;
}

/** @returns `n` bits, up to 25, of `input` from bit `bit` on */
function bits(bit: number, n: number): number {
  return (view.getUint32(bit >> 3, true) >>> (bit & 7)) & ((1 << n) - 1);
}

/** Literals_Section into `literals`; sets readEnd. @returns how many, or -1 */
function readLiterals(from: number, blockEnd: number): number {
  if (from >= blockEnd) return -1;
  const first = input[from]!;
  const type = first & 3;
  const format = (first >> 2) & 3;
  const head = view.getUint32(from, true); // the slack makes that safe
  let at: number;
  if (type < 2) {
    let count: number;
    if (format === 1) {
      count = (head >>> 4) & 0xfff;
      at = from + 2;
    } else if (format === 3) {
      count = (head >>> 4) & 0xfffff;
      at = from + 3;
    } else {
      count = first >> 3;
      at = from + 1;
    }
    if (count > BLOCK_MAX) return -1;
    if (type === 0) {
      readEnd = at + count;
      if (readEnd > blockEnd) return -1;
      literals.set(input.subarray(at, readEnd), 0);
    } else {
      readEnd = at + 1;
      if (readEnd > blockEnd) return -1;
      literals.fill(input[at]!, 0, count);
    }
    return count;
  }
  let count: number;
  let encoded: number;
  if (format < 2) {
    count = (head >>> 4) & 0x3ff;
    encoded = (head >>> 14) & 0x3ff;
    at = from + 3;
  } else if (format === 2) {
    count = (head >>> 4) & 0x3fff;
    encoded = head >>> 18;
    at = from + 4;
  } else {
    count = (head >>> 4) & 0x3ffff;
    encoded = (head >>> 22) | (input[from + 4]! << 10);
    at = from + 5;
  }
  const end = at + encoded;
  if (count > BLOCK_MAX || end > blockEnd) return -1;
  if (type === 2) {
    at = readHuffman(at, end);
    if (at < 0) return -1;
  } else if (huffmanBits === 0) {
    return -1;
  }
  readEnd = end;
  if (format === 0) return huffmanStream(at, end, 0, count) ? count : -1;
  // Four streams of equal decoded length but the last; a jump table has the first three's sizes.
  if (at + 6 > end) return -1;
  const part = (count + 3) >> 2;
  if (count - 3 * part < 0) return -1;
  const a = at + 6;
  const b = a + (input[at]! | (input[at + 1]! << 8));
  const c = b + (input[at + 2]! | (input[at + 3]! << 8));
  const e = c + (input[at + 4]! | (input[at + 5]! << 8));
  if (e >= end) return -1;
  const ok =
    huffmanStream(a, b, 0, part) &&
    huffmanStream(b, c, part, 2 * part) &&
    huffmanStream(c, e, 2 * part, 3 * part) &&
    huffmanStream(e, end, 3 * part, count);
  return ok ? count : -1;
}

/** One Huffman stream, read backwards, into `literals[out, outEnd)`. */
function huffmanStream(from: number, end: number, out: number, outEnd: number): boolean {
  if (end <= from || input[end - 1] === 0) return false;
  const start = from * 8;
  const log = huffmanBits;
  const mask = (1 << log) - 1;
  const table = huffman;
  const into = literals;
  const data = view;
  let bit = end * 8 - 8 + (31 - Math.clz32(input[end - 1]!));
  // Two codes, 22 bits at most, from each read of 25 bits or more.
  while (out + 1 < outEnd && bit >= start) {
    const at = bit - 25;
    const v = data.getUint32(at >> 3, true) >>> (at & 7);
    let entry = table[(v >>> (25 - log)) & mask]!;
    into[out] = entry;
    let n = entry >> 8;
    entry = table[(v >>> (25 - log - n)) & mask]!;
    into[out + 1] = entry;
    n += entry >> 8;
    out += 2;
    bit -= n;
  }
  if (out < outEnd) {
    if (bit < start) return false;
    const at = bit - 25;
    const entry = table[((data.getUint32(at >> 3, true) >>> (at & 7)) >>> (25 - log)) & mask]!;
    into[out++] = entry;
    bit -= entry >> 8;
  }
  return bit === start;
}

/** Huffman_Tree_Description into `huffman`. @returns where it ends, or -1 */
function readHuffman(from: number, end: number): number {
  if (from >= end) return -1;
  const head = input[from]!;
  let at = from + 1;
  let count = 0;
  if (head >= 128) {
    count = head - 127;
    if (at + ((count + 1) >> 1) > end) return -1;
    for (let i = 0; i < count; i += 2) {
      const b = input[at++]!;
      weights[i] = b >> 4;
      weights[i + 1] = b & 15;
    }
  } else {
    const streamEnd = at + head;
    if (streamEnd > end || !readDistribution(at, streamEnd, 6, 255, weightTable)) return -1;
    const start = readEnd * 8;
    if (readEnd >= streamEnd || input[streamEnd - 1] === 0) return -1;
    let bit = streamEnd * 8 - 8 + (31 - Math.clz32(input[streamEnd - 1]!));
    const { log, table } = weightTable;
    bit -= log;
    let even = bits(bit, log);
    bit -= log;
    let odd = bits(bit, log);
    if (bit < start) return -1;
    // Two states in turn; when the bits have run out, the other one has a last symbol.
    for (;;) {
      if (count > 253) return -1;
      let entry = table[even]!;
      weights[count++] = entry & 255;
      let n = (entry >> 8) & 255;
      bit -= n;
      if (bit < start) {
        weights[count++] = table[odd]! & 255;
        break;
      }
      even = (entry >>> 16) + bits(bit, n);
      entry = table[odd]!;
      weights[count++] = entry & 255;
      n = (entry >> 8) & 255;
      bit -= n;
      if (bit < start) {
        weights[count++] = table[even]! & 255;
        break;
      }
      odd = (entry >>> 16) + bits(bit, n);
    }
    at = streamEnd;
  }
  // The last symbol's weight is what is missing to a power of two.
  let sum = 0;
  for (let i = 0; i < count; i++) {
    if (weights[i]! > 11) return -1;
    sum += (1 << weights[i]!) >> 1;
  }
  if (sum === 0) return -1;
  const log = 32 - Math.clz32(sum);
  const rest = (1 << log) - sum;
  if (log > 11 || (rest & (rest - 1)) !== 0 || count > 255) return -1;
  weights[count++] = 32 - Math.clz32(rest);
  // Codes are dealt out from weight 1 up, each symbol filling 2^(weight - 1) entries.
  let next = 0;
  for (let weight = 1; weight <= log; weight++) {
    const n = 1 << (weight - 1);
    for (let symbol = 0; symbol < count; symbol++) {
      if (weights[symbol] !== weight) continue;
      huffman.fill(symbol | ((log + 1 - weight) << 8), next, next + n);
      next += n;
    }
  }
  huffmanBits = log;
  return at;
}

/** The table of one kind of code, as its mode says; sets readEnd. */
function readTable(
  at: number,
  end: number,
  mode: number,
  own: Fse,
  preset: Fse,
  previous: Fse | null,
  maxLog: number,
  maxSymbol: number,
): Fse | null {
  readEnd = at;
  if (mode === 0) return preset;
  if (mode === 3) return previous;
  if (mode === 1) {
    if (at >= end || input[at]! > maxSymbol) return null;
    readEnd = at + 1;
    own.log = 0;
    own.table[0] = input[at]!;
    return own;
  }
  return readDistribution(at, end, maxLog, maxSymbol, own) ? own : null;
}

/** FSE_Table_Description, RFC 8878 4.1.1; sets readEnd. */
function readDistribution(from: number, end: number, maxLog: number, maxSymbol: number, into: Fse): boolean {
  if (from >= end) return false;
  const log = (input[from]! & 15) + 5;
  if (log > maxLog) return false;
  let bit = from * 8 + 4;
  const endBit = end * 8;
  let rest = 1 << log;
  let symbol = 0;
  while (rest > 0) {
    if (symbol > maxSymbol || bit > endBit) return false;
    // A value of 0..rest + 1 in just enough bits; small values save one.
    const n = 32 - Math.clz32(rest + 1);
    const v = bits(bit, n);
    const low = v & ((1 << (n - 1)) - 1);
    const short = (1 << n) - 2 - rest;
    let value: number;
    if (low < short) {
      bit += n - 1;
      value = low;
    } else {
      bit += n;
      value = v < 1 << (n - 1) ? v : v - short;
    }
    const norm = value - 1;
    norms[symbol++] = norm;
    rest -= norm < 0 ? 1 : norm;
    if (norm === 0) {
      // How many more zeros follow, in twos of bits; 3 goes on.
      let more: number;
      do {
        more = bits(bit, 2);
        bit += 2;
        if (symbol + more > maxSymbol + 1) return false;
        for (let i = 0; i < more; i++) norms[symbol++] = 0;
      } while (more === 3 && bit <= endBit);
    }
  }
  if (rest !== 0 || bit > endBit) return false;
  readEnd = (bit + 7) >> 3;
  spread(into, log, symbol);
  return true;
}

/** Builds a table from the first `symbols` of `norms`, which add up to 2^log. */
function spread(into: Fse, log: number, symbols: number): void {
  const { table } = into;
  const size = 1 << log;
  const mask = size - 1;
  into.log = log;
  let high = size;
  for (let s = 0; s < symbols; s++) {
    if (norms[s]! < 0) {
      table[--high] = s;
      nexts[s] = 1;
    } else {
      nexts[s] = norms[s]!;
    }
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (let s = 0; s < symbols; s++) {
    for (let i = 0; i < norms[s]!; i++) {
      table[at] = s;
      do at = (at + step) & mask;
      while (at >= high);
    }
  }
  for (let i = 0; i < size; i++) {
    const s = table[i]!;
    const next = nexts[s]!++;
    const n = log - (31 - Math.clz32(next));
    table[i] = (s | (n << 8) | (((next << n) - size) << 16)) >>> 0;
  }
}

function setDefault(into: Fse, log: number, text: string): void {
  const values = text.trim().split(/ +/).map(Number);
  norms.set(values);
  spread(into, log, values.length);
}
