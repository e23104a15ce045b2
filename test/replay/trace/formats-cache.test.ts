import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { DataError } from '../../../src/error.ts';
import type { TraceFormat } from '../../../src/replay/trace/formats/format.ts';
import { lcs } from '../../../src/replay/trace/formats/lcs.ts';
import { oracleGeneral } from '../../../src/replay/trace/formats/oracle-general.ts';
import { OP } from '../../../src/replay/trace/trace.ts';
import { random } from '../../erofs/random.ts';
import { event, MemorySink, readBytes, readTrace, said, writeTrace } from './memory-sink.ts';

const dir = mkdtempSync(join(tmpdir(), 'foliolab-formats-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

type Record24 = readonly [time: number, id: bigint, size: number, next: bigint];

function oracleBytes(records: readonly Record24[]): Buffer {
  const out = Buffer.alloc(24 * records.length);
  for (const [i, [time, id, size, next]] of records.entries()) {
    out.writeUInt32LE(time, 24 * i);
    out.writeBigUInt64LE(id, 24 * i + 4);
    out.writeUInt32LE(size, 24 * i + 12);
    out.writeBigInt64LE(next, 24 * i + 16);
  }
  return out;
}

function oracleRecords(bytes: Buffer): Record24[] {
  return Array.from({ length: bytes.length / 24 }, (_, i) => [
    bytes.readUInt32LE(24 * i),
    bytes.readBigUInt64LE(24 * i + 4),
    bytes.readUInt32LE(24 * i + 12),
    bytes.readBigInt64LE(24 * i + 16),
  ]);
}

/** Where each object comes next, by looking for it. */
function withNext(records: readonly (readonly [number, bigint, number])[]): Record24[] {
  return records.map(([time, id, size], i) => {
    const next = records.findIndex((r, j) => j > i && r[1] === id);
    return [time, id, size, next < 0 ? -1n : BigInt(next + 1)];
  });
}

const BIG = 0xfedcba9876543210n;
// a b a c b a, a being an id beyond 2^53: the first a's next is the third request
const SAMPLE: Record24[] = [
  [1000, BIG, 100, 3n],
  [1000, 7n, 200, 5n],
  [1001, BIG, 100, 6n],
  [1005, 8n, 0, -1n],
  [1005, 7n, 200, -1n],
  [1100, BIG, 101, -1n],
];

async function written(format: TraceFormat, trace: MemorySink, name = 'written'): Promise<Buffer> {
  const path = join(dir, name);
  await writeTrace(format, path, trace);
  return readFileSync(path);
}

/** A trace of pages: files by number, each event of container 0. */
function pageTrace(files: number, events: ReturnType<typeof event>[]): MemorySink {
  const trace = new MemorySink();
  trace.containers.push('a1', 'b1');
  trace.mounts.push({ name: 'a', ids: 'inode' });
  for (let ino = 0; ino < files; ino++) trace.files.push({ mount: 0, ino });
  trace.events.push(...events);
  return trace;
}

const id = fc.oneof(fc.bigInt({ min: 0n, max: 5n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const size = fc.oneof(fc.constant(4096), fc.integer({ min: 1, max: 2 ** 32 - 1 }));
const requests = fc
  .array(fc.tuple(fc.nat(9_000_000), id, size), { maxLength: 60 })
  .map((all) => all.sort((a, b) => a[0] - b[0]));

describe('oracleGeneral', () => {
  test('each record is a read of an object, times are from the first', async () => {
    const { events, facted, mounts, files, containers } = await readBytes(oracleGeneral, oracleBytes(SAMPLE), {
      size: 7,
    });
    expect(facted).toEqual({ source: 'oracleGeneral', startS: 1000 });
    expect([mounts, files, containers]).toEqual([[{ name: 'objects', ids: 'object' }], [{ mount: 0 }], ['?']]);
    expect(events).toHaveLength(6);
    expect(events[5]).toEqual(
      event('read', { timeNs: 100e9, page: 0x76543210, pageHigh: 0xfedcba98, bytes: 101, pages: 1 }),
    );
  });

  test('what was read is written as the same bytes, with the next access computed anew', async () => {
    const trace = await readBytes(oracleGeneral, oracleBytes(SAMPLE.map(([t, i, s]) => [t, i, s, 0n])));
    expect(oracleRecords(await written(oracleGeneral, trace))).toEqual(SAMPLE);
  });

  test('any ids, sizes and times come back, with the next access that a search finds', async () => {
    await fc.assert(
      fc.asyncProperty(requests, async (all) => {
        const records = withNext(all);
        const trace = await readBytes(oracleGeneral, oracleBytes(records), { size: 100 });
        expect(oracleRecords(await written(oracleGeneral, trace))).toEqual(records);
      }),
      { numRuns: 60 },
    );
  });

  test('more records than are looked back through at once', async () => {
    const next = random(3);
    const count = 100_000;
    const all = Array.from({ length: count }, (_, i) => [i >> 4, BigInt(next(5000)), 1 + next(9)] as const);
    const trace = await readBytes(oracleGeneral, oracleBytes(withNextFast(all)));
    expect(oracleRecords(await written(oracleGeneral, trace))).toEqual(withNextFast(all));
  });

  test('of several files, the id is the file’s number above the page; of one, the page', async () => {
    const run = [event('read', { page: 6, pages: 3, bytes: 9000 }), event('fault', { page: 7 })];
    const one = oracleRecords(await written(oracleGeneral, pageTrace(2, run)));
    expect(one.map(([, id, size, next]) => [id, size, next])).toEqual([
      [6n, 4096, -1n],
      [7n, 4096, 4n],
      [8n, 4096, -1n],
      [7n, 4096, -1n],
    ]);
    const two = oracleRecords(
      await written(oracleGeneral, pageTrace(2, [...run, event('write', { file: 1, page: 7 })])),
    );
    expect(two.map(([, id]) => id)).toEqual([6n, 7n, 8n, 7n, 2n ** 32n + 7n]);
  });

  test('only demand is a request, a fault-around one of the page that was wanted', async () => {
    const records = await written(
      oracleGeneral,
      pageTrace(1, [
        event('fill', { pages: 8 }),
        event('readahead-sync', { pages: 8 }),
        event('fault-around', { page: 16, pages: 16, touch: 3 }),
        event('fault-around', { page: 16, pages: 16 }),
        event('drop', { pages: 8 }),
        event('cached-after', { pages: 8 }),
      ]),
    );
    expect(oracleRecords(records).map(([, id]) => id)).toEqual([19n]);
  });

  test('sizes that are unknown throughout are 1, for its reader leaves out requests of size 0', async () => {
    const trace = await readBytes(oracleGeneral, oracleBytes(SAMPLE.map(([t, i, , n]) => [t, i, 0, n])));
    expect(oracleRecords(await written(oracleGeneral, trace)).map((r) => r[2])).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test('what an id or a time can’t hold is refused, and nothing is left behind', async () => {
    const path = join(dir, 'refused');
    const wide = pageTrace(2, [event('read', { page: 2 ** 32 - 1, pages: 2 }), event('read', { file: 1 })]);
    expect(await said(writeTrace(oracleGeneral, path, wide))).toMatch(
      /^DataError: .*refused: numbers beyond 2\^32 in one/,
    );
    const late = pageTrace(1, [event('read')]);
    late.facted = { startNs: '4294967296000000000' };
    expect(await said(writeTrace(oracleGeneral, path, late))).toMatch(/^DataError: .*time 4294967296 s can't be said/);
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(dir).filter((name) => name.includes('.tmp-'))).toEqual([]);
  });

  test('the seconds of a trace that begins within one', async () => {
    const trace = pageTrace(1, [
      event('read'),
      event('read', { timeNs: 400_000_000 }),
      event('read', { timeNs: 1.5e9 }),
    ]);
    trace.facted = { startNs: 5_700_000_000 };
    expect(oracleRecords(await written(oracleGeneral, trace)).map((r) => r[0])).toEqual([5, 6, 7]);
  });

  test('a record that is cut short or back in time is an error with its byte, or skipped and counted', async () => {
    const bytes = oracleBytes([...SAMPLE.slice(0, 3), [999, 1n, 1, -1n], ...SAMPLE.slice(3)]);
    expect(await said(readBytes(oracleGeneral, bytes))).toBe(
      'DataError: t: byte 72: its time is 2 s before that of the record above',
    );
    const { events, bad } = await readBytes(oracleGeneral, bytes.subarray(0, -5), { skip: true });
    expect([events.length, bad!.count]).toEqual([5, 2]);
    expect(await said(readBytes(oracleGeneral, oracleBytes(SAMPLE).subarray(0, 49)))).toBe(
      'DataError: t: byte 48: ends after 1 of the 24 bytes of a record',
    );
    const late = oracleBytes([SAMPLE[0]!, [2 ** 32 - 1, 1n, 1, -1n]]);
    expect(await said(readBytes(oracleGeneral, late))).toMatch(/byte 24: its time is 4294966295 s after the first/);
    expect((await readBytes(oracleGeneral, Buffer.alloc(0))).events).toEqual([]);
  });
});

function withNextFast(all: readonly (readonly [number, bigint, number])[]): Record24[] {
  const last = new Map<bigint, number>();
  const out = all.map(([time, id, size]) => [time, id, size, -1n] as [number, bigint, number, bigint]);
  for (const [i, [, id]] of all.entries()) {
    const before = last.get(id);
    if (before !== undefined) out[before]![3] = BigInt(i + 1);
    last.set(id, i);
  }
  return out;
}

type Record28 = readonly [time: number, id: bigint, size: number, op: number, tenant: number, next: bigint];

/** An lcs trace as its structs have it. @param version 1, 2 or 3 */
function lcsBytes(version: number, records: readonly Record28[], { head = 8192, count = records.length } = {}): Buffer {
  const width = [0, 24, 28, 36][version]!;
  const out = Buffer.alloc(head + width * records.length);
  out.writeBigUInt64LE(0x123456789abcdef0n, 0);
  out.writeBigInt64LE(BigInt(version), 8);
  out.writeBigInt64LE(1n, 16);
  out.writeBigInt64LE(BigInt(count), 24);
  out.writeBigUInt64LE(0x123456789abcdef0n, head - 8);
  for (const [i, [time, id, size, op, tenant, next]] of records.entries()) {
    let at = head + width * i;
    at = out.writeUInt32LE(time, at);
    at = out.writeBigUInt64LE(id, at);
    at = version === 3 ? out.writeBigInt64LE(BigInt(size), at) : out.writeUInt32LE(size, at);
    if (version > 1) at = out.writeUInt32LE(op + tenant * 256, at);
    if (version === 3) at = out.writeUInt32LE(0, at);
    out.writeBigInt64LE(next, at);
  }
  return out;
}

const TENANTS: Record28[] = [
  [50, BIG, 10, 12, 7, 3n],
  [50, 1n, 20, 13, 9, 4n],
  [51, BIG, 10, 12, 7, -1n],
  [60, 1n, 30, 9, 9, -1n],
];

describe('lcs', () => {
  test('tenants are containers, operations are what they are; versions 1 and 3, and the short header', async () => {
    const trace = await readBytes(lcs, lcsBytes(2, TENANTS), { size: 1000 });
    expect(trace.facted).toEqual({ source: 'lcs version 2', startS: 50 });
    expect(trace.containers).toEqual(['7', '9']);
    expect(trace.events.map((e) => [e.op, e.container, e.bytes, e.timeNs])).toEqual([
      [OP.read, 0, 10, 0],
      [OP.write, 1, 20, 0],
      [OP.read, 0, 10, 1e9],
      [OP.drop, 1, 30, 10e9],
    ]);
    expect((await readBytes(lcs, lcsBytes(2, TENANTS, { head: 1024 }))).events).toEqual(trace.events);
    expect((await readBytes(lcs, lcsBytes(3, TENANTS))).events).toEqual(trace.events);
    const first = await readBytes(lcs, lcsBytes(1, TENANTS));
    expect(first.containers).toEqual(['?']);
    expect(first.events).toEqual(trace.events.map((e) => ({ ...e, op: OP.read, container: 0 })));
  });

  test('what was read is written as the same records', async () => {
    const bytes = await written(lcs, await readBytes(lcs, lcsBytes(2, TENANTS)));
    expect(bytes.subarray(8192)).toEqual(lcsBytes(2, TENANTS).subarray(8192));
    expect(bytes.subarray(0, 16)).toEqual(lcsBytes(2, []).subarray(0, 16));
    expect(lcs.detect!(bytes)).toBe(true);
  });

  test('the statistics in the header', async () => {
    const bytes = await written(lcs, await readBytes(lcs, lcsBytes(2, TENANTS)));
    const i64 = (at: number): number => Number(bytes.readBigInt64LE(16 + at));
    const numbers = Array.from({ length: 12 }, (_, i) => i64(8 * i));
    // version, requests, objects, bytes asked for, bytes of objects (in their last request), first and last second, reads, writes,
    // deletes, the smallest and the largest object
    expect(numbers).toEqual([1, 4, 2, 70, 40, 50, 60, 2, 1, 1, 10, 30]);
    // two objects of two requests each
    expect([i64(96), i64(104), bytes.readFloatLE(16 + 224)]).toEqual([10, 30, 0.5]);
    expect([i64(288), i64(296)]).toEqual([2, 0]);
    expect([bytes.readInt32LE(16 + 416), bytes.readFloatLE(16 + 480), bytes.readDoubleLE(16 + 544)]).toEqual([2, 1, 0]);
    expect(
      [0, 4, 8, 68].map((at) => (at < 68 ? bytes.readInt32LE(16 + 552 + at) : bytes.readFloatLE(16 + 552 + at))),
    ).toEqual([2, 7, 9, 0.5]);
  });

  test('Zipf’s alpha of frequencies that fall as 1 / rank is 1', async () => {
    const trace = pageTrace(1, []);
    for (let page = 0; page < 8; page++)
      for (let n = 0; n < 840 / (page + 1); n++) trace.events.push(event('read', { page }));
    const bytes = await written(lcs, trace);
    expect(bytes.readDoubleLE(16 + 544)).toBeCloseTo(1, 12);
    expect(Number(bytes.readBigInt64LE(16 + 288))).toBe(840);
  });

  test('any requests come back, through oracleGeneral too', async () => {
    const request = fc.tuple(
      fc.nat(1e6),
      id,
      size,
      fc.constantFrom(9, 12, 13),
      fc.integer({ min: 0, max: 2 ** 24 - 1 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 40 }), async (all) => {
        all.sort((a, b) => a[0] - b[0]);
        const next = withNext(all.map(([t, i, s]) => [t, i, s]));
        const records = all.map(([t, i, s, op, tenant], k): Record28 => [t, i, s, op, tenant, next[k]![3]]);
        const trace = await readBytes(lcs, lcsBytes(2, records), { size: 333 });
        const bytes = await written(lcs, trace);
        expect(bytes.subarray(8192)).toEqual(lcsBytes(2, records).subarray(8192));
        const reads = records.filter((r) => r[3] === 12);
        const path = join(dir, 'through');
        await writeTrace(oracleGeneral, path, await readBytes(lcs, lcsBytes(2, reads)));
        const through = await readTrace(oracleGeneral, path);
        expect(through.events.map((e) => [e.timeNs, e.page, e.pageHigh, e.bytes])).toEqual(
          (await readBytes(lcs, lcsBytes(2, reads))).events.map((e) => [e.timeNs, e.page, e.pageHigh, e.bytes]),
        );
      }),
      { numRuns: 40 },
    );
  });

  test('containers that aren’t called by numbers are tenants by theirs', async () => {
    const trace = pageTrace(1, [event('read', { container: 1 }), event('read')]);
    const bytes = await written(lcs, trace);
    expect([bytes.readUInt32LE(8192 + 16) >>> 8, bytes.readUInt32LE(8192 + 28 + 16) >>> 8]).toEqual([1, 0]);
  });

  test('what is wrong is said with its byte', async () => {
    const cases: [Buffer, RegExp][] = [
      [lcsBytes(2, TENANTS, { count: 9 }), /byte 24: says there are 9 requests, but there are 4/],
      [lcsBytes(2, TENANTS).subarray(0, -1), /byte 8276: ends after 27 of the 28 bytes of a record/],
      [lcsBytes(2, TENANTS).subarray(0, 3000), /byte 0: ends after 3000 bytes of the header/],
      [lcsBytes(2, [[50, 1n, 1, 99, 0, -1n]]), /byte 8192: its operation 99 is unknown/],
      [Buffer.alloc(9000), /byte 0: is no lcs trace/],
      [Buffer.alloc(9), /byte 0: ends after 9 bytes of the header/],
    ];
    const other = lcsBytes(2, TENANTS);
    other.writeBigInt64LE(9n, 8);
    cases.push([other, /byte 8: is of lcs version 9; 1 to 8 are known/]);
    for (const [bytes, message] of cases) expect(await said(readBytes(lcs, bytes))).toMatch(message);
  });
});

describe('damaged', () => {
  test('bytes are events that can be indexed by, or an error that says where', async () => {
    const next = random(11);
    let errors = 0;
    const wholes: [TraceFormat, Buffer][] = [
      [oracleGeneral, oracleBytes(SAMPLE)],
      [lcs, lcsBytes(2, TENANTS)],
      [lcs, lcsBytes(3, TENANTS)],
    ];
    for (let i = 0; i < 3000; i++) {
      const [format, whole] = wholes[i % 3]!;
      let bytes = Buffer.from(whole);
      for (let k = 1 + next(3); k > 0; k--) {
        const at = next(3) === 0 ? next(bytes.length) : bytes.length - 1 - next(Math.min(bytes.length, 120));
        bytes[at]! ^= 1 << next(8);
      }
      if (next(4) === 0) bytes = bytes.subarray(0, next(bytes.length));
      try {
        await readBytes(format, bytes, { skip: next(2) === 0 });
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        expect(error.message).toMatch(/^t: byte \d+: /);
        errors++;
      }
    }
    expect(errors).toBeGreaterThan(300);
    writeFileSync(join(dir, 'empty'), '');
    expect((await readTrace(oracleGeneral, join(dir, 'empty'))).events).toEqual([]);
  });
});
