import { type CsvError, parse } from 'csv-parse/sync';
import type { Fields } from './fields.ts';
import type { BadRecords, TraceInput } from './format.ts';
import { lines } from './lines.ts';

const MAX_RECORD_LINES = 64;

/**
 * The records of a CSV text (RFC 4180): lines, put together where a quoted field has line ends in it. A field that is never closed is a bad
 * record of one line.
 */
export async function* csvRecords(
  input: TraceInput,
  bad: BadRecords,
): AsyncGenerator<{ texts: readonly string[]; first: number }> {
  let open: string[] = [];
  let opened = 0;
  const giveUp = (): { texts: string[]; first: number } => {
    bad.record(`line ${opened}`, 'opens a quoted field that is not closed');
    const texts = open.slice(1);
    open = [];
    return { texts, first: opened + 1 };
  };
  for await (const chunk of lines(input, bad)) {
    const { texts, first } = chunk;
    let from = 0;
    for (let i = 0; i < texts.length; i++) {
      const text = texts[i]!;
      if (open.length === 0) {
        if (!hasOddQuotes(text)) continue;
        if (i > from) yield { texts: texts.slice(from, i), first: first + from };
        opened = first + i;
        open.push(text);
      } else {
        open.push(text);
        if (hasOddQuotes(text)) {
          yield { texts: [open.join('\n')], first: opened };
          open = [];
        } else if (open.length > MAX_RECORD_LINES) yield giveUp();
      }
      from = i + 1;
    }
    if (from === 0) yield chunk;
    else if (from < texts.length) yield { texts: texts.slice(from), first: first + from };
  }
  if (open.length > 0) yield giveUp();
}

function hasOddQuotes(text: string): boolean {
  let odd = false;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) odd = !odd;
  return odd;
}

/**
 * Tells the fields of a record apart: by csv-parse where there is a quote, which is a hundred times as slow.
 * @returns what is wrong with it; null if nothing is
 */
export function cutRecord(fields: Fields, text: string, delimiter: string): string | null {
  if (!text.includes('"')) {
    fields.cut(text, delimiter);
    return null;
  }
  try {
    const records: string[][] = parse(text, { delimiter, relax_column_count: true });
    fields.take(records[0] ?? ['']);
    return records.length > 1 ? 'is more than one record' : null;
  } catch (error) {
    return (error as CsvError).message.replace(/ (at|on) line \d+/g, '');
  }
}

/** A field, quoted where it must be. */
export function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
