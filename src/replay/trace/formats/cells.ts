import type { BadRecords, TraceInput } from './format.ts';

const MAX_FIELDS = 1024;
const LF = 10;
const CR = 13;
const QUOTE = 34;

/** A text a chunk of whole lines at a time, as bytes. A line that is too long is a bad record, and left out. */
export async function* byteLines(
  input: TraceInput,
  bad: BadRecords,
  maxLine: number,
): AsyncGenerator<{ bytes: Buffer; first: number }> {
  let rest: Buffer = Buffer.alloc(0);
  let line = 1;
  let tooLong = false;
  for await (const chunk of input.stream) {
    let from = 0;
    if (tooLong) {
      from = chunk.indexOf(LF) + 1;
      if (from === 0) continue;
      tooLong = false;
      line++;
    }
    const to = chunk.lastIndexOf(LF) + 1;
    if (to > from) {
      const whole = chunk.subarray(from, to);
      const bytes = rest.length === 0 ? whole : Buffer.concat([rest, whole]);
      yield { bytes, first: line };
      line += count(bytes);
      rest = Buffer.from(chunk.subarray(to));
    } else rest = Buffer.concat([rest, chunk.subarray(from)]);
    if (rest.length > maxLine) {
      bad.record(`line ${line}`, `is longer than ${maxLine} bytes`);
      tooLong = true;
      rest = Buffer.alloc(0);
    }
  }
  if (rest.length > 0) yield { bytes: rest, first: line };
}

function count(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) lines++;
  return lines;
}

/** The fields of a record, found in its bytes without making a text of any: three times as fast as with texts. */
export class Cells {
  /** fields; at most 1024 are told apart */
  count = 0;
  /** whether a quote is among its bytes */
  hasQuotes = false;
  #bytes: Buffer = Buffer.alloc(0);
  #from = 0;
  /** one past the end of each */
  readonly #ends = new Int32Array(MAX_FIELDS);
  #parsed: readonly string[] | null = null;

  /** Cuts the line that begins there. @param delimiter a byte @returns where the next line begins */
  cut(bytes: Buffer, from: number, delimiter: number): number {
    const ends = this.#ends;
    const length = bytes.length;
    let fields = 0;
    let quotes = false;
    let at = from;
    for (; at < length; at++) {
      const byte = bytes[at]!;
      if (byte === delimiter) {
        if (fields < MAX_FIELDS - 1) ends[fields++] = at;
      } else if (byte === LF) break;
      else if (byte === QUOTE) quotes = true;
    }
    ends[fields++] = at > from && bytes[at - 1] === CR ? at - 1 : at;
    this.#bytes = bytes;
    this.#from = from;
    this.#parsed = null;
    this.count = fields;
    this.hasQuotes = quotes;
    return at + 1;
  }

  /** Fields that somebody else told apart. */
  take(fields: readonly string[]): void {
    this.#parsed = fields;
    this.count = fields.length;
  }

  /** The line that was cut, without its end. */
  line(): string {
    return this.#bytes.toString('utf8', this.#from, this.#ends[this.count - 1]!);
  }

  text(i: number): string {
    if (this.#parsed !== null) return this.#parsed[i]!;
    return this.#bytes.toString('utf8', i === 0 ? this.#from : this.#ends[i - 1]! + 1, this.#ends[i]!);
  }

  isEmpty(i: number): boolean {
    if (this.#parsed !== null) return this.#parsed[i] === '';
    return (i === 0 ? this.#from : this.#ends[i - 1]! + 1) === this.#ends[i]!;
  }

  /** A whole number of digits; −1 if the field is none, or beyond 2^53. */
  whole(i: number): number {
    let bytes = this.#bytes;
    let at = i === 0 ? this.#from : this.#ends[i - 1]! + 1;
    let to = this.#ends[i]!;
    if (this.#parsed !== null) {
      bytes = Buffer.from(this.#parsed[i]!);
      at = 0;
      to = bytes.length;
    }
    if (at === to || to - at > 16) return -1;
    let value = 0;
    for (; at < to; at++) {
      const digit = bytes[at]! - 48;
      if (digit < 0 || digit > 9) return -1;
      value = value * 10 + digit;
    }
    return value <= Number.MAX_SAFE_INTEGER ? value : -1;
  }

  /** The field's number among the names. */
  number(i: number, names: Names): number {
    if (this.#parsed !== null) {
      const bytes = Buffer.from(this.#parsed[i]!);
      return names.number(bytes, 0, bytes.length);
    }
    return names.number(this.#bytes, i === 0 ? this.#from : this.#ends[i - 1]! + 1, this.#ends[i]!);
  }
}

/** Numbers names, as bytes, from 0 in the order of their first appearance. Open addressing, linear probing, doubled when half full. */
export class Names {
  /** hash and number + 1 (0: free) */
  #slots = new Int32Array(2 * 1024);
  #mask = 1023;
  #bytes = Buffer.alloc(1 << 14);
  #known = viewOf(this.#bytes);
  /** the bytes that the last name was in */
  #input: Uint8Array = this.#bytes;
  #view = this.#known;
  /** where each ends in the bytes */
  #ends = new Float64Array(512);
  /** distinct names so far */
  size = 0;

  /** @returns the number; it is new if it equals what {@link size} was */
  number(bytes: Uint8Array, from: number, to: number): number {
    if (bytes !== this.#input) {
      this.#input = bytes;
      this.#view = viewOf(bytes);
    }
    const view = this.#view;
    let hash = to - from;
    let at = from;
    for (; at + 4 <= to; at += 4) {
      hash = Math.imul(hash ^ view.getInt32(at, true), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    for (; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
    hash ^= hash >>> 15;
    const slots = this.#slots;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const number = slots[2 * slot + 1]! - 1;
      if (number < 0) return this.#add(slot, hash, bytes, from, to);
      if (slots[2 * slot] === hash && this.#is(number, bytes, from, to)) return number;
    }
  }

  #is(number: number, bytes: Uint8Array, from: number, to: number): boolean {
    let at = number === 0 ? 0 : this.#ends[number - 1]!;
    if (this.#ends[number]! - at !== to - from) return false;
    const known = this.#known;
    const view = this.#view;
    for (; from + 4 <= to; from += 4, at += 4) if (known.getInt32(at, true) !== view.getInt32(from, true)) return false;
    for (; from < to; from++) if (this.#bytes[at++] !== bytes[from]) return false;
    return true;
  }

  #add(slot: number, hash: number, bytes: Uint8Array, from: number, to: number): number {
    const number = this.size++;
    const at = number === 0 ? 0 : this.#ends[number - 1]!;
    const end = at + to - from;
    if (end > this.#bytes.length) {
      const wider = Buffer.alloc(Math.max(2 * this.#bytes.length, end));
      this.#bytes.copy(wider);
      this.#bytes = wider;
      this.#known = viewOf(wider);
    }
    this.#bytes.set(bytes.subarray(from, to), at);
    if (number === this.#ends.length) {
      const wider = new Float64Array(2 * number);
      wider.set(this.#ends);
      this.#ends = wider;
    }
    this.#ends[number] = end;
    this.#slots[2 * slot] = hash;
    this.#slots[2 * slot + 1] = number + 1;
    if (this.size > this.#mask >> 1) this.#grow();
    return number;
  }

  #grow(): void {
    const old = this.#slots;
    const mask = 2 * this.#mask + 1;
    const slots = new Int32Array(2 * (mask + 1));
    for (let from = 0; from < old.length; from += 2) {
      if (old[from + 1] === 0) continue;
      let slot = old[from]! & mask;
      while (slots[2 * slot + 1] !== 0) slot = (slot + 1) & mask;
      slots[2 * slot] = old[from]!;
      slots[2 * slot + 1] = old[from + 1]!;
    }
    this.#slots = slots;
    this.#mask = mask;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
