// Zstandard: RFC 8878. No dictionaries, which EROFS doesn't use.
import { copyLiterals, copyMatch } from './copy';

const BLOCK_MAX: usize = 128 << 10;

// Baselines and extra bits of the length codes: RFC 8878, 3.1.1.3.2.1.1
const LL_BASE = memory.data<u32>([
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024,
  2048, 4096, 8192, 16384, 32768, 65536,
]);
const LL_EXTRA = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
]);
const LL_MAX: u32 = 35;
const ML_BASE = memory.data<u32>([
  3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33,
  34, 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539,
]);
const ML_EXTRA = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3,
  3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
]);
const ML_MAX: u32 = 52;
/** an offset of 2^24 is beyond what a pcluster may decode to */
const OF_MAX: u32 = 23;

// The distributions of predefined tables: RFC 8878, 3.1.1.3.2.2
const LL_PRESET = memory.data<i16>([
  4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
]);
const OF_PRESET = memory.data<i16>([
  1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
]);
const ML_PRESET = memory.data<i16>([
  1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
]);

// What a table's symbols stand for.
const LL: u32 = 0;
const OF: u32 = 1;
const ML: u32 = 2;
const WEIGHT: u32 = 3;

// A table of finite states: its log u32 @0, then per state 8 bytes: what the symbol stands for u32 @0 (a baseline, or the
// symbol itself), what to add to the bits read u16 @4, how many bits to read u8 @6, extra bits of the baseline u8 @7.
const TABLE = 8 + 512 * 8;
const llOwn = memory.data(TABLE, 16);
const ofOwn = memory.data(TABLE, 16);
const mlOwn = memory.data(TABLE, 16);
const llPreset = memory.data(TABLE, 16);
const ofPreset = memory.data(TABLE, 16);
const mlPreset = memory.data(TABLE, 16);
const weightTable = memory.data(TABLE, 16);
const norms = memory.data(2 * 256, 16);
const nexts = memory.data(2 * 256, 16);
const symbols = memory.data(512, 16);
const weights = memory.data(256, 16);
/** Huffman codes by their next bits, huffmanBits of them: symbol u8 @0, length u8 @1 */
const huffman = memory.data(2 * 2048, 16);
const literalBuffer = memory.data(128 * 1024 + 64, 16);

let presetsMade: bool = false;
/** 0: none yet */
let huffmanBits: u32 = 0;
/** where the literals of the block are: in the buffer, or in the input itself */
let literals: usize = 0;
/** where the last read description ended */
let readEnd: usize = 0;

/**
 * Decodes one Zstandard frame at `[sStart, sEnd)` to `[dStart, dEnd)`, which it must fill exactly; with `partial` it may
 * hold more. A checksum at its end isn't verified: mkfs.erofs writes none. A Huffman stream must end with its last code,
 * as RFC 8878 4.2.2 says; libzstd's faster loop doesn't look, and so reads some damaged frames that are refused here.
 *
 * @returns 0, or about where the frame is wrong; the output is garbage then
 */
export function zstd(sStart: usize, sEnd: usize, dStart: usize, dEnd: usize, partial: bool): usize {
  if (!presetsMade) {
    memory.copy(norms, LL_PRESET, 2 * 36);
    makeTable(llPreset, 6, 36, LL);
    memory.copy(norms, OF_PRESET, 2 * 29);
    makeTable(ofPreset, 5, 29, OF);
    memory.copy(norms, ML_PRESET, 2 * 53);
    makeTable(mlPreset, 6, 53, ML);
    presetsMade = true;
  }
  let at = sStart;
  // Frame header: magic, descriptor, then window, dictionary id and content size as it says.
  if (at + 6 > sEnd || load<u32>(at) !== 0xfd2fb528) return at;
  const descriptor: u32 = load<u8>(at, 4);
  const single = (descriptor >> 5) & 1;
  if ((descriptor & 0x08) !== 0 || (descriptor & 3) !== 0) return at + 4; // reserved; a dictionary
  const sizeFlag = descriptor >> 6;
  at += single ? 5 : 6;
  const sizeBytes: u32 = sizeFlag === 0 ? single : <u32>1 << sizeFlag;
  if (sizeBytes > 0 && !partial) {
    const size = (load<u64>(at) & (<u64>-1 >> (64 - 8 * sizeBytes))) + (sizeBytes === 2 ? 256 : 0);
    if (size !== <u64>(dEnd - dStart)) return at;
  }
  at += sizeBytes;

  huffmanBits = 0;
  let lls: usize = 0;
  let ofs: usize = 0;
  let mls: usize = 0;
  let rep0: usize = 1;
  let rep1: usize = 4;
  let rep2: usize = 8;
  let d = dStart;
  for (let last: u32 = 0; !last; ) {
    if (partial && d === dEnd) return 0;
    if (at + 3 > sEnd) return sEnd;
    const header = load<u32>(at) & 0xffffff;
    last = header & 1;
    const type = (header >> 1) & 3;
    const blockSize: usize = header >> 3;
    at += 3;
    if (blockSize > BLOCK_MAX || type === 3) return at - 3;
    if (type < 2) {
      // Raw_Block or RLE_Block
      const encoded = type === 0 ? blockSize : 1;
      if (at + encoded > sEnd) return sEnd;
      let n = blockSize;
      if (d + n > dEnd) {
        if (!partial) return at;
        n = dEnd - d;
      }
      if (type === 0) memory.copy(d, at, n);
      else memory.fill(d, load<u8>(at), n);
      d += n;
      at += encoded;
      continue;
    }
    const blockEnd = at + blockSize;
    if (blockEnd > sEnd) return sEnd;

    const literalCount = readLiterals(at, blockEnd);
    if (literalCount < 0) return at;
    let lit = literals;
    const litEnd = lit + literalCount;
    at = readEnd;

    // Sequences_Section_Header
    if (at >= blockEnd) return blockEnd;
    let count: u32 = load<u8>(at++);
    if (count > 127) {
      if (count < 255) {
        count = ((count - 128) << 8) + load<u8>(at++);
      } else {
        count = load<u16>(at) + 0x7f00;
        at += 2;
      }
    }
    if (count > 0) {
      if (at >= blockEnd) return blockEnd;
      const modes: u32 = load<u8>(at++);
      if (modes & 3) return at - 1;
      lls = readTable(at, blockEnd, modes >> 6, llOwn, llPreset, lls, 9, LL_MAX, LL);
      if (lls === 0) return at;
      at = readEnd;
      ofs = readTable(at, blockEnd, (modes >> 4) & 3, ofOwn, ofPreset, ofs, 8, 31, OF);
      if (ofs === 0) return at;
      at = readEnd;
      mls = readTable(at, blockEnd, (modes >> 2) & 3, mlOwn, mlPreset, mls, 9, ML_MAX, ML);
      if (mls === 0) return at;
      at = readEnd;

      // The bits are read backwards, from the last set one on: `bit` counts those left.
      if (at >= blockEnd || load<u8>(blockEnd - 1) === 0) return blockEnd - 1;
      let bit: i32 = streamBits(at, blockEnd);
      let v = top(at, bit);
      let n = load<u32>(lls);
      let llState = take(v, n);
      v <<= n;
      bit -= n;
      n = load<u32>(ofs);
      let ofState = take(v, n);
      v <<= n;
      bit -= n;
      n = load<u32>(mls);
      let mlState = take(v, n);
      bit -= n;
      lls += 8;
      ofs += 8;
      mls += 8;
      for (;;) {
        if (bit < 0) return at;
        const llEntry = load<u64>(lls + ((<usize>llState) << 3));
        const ofEntry = load<u64>(ofs + ((<usize>ofState) << 3));
        const mlEntry = load<u64>(mls + ((<usize>mlState) << 3));
        // Up to 23, 16 and 16 bits, then 9, 9 and 8 for the states: 56 are at hand, mostly enough for all.
        v = top(at, bit);
        n = <u32>(ofEntry >> 56);
        if (n > OF_MAX) return at;
        let used = n;
        let offset: usize = <u32>ofEntry + take(v, n);
        v <<= n;
        n = <u32>(mlEntry >> 56);
        used += n;
        let length: usize = <u32>mlEntry + take(v, n);
        v <<= n;
        n = <u32>(llEntry >> 56);
        used += n;
        let run: usize = <u32>llEntry + take(v, n);
        bit -= used;
        if (count > 1) {
          if (used > 30) v = top(at, bit);
          else v <<= n;
          n = <u32>(llEntry >> 48) & 255;
          used = n;
          llState = (<u32>(llEntry >> 32) & 0xffff) + take(v, n);
          v <<= n;
          n = <u32>(mlEntry >> 48) & 255;
          used += n;
          mlState = (<u32>(mlEntry >> 32) & 0xffff) + take(v, n);
          v <<= n;
          n = <u32>(ofEntry >> 48) & 255;
          used += n;
          ofState = (<u32>(ofEntry >> 32) & 0xffff) + take(v, n);
          bit -= used;
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
        if (run > litEnd - lit) return at;
        if (d + run > dEnd) {
          if (!partial) return at;
          run = dEnd - d;
        }
        copyLiterals(d, lit, run);
        lit += run;
        d += run;
        if (partial && d === dEnd) return 0;

        // The match.
        if (offset - 1 >= d - dStart) return at;
        if (length > dEnd - d) {
          if (!partial) return at;
          length = dEnd - d;
        }
        copyMatch(d, offset, length);
        d += length;
        if (--count === 0) break;
        if (partial && d === dEnd) return 0;
      }
      if (bit !== 0) return at;
      lls -= 8;
      ofs -= 8;
      mls -= 8;
    }
    let n: usize = litEnd - lit;
    if (d + n > dEnd) {
      if (!partial) return at;
      n = dEnd - d;
    }
    memory.copy(d, lit, n);
    d += n;
    at = blockEnd;
  }
  if (d !== dEnd) return at;
  return !partial && (descriptor & 4) !== 0 && at + 4 > sEnd ? sEnd : 0;
}

/** How many bits `[from, end)` holds below its last set one, which is in its last byte. */
// @ts-expect-error: decorator
@inline
function streamBits(from: usize, end: usize): i32 {
  return (<i32>(end - from) << 3) - 8 + (31 - clz<u32>(load<u8>(end - 1)));
}

/** The bits below bit number `bit` of what starts at `from`, 56 or more of them, the highest first. */
// @ts-expect-error: decorator
@inline
function top(from: usize, bit: i32): u64 {
  return load<u64>(from + (bit >> 3) - 7) << (8 - (bit & 7));
}

/** The highest `n` bits, 0 to 31 of them. */
// @ts-expect-error: decorator
@inline
function take(v: u64, n: u32): u32 {
  return <u32>((v >> 1) >> (63 - n));
}

/** Literals_Section; sets literals and readEnd. @returns how many, or -1 */
function readLiterals(from: usize, blockEnd: usize): i32 {
  if (from >= blockEnd) return -1;
  const first: u32 = load<u8>(from);
  const type = first & 3;
  const format = (first >> 2) & 3;
  const head = load<u32>(from);
  let at = from;
  let count: u32;
  if (type < 2) {
    if (format === 1) {
      count = (head >> 4) & 0xfff;
      at += 2;
    } else if (format === 3) {
      count = (head >> 4) & 0xfffff;
      at += 3;
    } else {
      count = first >> 3;
      at += 1;
    }
    if (count > <u32>BLOCK_MAX) return -1;
    readEnd = at + <usize>(type === 0 ? count : <u32>1);
    if (readEnd > blockEnd) return -1;
    literals = at;
    if (type === 1) {
      memory.fill(literalBuffer, load<u8>(at), count);
      literals = literalBuffer;
    }
    return count;
  }
  let encoded: u32;
  if (format < 2) {
    count = (head >> 4) & 0x3ff;
    encoded = (head >> 14) & 0x3ff;
    at += 3;
  } else if (format === 2) {
    count = (head >> 4) & 0x3fff;
    encoded = head >> 18;
    at += 4;
  } else {
    count = (head >> 4) & 0x3ffff;
    encoded = (head >> 22) | (<u32>load<u8>(from, 4) << 10);
    at += 5;
  }
  const end = at + encoded;
  if (count > <u32>BLOCK_MAX || end > blockEnd) return -1;
  if (type === 2) {
    at = readHuffman(at, end);
    if (at === 0) return -1;
  } else if (huffmanBits === 0) {
    return -1;
  }
  readEnd = end;
  literals = literalBuffer;
  const outEnd = literalBuffer + count;
  if (format === 0) {
    if (end <= at || load<u8>(end - 1) === 0) return -1;
    return huffmanRest(at, streamBits(at, end), literalBuffer, outEnd) ? count : -1;
  }
  return huffmanFour(at, end, count) ? count : -1;
}

/** Four Huffman streams of equal decoded length but the last; a jump table has the first three's sizes. */
function huffmanFour(at: usize, end: usize, count: u32): bool {
  const a = at + 6;
  if (a > end) return false;
  const part: u32 = (count + 3) >> 2;
  if (count < 3 * part) return false;
  const b = a + load<u16>(at);
  const c = b + load<u16>(at, 2);
  const e = c + load<u16>(at, 4);
  if (e >= end || a === b || b === c || c === e) return false;
  if (load<u8>(b - 1) === 0 || load<u8>(c - 1) === 0 || load<u8>(e - 1) === 0 || load<u8>(end - 1) === 0) return false;
  let bitA = streamBits(a, b);
  let bitB = streamBits(b, c);
  let bitC = streamBits(c, e);
  let bitD = streamBits(e, end);
  const shift: u64 = 64 - huffmanBits;
  const table = huffman;
  let o = literalBuffer;
  // Five codes, 55 bits at most, of each stream in turn: what they wait for overlaps.
  const stop = o + (count - 3 * part);
  while (o + 5 <= stop && (bitA | bitB | bitC | bitD) >= 0) {
    let va = top(a, bitA);
    let vb = top(b, bitB);
    let vc = top(c, bitC);
    let vd = top(e, bitD);
    for (let i = 0; i < 5; i++) {
      const ea: u32 = load<u16>(table + (<usize>(va >> shift) << 1));
      const eb: u32 = load<u16>(table + (<usize>(vb >> shift) << 1));
      const ec: u32 = load<u16>(table + (<usize>(vc >> shift) << 1));
      const ed: u32 = load<u16>(table + (<usize>(vd >> shift) << 1));
      store<u8>(o, <u8>ea);
      store<u8>(o + part, <u8>eb);
      store<u8>(o + 2 * part, <u8>ec);
      store<u8>(o + 3 * part, <u8>ed);
      va <<= ea >> 8;
      vb <<= eb >> 8;
      vc <<= ec >> 8;
      vd <<= ed >> 8;
      bitA -= ea >> 8;
      bitB -= eb >> 8;
      bitC -= ec >> 8;
      bitD -= ed >> 8;
      o++;
    }
  }
  const ends = literalBuffer + part;
  return (
    huffmanRest(a, bitA, o, ends) &&
    huffmanRest(b, bitB, o + part, ends + part) &&
    huffmanRest(c, bitC, o + 2 * part, ends + 2 * part) &&
    huffmanRest(e, bitD, o + 3 * part, literalBuffer + count)
  );
}

/** The rest of one Huffman stream, `bit` bits of it, into `[out, outEnd)`. @returns whether it ends with it */
function huffmanRest(from: usize, bit: i32, out: usize, outEnd: usize): bool {
  const shift: u64 = 64 - huffmanBits;
  for (; out < outEnd; out++) {
    if (bit < 0) return false;
    const entry: u32 = load<u16>(huffman + (<usize>(top(from, bit) >> shift) << 1));
    store<u8>(out, <u8>entry);
    bit -= entry >> 8;
  }
  return bit === 0;
}

/** Huffman_Tree_Description into `huffman`. @returns where it ends, or 0 */
function readHuffman(from: usize, end: usize): usize {
  if (from >= end) return 0;
  const head: u32 = load<u8>(from);
  let at = from + 1;
  let count: u32 = 0;
  if (head >= 128) {
    count = head - 127;
    if (at + ((count + 1) >> 1) > end) return 0;
    for (let i: u32 = 0; i < count; i += 2) {
      const b = load<u8>(at++);
      store<u8>(weights + i, b >> 4);
      store<u8>(weights + i, b & 15, 1);
    }
  } else {
    const streamEnd = at + head;
    if (streamEnd > end || !readDistribution(at, streamEnd, 6, 255, weightTable, WEIGHT)) return 0;
    const start = readEnd;
    if (start >= streamEnd || load<u8>(streamEnd - 1) === 0) return 0;
    const states = weightTable + 8;
    const log = load<u32>(weightTable);
    let bit = streamBits(start, streamEnd) - log;
    let even = take(top(start, bit + log), log);
    bit -= log;
    let odd = take(top(start, bit + log), log);
    if (bit < 0) return 0;
    // Two states in turn; when the bits have run out, the other one has a last symbol.
    for (;;) {
      if (count > 253) return 0;
      const entry = load<u64>(states + (<usize>even << 3));
      store<u8>(weights + count++, <u8>entry);
      const n = <u32>(entry >> 48) & 255;
      if (bit < <i32>n) {
        store<u8>(weights + count++, load<u8>(states + (<usize>odd << 3)));
        break;
      }
      // The states change places, so that this one is the next but one.
      const next = (<u32>(entry >> 32) & 0xffff) + take(top(start, bit), n);
      bit -= n;
      even = odd;
      odd = next;
    }
    at = streamEnd;
  }
  // The last symbol's weight is what is missing to a power of two.
  let sum: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const weight: u32 = load<u8>(weights + i);
    if (weight > 11) return 0;
    sum += (1 << weight) >> 1;
  }
  if (sum === 0) return 0;
  const log: u32 = 32 - clz<u32>(sum);
  const rest: u32 = (1 << log) - sum;
  if (log > 11 || (rest & (rest - 1)) !== 0 || count > 255) return 0;
  store<u8>(weights + count++, <u8>(32 - clz<u32>(rest)));
  // Codes are dealt out from weight 1 up, each symbol filling 2^(weight - 1) entries.
  let next = huffman;
  for (let weight: u32 = 1; weight <= log; weight++) {
    const n: u32 = 1 << (weight - 1);
    for (let symbol: u32 = 0; symbol < count; symbol++) {
      if (<u32>load<u8>(weights + symbol) !== weight) continue;
      const entry = <u16>(symbol | ((log + 1 - weight) << 8));
      for (let i: u32 = 0; i < n; i++) {
        store<u16>(next, entry);
        next += 2;
      }
    }
  }
  huffmanBits = log;
  return at;
}

/** The table of one kind of code, as its mode says, or 0; sets readEnd. */
function readTable(
  at: usize,
  end: usize,
  mode: u32,
  own: usize,
  preset: usize,
  previous: usize,
  maxLog: u32,
  maxSymbol: u32,
  kind: u32,
): usize {
  readEnd = at;
  if (mode === 0) return preset;
  if (mode === 3) return previous;
  if (mode === 1) {
    if (at >= end || <u32>load<u8>(at) > maxSymbol) return 0;
    readEnd = at + 1;
    store<u32>(own, 0);
    store<u64>(own, entryOf(kind, load<u8>(at)), 8);
    return own;
  }
  return readDistribution(at, end, maxLog, maxSymbol, own, kind) ? own : 0;
}

/** FSE_Table_Description, RFC 8878 4.1.1; sets readEnd. */
function readDistribution(from: usize, end: usize, maxLog: u32, maxSymbol: u32, into: usize, kind: u32): bool {
  if (from >= end) return false;
  const log: u32 = (load<u8>(from) & 15) + 5;
  if (log > maxLog) return false;
  let bit: u32 = 4;
  const endBit: u32 = <u32>(end - from) << 3;
  let rest: i32 = 1 << log;
  let symbol: u32 = 0;
  while (rest > 0) {
    if (symbol > maxSymbol || bit > endBit) return false;
    // A value of 0..rest + 1 in just enough bits; small values save one.
    const n: u32 = 32 - clz<u32>(rest + 1);
    const v: i32 = (load<u32>(from + (bit >> 3)) >> (bit & 7)) & ((1 << n) - 1);
    const low: i32 = v & ((1 << (n - 1)) - 1);
    const short: i32 = (1 << n) - 2 - rest;
    let value: i32;
    if (low < short) {
      bit += n - 1;
      value = low;
    } else {
      bit += n;
      value = v < 1 << (n - 1) ? v : v - short;
    }
    const norm = value - 1;
    store<i16>(norms + (symbol << 1), <i16>norm);
    symbol++;
    rest -= norm < 0 ? 1 : norm;
    if (norm === 0) {
      // How many more zeros follow, in twos of bits; 3 goes on.
      let more: u32;
      do {
        more = (load<u32>(from + (bit >> 3)) >> (bit & 7)) & 3;
        bit += 2;
        if (symbol + more > maxSymbol + 1) return false;
        for (let i: u32 = 0; i < more; i++) {
          store<i16>(norms + (symbol << 1), 0);
          symbol++;
        }
      } while (more === 3 && bit <= endBit);
    }
  }
  if (rest !== 0 || bit > endBit) return false;
  readEnd = from + ((bit + 7) >> 3);
  makeTable(into, log, symbol, kind);
  return true;
}

/** Builds a table from the first `count` of `norms`, which add up to 2^log. */
function makeTable(into: usize, log: u32, count: u32, kind: u32): void {
  const size: u32 = 1 << log;
  const mask = size - 1;
  store<u32>(into, log);
  let high = size;
  for (let s: u32 = 0; s < count; s++) {
    const norm = load<i16>(norms + (s << 1));
    if (norm < 0) {
      store<u8>(symbols + --high, <u8>s);
      store<u16>(nexts + (s << 1), 1);
    } else {
      store<u16>(nexts + (s << 1), norm);
    }
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at: u32 = 0;
  for (let s: u32 = 0; s < count; s++) {
    const norm: i32 = load<i16>(norms + (s << 1));
    for (let i: i32 = 0; i < norm; i++) {
      store<u8>(symbols + at, <u8>s);
      do at = (at + step) & mask;
      while (at >= high);
    }
  }
  let entry = into + 8;
  for (let i: u32 = 0; i < size; i++) {
    const s: u32 = load<u8>(symbols + i);
    const next: u32 = load<u16>(nexts + (s << 1));
    store<u16>(nexts + (s << 1), <u16>(next + 1));
    const n: u32 = log - (31 - clz<u32>(next));
    store<u64>(entry, entryOf(kind, s) | (<u64>((next << n) - size) << 32) | (<u64>n << 48));
    entry += 8;
  }
}

/** What a symbol stands for and its extra bits, as an entry without its transition. */
// @ts-expect-error: decorator
@inline
function entryOf(kind: u32, symbol: u32): u64 {
  if (kind === OF) return (<u64>1 << symbol) | (<u64>symbol << 56);
  if (kind === LL) return <u64>load<u32>(LL_BASE + (symbol << 2)) | (<u64>load<u8>(LL_EXTRA + symbol) << 56);
  if (kind === ML) return <u64>load<u32>(ML_BASE + (symbol << 2)) | (<u64>load<u8>(ML_EXTRA + symbol) << 56);
  return symbol;
}
