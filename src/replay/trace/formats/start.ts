import type { TraceFacts } from '../trace.ts';
import type { BadRecords } from './format.ts';

/** A time as it stands in a text: whole seconds, and the nanoseconds beyond them. An epoch's nanoseconds are more than a double holds. */
export interface Time {
  seconds: number;
  ns: number;
}

/**
 * Reads a number of some unit, `1577808144360767` or `12.345`, exactly, into `time`. What is finer than a nanosecond is cut off.
 * @param digits of a second in that unit: 0 for s, 3 for ms, 6 for µs, 9 for ns
 * @returns whether the text is such a number, of at most 2^53 seconds
 */
export function readTime(text: string, digits: number, time: Time): boolean {
  const point = text.indexOf('.');
  const whole = point < 0 ? text.length : point;
  if (whole === 0 || whole > 15 + digits || point === text.length - 1) return false;
  let seconds = 0;
  let ns = 0;
  let place = 100_000_000;
  const split = whole - digits;
  for (let i = split < 0 ? split : 0; i < text.length; i++) {
    if (i === whole) continue;
    const digit = i < 0 ? 0 : text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return false;
    if (i < split) seconds = seconds * 10 + digit;
    else {
      ns += digit * place;
      place = place === 1 ? 0 : place / 10;
    }
  }
  time.seconds = seconds;
  time.ns = ns;
  return true;
}

/** As Clock, for times that may be an epoch's. */
export class StartClock {
  readonly #bad: BadRecords;
  #start: Time | null = null;
  #last = 0;

  constructor(bad: BadRecords) {
    this.#bad = bad;
  }

  /** What the trace's facts say of its beginning: nanoseconds, as a text where a double doesn't hold them. */
  get facts(): TraceFacts {
    if (this.#start === null) return {};
    const { seconds, ns } = this.#start;
    const startNs = seconds * 1e9 + ns;
    if (Number.isSafeInteger(startNs)) return { startNs };
    return { startNs: String(BigInt(seconds) * 1_000_000_000n + BigInt(ns)) };
  }

  /** @param at where it stands, or in which line @returns ns since the first time; −1 if it is a bad record */
  at({ seconds, ns }: Time, at: string | number): number {
    this.#start ??= { seconds, ns };
    const time = (seconds - this.#start.seconds) * 1e9 + (ns - this.#start.ns);
    if (time < this.#last) {
      this.#bad.record(placed(at), `its time is ${this.#last - time} ns before that of the record above`);
      return -1;
    }
    if (time > Number.MAX_SAFE_INTEGER) {
      this.#bad.record(placed(at), 'its time is more than 2^53 ns (104 days) after the first');
      return -1;
    }
    this.#last = time;
    return time;
  }
}

function placed(at: string | number): string {
  return typeof at === 'string' ? at : `line ${at}`;
}
