import { blankEvent, OP, type TraceSink } from '../trace.ts';
import { type BadRecords, type ReadOptions, Tables, type TraceFormat, type TraceInput } from './format.ts';
import {
  MAX_SECONDS,
  REQUEST,
  type RecordReader,
  Records,
  type Requests,
  RequestWriter,
  requestOp,
} from './libcachesim.ts';
import { wrongTime } from './oracle-general.ts';

const HEAD_BYTES = 8192;
/** of the same format before its statistics grew */
const OLD_HEAD_BYTES = 1024;
const MAGIC = 0x123456789abcdef0n;
const STAT = 16;
const MOST = 16;
/** by version, from 1; all but the first and the second have a size of 64 bits and a time to live, from the fourth on features too */
const RECORD_BYTES = [0, 24, 28, 36, 40, 44, 52, 68, 100];

/**
 * lcs of libCacheSim (traceReader/customizedReader/lcs.h and lcs.c, bin/traceUtils/traceConvLCS.cpp). Little-endian:
 *
 *     magic u64 @0 0x123456789abcdef0, version i64 @8, statistics @16 (8000 bytes), 0 @8016, the magic again @8184
 *     version 1  time u32 @0 (s), object id u64 @4, size u32 @12, next access i64 @16
 *     version 2  time u32 @0 (s), object id u64 @4, size u32 @12, op u8 @16, tenant u24 @17, next access i64 @20
 *     version 3  time u32 @0 (s), object id u64 @4, size i64 @12, op u8 @20, tenant u24 @21, ttl u32 @24, next access i64 @28
 *     4 to 8     version 3 and 1, 2, 4, 8, 16 features u32
 *
 * Next access as in oracleGeneral: its header says −1 for none, its later converter writes 2^63−1, its reader takes both; −1 is written here.
 * A header of 1024 bytes, as it was at first, is read too. Written is version 2, with the container as tenant.
 */
export const lcs: TraceFormat = {
  name: 'lcs',
  title: 'libCacheSim lcs: requests of objects by tenants, with next access',
  lacks: 'files, times below a second: of a page cache only its demand',
  detect: (head) => head.length >= 16 && head.readBigUInt64LE(0) === MAGIC,
  read: readLcs,
  write: (path) => RequestWriter.create(path, { headBytes: HEAD_BYTES, recordBytes: 28, head: header }),
};

/** What the header of an lcs trace says, and how its records are laid out. */
export interface LcsHead {
  readonly version: number;
  readonly recordBytes: number;
  /** requests and objects, as declared */
  readonly requests: bigint;
  readonly objects: bigint;
}

/** Reads the header. @throws DataError when it is none */
export async function readLcsHead(records: RecordReader, bad: BadRecords): Promise<LcsHead> {
  const head = await records.bytes(OLD_HEAD_BYTES);
  if (head.length < OLD_HEAD_BYTES) bad.fatal('byte 0', `ends after ${head.length} bytes of the header`);
  if (head.readBigUInt64LE(0) !== MAGIC) bad.fatal('byte 0', 'is no lcs trace: another magic number');
  const version = head.readBigInt64LE(8);
  const recordBytes = RECORD_BYTES[Number(version)];
  if (version < 1n || recordBytes === undefined)
    bad.fatal('byte 8', `is of lcs version ${version}; 1 to ${RECORD_BYTES.length - 1} are known`);
  if (head.readBigUInt64LE(OLD_HEAD_BYTES - 8) !== MAGIC) {
    const more = await records.bytes(HEAD_BYTES - OLD_HEAD_BYTES);
    if (more.length < HEAD_BYTES - OLD_HEAD_BYTES)
      bad.fatal('byte 0', `ends after ${OLD_HEAD_BYTES + more.length} bytes of the header`);
    if (more.readBigUInt64LE(more.length - 8) !== MAGIC)
      bad.fatal(`byte ${HEAD_BYTES - 8}`, 'has no magic number at the end of the header');
  }
  return {
    version: Number(version),
    recordBytes,
    requests: head.readBigInt64LE(STAT + 8),
    objects: head.readBigInt64LE(STAT + 16),
  };
}

/** Says what is wrong at the end of an lcs trace: a part of a record, or another number of them than its header has. */
export function checkLcsEnd(records: RecordReader, head: LcsHead, count: number, bad: BadRecords): void {
  if (records.left > 0)
    bad.record(`byte ${records.taken}`, `ends after ${records.left} of the ${head.recordBytes} bytes of a record`);
  if (head.requests !== BigInt(count))
    bad.record(`byte ${STAT + 8}`, `says there are ${head.requests} requests, but there are ${count}`);
}

async function readLcs(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<void> {
  const records = new Records(input.stream);
  const head = await readLcsHead(records, bad);
  const { version, recordBytes } = head;
  let words = await records.next(recordBytes);
  const startS = words?.[0] ?? 0;
  sink.facts({ source: `lcs version ${version}`, startS });
  const tables = new Tables(sink);
  const mount = tables.mount('objects', { ids: 'object' });
  const event = blankEvent();
  event.op = OP.read;
  event.file = sink.file({ mount });
  if (version === 1) event.container = tables.container('?');
  const stride = recordBytes / 4;
  const wide = version >= 3 ? 1 : 0;
  let tenant = -1;
  let last = 0;
  let count = 0;
  for (; words !== null; words = await records.next(recordBytes)) {
    const firstByte = records.taken - words.byteLength;
    count += words.length / stride;
    for (let at = 0; at < words.length; at += stride) {
      const time = words[at]! - startS;
      if (time < last || time > MAX_SECONDS) {
        bad.record(`byte ${firstByte + 4 * at}`, wrongTime(time, last));
        continue;
      }
      if (wide === 1 && words[at + 4] !== 0) {
        bad.record(`byte ${firstByte + 4 * at}`, 'its size is negative or beyond 4 GiB');
        continue;
      }
      if (version !== 1) {
        const who = words[at + 4 + wide]!;
        const op = requestOp(who & 0xff);
        if (op < 0) {
          bad.record(`byte ${firstByte + 4 * at}`, `its operation ${who & 0xff} is unknown`);
          continue;
        }
        event.op = op;
        if (who >>> 8 !== tenant) {
          tenant = who >>> 8;
          event.container = tables.container(String(tenant));
        }
      }
      last = time;
      event.timeNs = time * 1e9;
      event.page = words[at + 1]!;
      event.pageHigh = words[at + 2]!;
      event.bytes = words[at + 3]!;
      sink.event(event);
    }
  }
  checkLcsEnd(records, head, count, bad);
}

/** The header, with the statistics as traceConvLCS.cpp computes them; what version 2 can't know (time to live) is 0. */
function header(requests: Requests): Buffer {
  const { count, objects, ops } = requests;
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeBigUInt64LE(MAGIC, 0);
  head.writeBigInt64LE(2n, 8);
  head.writeBigUInt64LE(MAGIC, HEAD_BYTES - 8);
  const size = requests.size.subarray(0, objects);
  const frequency = requests.frequency.subarray(0, objects);
  const sizes = counted(size);
  const frequencies = counted(frequency);
  let objectBytes = 0;
  for (let i = 0; i < objects; i++) objectBytes += size[i]!;
  const ascending = [...sizes.keys()].sort((a, b) => a - b);
  const numbers = [
    1,
    count,
    objects,
    requests.bytes,
    objectBytes,
    requests.startS,
    requests.endS,
    ops[REQUEST.read]!,
    ops[REQUEST.write]!,
    ops[REQUEST.delete]!,
    ascending[0] ?? 0,
    ascending.at(-1) ?? 0,
  ];
  for (const [i, n] of numbers.entries()) head.writeBigInt64LE(BigInt(n), STAT + 8 * i);
  // of objects: the most common sizes @96, their shares @224
  for (const [i, [value, n]] of mostCommon(sizes).entries()) {
    head.writeBigInt64LE(BigInt(value), STAT + 96 + 8 * i);
    head.writeFloatLE(n / objects, STAT + 224 + 4 * i);
  }
  // the highest of the different frequencies @288, the most common ones @416, their shares @480, Zipf's alpha @544
  const falling = [...frequencies.keys()].sort((a, b) => b - a);
  for (const [i, value] of falling.slice(0, MOST).entries()) head.writeBigInt64LE(BigInt(value), STAT + 288 + 8 * i);
  for (const [i, [value, n]] of mostCommon(frequencies).entries()) {
    head.writeInt32LE(value, STAT + 416 + 4 * i);
    head.writeFloatLE(n / objects, STAT + 480 + 4 * i);
  }
  head.writeDoubleLE(zipfAlpha(frequencies, falling, objects), STAT + 544);
  // tenants: how many @552, the most common ones @556, their shares of the requests @620
  const tenants = new Map([...requests.tenants].filter(([, n]) => n > 0));
  head.writeInt32LE(tenants.size, STAT + 552);
  for (const [i, [value, n]] of mostCommon(tenants).entries()) {
    head.writeInt32LE(value, STAT + 556 + 4 * i);
    head.writeFloatLE(n / count, STAT + 620 + 4 * i);
  }
  return head;
}

function counted(values: Uint32Array): Map<number, number> {
  const out = new Map<number, number>();
  for (const value of values) out.set(value, (out.get(value) ?? 0) + 1);
  return out;
}

/** The sixteen most frequent, the smaller value first where they are equally so. */
function mostCommon(counts: ReadonlyMap<number, number>): [number, number][] {
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, MOST);
}

/** Least squares of ln frequency over ln rank, the most popular object being the first; its slope, negated. */
function zipfAlpha(frequencies: ReadonlyMap<number, number>, falling: readonly number[], objects: number): number {
  let rank = 0;
  let [x, y, xx, xy] = [0, 0, 0, 0];
  for (const frequency of falling) {
    const lnFrequency = Math.log(frequency);
    for (let n = frequencies.get(frequency)!; n > 0; n--) {
      const lnRank = Math.log(++rank);
      x += lnRank;
      y += lnFrequency;
      xx += lnRank * lnRank;
      xy += lnRank * lnFrequency;
    }
  }
  const spread = objects * xx - x * x;
  return spread > 0 ? (x * y - objects * xy) / spread : 0;
}
