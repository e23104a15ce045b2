import type { TraceRow } from './row.ts';

/** Anything that yields rows in time order. */
export interface RowSource {
  batches(): AsyncGenerator<TraceRow[]>;
}

/**
 * Merges traces by time, each starting at its own time 0; rows of equal time keep the order in which the traces were given.
 * @returns batches of rows together with the number of the trace they came from
 */
export async function* mergeByTime(
  sources: readonly RowSource[],
): AsyncGenerator<{ source: number; rows: TraceRow[] }> {
  if (sources.length === 1) {
    for await (const rows of sources[0]!.batches()) yield { source: 0, rows };
    return;
  }
  const open = await Promise.all(
    sources.map(async (source, number) => {
      const batches = source.batches();
      const first = await batches.next();
      return { number, batches, rows: first.done ? [] : first.value, at: 0 };
    }),
  );
  try {
    for (;;) {
      const live = open.filter((cursor) => cursor.at < cursor.rows.length);
      if (live.length === 0) return;
      // The earliest cursor runs until another one's next row is earlier.
      live.sort((a, b) => a.rows[a.at]!.timeNs - b.rows[b.at]!.timeNs || a.number - b.number);
      const cursor = live[0]!;
      const next = live[1];
      const start = cursor.at;
      while (cursor.at < cursor.rows.length) {
        if (next) {
          const limit = next.rows[next.at]!.timeNs;
          const mine = cursor.rows[cursor.at]!.timeNs;
          if (mine > limit || (mine === limit && next.number < cursor.number)) break;
        }
        cursor.at++;
      }
      yield { source: cursor.number, rows: cursor.rows.slice(start, cursor.at) };
      if (cursor.at === cursor.rows.length) {
        const more = await cursor.batches.next();
        cursor.rows = more.done ? [] : more.value;
        cursor.at = 0;
      }
    }
  } finally {
    await Promise.all(open.map((cursor) => cursor.batches.return(undefined)));
  }
}
