import type { BadRecords } from './format.ts';
import { readTime, type Time } from './start.ts';

const DAY_S = 86_400;

/**
 * Times as strace and fatrace print them, of which a trace has one form: seconds since 1970 (`1795608300.764721`), the time of day
 * (`12:05:00.858421`, on which midnight may follow), or seconds since the line above (strace -r, below 10^8).
 */
export class PrintedTimes {
  form: 'epoch' | 'day' | 'relative' | 'none' | null = null;
  readonly time: Time = { seconds: 0, ns: 0 };
  readonly #bad: BadRecords;
  readonly #read: Time = { seconds: 0, ns: 0 };
  #days = 0;

  constructor(bad: BadRecords) {
    this.#bad = bad;
  }

  /** Takes a line's time into `time`. @param text '' if the line has none @returns whether it is one, of the trace's form */
  take(text: string, where: string): boolean {
    const day = text.charCodeAt(2) === 58;
    const read = this.#read;
    const fine = day ? readDayTime(text, read) : text === '' || readTime(text, 0, read);
    if (!fine) {
      this.#bad.record(where, `'${text}' is no time`);
      return false;
    }
    const form = text === '' ? 'none' : day ? 'day' : read.seconds < 1e8 ? 'relative' : 'epoch';
    this.form ??= form;
    if (form !== this.form) {
      this.#bad.record(
        where,
        form === 'none' ? 'has no time, which the lines above have' : 'its time is of another form than those above',
      );
      return false;
    }
    const { time } = this;
    if (form === 'relative') {
      const ns = time.ns + read.ns;
      time.seconds += read.seconds + (ns >= 1e9 ? 1 : 0);
      time.ns = ns >= 1e9 ? ns - 1e9 : ns;
      return true;
    }
    if (form === 'day') {
      if (time.seconds - (this.#days * DAY_S + read.seconds) > DAY_S / 2) this.#days++;
      read.seconds += this.#days * DAY_S;
    }
    time.seconds = read.seconds;
    time.ns = read.ns;
    return true;
  }
}

function readDayTime(text: string, time: Time): boolean {
  const digit = (at: number): number => text.charCodeAt(at) - 48;
  for (const at of [0, 1, 3, 4, 6]) if (!(digit(at) >= 0 && digit(at) <= 9)) return false;
  if (text.charCodeAt(5) !== 58 || !readTime(text.slice(6), 0, time)) return false;
  const hours = 10 * digit(0) + digit(1);
  const minutes = 10 * digit(3) + digit(4);
  if (hours > 23 || minutes > 59 || time.seconds > 60) return false;
  time.seconds += 3600 * hours + 60 * minutes;
  return true;
}
