import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { DataError } from '../../../src/error.ts';
import { ArrowTraceReader } from '../../../src/replay/trace/arrow/reader.ts';
import { ArrowTraceWriter } from '../../../src/replay/trace/arrow/writer.ts';
import { blankEvent, OP, TRACE_OP_NAMES, type TraceEvent } from '../../../src/replay/trace/trace.ts';
import { random } from '../../erofs/random.ts';

const dir = mkdtempSync(join(tmpdir(), 'foliolab-arrow-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Read {
  events: TraceEvent[];
  containers: readonly string[];
  files: readonly object[];
  mounts: readonly object[];
  facts: object;
  end: object | null;
}

async function read(path: string): Promise<Read> {
  const reader = await ArrowTraceReader.open(path);
  const events: TraceEvent[] = [];
  for await (const b of reader.batches())
    for (let i = 0; i < b.rows; i++)
      events.push({
        timeNs: b.timeNs[i]!,
        op: b.op[i]!,
        container: b.container[i]!,
        file: b.file[i]!,
        page: b.page[i]!,
        pageHigh: b.pageHigh[i]!,
        pages: b.pages[i]!,
        touch: b.touch[i]!,
        bytes: b.bytes[i]!,
        task: b.task[i]!,
      });
  const { containers, files, mounts, facts, endFacts } = reader;
  return { events, containers, files, mounts, facts, end: endFacts };
}

/** A trace of `rows` events in a file of its own. */
async function sample(name: string, rows: number): Promise<string> {
  const path = join(dir, name);
  const next = random(7);
  const writer = await ArrowTraceWriter.create(path);
  writer.facts({ kernel: '6.18' });
  writer.container('a1');
  const mount = writer.mount({ name: 'a', image: 'a.erofs' });
  const file = writer.file({ mount, ino: 36, path: '/usr/bin/env', sizeBytes: 48_000 });
  const event = blankEvent();
  for (let i = 0; i < rows; i++) {
    event.timeNs += next(1000);
    event.op = next(2) === 0 ? OP.read : OP.fill;
    event.file = file;
    event.page = next(12);
    writer.event(event);
  }
  await writer.end({ lost: 0 });
  return path;
}

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const event = fc.record({
  timeNs: fc.integer({ min: 0, max: 2 ** 45 }),
  op: fc.integer({ min: 0, max: TRACE_OP_NAMES.length - 1 }),
  container: fc.constant(0),
  file: fc.integer({ min: 0, max: 2 }),
  page: u32,
  pageHigh: u32,
  pages: fc.integer({ min: 16, max: 2 ** 32 - 1 }),
  touch: fc.integer({ min: -1, max: 15 }),
  bytes: u32,
  task: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
});

describe('a trace as an Arrow stream', () => {
  test('what is written is what is read', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 300 }),
        fc.string(),
        fc.integer({ min: 1, max: 100 }),
        async (events, text, flushEvery) => {
          events.sort((a, b) => a.timeNs - b.timeNs);
          const path = join(dir, 'property.arrows');
          const writer = await ArrowTraceWriter.create(path);
          writer.facts({ text });
          writer.container('a1');
          const mount = writer.mount({ name: 'a', ids: 'inode', readAheadKb: 128 });
          for (const path of ['/a', text]) writer.file({ mount, ino: 1, path });
          writer.file({ mount, type: 'directory' });
          for (const [i, e] of events.entries()) {
            writer.event(e);
            if (i % flushEvery === 0) writer.flush();
          }
          await writer.end({ events: events.length });
          expect(await read(path)).toEqual({
            events,
            containers: ['a1'],
            mounts: [{ name: 'a', ids: 'inode', readAheadKb: 128 }],
            files: [
              { mount: 0, ino: 1, path: '/a' },
              { mount: 0, ino: 1, path: text },
              { mount: 0, type: 'directory' },
            ],
            facts: { text },
            end: { events: events.length },
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  test('more rows than a batch has, the same bytes again', async () => {
    const [a, b] = [await sample('a.arrows', 150_000), await sample('b.arrows', 150_000)];
    expect(Buffer.compare(readFileSync(a), readFileSync(b))).toBe(0);
    expect((await read(a)).events.length).toBe(150_000);
  });

  test('what a killed recorder leaves is read up to its last batch, and has no end', async () => {
    const path = join(dir, 'killed.arrows');
    const writer = await ArrowTraceWriter.create(path, true);
    writer.container('a1');
    writer.file({ mount: writer.mount({ name: 'a' }) });
    const event = blankEvent();
    for (let i = 0; i < 10; i++) writer.event(event);
    writer.flush();
    for (let i = 0; i < 10; i++) writer.event(event);
    const { events, end } = await read(path);
    expect([events.length, end]).toEqual([10, null]);
    await writer.abort();
    expect((await read(path)).events.length).toBe(20);
  });

  test('cut anywhere: its first events, or an error with the byte', async () => {
    const whole = readFileSync(await sample('whole.arrows', 300));
    const { events } = await read(join(dir, 'whole.arrows'));
    const path = join(dir, 'cut.arrows');
    let errors = 0;
    for (let length = 0; length < whole.length; length += 3) {
      writeFileSync(path, whole.subarray(0, length));
      try {
        const got = await read(path);
        expect(events.slice(0, got.events.length)).toEqual(got.events);
      } catch (error) {
        expect(error).toBeInstanceOf(DataError);
        expect((error as Error).message).toMatch(/cut\.arrows: message at byte \d+: /);
        errors++;
      }
    }
    expect(errors).toBeGreaterThan(whole.length / 4);
  });

  test('damaged: events that can be indexed by, or an error that says where', async () => {
    const whole = readFileSync(await sample('whole.arrows', 300));
    const next = random(99);
    const path = join(dir, 'bad.arrows');
    let errors = 0;
    for (let i = 0; i < 3000; i++) {
      const bad = Buffer.from(whole);
      for (let k = 1 + next(3); k > 0; k--) {
        const at = next(bad.length - 8);
        if (next(3) === 0) bad.writeInt32LE([-1, 0, 1, 0x7fffffff, -0x80000000, next(1 << 16)][next(6)]!, at);
        else bad[at]! ^= 1 << next(8);
      }
      writeFileSync(path, bad);
      const start = process.cpuUsage();
      try {
        const { events, containers, files } = await read(path);
        expect(events.every((e) => e.container < containers.length && e.file < files.length)).toBe(true);
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        expect(error.message).toMatch(/bad\.arrows: (message at byte|row) \d+/);
        errors++;
      }
      const { user, system } = process.cpuUsage(start);
      expect(user + system).toBeLessThan(1e6);
    }
    expect(errors).toBeGreaterThan(1000);
  }, 120_000);

  test('a row that names no file, goes back in time or touches what it does not have is refused by its number', async () => {
    const bad = async (change: (e: TraceEvent) => void): Promise<string> => {
      const path = join(dir, 'row.arrows');
      const writer = await ArrowTraceWriter.create(path);
      writer.container('a1');
      writer.file({ mount: writer.mount({ name: 'a' }) });
      const event = blankEvent();
      writer.event(event);
      change(event);
      writer.event(event);
      await writer.end({});
      return read(path).then(
        () => 'read',
        (error: Error) => error.message.replace(/^.*row\.arrows: /, '').replace(/ \(message.*\)/, ''),
      );
    };
    expect(await bad((e) => (e.file = 1))).toBe('row 4: is of file 1 of 1');
    expect(await bad((e) => (e.container = 9))).toBe('row 4: is of container 9 of 1');
    expect(await bad((e) => (e.touch = 1))).toBe('row 4: touches page 1 of a run of 1');
    expect(await bad((e) => (e.timeNs = 2 ** 60))).toBe('row 4: has time 1152921504606847000 ns, which is beyond 2^53');
  });
});
