import { createHash } from 'node:crypto';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ArrowTraceWriter } from '../../../src/replay/trace/arrow/writer.ts';
import { TraceBudget } from '../../../src/replay/trace/budget.ts';
import { oracleGeneral } from '../../../src/replay/trace/formats/oracle-general.ts';
import type { TraceInfo } from '../../../src/replay/trace/info.ts';
import { TraceSummary } from '../../../src/replay/trace/info.ts';
import { convert, recognise, traceHead, traceInfo } from '../../../src/replay/trace/open.ts';
import { OP, TRACE_OPS, type TraceEvent, type TraceOp } from '../../../src/replay/trace/trace.ts';
import { temporaryFile, temporaryFolder } from '../support.ts';
import { event, MemorySink, said, writeTrace } from './memory-sink.ts';

/** The same, slowly: pages as texts in sets, distances in a list. */
function naive({ containers, files, events }: MemorySink) {
  const who = containers.map(() => ({ references: 0, pages: new Set<string>() }));
  const stack: string[] = [];
  const distances: number[] = [];
  for (const e of events) {
    const name = Object.keys(OP)[e.op] as TraceOp;
    if (TRACE_OPS[name] !== 'demand') continue;
    let [from, pages] = [0, e.pages];
    if (name === 'fault-around') [from, pages] = e.touch < 0 ? [0, 0] : [e.touch, 1];
    for (let i = from; i < from + pages; i++) {
      const page = `${e.file}:${(BigInt(e.pageHigh) << 32n) + BigInt(e.page + i)}`;
      who[e.container]!.references++;
      who[e.container]!.pages.add(page);
      const at = stack.indexOf(page);
      if (at >= 0) stack.splice(at, 1);
      stack.unshift(page);
      distances.push(at + 1);
    }
  }
  const again = distances.filter((d) => d > 0).sort((a, b) => a - b);
  const quantile = (share: number): number => again[Math.max(0, Math.ceil(share * again.length) - 1)] ?? 0;
  return {
    references: distances.length,
    distinctPages: stack.length,
    containers: containers.map((name, i) => ({
      name,
      references: who[i]!.references,
      pages: who[i]!.pages.size,
    })),
    files: files.length,
    reuse:
      distances.length === 0
        ? null
        : {
            coldShare: stack.length / distances.length,
            p10: quantile(0.1),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: again.at(-1) ?? 0,
          },
  };
}

async function summary(trace: MemorySink, references = 2 ** 40): Promise<TraceInfo> {
  const into = new TraceSummary(new TraceBudget(temporaryFile('t.arrows', ''), references), true);
  await trace.pour(into);
  return into.result({ format: 'arrow', sha256: '', end: trace.ended, skippedRecords: 0 });
}

function traceOf(events: readonly TraceEvent[]): MemorySink {
  const trace = new MemorySink();
  trace.container('a1');
  trace.container('b1');
  const mount = trace.mount({ name: 'a', image: 'a.erofs' });
  for (const path of ['/usr/lib/libc.so.6', '/usr/lib/x.py', '/usr/bin/env']) trace.file({ mount, path });
  for (const e of events) trace.event(e);
  trace.ended = { lost: 3 };
  return trace;
}

async function arrow(path: string, trace: MemorySink): Promise<string> {
  await trace.pour(await ArrowTraceWriter.create(path));
  return path;
}

const page = fc.oneof(
  { weight: 8, arbitrary: fc.nat(40) },
  { weight: 1, arbitrary: fc.integer({ min: 2 ** 32 - 4, max: 2 ** 32 - 1 }) },
);
const anyEvent: fc.Arbitrary<TraceEvent> = fc.record({
  timeNs: fc.constant(0),
  op: fc.nat(Object.keys(OP).length - 1),
  container: fc.nat(1),
  file: fc.nat(2),
  page,
  pageHigh: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(2) }),
  pages: fc.nat(8),
  touch: fc.constant(-1),
  bytes: fc.constant(0),
  task: fc.constant(0),
});

describe('what is in a trace', () => {
  test('adds up to what sets and lists add up to', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEvent, { maxLength: 150 }), fc.nat(7), async (events, touch) => {
        for (const e of events) if (e.pages > touch && e.op === OP['fault-around']) e.touch = touch;
        const trace = traceOf(events);
        const expected = naive(trace);
        const got = await summary(trace);
        expect(got).toMatchObject(expected);
        const sum = (rows: readonly { references: number; pages: number }[], key: 'references' | 'pages'): number =>
          rows.reduce((a, row) => a + row[key], 0);
        expect([sum(got.types, 'references'), sum(got.types, 'pages')]).toEqual([got.references, got.distinctPages]);
        expect(got.reuse?.histogram.reduce((a, { references }) => a + references, 0) ?? 0).toBe(
          got.references - (got.reuse === null ? 0 : got.distinctPages),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('of a trace that is worked out by hand: operations, types, mounts, time, loss', async () => {
    const trace = traceOf([
      event('fill', { timeNs: 1000, pages: 4 }),
      event('read', { timeNs: 1500, file: 0, pages: 4 }),
      event('read', { timeNs: 2000, file: 0, page: 2, container: 1 }),
      event('fault-around', { timeNs: 2500, file: 2, pages: 16, touch: 3 }),
      event('fault-around', { timeNs: 2500, file: 2, pages: 16 }),
      event('fault', { timeNs: 4000, file: 1 }),
    ]);
    const got = await summary(trace);
    expect(got).toMatchObject({
      whole: true,
      lost: 3,
      events: 6,
      spanNs: 3000,
      references: 7,
      distinctPages: 6,
      ops: {
        fill: { events: 1, pages: 4 },
        read: { events: 2, pages: 5 },
        'fault-around': { events: 2, pages: 32 },
        fault: { events: 1, pages: 1 },
      },
      mounts: [{ name: 'a', image: 'a.erofs', files: 3 }],
      types: [
        { name: '.so', references: 5, pages: 4 },
        { name: '.py', references: 1, pages: 1 },
        { name: 'no ending', references: 1, pages: 1 },
      ],
      reuse: { coldShare: 6 / 7, p50: 2, max: 2 },
    });
  });

  test('the hash is of the file as it lies there, compressed or not', async () => {
    const path = await arrow(join(temporaryFolder(), 't.arrows'), traceOf([event('read')]));
    const zipped = temporaryFile('t.arrows.gz', gzipSync(readFileSync(path)));
    for (const file of [path, zipped]) {
      const { sha256, references } = await traceInfo(file, { reuse: false });
      expect(sha256).toBe(createHash('sha256').update(readFileSync(file)).digest('hex'));
      expect(references).toBe(1);
    }
  });

  test('is the same in another format, which is told by the end of its name', async () => {
    const folder = temporaryFolder();
    const trace = new MemorySink();
    trace.container('?');
    trace.file({ mount: trace.mount({ name: 'objects', ids: 'object' }) });
    for (let i = 0; i < 500; i++) trace.event(event('read', { page: (i * i) % 97, pageHigh: i % 3, bytes: 4096 }));
    const path = join(folder, 'x.oracleGeneral.bin');
    await writeTrace(oracleGeneral, path, trace);
    const zipped = `${path}.gz`;
    writeFileSync(zipped, gzipSync(readFileSync(path)));
    for (const file of [path, zipped]) {
      expect(await recognise(file)).toBe(oracleGeneral);
      expect(await traceInfo(file, { reuse: true })).toMatchObject({
        ...naive(trace),
        format: 'oracle-general',
        whole: null,
      });
    }
    const nameless = temporaryFile('x', readFileSync(path));
    expect(await said(traceInfo(nameless, { reuse: false }))).toMatch(/is in no format that is known by its beginning/);
    expect(await traceInfo(nameless, { reuse: false, format: 'oracleGeneral' })).toMatchObject({ references: 500 });
  });
});

describe('the first events', () => {
  const trace = traceOf([
    event('read', { page: 3, pages: 2, bytes: 8192, task: 7 }),
    event('fault-around', { timeNs: 5, container: 1, file: 2, page: 16, pages: 16, touch: 4 }),
    event('read', { timeNs: 6, page: 1, pageHigh: 2 ** 31 }),
  ]);

  test('are named by the tables', async () => {
    const path = await arrow(join(temporaryFolder(), 't.arrows'), trace);
    const events = await traceHead(path, 2);
    expect(events).toEqual([
      {
        timeNs: 0,
        container: 'a1',
        op: 'read',
        mount: 'a',
        ino: null,
        path: '/usr/lib/libc.so.6',
        page: 3,
        pages: 2,
        touch: null,
        bytes: 8192,
        task: 7,
      },
      {
        timeNs: 5,
        container: 'b1',
        op: 'fault-around',
        mount: 'a',
        ino: null,
        path: '/usr/bin/env',
        page: 16,
        pages: 16,
        touch: 4,
        bytes: 0,
        task: 0,
      },
    ]);
    expect((await traceHead(path, 9)).map((e) => e.page)).toEqual([3, 16, '9223372036854775809']);
  });
});

describe('a trace whose recorder was killed', () => {
  const killed = async (events: number): Promise<string> => {
    const path = join(temporaryFolder(), 'killed.arrows');
    const writer = await ArrowTraceWriter.create(path, true);
    writer.container('a1');
    writer.file({ mount: writer.mount({ name: 'a' }) });
    for (let i = 0; i < events; i++) writer.event(event('read', { timeNs: i, page: i }));
    writer.flush();
    await writer.abort();
    return path;
  };

  test('is read to its last batch, and says that it is not whole', async () => {
    const path = await killed(70_000);
    expect(await traceInfo(path, { reuse: false })).toMatchObject({ whole: false, lost: null, references: 70_000 });
  });

  test('cut within its last batch: an error that says where; under --skip-bad what is ahead of it', async () => {
    const path = await killed(70_000);
    truncateSync(path, readFileSync(path).length - 5);
    expect(await said(traceInfo(path, { reuse: false }))).toMatch(
      /^DataError: .*killed\.arrows: message at byte \d+: ends within a message$/,
    );
    const got = await traceInfo(path, { reuse: false, skipBad: true });
    expect(got).toMatchObject({ whole: false, references: 65_536, skippedRecords: 1 });
    expect(got.sha256).toBe(createHash('sha256').update(readFileSync(path)).digest('hex'));
  });

  test('converted, it is still not whole', async () => {
    const output = join(temporaryFolder(), 'out.arrows');
    const read = await convert(await killed(10), { to: 'arrow', output });
    expect(read.end).toBe(null);
    expect(await traceInfo(output, { reuse: false })).toMatchObject({
      whole: false,
      references: 10,
      end: { incomplete: true },
    });
  });
});

describe('a trace that names more pages than anything could have', () => {
  const hostile = async (rows: number, pages: number): Promise<string> =>
    arrow(
      join(temporaryFolder(), 'bomb.arrows'),
      traceOf(Array.from({ length: rows }, () => event('read', { pages }))),
    );

  test('is refused where its pages are counted or written out, and nothing is left behind', async () => {
    for (const [rows, pages, wrong] of [
      [1, 2 ** 32 - 1, /event 0: is a run of 4294967295 pages, beyond 16777216$/],
      [10, 2 ** 21, /event 8: more than \d+ page references, which so small a file hardly means: --max-references/],
    ] as const) {
      const path = await hostile(rows, pages);
      expect(await said(traceInfo(path, { reuse: false }))).toMatch(wrong);
      const output = join(temporaryFolder(), 'out');
      expect(await said(convert(path, { to: 'oracleGeneral', output }))).toMatch(wrong);
      expect(existsSync(output)).toBe(false);
      expect((await traceHead(path, 1))[0]!.pages).toBe(pages);
    }
  });

  test('more distinct pages than its bytes allow are refused, unless somebody allows them', async () => {
    const trace = traceOf(Array.from({ length: 9 }, (_, i) => event('read', { page: i * 2 ** 19, pages: 2 ** 19 })));
    const path = await arrow(join(temporaryFolder(), 'wide.arrows'), trace);
    expect(await said(traceInfo(path, { reuse: false }))).toMatch(/event 8: more than \d+ distinct pages/);
    expect(await traceInfo(path, { reuse: false, maxReferences: 2 ** 30 })).toMatchObject({
      distinctPages: 9 * 2 ** 19,
    });
  });
});
