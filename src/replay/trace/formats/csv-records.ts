import { type CsvError, parse } from 'csv-parse/sync';
import { byteLines, type Cells } from './cells.ts';
import type { BadRecords, TraceInput } from './format.ts';

const MAX_LINE = 1 << 16;
const MAX_RECORD_LINES = 64;
const QUOTE = 34;

/** Whole lines without quotes as bytes, or records as texts. */
export type CsvChunk =
  | { bytes: Buffer; texts: null; first: number }
  | { bytes: null; texts: readonly string[]; first: number };

/**
 * The records of a CSV text (RFC 4180): bytes where there is no quote, else texts, put together where a quoted field has line ends in it. A field
 * that is never closed is a bad record of one line.
 */
export async function* csvRecords(input: TraceInput, bad: BadRecords): AsyncGenerator<CsvChunk> {
  let open: string[] = [];
  let opened = 0;
  const giveUp = (): CsvChunk => {
    bad.record(`line ${opened}`, 'opens a quoted field that is not closed');
    const texts = open.slice(1);
    open = [];
    return { bytes: null, texts, first: opened + 1 };
  };
  for await (const { bytes, first } of byteLines(input, bad, MAX_LINE)) {
    if (open.length === 0 && !bytes.includes(QUOTE)) {
      yield { bytes, texts: null, first };
      continue;
    }
    const texts = bytes.toString().split('\n');
    if (texts.at(-1) === '') texts.pop();
    let from = 0;
    for (let i = 0; i < texts.length; i++) {
      const text = texts[i]!.endsWith('\r') ? texts[i]!.slice(0, -1) : texts[i]!;
      texts[i] = text;
      if (open.length === 0) {
        if (!hasOddQuotes(text)) continue;
        if (i > from) yield { bytes: null, texts: texts.slice(from, i), first: first + from };
        opened = first + i;
        open.push(text);
      } else {
        open.push(text);
        if (hasOddQuotes(text)) {
          yield { bytes: null, texts: [open.join('\n')], first: opened };
          open = [];
        } else if (open.length > MAX_RECORD_LINES) yield giveUp();
      }
      from = i + 1;
    }
    if (from < texts.length) yield { bytes: null, texts: texts.slice(from), first: first + from };
  }
  if (open.length > 0) yield giveUp();
}

function hasOddQuotes(text: string): boolean {
  let odd = false;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) odd = !odd;
  return odd;
}

/**
 * Calls `record` for each record of a chunk, its fields told apart, with its line and what is wrong with it, if anything is. Empty lines are passed over.
 * @param delimiter one character of ASCII
 */
export function eachRecord(
  chunk: CsvChunk,
  cells: Cells,
  delimiter: string,
  record: (line: number, wrong: string | null) => void,
): void {
  let line = chunk.first;
  if (chunk.bytes !== null) {
    const { bytes } = chunk;
    const byte = delimiter.charCodeAt(0);
    let at = line === 1 && bytes.indexOf('\ufeff') === 0 ? 3 : 0;
    for (; at < bytes.length; line++) {
      at = cells.cut(bytes, at, byte);
      if (cells.count > 1 || !cells.isEmpty(0)) record(line, null);
    }
    return;
  }
  for (const text of chunk.texts) {
    const content = line === 1 && text.startsWith('\ufeff') ? text.slice(1) : text;
    if (content !== '') record(line, takeQuoted(cells, content, delimiter));
    line++;
  }
}

/** Tells the fields of a record apart by csv-parse, if there is a quote. @returns what is wrong with it; null if nothing is */
export function takeQuoted(cells: Cells, text: string, delimiter: string): string | null {
  if (!text.includes('"')) {
    cells.take(text.split(delimiter));
    return null;
  }
  try {
    const records: string[][] = parse(text, { delimiter, relax_column_count: true });
    cells.take(records[0] ?? ['']);
    return records.length > 1 ? 'is more than one record' : null;
  } catch (error) {
    return (error as CsvError).message.replace(/ (at|on) line \d+/g, '');
  }
}

/** A field, quoted where it must be. */
export function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
