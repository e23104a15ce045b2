import { isAscii } from 'node:buffer';
import { StringDecoder } from 'node:string_decoder';
import type { BadRecords, TraceInput } from './format.ts';

const MAX_LINE = 64 * 1024;

/** The lines of a text, a chunk of them at a time, without their ends. A line that is too long is a bad record, and left out. */
export async function* lines(
  input: TraceInput,
  bad: BadRecords,
  maxLine = MAX_LINE,
): AsyncGenerator<{ texts: readonly string[]; first: number }> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let line = 1;
  let tooLong = false;
  let wide = false;
  for await (const chunk of input.stream) {
    // ASCII, when no character is left over from the chunk before: three times as fast.
    const ascii = isAscii(chunk);
    const text = rest + (ascii && !wide ? chunk.toString('latin1') : decoder.write(chunk));
    wide = !ascii;
    const texts = text.split('\n');
    rest = texts.pop()!;
    const first = line;
    line += texts.length;
    if (texts.length > 0) {
      if (tooLong) texts[0] = '';
      tooLong = false;
      yield { texts: text.includes('\r') ? texts.map(withoutReturn) : texts, first };
    }
    if (rest.length > maxLine) {
      if (!tooLong) bad.record(`line ${line}`, `is longer than ${maxLine} characters`);
      tooLong = true;
      rest = '';
    }
  }
  rest += decoder.end();
  if (rest !== '' && !tooLong) yield { texts: [rest], first: line };
}

function withoutReturn(text: string): string {
  return text.endsWith('\r') ? text.slice(0, -1) : text;
}

/** A whole number of digits; −1 if the text is none, or beyond 2^53. */
export function wholeNumber(text: string): number {
  if (text.length === 0 || text.length > 16) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : -1;
}

/** Seconds with a fraction, `12.345678901`, in nanoseconds, exactly; −1 if the text isn't that. */
export function secondsToNs(text: string): number {
  const point = text.indexOf('.');
  const seconds = wholeNumber(point < 0 ? text : text.slice(0, point));
  const fraction = point < 0 ? '' : text.slice(point + 1);
  if (seconds < 0 || fraction.length > 9 || (point >= 0 && fraction === '')) return -1;
  const ns = fraction === '' ? 0 : wholeNumber(fraction.padEnd(9, '0'));
  return ns < 0 ? -1 : seconds * 1e9 + ns;
}

/** A text of a file in an error: short, without control characters. */
export function clip(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text).slice(1, -1);
}

/** Puts times on the trace's own scale: the first one is 0, none is before the one ahead of it. */
export class Clock {
  readonly #bad: BadRecords;
  #start = -1;
  #last = 0;

  constructor(bad: BadRecords) {
    this.#bad = bad;
  }

  /** what the first time was, in ns: for the trace's facts, with which the times are the source's again */
  get startNs(): number {
    return Math.max(this.#start, 0);
  }

  /** @returns ns since the first time; −1 if it is a bad record */
  at(ns: number, where: string): number {
    if (this.#start < 0) this.#start = ns;
    const time = ns - this.#start;
    if (time < this.#last) {
      this.#bad.record(where, `its time is ${this.#last - time} ns before that of the record above`);
      return -1;
    }
    this.#last = time;
    return time;
  }
}
