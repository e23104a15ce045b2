import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Decoder } from '../../src/recorder/kernel-events.ts';
import { RingBufferError, readFormat, readHeaderPage, readSubBuffer } from '../../src/recorder/ring-buffer.ts';

const HEADER_PAGE = `	field: u64 timestamp;	offset:0;	size:8;	signed:0;
	field: local_t commit;	offset:8;	size:8;	signed:1;
	field: int overwrite;	offset:8;	size:1;	signed:1;
	field: char data;	offset:16;	size:4080;	signed:0;
`;
// Linux 6.18, events/filemap/mm_filemap_fault/format
const FAULT_FORMAT = `name: mm_filemap_fault
ID: 597
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:unsigned long i_ino;	offset:8;	size:8;	signed:0;
	field:dev_t s_dev;	offset:16;	size:4;	signed:0;
	field:unsigned long index;	offset:24;	size:8;	signed:0;

print fmt: "dev=%d:%d ino=%lx ofs=%llu", ...
`;
const layout = readHeaderPage(HEADER_PAGE);

type Item =
  | { kind: 'event'; delta: number; words: number }
  | { kind: 'large'; delta: number; bytes: number }
  | { kind: 'extend'; delta: number }
  | { kind: 'stamp'; time: number }
  | { kind: 'discarded'; delta: number; words: number };

/** A sub-buffer as the kernel writes it, and the events that are in it: time and length. */
function subBuffer(start: number, items: readonly Item[]): { page: Uint8Array; events: [number, number][] } {
  const view = new DataView(new ArrayBuffer(4096));
  view.setBigUint64(0, BigInt(start), true);
  const events: [number, number][] = [];
  let at = layout.data;
  let time = start;
  const head = (type: number, delta: number): void => {
    view.setUint32(at, ((delta << 5) | type) >>> 0, true);
    at += 4;
  };
  for (const item of items) {
    switch (item.kind) {
      case 'event':
        head(item.words, item.delta);
        time += item.delta;
        events.push([time, 4 * item.words]);
        at += 4 * item.words;
        break;
      case 'large':
        head(0, item.delta);
        view.setUint32(at, item.bytes + 4, true);
        time += item.delta;
        events.push([time, item.bytes]);
        at += 4 + item.bytes;
        break;
      case 'extend':
        head(30, item.delta % 2 ** 27);
        view.setUint32(at, Math.floor(item.delta / 2 ** 27), true);
        time += item.delta;
        at += 4;
        break;
      case 'stamp':
        head(31, item.time % 2 ** 27);
        view.setUint32(at, Math.floor(item.time / 2 ** 27), true);
        time = item.time;
        at += 4;
        break;
      case 'discarded':
        head(29, item.delta);
        view.setUint32(at, 4 * item.words, true);
        time += item.delta;
        at += 4 * item.words;
        break;
    }
  }
  view.setBigUint64(8, BigInt(at - layout.data), true);
  return { page: new Uint8Array(view.buffer), events };
}

const delta = fc.integer({ min: 1, max: 2 ** 27 - 1 });
const item: fc.Arbitrary<Item> = fc.oneof(
  fc.record({ kind: fc.constant('event' as const), delta, words: fc.integer({ min: 1, max: 28 }) }),
  fc.record({ kind: fc.constant('large' as const), delta, bytes: fc.integer({ min: 29, max: 60 }).map((n) => 4 * n) }),
  fc.record({ kind: fc.constant('extend' as const), delta: fc.integer({ min: 1, max: 2 ** 45 }) }),
  fc.record({ kind: fc.constant('stamp' as const), time: fc.integer({ min: 1, max: 2 ** 50 }) }),
  fc.record({ kind: fc.constant('discarded' as const), delta, words: fc.integer({ min: 1, max: 20 }) }),
);

describe('a sub-buffer of the trace ring buffer', () => {
  test('events have their lengths and times, over extensions, stamps and discarded events', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 50 }), fc.array(item, { maxLength: 14 }), (start, items) => {
        const { page, events } = subBuffer(start, items);
        const got: [number, number][] = [];
        expect(readSubBuffer(page, layout, (_view, _at, length, time) => got.push([time, length]))).toBe(0);
        expect(got).toEqual(events);
      }),
    );
  });

  test('lost events are told, with their number where the kernel has room for it', () => {
    const { page } = subBuffer(0, [{ kind: 'event', delta: 1, words: 2 }]);
    const view = new DataView(page.buffer);
    const committed = view.getUint32(8, true);
    view.setUint32(8, (committed | 0x80000000) >>> 0, true);
    expect(readSubBuffer(page, layout, () => {})).toBe(-1);
    view.setUint32(8, (committed | 0xc0000000) >>> 0, true);
    view.setBigUint64(layout.data + committed, 77n, true);
    expect(readSubBuffer(page, layout, () => {})).toBe(77);
  });

  test('a length that cannot be is an error, not an endless loop', () => {
    for (const [type, word] of [
      [0, 3],
      [0, 5000],
      [28, 0],
    ] as const) {
      const { page } = subBuffer(0, [{ kind: 'event', delta: 1, words: 2 }]);
      const view = new DataView(page.buffer);
      view.setUint32(layout.data, (1 << 5) | type, true);
      view.setUint32(layout.data + 4, word, true);
      expect(() => readSubBuffer(page, layout, () => {})).toThrow(RingBufferError);
    }
  });

  test('fields are read where the kernel’s format says', () => {
    const format = readFormat(FAULT_FORMAT);
    expect(format.id).toBe(597);
    const decoder = new Decoder(new Map([['filemap/mm_filemap_fault', format]]));
    const view = new DataView(new ArrayBuffer(64));
    view.setUint16(16, 597, true);
    view.setInt32(20, 4711, true);
    view.setBigUint64(24, 2n ** 40n + 36n, true);
    view.setUint32(32, (259 << 20) | 7, true);
    view.setBigUint64(40, 12n, true);
    expect(decoder.decode(view, 16, 32, 99)).toEqual({
      timeNs: 99,
      event: 'filemap/mm_filemap_fault',
      task: 4711,
      a: 2 ** 40 + 36,
      b: 259 * 2 ** 20 + 7,
      c: 12,
      d: 0,
      path: '',
    });
    view.setUint16(16, 598, true);
    expect(decoder.decode(view, 16, 32, 99)).toBe(null);
  });
});
