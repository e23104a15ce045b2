import type { BadRecords, TraceInput } from './format.ts';
import { clip } from './lines.ts';

const MAX_BYTES = 1 << 24;

/** A file that is one JSON value, of at most 16 MiB. @throws DataError with the byte at fault */
export async function readJson(input: TraceInput, bad: BadRecords): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of input.stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_BYTES)
      bad.fatal(`byte ${MAX_BYTES}`, `goes on: of one JSON value at most ${MAX_BYTES} bytes are read`);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  const what = wrongWith(text);
  if (what === null) return JSON.parse(text);
  const short = what.replace(/( in JSON at position |, (\.\.\.)?").*$/s, '');
  return bad.fatal(`byte ${Buffer.byteLength(text.slice(0, wrongAt(text)))}`, `is not JSON: ${clip(short)}`);
}

/** What the parser says of a text; null if it is JSON. */
function wrongWith(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What is said of the beginning of some JSON. */
const AT_END = /end of JSON|Unterminated|minus sign|missing|Bad (escaped|control|Unicode)/;

/** Where a text that is not JSON stops being the beginning of some: by halving, as the parser does not always say. */
function wrongAt(text: string): number {
  let good = 0;
  let wrong = text.length + 1;
  while (wrong - good > 1) {
    const middle = (good + wrong) >> 1;
    const what = wrongWith(text.slice(0, middle));
    if (what === null || AT_END.test(what) || what.includes(`at position ${middle}`)) good = middle;
    else wrong = middle;
  }
  return Math.min(good, text.length);
}

/** An object's fields; null if the value is none. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

/** A whole number of at most `most` from 0 on; −1 if the value is none. */
export function wholeOf(value: unknown, most = Number.MAX_SAFE_INTEGER): number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most ? (value as number) : -1;
}
