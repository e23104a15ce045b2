import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DataError } from '../../../src/error.ts';
import { alibabaBlock, blkparse } from '../../../src/replay/trace/formats/block.ts';
import type { TraceFormat } from '../../../src/replay/trace/formats/format.ts';
import { ids } from '../../../src/replay/trace/formats/ids.ts';
import { readTime, type Time } from '../../../src/replay/trace/formats/start.ts';
import { OP, wholePage } from '../../../src/replay/trace/trace.ts';
import { random } from '../../erofs/random.ts';
import { readBytes, said } from './memory-sink.ts';

const read = (format: TraceFormat, text: string, options: Parameters<typeof readBytes>[2] = {}) =>
  readBytes(format, Buffer.from(text), options);

describe('ids', () => {
  test('numbers are ids as they are, up to 2^64 − 1', async () => {
    const { events, facted } = await read(ids, '7\n0\r\n\n18446744073709551615\n4294967296\n9007199254740993');
    expect(facted).toEqual({ source: 'ids', ids: 'numbers' });
    expect(events.map((e) => [e.pageHigh, e.page])).toEqual([
      [0, 7],
      [0, 0],
      [2 ** 32 - 1, 2 ** 32 - 1],
      [1, 0],
      [2 ** 21, 1],
    ]);
  });

  test('texts are numbered as they appear, in pieces of any size', async () => {
    for (const size of [1, 3, 1000]) {
      const { events, facted } = await read(ids, 'é/a\nb\né/a\n18446744073709551616\n5\nb\n', { size });
      expect(facted).toEqual({ source: 'ids', ids: 'texts' });
      expect(events.map(wholePage)).toEqual([0, 1, 0, 2, 3, 1]);
    }
  });

  test('a text among numbers is an error by its line, or counted', async () => {
    expect(await said(read(ids, '1\nx\n'))).toBe(
      "DataError: t: line 2: 'x' is no number below 2^64, as the ids above are",
    );
    const { events, bad } = await read(ids, '1\nx\n18446744073709551616\n2\n', { skip: true });
    expect([events.length, bad!.count]).toEqual([2, 2]);
    expect((await read(ids, '')).mounts).toEqual([{ name: 'objects', ids: 'object' }]);
  });
});

describe('times', () => {
  test('are read exactly in every unit', () => {
    const time: Time = { seconds: 0, ns: 0 };
    const at = (text: string, digits: number) => (readTime(text, digits, time) ? [time.seconds, time.ns] : null);
    expect(at('1577808144360767', 6)).toEqual([1577808144, 360767000]);
    expect(at('1577808144360767123', 9)).toEqual([1577808144, 360767123]);
    expect(at('12.345', 3)).toEqual([0, 12345000]);
    expect(at('12.3456789019', 0)).toEqual([12, 345678901]);
    expect(at('0', 9)).toEqual([0, 0]);
    for (const text of ['', '.5', '5.', '-1', '1e3', '1.2.3', ' 1']) expect(at(text, 3)).toBe(null);
  });

  test('agree with whole numbers of nanoseconds', () => {
    const time: Time = { seconds: 0, ns: 0 };
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 20n }), fc.constantFrom(0, 3, 6, 9), (ns, digits) => {
        const unit = 10n ** BigInt(9 - digits);
        const fraction = digits === 9 ? '' : `.${String(ns % unit).padStart(9 - digits, '0')}`;
        expect(readTime(`${ns / unit}${fraction}`, digits, time)).toBe(true);
        expect(BigInt(time.seconds) * 1_000_000_000n + BigInt(time.ns)).toBe(ns);
      }),
    );
  });
});

// The example row of the README of alibaba/block-traces, and others of its form.
const ALIBABA = `0,R,126703644672,4096,1577808000000626
1,W,4095,2,1577808000000626
0,R,17592186044416,131072,1577808001000627
`;

describe('Alibaba block', () => {
  test('bytes are the pages they lie in, devices are mounts', async () => {
    for (const text of [ALIBABA, `device_id,opcode,offset,length,timestamp\n${ALIBABA}`]) {
      expect(alibabaBlock.detect!(Buffer.from(text))).toBe(true);
      const { events, mounts, files, facted } = await read(alibabaBlock, text, { size: 50 });
      expect(facted).toEqual({ source: 'Alibaba block trace', startNs: '1577808000000626000' });
      expect(mounts).toEqual([
        { name: '0', ids: 'block' },
        { name: '1', ids: 'block' },
      ]);
      expect(files).toEqual([{ mount: 0 }, { mount: 1 }]);
      expect(events.map((e) => [e.timeNs, e.op, e.file, wholePage(e), e.pages, e.bytes])).toEqual([
        [0, OP.read, 0, 30933507, 1, 4096],
        [0, OP.write, 1, 0, 2, 2],
        [1_000_001_000, OP.read, 0, 2 ** 32, 32, 131072],
      ]);
    }
  });

  test('what is wrong is said with its line', async () => {
    const cases: [string, string][] = [
      ['0,R,1,2', 'has 4 fields, not 5'],
      ['0,X,1,2,1577808000000626', "'0,X,1,2,1577808000000626' is no device_id,opcode,offset,length,timestamp"],
      ['0,R,1,0,1577808000000626', 'its length is 0'],
      ['0,R,9007199254740991,2,1577808000000626', 'it ends beyond 2^53 bytes'],
      ['0,R,1,2,1577808000000625', 'its time is 1000 ns before that of the record above'],
      ['0,R,1,2,1677808000000625', 'its time is more than 2^53 ns (104 days) after the first'],
    ];
    for (const [line, message] of cases) {
      const text = `0,R,0,1,1577808000000626\n${line}\n`;
      expect(await said(read(alibabaBlock, text))).toBe(`DataError: t: line 2: ${message}`);
      expect((await read(alibabaBlock, text, { skip: true })).events).toHaveLength(1);
    }
  });
});

// In the layout of blkparse_fmt.c; the last lines are what blkparse adds.
const BLKPARSE = `Input file sda.blktrace.0 added
  8,0    3        1     0.000000000   697  A   W 223490 + 8 <- (8,1) 223427
  8,0    3        2     0.000000700   697  Q   W 223490 + 8 [kjournald]
  8,0    3        3     0.000001829   697  G   W 223490 + 8 [kjournald]
  8,0    3        4     0.000002000   697  P   N [kjournald]
  8,0    3        5     0.000003000     0  m   N cfq697 insert_request
  8,16   1       11     1.009507758  2541  Q  RA 16 + 1 [my prog]
  8,16   1       12     1.009507759  2541  Q   D 16 + 100 [fstrim]
  8,16   1       13     1.009507760  2541  Q FWS [jbd2/sdb1-8]
259,0    0       28    10.604586205     9  C   W 0 + 8 [0]
CPU0 (8,0):
 Reads Queued:           0,        0KiB\t Writes Queued:           1,        4KiB

Total (8,0):
 Reads Queued:           0,        0KiB\t Writes Queued:           1,        4KiB

Throughput (R/W): 0KiB/s / 4KiB/s
Events (8,0): 9 entries
Skips: 0 forward (0 -   0.0%)
`;

describe('blkparse', () => {
  test('only what is queued to be read or written is an access', async () => {
    expect(blkparse.detect!(Buffer.from(BLKPARSE))).toBe(true);
    expect(blkparse.detect!(Buffer.from(ALIBABA))).toBe(false);
    const { events, mounts, facted } = await read(blkparse, BLKPARSE, { size: 100 });
    expect(facted).toEqual({ source: 'blkparse', startNs: 700 });
    expect(mounts.map((m) => m.name)).toEqual(['8,0', '8,16']);
    // sectors 223490 … 223497 are in pages 27936 and 27937
    expect(events.map((e) => [e.timeNs, e.op, e.file, e.page, e.pages, e.bytes, e.task])).toEqual([
      [0, OP.write, 0, 27936, 2, 4096, 697],
      [1_009_507_058, OP.read, 1, 2, 1, 512, 2541],
    ]);
  });

  test('a line that is no event is an error by its number', async () => {
    expect(await said(read(blkparse, `${BLKPARSE.split('\n')[1]}\nhello\n`))).toBe(
      "DataError: t: line 2: 'hello' is no event as blkparse prints them by default",
    );
    const odd = '  8,0    3        2     0.000000700   697  Q   W 223490 - 8 [kjournald]';
    expect(await said(read(blkparse, odd))).toMatch(/line 1: '223490 - 8 \[kjournald\]' is no 'sector/);
  });
});

describe('damaged', () => {
  test('texts are events, or an error by its line', async () => {
    const next = random(21);
    const wholes: [TraceFormat, string][] = [
      [alibabaBlock, ALIBABA],
      [blkparse, BLKPARSE],
      [ids, '1\n2\n18446744073709551615\n'],
    ];
    let errors = 0;
    for (let i = 0; i < 3000; i++) {
      const [format, whole] = wholes[i % 3]!;
      const bytes = Buffer.from(whole);
      for (let k = 1 + next(3); k > 0; k--)
        bytes[next(bytes.length)] = next(2) === 0 ? next(256) : '0123456789,. RWQ-+[]\n'.charCodeAt(next(21));
      try {
        await readBytes(format, bytes, { skip: next(2) === 0, size: 1 + next(200) });
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        expect(error.message).toMatch(/^t: line \d+: /);
        errors++;
      }
    }
    expect(errors).toBeGreaterThan(300);
  });
});
