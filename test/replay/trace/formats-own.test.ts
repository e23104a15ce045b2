import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { decompress } from 'fzstd';
import { parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { afterAll, describe, expect, test } from 'vitest';
import { DataError } from '../../../src/error.ts';
import { ArrowTraceReader } from '../../../src/replay/trace/arrow/reader.ts';
import { ArrowTraceWriter } from '../../../src/replay/trace/arrow/writer.ts';
import { CsvTrace } from '../../../src/replay/trace/csv.ts';
import { csv } from '../../../src/replay/trace/formats/csv.ts';
import { jsonLines } from '../../../src/replay/trace/formats/json-lines.ts';
import { parquet } from '../../../src/replay/trace/formats/parquet.ts';
import { convert, recognise } from '../../../src/replay/trace/open.ts';
import { pump } from '../../../src/replay/trace/pump.ts';
import { openTraceRows } from '../../../src/replay/trace/rows.ts';
import { OP, TRACE_OP_NAMES, type TraceEvent } from '../../../src/replay/trace/trace.ts';
import { random } from '../../erofs/random.ts';
import { event, MemorySink, readBytes, said, writeTrace } from './memory-sink.ts';

const dir = mkdtempSync(join(tmpdir(), 'foliolab-own-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const name = fc
  .oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
    fc.constantFrom('a1', '?', 'a1?', 'a,"b', '#x', '"'),
  )
  .filter((text) => !/[\r\n]/.test(text));
const u32 = fc.oneof(fc.nat(9), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const whole = fc.oneof(fc.nat(9), fc.maxSafeNat());
const perhaps = <T>(what: fc.Arbitrary<T>) => fc.option(what, { nil: undefined });

/** Any trace whose names are different, and whose files too. */
const traces = fc
  .record({
    facts: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }),
    containers: fc.uniqueArray(name, { minLength: 1, maxLength: 4 }),
    mounts: fc.uniqueArray(
      fc.record({
        name,
        image: perhaps(fc.constantFrom('a.erofs', 'b é.img')),
        ids: perhaps(fc.constantFrom('inode', 'path', 'object', 'block')),
        readAheadKb: perhaps(fc.nat()),
      }),
      { minLength: 1, maxLength: 3, selector: (mount) => mount.name },
    ),
    files: fc.array(
      fc.record({
        mount: fc.nat(2),
        ino: perhaps(whole),
        path: perhaps(fc.string({ unit: 'grapheme' })),
        sizeBytes: perhaps(whole),
        type: perhaps(fc.constantFrom('file', 'directory')),
      }),
      { minLength: 1, maxLength: 5 },
    ),
    events: fc.array(
      fc.record({
        timeNs: fc.oneof(fc.nat(99), fc.nat()),
        op: fc.nat(TRACE_OP_NAMES.length - 1),
        container: fc.nat(),
        file: fc.nat(),
        page: u32,
        pageHigh: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 32 - 2 })),
        pages: u32,
        touch: fc.integer({ min: -1, max: 20 }),
        bytes: u32,
        task: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      }),
      { maxLength: 12 },
    ),
    ended: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 2 }),
  })
  .map(({ facts, containers, mounts, files, events, ended }) => {
    const trace = new MemorySink();
    trace.facted = plain(facts);
    trace.containers.push(...containers);
    trace.mounts.push(...plain(mounts));
    const known = new Set<string>();
    for (const file of plain(files)) {
      const one = { ...file, mount: file.mount % mounts.length };
      const key = JSON.stringify([one.mount, one.ino ?? one.path ?? null, one.ino === undefined]);
      if (!known.has(key)) trace.files.push(one);
      known.add(key);
    }
    let timeNs = 0;
    for (const e of events) {
      timeNs += e.timeNs;
      const touch = e.touch < Math.max(e.pages, 1) ? e.touch : -1;
      const container = e.container % containers.length;
      trace.event({ ...e, timeNs, touch, container, file: e.file % trace.files.length });
    }
    trace.ended = plain(ended);
    return trace;
  });

/** As JSON has it. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}

async function arrow(trace: MemorySink): Promise<string> {
  const path = join(dir, 'in.arrows');
  await trace.pour(await ArrowTraceWriter.create(path));
  return path;
}

async function readArrow(path: string): Promise<MemorySink> {
  const sink = new MemorySink();
  sink.ended = await pump(await ArrowTraceReader.open(path), sink);
  return sink;
}

function all({ facted, containers, mounts, files, events, ended }: MemorySink): object {
  return { facted, containers, mounts, files, events, ended };
}

describe.each([
  ['csv', csv],
  ['jsonl', jsonLines],
] as const)('%s', (to, format) => {
  test('from the Arrow stream and back, a trace is the same', async () => {
    const there = join(dir, `there.${to}`);
    const back = join(dir, 'back.arrows');
    await fc.assert(
      fc.asyncProperty(traces, async (trace) => {
        await convert(await arrow(trace), { to, output: there, skipBad: false });
        expect(await recognise(there)).toBe(format);
        const { whole } = await convert(there, { to: 'arrow', output: back, skipBad: false });
        expect(whole).toBe(true);
        expect(all(await readArrow(back))).toEqual(all(trace));
      }),
      { numRuns: 40 },
    );
    expect(readdirSync(dir).filter((file) => file.includes('.tmp-'))).toEqual([]);
  });

  test('what defines may come between the events, in a stream of any pieces', async () => {
    const path = join(dir, `between.${to}`);
    const sink = await format.write!(path);
    sink.facts({ kernel: '6.18' });
    const a = sink.mount({ name: 'a', image: 'a.erofs' });
    const first = sink.file({ mount: a, ino: 36, path: '/é' });
    sink.container('a1');
    sink.event(event('read', { file: first, pages: 3 }));
    const second = sink.file({ mount: sink.mount({ name: 'b', ids: 'path' }), path: '/x,"y"\n' });
    const other = sink.container('b,1');
    sink.event(event('fault-around', { file: second, container: other, page: 16, pages: 16, touch: 3, timeNs: 5 }));
    await sink.end({ lost: 0 });
    for (const size of [1, 7, 1 << 16]) {
      const trace = await readBytes(format, readFileSync(path), { size });
      expect(trace.events).toEqual([
        event('read', { pages: 3 }),
        event('fault-around', { file: 1, container: 1, page: 16, pages: 16, touch: 3, timeNs: 5 }),
      ]);
      expect([trace.files, trace.containers, trace.ended]).toEqual([
        [
          { mount: 0, ino: 36, path: '/é' },
          { mount: 1, path: '/x,"y"\n' },
        ],
        ['a1', 'b,1'],
        { lost: 0 },
      ]);
    }
  });

  test('damaged, it is events, or an error by its line', async () => {
    const trace = new MemorySink();
    trace.facted = { kernel: '6.18' };
    trace.containers.push('a1', 'b"1');
    trace.mounts.push({ name: 'a', image: 'a.erofs' });
    trace.files.push({ mount: 0, ino: 36, path: '/usr/bin/env', sizeBytes: 48000 }, { mount: 0, path: '/x' });
    trace.events.push(
      event('read', { pages: 3, bytes: 9000 }),
      event('fault-around', { file: 1, container: 1, timeNs: 5, page: 16, pages: 16, touch: 3, task: 7 }),
      event('fill', { file: 1, timeNs: 900, page: 7, pageHigh: 2 ** 31 }),
    );
    const path = join(dir, `whole.${to}`);
    await writeTrace(format, path, trace);
    const bytes = readFileSync(path);
    const next = random(5);
    let errors = 0;
    for (let i = 0; i < 3000; i++) {
      let damaged = Buffer.from(bytes);
      for (let k = 1 + next(3); k > 0; k--)
        damaged[next(damaged.length)] = next(2) === 0 ? next(256) : '0123456789,"{}[]:-#\n'.charCodeAt(next(20));
      if (next(5) === 0) damaged = damaged.subarray(0, next(damaged.length));
      try {
        await readBytes(format, damaged, { skip: next(2) === 0, size: 1 + next(200) });
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        expect(error.message).toMatch(/^t: (line \d+: |is not a trace: it holds no header line)/);
        errors++;
      }
    }
    expect(errors).toBeGreaterThan(300);
  });
});

describe('csv', () => {
  const V1 = `# foliolab.trace-csv/1
# mount a2 index=a.fidx image-sha256=${'ab'.repeat(32)}
time_ns,container,dev,ino,op,page_index,nr_pages,touch,pid,req_pages,pf
0,a1?,a2,36,read,0,4,,71,4,
5,"a",a2,37,map,16,16,19,71,1,0x14
9,?,b,36,del,16,1,9,4294967295,1,
`;

  test('version 1, as the bundled recordings have it, is read', async () => {
    const trace = await readBytes(csv, Buffer.from(V1));
    expect(trace.facted).toEqual({ source: 'trace-csv version 1' });
    expect(trace.containers).toEqual(['a1', '"a"', '?']);
    expect(trace.mounts).toEqual([{ name: 'a2', index: 'a.fidx', imageSha256: 'ab'.repeat(32) }, { name: 'b' }]);
    expect(trace.files).toEqual([
      { mount: 0, ino: 36 },
      { mount: 0, ino: 37 },
      { mount: 1, ino: 36 },
    ]);
    expect(trace.events).toEqual([
      event('read', { pages: 4, bytes: 16384, task: 71 }),
      event('fault-around', { timeNs: 5, container: 1, file: 1, page: 16, pages: 16, touch: 3, task: 71 }),
      event('drop', { timeNs: 9, container: 2, file: 2, page: 16, task: 0 }),
    ]);
  });

  test('a bundled recording comes back from CSV and from the Arrow stream as the same rows', async () => {
    const rows = async (path: string) => {
      const out = [];
      for await (const batch of (await openTraceRows(path)).batches())
        for (const { line: _, ...row } of batch) out.push(row);
      return out;
    };
    const recording = join(import.meta.dirname, '../../../traces/redis/run.csv.zst');
    const [there, back] = [join(dir, 'redis.arrows'), join(dir, 'redis.csv')];
    await convert(recording, { to: 'arrow', output: there, skipBad: false });
    await convert(there, { to: 'csv', output: back, skipBad: false });
    const wanted = await rows(recording);
    // The recordings have in `touch` the page of a fault too, and of the mappings around it: of no consequence.
    const touchless = wanted.map((row) => (row.op === 'map' ? row : { ...row, touch: -1 }));
    for (const path of [there, back]) {
      const got = await rows(path);
      expect(got.map((row) => (row.op === 'map' ? row : { ...row, touch: -1 }))).toEqual(touchless);
    }
    expect(wanted.length).toBeGreaterThan(10_000);
  });

  test('a replay reads version 2, files that have only a path too', async () => {
    const path = join(dir, 'replayed.csv');
    const trace = new MemorySink();
    trace.containers.push('a1?');
    trace.mounts.push({ name: 'a', index: 'a.fidx', ids: 'path' });
    trace.files.push({ mount: 0, path: '/x' }, { mount: 0, ino: 36 });
    trace.events.push(
      event('write', { page: 3, bytes: 10 }),
      event('cached-before', { file: 1, pages: 8 }),
      event('cached-after', { file: 1, pages: 8 }),
      event('fault-around', { file: 1, page: 16, pages: 16, touch: 2 }),
    );
    await writeTrace(csv, path, trace);
    const read = await CsvTrace.open(path);
    const rows = [];
    for await (const batch of read.batches()) rows.push(...batch);
    const common = { timeNs: 0, container: 'a1?', mount: 'a', bytes: 0, task: 0, before: false };
    expect(rows).toEqual([
      { ...common, nid: -1, filePath: '/x', op: 'read', pageIndex: 3, pageCount: 1, touch: -1, bytes: 10, line: 8 },
      { ...common, nid: 36, op: 'add', pageIndex: 0, pageCount: 8, touch: -1, before: true, line: 9 },
      { ...common, nid: 36, op: 'map', pageIndex: 16, pageCount: 16, touch: 18, line: 11 },
    ]);
    expect([...read.header.mounts]).toEqual([
      ['a', { beside: ['a.fidx'], imageSha256: null, readAheadKb: null, line: 4 }],
    ]);
  });

  test('a name with a line end in it is refused, and nothing is left behind', async () => {
    const trace = new MemorySink();
    trace.containers.push('a\nb');
    trace.mounts.push({ name: 'a' });
    trace.files.push({ mount: 0, ino: 1 });
    trace.events.push(event('read'));
    const path = join(dir, 'refused.csv');
    expect(await said(writeTrace(csv, path, trace))).toMatch(
      /refused\.csv: the name of container 0 has a line end in it/,
    );
    expect(readdirSync(dir).filter((file) => file.includes('refused'))).toEqual([]);
  });

  const V2 = `# foliolab.trace-csv/2
# mount-is {"name":"a"}
# file-is {"mount":0,"ino":36}
time_ns,container,dev,ino,op,page_index,nr_pages,touch,file,bytes,task
`;
  test.each([
    ['0,a1,a,36,read,0,1,,1,0,0', "line 5: file '1' is none of those named above"],
    ['0,a1,a,37,read,0,1,,0,0,0', 'line 5: file 0 has inode 36, or is of another mount than the row'],
    ['0,a1,b,36,read,0,1,,0,0,0', 'line 5: file 0 has inode 36, or is of another mount than the row'],
    ['0,a1,a,36,read,4,1,3,0,0,0', 'line 5: touch 3 is outside its window, pages 4 to 4'],
    ['0,a1,a,36,fill,4,1,,0,0,0', "line 5: op 'fill' is unknown"],
    ['0,a1,a,36,read,4,1,,0,4294967296,0', 'line 5: bytes 4294967296 is beyond 2^32'],
    ['0,a1,a,36,read,18446744073709551616,1,,0,0,0', "line 5: page_index '18446744073709551616' is not a whole number"],
    ['0,"a1,a,36,read,4,1,,0,0,0', 'line 5: Quote Not Closed'],
    ['# end {}\n0,a1,a,36,read,4,1,,0,0,0', 'line 6: comes behind the end of the trace'],
    ['# end', 'line 5: defines something without saying what'],
    ['# file-is {"mount":1}', 'line 5: names a file of mount 1 of 1'],
  ])('what is wrong is said with its line: %s', async (line, message) => {
    expect(await said(readBytes(csv, Buffer.from(`${V2}${line}\n`)))).toContain(`t: ${message}`);
  });

  test('without an end, a trace is not whole', async () => {
    const path = join(dir, 'cut.csv');
    writeFileSync(path, `${V2}0,a1,a,36,read,0,1,,0,0,0\n`);
    expect((await convert(path, { to: 'jsonl', output: join(dir, 'cut.jsonl'), skipBad: false })).whole).toBe(false);
    writeFileSync(path, V1);
    expect((await convert(path, { to: 'jsonl', output: join(dir, 'cut.jsonl'), skipBad: false })).whole).toBe(true);
  });
});

describe('jsonl', () => {
  test('what a script writes needs no definitions', async () => {
    const trace = await readBytes(
      jsonLines,
      Buffer.from(
        '{"op":"read","path":"/x","container":"c"}\n\n{"pages":2,"page":"4294967296","op":"fault","path":"/x"}\n',
      ),
    );
    expect([trace.mounts, trace.files, trace.containers, trace.ended]).toEqual([
      [{ name: '?' }],
      [{ mount: 0, path: '/x' }],
      ['c', '?'],
      null,
    ]);
    expect(trace.events).toEqual([event('read'), event('fault', { container: 1, pageHigh: 1, pages: 2 })]);
  });

  test.each([
    ['{"op":"reed"}', 'op \\"reed\\" is unknown'],
    ['{"op":"constructor"}', 'op \\"constructor\\" is unknown'],
    ['{}', 'op missing is unknown'],
    ['[1]', "'[1]' is no JSON object"],
    ['{"op":"read","time":1.5}', 'time is no whole number of nanoseconds'],
    ['{"op":"read","page":9007199254740993}', 'page is no whole number below 2^64'],
    ['{"op":"read","touch":1}', 'touch is no page of a run of 1'],
    ['{"op":"read","path":7}', 'path is no text'],
    ['{"op":"spin","is":{}}', 'defines \\"spin\\", which is unknown'],
  ])('what is wrong is said with its line: %s', async (line, message) => {
    expect(await said(readBytes(jsonLines, Buffer.from(`{"op":"read"}\n${line}\n`)))).toBe(
      `DataError: t: line 2: ${message}`,
    );
  });
});

describe('parquet', () => {
  const compressors = { ZSTD: (input: Uint8Array) => decompress(input) };

  async function readParquet(path: string) {
    const bytes = readFileSync(path);
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    const metadata = await parquetMetadataAsync(file);
    return { metadata, rows: await parquetReadObjects({ file, metadata, compressors }) };
  }

  /** A row as it should be. */
  function rowOf(trace: MemorySink, e: TraceEvent) {
    const { mount, ino, path, sizeBytes } = trace.files[e.file]!;
    return {
      time: BigInt(e.timeNs),
      op: TRACE_OP_NAMES[e.op],
      container: trace.containers[e.container],
      mount: trace.mounts[mount]!.name,
      ino: ino === undefined ? null : BigInt(ino),
      path: path ?? null,
      page: (BigInt(e.pageHigh) << 32n) | BigInt(e.page),
      pages: e.pages,
      touch: e.touch,
      bytes: e.bytes,
      task: e.task,
      file: e.file,
      file_bytes: sizeBytes === undefined ? null : BigInt(sizeBytes),
    };
  }

  test('every column of any trace is what another reader finds', async () => {
    const there = join(dir, 'there.parquet');
    await fc.assert(
      fc.asyncProperty(traces, async (trace) => {
        await convert(await arrow(trace), { to: 'parquet', output: there, skipBad: false });
        const { metadata, rows } = await readParquet(there);
        expect(plainRows(rows)).toEqual(trace.events.map((e) => rowOf(trace, e)));
        const { key, value } = metadata.key_value_metadata![0]!;
        const { facted: facts, containers, mounts, ended: end } = trace;
        expect([key, JSON.parse(value!)]).toEqual([
          'foliolab.trace',
          { schema: 'foliolab.trace/1', facts, containers, mounts, end },
        ]);
      }),
      { numRuns: 40 },
    );
  });

  function plainRows(rows: Record<string, unknown>[]) {
    return rows.map((row) => ({
      ...row,
      ino: row.ino ?? null,
      path: row.path ?? null,
      file_bytes: row.file_bytes ?? null,
    }));
  }

  test('row groups of 65,536 rows, each of its own', async () => {
    const trace = new MemorySink();
    trace.containers.push('a', 'b');
    trace.mounts.push({ name: 'm' });
    for (let ino = 0; ino < 50; ino++) trace.files.push({ mount: 0, ino, path: `/${ino}`, sizeBytes: 5 });
    const next = random(9);
    for (let i = 0; i < 150_000; i++)
      trace.events.push(
        event('read', { timeNs: i, file: next(50), container: next(2), page: next(1e6), bytes: next(2 ** 32) }),
      );
    const path = join(dir, 'groups.parquet');
    await writeTrace(parquet, path, trace);
    const { metadata, rows } = await readParquet(path);
    expect(metadata.row_groups.map((group) => Number(group.num_rows))).toEqual([65_536, 65_536, 150_000 - 131_072]);
    expect(metadata.row_groups[0]!.columns[0]!.meta_data!.codec).toBe('ZSTD');
    let differ = 0;
    trace.events.forEach((e, i) => {
      const row = rows[i]!;
      const same =
        row.page === BigInt(e.page) && row.file === e.file && row.bytes === e.bytes && row.time === BigInt(i);
      if (!same || row.path !== `/${e.file}` || row.container !== trace.containers[e.container]) differ++;
    });
    expect(differ).toBe(0);
  });
});

describe.each(['oracle-general', 'lcs'] as const)('%s', (to) => {
  const requests = fc.array(
    fc.record({
      seconds: fc.nat(1000),
      page: u32,
      pageHigh: u32,
      bytes: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      op: fc.nat(2),
    }),
    { minLength: 1, maxLength: 20 },
  );

  test('from the Arrow stream and back, times, ids, sizes and what else it has are the same', async () => {
    const [there, back] = [join(dir, `there.${to}`), join(dir, 'back.arrows')];
    await fc.assert(
      fc.asyncProperty(requests, async (all) => {
        const trace = new MemorySink();
        trace.containers.push('7', '0');
        trace.mounts.push({ name: 'objects', ids: 'object' });
        trace.files.push({ mount: 0 });
        let seconds = -all[0]!.seconds;
        const ops = to === 'lcs' ? [OP.read, OP.write, OP.drop] : [OP.read];
        for (const { op, seconds: later, ...ids } of all) {
          seconds += later;
          trace.event({
            ...event('read', { ...ids, timeNs: seconds * 1e9, container: to === 'lcs' ? op % 2 : 0 }),
            op: ops[op % ops.length]!,
          });
        }
        await convert(await arrow(trace), { to, output: there, skipBad: false });
        await convert(there, { format: to, to: 'arrow', output: back, skipBad: false });
        const got = await readArrow(back);
        const who = (sink: MemorySink, e: TraceEvent) => (to === 'lcs' ? sink.containers[e.container] : '');
        expect(got.events.map((e) => ({ ...e, container: who(got, e) }))).toEqual(
          trace.events.map((e) => ({ ...e, container: who(trace, e) })),
        );
      }),
      { numRuns: 40 },
    );
  });
});
