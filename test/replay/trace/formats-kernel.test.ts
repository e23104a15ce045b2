import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { tracefs } from '../../../src/replay/trace/formats/tracefs.ts';
import { TRACE_OP_NAMES } from '../../../src/replay/trace/trace.ts';
import { hasTool, need, SHARED_DATA } from '../../require.ts';
import { readBytes } from './memory-sink.ts';

/** as normalise.py of the shared data calls them */
const OPS: Readonly<Record<string, string>> = {
  read: 'read',
  'read-rest': 'read+',
  fault: 'fault',
  // they don't tell one that the kernel took up again
  'fault-again': 'fault',
  'fault-around': 'map',
  'map-after-fault': 'mapr',
  'map-before-fault': 'mapf',
  fill: 'add',
  drop: 'del',
};

interface Meta {
  mounts: { id: string; dev: [number, number] }[];
}

const unpacked = (path: string): string =>
  execFileSync('zstd', ['-dc', path], { maxBuffer: 1 << 30 }).toString('latin1');

/** Lines of several CPU's pipes in the order of time, page faults ahead of what they cause. */
function merged(texts: readonly string[]): string {
  const at = (line: string): number => Number(/ (\d+\.\d{6}): /.exec(line)?.[1] ?? 0);
  return texts
    .flatMap((text, i) => text.split('\n').map((line) => ({ line, time: at(line), i })))
    .sort((a, b) => a.time - b.time || b.i - a.i)
    .map(({ line }) => line)
    .join('\n');
}

describe('recordings of Linux 6.18, by another program', () => {
  const available = need(`shared data ${SHARED_DATA}`, existsSync(SHARED_DATA)) && need('zstd', hasTool('zstd'));
  const recordings = ['redis/rec/a-plain', 'redis/rec/multi-plain', 'redis/rec/a-memlim', 'nginx/rec/merged-plain'];

  test.skipIf(!available)(
    'every fill and drop, and every access, is what normalise.py made of it',
    { timeout: 120_000 },
    async () => {
      for (const recording of recordings) {
        const dir = join(SHARED_DATA, recording);
        const faults = readdirSync(dir).filter((name) => name.startsWith('faults-'));
        const text = merged(['trace.txt.zst', ...faults].map((name) => unpacked(join(dir, name))));
        const trace = await readBytes(tracefs, Buffer.from(text, 'latin1'));
        const meta = JSON.parse(unpacked(join(dir, 'meta.json.zst'))) as Meta;
        const ids = new Map(meta.mounts.map(({ id, dev }) => [dev.join(':'), id]));
        const mounts = trace.mounts.map(({ name }) => ids.get(name));
        const rows = unpacked(join(dir, 'events.csv.zst'))
          .trim()
          .split('\n')
          .slice(1)
          .map((line) => line.split(','));
        // time, mount, inode, operation, first page, pages asked for, task
        const theirs = rows
          .filter((row) => ['read', 'read+', 'read0', 'fault', 'map', 'mapr', 'mapf', 'add', 'del'].includes(row[4]!))
          .map(([time, , mount, ino, name, page, , , task, asked]) => ({
            event: [mount, Number(ino), name, Number(page), Number(asked), Number(task)],
            time: Number(time),
          }));
        const ours = trace.events
          .filter((e) => mounts[trace.files[e.file]!.mount] !== undefined)
          .map((e) => {
            const { mount, ino } = trace.files[e.file]!;
            const name = OPS[TRACE_OP_NAMES[e.op]!]!;
            return {
              event: [mounts[mount], ino, name, e.page, e.pages, e.task],
              time: e.timeNs,
            };
          });
        // What came after mincore(2) was asked, they leave out.
        ours.length = theirs.length;
        // A read of nothing is one only to those who know how long the file is.
        for (const [i, { event }] of theirs.entries()) if (event[2] === 'read0') event[2] = ours[i]!.event[2]!;
        // A read that begins in the page where the one before ended is its rest to them, whatever was cached.
        for (const [i, { event }] of theirs.entries())
          if (event[2] === 'read+' && event[4] === 1 && ours[i]!.event[2] === 'read') event[2] = 'read';
        // Which window belongs to which fault is known where page faults are.
        if (faults.length === 0)
          for (const { event } of [...ours, ...theirs]) event[2] = String(event[2]).replace(/^map.$/, 'map');
        expect(ours.map(({ event }) => event)).toEqual(theirs.map(({ event }) => event));
        const start = ours[0]!.time - theirs[0]!.time;
        expect(ours.map(({ time }) => time - start)).toEqual(theirs.map(({ time }) => time));
      }
    },
  );
});
