import { crc32c } from '../../../erofs/bytes.ts';
import { blankEvent, OP, type TraceSink } from '../trace.ts';
import { type ReadOptions, Tables, type TraceFormat, type TraceInput } from './format.ts';
import { Records } from './libcachesim.ts';

const MAGIC = 3270449184;
const HEAD_BYTES = 24;
const RECORD_BYTES = 24;
const PAGE_BYTES = 4096;
const MAX_U32 = 2 ** 32 - 1;

/**
 * The trace that overlaybd records for prefetching (containerd/overlaybd, src/prefetch.cpp, PrefetcherImpl::TraceHeader and TraceFormat; how
 * containerd/accelerated-container-image makes one: docs/trace-prefetch.md). Little-endian, as the compiler lays them out:
 *
 *     header  magic u32 @0 3270449184, size of the records u64 @8 (bytes), checksum u32 @16
 *     record  op u8 @0 'R' or 'W', layer u32 @4, count u64 @8 (bytes), offset i64 @16 (bytes)
 *
 * The checksum is the CRC-32C of the records, padding included, from 0 and without the inversions that the polynomial mostly comes with; where an Intel
 * DSA computes it (src/overlaybd/zfile/crc32/crc32c.cpp) it has them. A layer is a device: offsets are in its blob, which is compressed.
 */
export const overlaybd: TraceFormat = {
  name: 'overlaybd',
  title: 'overlaybd trace: reads of layer blobs',
  lacks:
    'times, files, who asked: pages are of compressed layer blobs, and reads are what the page cache let through; nothing about sharing',
  detect: (head) => head.length >= HEAD_BYTES && head.readUInt32LE(0) === MAGIC,
  read: readOverlaybd,
};

async function readOverlaybd(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<void> {
  const records = new Records(input.stream);
  const head = await records.bytes(HEAD_BYTES);
  if (head.length < HEAD_BYTES) bad.fatal('byte 0', `ends after ${head.length} bytes of the header`);
  if (head.readUInt32LE(0) !== MAGIC) bad.fatal('byte 0', 'is no overlaybd trace: another magic number');
  const size = head.readBigUInt64LE(8);
  const checksum = head.readUInt32LE(16);
  sink.facts({ source: 'overlaybd' });
  const tables = new Tables(sink);
  const event = blankEvent();
  let raw = 0;
  let inverted = MAX_U32;
  for (let words = await records.next(RECORD_BYTES); words !== null; words = await records.next(RECORD_BYTES)) {
    const first = records.taken - words.byteLength;
    const bytes = new Uint8Array(words.buffer);
    raw = crc32c(raw, bytes);
    inverted = crc32c(inverted, bytes);
    for (let at = 0; at < words.length; at += 6) {
      const op = words[at]! & 0xff;
      const count = words[at + 2]! + words[at + 3]! * 2 ** 32;
      const offset = words[at + 4]! + words[at + 5]! * 2 ** 32;
      const where = `byte ${first + 4 * at}`;
      if (op !== 0x52 && op !== 0x57) bad.record(where, `its operation ${op} is neither R nor W`);
      else if (count === 0 || count > MAX_U32) bad.record(where, `its length is ${count} bytes`);
      else if (!Number.isSafeInteger(offset + count)) bad.record(where, 'it ends beyond 2^53 bytes');
      else {
        const page = Math.floor(offset / PAGE_BYTES);
        event.op = op === 0x52 ? OP.read : OP.write;
        event.container = tables.container('?');
        event.file = tables.named(tables.mount(`layer ${words[at + 1]}`, { ids: 'block' }), {});
        event.pageHigh = Math.floor(page / 2 ** 32);
        event.page = page - event.pageHigh * 2 ** 32;
        event.pages = Math.floor((offset + count - 1) / PAGE_BYTES) - page + 1;
        event.bytes = count;
        sink.event(event);
      }
    }
  }
  const had = records.taken - HEAD_BYTES + records.left;
  if (records.left > 0)
    bad.record(`byte ${records.taken}`, `ends after ${records.left} of the ${RECORD_BYTES} bytes of a record`);
  if (size !== BigInt(had)) bad.record('byte 8', `says that there are ${size} bytes of records, but there are ${had}`);
  if (checksum !== raw && checksum !== ~inverted >>> 0) bad.record('byte 16', `the records have another checksum`);
}
