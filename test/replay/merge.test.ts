import fc from 'fast-check';
import { expect, it } from 'vitest';
import { mergeByTime } from '../../src/replay/trace/merge.ts';
import type { TraceRow } from '../../src/replay/trace/row.ts';
import { row } from './support.ts';

const source = (times: readonly number[], batchRows: number) => ({
  async *batches(): AsyncGenerator<TraceRow[]> {
    for (let at = 0; at < times.length; at += batchRows)
      yield times.slice(at, at + batchRows).map((timeNs, i) => row({ timeNs, nid: at + i, op: 'read' }));
  },
});

it('merging equals sorting all rows by time, then by trace, keeping the order within each', async () => {
  const times = fc.array(fc.nat(20), { maxLength: 30 }).map((list) => list.sort((a, b) => a - b));
  await fc.assert(
    fc.asyncProperty(
      fc.array(times, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 7 }),
      async (traces, batchRows) => {
        const merged: [number, number, number][] = [];
        for await (const { source: number, rows } of mergeByTime(traces.map((t) => source(t, batchRows))))
          for (const r of rows) merged.push([r.timeNs, number, r.nid]);
        const sorted = traces
          .flatMap((t, number) => t.map((timeNs, nid): [number, number, number] => [timeNs, number, nid]))
          .sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
        expect(merged).toEqual(sorted);
      },
    ),
    { seed: 3 },
  );
});
