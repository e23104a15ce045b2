import { wholeNumber } from './lines.ts';

const MAX_FIELDS = 1024;

/** The fields of a line, found without making a text of each: five times as fast as split() where numbers are wanted. */
export class Fields {
  /** fields of the line; at most 1024 are told apart */
  count = 0;
  #line = '';
  /** one past the end of each */
  readonly #ends = new Int32Array(MAX_FIELDS);
  #parsed: readonly string[] | null = null;

  /** @param delimiter one character */
  cut(line: string, delimiter: string): void {
    this.#line = line;
    this.#parsed = null;
    const ends = this.#ends;
    let count = 0;
    for (let at = line.indexOf(delimiter); at >= 0 && count < MAX_FIELDS - 1; at = line.indexOf(delimiter, at + 1))
      ends[count++] = at;
    ends[count++] = line.length;
    this.count = count;
  }

  /** Fields that somebody else told apart. */
  take(fields: readonly string[]): void {
    this.#parsed = fields;
    this.count = fields.length;
  }

  text(i: number): string {
    if (this.#parsed !== null) return this.#parsed[i]!;
    return this.#line.substring(i === 0 ? 0 : this.#ends[i - 1]! + 1, this.#ends[i]!);
  }

  isEmpty(i: number): boolean {
    if (this.#parsed !== null) return this.#parsed[i] === '';
    return (i === 0 ? 0 : this.#ends[i - 1]! + 1) === this.#ends[i]!;
  }

  /** The field as {@link wholeNumber} has it. */
  whole(i: number): number {
    if (this.#parsed !== null) return wholeNumber(this.#parsed[i]!);
    const line = this.#line;
    const from = i === 0 ? 0 : this.#ends[i - 1]! + 1;
    const to = this.#ends[i]!;
    if (from === to || to - from > 16) return -1;
    let value = 0;
    for (let at = from; at < to; at++) {
      const digit = line.charCodeAt(at) - 48;
      if (digit < 0 || digit > 9) return -1;
      value = value * 10 + digit;
    }
    return value <= Number.MAX_SAFE_INTEGER ? value : -1;
  }
}
