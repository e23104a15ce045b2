import { blankEvent, OP, type TraceSink } from '../trace.ts';
import type { ReadOptions, TraceFormat, TraceInput } from './format.ts';
import { clip, lines } from './lines.ts';
import { type Id, readId } from './number64.ts';

/** a Map holds 2^24 entries and no more */
const MAP_ENTRIES = 2 ** 23;

/**
 * One object id a line and nothing else, as libCacheSim's traceReader/generalReader/txt.c and many scripts have them.
 *
 * If the first line is a number (at most 2^64 − 1), all are and are kept as they are; else every line is a text, and texts are numbered
 * from 0 in the order of their first appearance. Empty lines are passed over. All events are at time 0.
 */
export const ids: TraceFormat = {
  name: 'ids',
  title: 'plain text, an object id a line',
  lacks: 'times, sizes, files, who asked: only which object follows which',
  read: readIds,
};

async function readIds(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<void> {
  const event = blankEvent();
  event.op = OP.read;
  let texts: TextInterner | null = null;
  let begun = false;
  const id: Id = { low: 0, high: 0 };
  const begin = (first: string | null): void => {
    begun = true;
    if (first !== null && !readId(first, id)) texts = new TextInterner();
    sink.facts({ source: 'ids', ...(first !== null && { ids: texts === null ? 'numbers' : 'texts' }) });
    event.container = sink.container('?');
    event.file = sink.file({ mount: sink.mount({ name: 'objects', ids: 'object' }) });
  };
  for await (const chunk of lines(input, bad)) {
    for (let i = 0; i < chunk.texts.length; i++) {
      const text = chunk.texts[i]!;
      if (text === '') continue;
      if (!begun) begin(text);
      if (texts !== null) {
        event.page = (texts as TextInterner).intern(text);
      } else if (readId(text, id)) {
        event.page = id.low;
        event.pageHigh = id.high;
      } else {
        bad.record(`line ${chunk.first + i}`, `'${clip(text)}' is no number below 2^64, as the ids above are`);
        continue;
      }
      sink.event(event);
    }
  }
  if (!begun) begin(null);
}

/** Numbers texts from 0 in the order of their first appearance. */
class TextInterner {
  readonly #maps: Map<string, number>[] = [new Map()];
  #size = 0;

  intern(text: string): number {
    const maps = this.#maps;
    for (let i = maps.length - 1; i >= 0; i--) {
      const number = maps[i]!.get(text);
      if (number !== undefined) return number;
    }
    if (maps.at(-1)!.size === MAP_ENTRIES) maps.push(new Map());
    // A part of a chunk keeps the whole chunk in memory: a copy doesn't.
    maps.at(-1)!.set(Buffer.from(text).toString(), this.#size);
    return this.#size++;
  }
}
