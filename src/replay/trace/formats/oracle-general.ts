import { blankEvent, OP, type TraceSink } from '../trace.ts';
import type { ReadOptions, TraceFormat, TraceInput } from './format.ts';
import { MAX_SECONDS, Records, RequestWriter } from './libcachesim.ts';

const RECORD_BYTES = 24;

/**
 * oracleGeneral of libCacheSim (traceReader/customizedReader/oracle/oracleGeneralBin.h, bin/traceUtils/traceConvOracleGeneral.cpp).
 * Little-endian records of 24 bytes and nothing else:
 *
 *     time u32 @0 (s), object id u64 @4, size u32 @12, next access i64 @16
 *
 * Next access: the position, from 1, of the next request of the same object; −1 if there is none (or 2^63−1, which its reader takes too).
 * The repository's data/cloudPhysicsIO.oracleGeneral.bin is an example. It is not read here: whoever needs it computes it.
 */
export const oracleGeneral: TraceFormat = {
  name: 'oracle-general',
  title: 'libCacheSim oracleGeneral: requests of objects, with next access',
  lacks:
    'who asked, files, operations, times below a second: nothing about sharing between containers, and of a page cache only its demand',
  read: readOracleGeneral,
  write: (path) => RequestWriter.create(path, { headBytes: 0, recordBytes: RECORD_BYTES }),
};

async function readOracleGeneral(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<void> {
  const records = new Records(input.stream);
  let words = await records.next(RECORD_BYTES);
  const startS = words?.[0] ?? 0;
  sink.facts({ source: 'oracleGeneral', startS });
  const event = blankEvent();
  event.op = OP.read;
  event.container = sink.container('?');
  event.file = sink.file({ mount: sink.mount({ name: 'objects', ids: 'object' }) });
  let last = 0;
  for (; words !== null; words = await records.next(RECORD_BYTES)) {
    const firstByte = records.taken - words.byteLength;
    for (let at = 0; at < words.length; at += 6) {
      const time = words[at]! - startS;
      if (time < last || time > MAX_SECONDS) {
        bad.record(`byte ${firstByte + 4 * at}`, wrongTime(time, last));
        continue;
      }
      last = time;
      event.timeNs = time * 1e9;
      event.page = words[at + 1]!;
      event.pageHigh = words[at + 2]!;
      event.bytes = words[at + 3]!;
      sink.event(event);
    }
  }
  if (records.left > 0)
    bad.record(`byte ${records.taken}`, `ends after ${records.left} of the ${RECORD_BYTES} bytes of a record`);
}

/** @param time seconds since the first record */
export function wrongTime(time: number, last: number): string {
  return time < last
    ? `its time is ${last - time} s before that of the record above`
    : `its time is ${time} s after the first, which is beyond 2^53 ns`;
}
