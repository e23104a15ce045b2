import { describe, expect, test } from 'vitest';
import { DataError } from '../../../src/error.ts';
import { estargz } from '../../../src/replay/trace/formats/estargz.ts';
import type { TraceFormat } from '../../../src/replay/trace/formats/format.ts';
import { genericCsv } from '../../../src/replay/trace/formats/generic-csv.ts';
import { TRACE_FORMATS } from '../../../src/replay/trace/formats/index.ts';
import { nydusOptimizer, nydusPattern } from '../../../src/replay/trace/formats/nydus.ts';
import { overlaybd } from '../../../src/replay/trace/formats/overlaybd.ts';
import { soci } from '../../../src/replay/trace/formats/soci.ts';
import { OP, wholePage } from '../../../src/replay/trace/trace.ts';
import { random } from '../../erofs/random.ts';
import { event, type MemorySink, readBytes, said } from './memory-sink.ts';

const read = (format: TraceFormat, text: string, options: Parameters<typeof readBytes>[2] = {}) =>
  readBytes(format, Buffer.from(text), options);

/** The formats that take a file for theirs. */
const takers = (bytes: Uint8Array): string[] =>
  TRACE_FORMATS.filter((format) => format.detect?.(Buffer.from(bytes))).map(({ name }) => name);

const filesOf = ({ files, mounts }: MemorySink): string[] =>
  files.map(({ mount, path, ino }) => `${mounts[mount]!.name}:${path ?? ino}`);

// docs/ctr-remote.md of containerd/stargz-snapshotter, its first lines.
const ESTARGZ = `{"path":"usr/bin/bash","manifestDigest":"sha256:5d070ad5f7fe63623cbb99b4fc0fd997f5591303d4b03ccce50f403957d0ddc4","layerIndex":0}
{"path":"usr/bin/bash","manifestDigest":"sha256:5d070ad5f7fe63623cbb99b4fc0fd997f5591303d4b03ccce50f403957d0ddc4","layerIndex":0}
{"path":"usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2","manifestDigest":"sha256:5d070ad5f7fe63623cbb99b4fc0fd997f5591303d4b03ccce50f403957d0ddc4","layerIndex":0}
{"path":"etc/ld.so.cache","manifestDigest":"sha256:5d070ad5f7fe63623cbb99b4fc0fd997f5591303d4b03ccce50f403957d0ddc4","layerIndex":0}
`;

describe('eStargz', () => {
  test('each line is a read of a file’s first page, paths from the root on', async () => {
    expect(takers(Buffer.from(ESTARGZ))).toEqual(['estargz']);
    const trace = await read(estargz, ESTARGZ, { size: 100 });
    const digest = 'sha256:5d070ad5f7fe63623cbb99b4fc0fd997f5591303d4b03ccce50f403957d0ddc4';
    expect(trace.mounts).toEqual([{ name: digest, ids: 'path' }]);
    expect(filesOf(trace)).toEqual(
      ['/usr/bin/bash', '/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2', '/etc/ld.so.cache'].map(
        (p) => `${digest}:${p}`,
      ),
    );
    expect(trace.events).toEqual([0, 0, 1, 2].map((file) => event('read', { file })));
  });

  test('digest and layer may be left out; a line that is no entry is an error, or counted', async () => {
    expect(takers(Buffer.from('{"path":"a"}'))).toEqual(['estargz']);
    const text =
      '{"path":"/a"}\n{"path":7}\n{"path":""}\nnull\n{\n{"path":"a","layerIndex":-1}\n{"path":"./b","layerIndex":2}';
    expect(await said(read(estargz, text))).toBe(
      'DataError: t: line 2: \'{\\"path\\":7}\' is no {"path", "manifestDigest", "layerIndex"}',
    );
    const trace = await read(estargz, text, { skip: true });
    expect([filesOf(trace), trace.bad!.count]).toEqual([['image:/a', 'image:/b'], 5]);
  });
});

// As RunReceiver() writes it: encoding/csv, plain and with `readable`.
const NYDUS = 'path,size,elapsed\n/usr/bin/bash,1183448,1260\n"/opt/a ""b"", c",0,1300\n';
const READABLE = 'path,size,elapsed\n/usr/bin/bash,1.1 MiB,126 us\n/etc/passwd,926 B,1.260 ms\n/x,4.0 KiB,12.600 s\n';

describe('Nydus optimizer', () => {
  test('sizes are of files, times are µs', async () => {
    expect(takers(Buffer.from(NYDUS))).toEqual(['nydus-optimizer']);
    const trace = await read(nydusOptimizer, NYDUS, { size: 9 });
    expect(trace.files).toEqual([
      { mount: 0, path: '/usr/bin/bash', sizeBytes: 1183448 },
      { mount: 0, path: '/opt/a "b", c', sizeBytes: 0 },
    ]);
    expect(trace.events).toEqual([event('read', { timeNs: 1_260_000 }), event('read', { timeNs: 1_300_000, file: 1 })]);
  });

  test('made readable, rounded sizes are left out and units read', async () => {
    const trace = await read(nydusOptimizer, READABLE);
    expect(trace.files.map((file) => file.sizeBytes)).toEqual([undefined, 926, undefined]);
    expect(trace.events.map((e) => e.timeNs)).toEqual([126_000, 1_260_000, 12_600_000_000]);
  });

  test.each([
    ['/a,1', 'has 2 fields, not 3'],
    ['/a,x,1', "'/a,x,1' is no path,size,elapsed"],
    ['/a,1,1 h', "'/a,1,1 h' is no path,size,elapsed"],
    [',1,1', "',1,1' is no path,size,elapsed"],
    ['/a,1,0', 'its time is 1000 ns before that of the record above'],
    ['"/a,1,5', 'opens a quoted field that is not closed'],
    ['/a"b,1,5\n"', 'Invalid Opening Quote'],
  ])('what is wrong is said with its line: %s', async (line, message) => {
    const text = `path,size,elapsed\n/x,1,1\n${line}\n`;
    expect(await said(read(nydusOptimizer, text))).toContain(`DataError: t: line 3: ${message}`);
    expect((await read(nydusOptimizer, text, { skip: true })).events).toHaveLength(1);
  });
});

// As serde_json serialises Vec<&Arc<AccessPattern>>.
const PATTERN =
  '[{"ino":9,"nr_read":3,"first_access_time_secs":1700000001,"first_access_time_nanos":5},{"ino":36,"nr_read":1,"first_access_time_secs":1700000000,"first_access_time_nanos":999999999}]';

describe('nydusd pattern', () => {
  test('inodes by their first access; how often they were read is summed up', async () => {
    expect(takers(Buffer.from(PATTERN))).toEqual(['nydus-pattern']);
    const trace = await read(nydusPattern, PATTERN);
    expect(trace.facted).toEqual({ source: 'nydusd access pattern', startNs: '1700000000999999999' });
    expect([filesOf(trace), trace.ended]).toEqual([['rafs:36', 'rafs:9'], { reads: 4 }]);
    expect(trace.events.map((e) => [e.timeNs, e.file])).toEqual([
      [0, 0],
      [6, 1],
    ]);
    expect((await read(nydusPattern, '[]')).events).toEqual([]);
  });

  test('what is wrong is said with its entry or byte', async () => {
    expect(await said(read(nydusPattern, '[{"ino":9007199254740993,"nr_read":1,"first_access_time_secs":1}]'))).toMatch(
      /^DataError: t: entry 1: is no \{"ino"/,
    );
    expect(await said(read(nydusPattern, '[{"é":1},\n}'))).toMatch(
      /^DataError: t: byte 11: is not JSON: Unexpected token '}'$/,
    );
    expect(await said(read(nydusPattern, '[1,'))).toMatch(/^DataError: t: byte 3: is not JSON: Unexpected end/);
    expect(await said(read(nydusPattern, '{}'))).toBe('DataError: t: byte 0: is no array of access patterns');
    expect(await said(readBytes(nydusPattern, Buffer.alloc(17 << 20, ' ')))).toMatch(/t: byte 16777216: goes on/);
  });
});

// The example of docs/prefetch.md of awslabs/soci-snapshotter, without its commas too many.
const SOCI = `{
  "version": "1.0",
  "prefetch_spans": [
    {
      "start_span": 10,
      "end_span": 15
    },
    {
      "start_span": 50,
      "end_span": 55,
      "priority": 1
    }
  ]
}`;

describe('SOCI', () => {
  test('spans are objects of a layer by their number, both ends counted', async () => {
    expect(takers(Buffer.from(SOCI))).toEqual(['soci']);
    const trace = await read(soci, SOCI, { size: 20 });
    expect(trace.mounts).toEqual([{ name: 'layer', ids: 'object' }]);
    expect(trace.events).toEqual([event('read', { page: 10, pages: 6 }), event('read', { page: 50, pages: 6 })]);
  });

  test('a list of files to fetch is reads of their first pages', async () => {
    const trace = await read(soci, '["/app/config.json", " app/lib/core.so ", ""]', { skip: true });
    expect([filesOf(trace), trace.bad!.count]).toEqual([['image:/app/config.json', 'image:/app/lib/core.so'], 1]);
  });

  test.each([
    ['{"version":"2.0","prefetch_spans":[]}', 'byte 0: is of version \\"2.0\\"; 1.0 is known'],
    ['{"version":"1.0"}', 'byte 0: is neither {"prefetch_spans": […]} nor a list of paths'],
    [
      '{"version":"1.0","prefetch_spans":[{"start_span":3,"end_span":2}]}',
      'entry 1: is no span: start_span 3, end_span 2',
    ],
    ['{"version":"1.0","prefetch_spans":[{"start_span":0,"end_span":2147483647}]}', 'entry 1: is no span'],
    ['{"version":"1.0","prefetch_spans":[{"start_span":0,"end_span":2147483648}]}', 'entry 1: is no span'],
    ['{"version":"1.0","prefetch_spans":[null]}', 'entry 1: is no span: start_span undefined'],
  ])('what is wrong is said: %s', async (text, message) => {
    expect(await said(read(soci, text))).toContain(`DataError: t: ${message}`);
  });
});

/** CRC-32C bit by bit, as the polynomial is written down: reflected 0x82f63b78. */
function slowCrc(bytes: Uint8Array, seed: number): number {
  let crc = seed;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return crc >>> 0;
}

type OverlaybdRecord = readonly [op: string, layer: number, count: bigint, offset: bigint];

/** The structs TraceHeader and TraceFormat as x86-64 and arm64 lay them out, padding of the records not zero. */
function overlaybdBytes(records: readonly OverlaybdRecord[], { inverted = false } = {}): Buffer {
  const body = Buffer.alloc(24 * records.length, 0xee);
  for (const [i, [op, layer, count, offset]] of records.entries()) {
    body.writeUInt8(op.charCodeAt(0), 24 * i);
    body.writeUInt32LE(layer, 24 * i + 4);
    body.writeBigUInt64LE(count, 24 * i + 8);
    body.writeBigInt64LE(offset, 24 * i + 16);
  }
  const head = Buffer.alloc(24);
  head.writeUInt32LE(3270449184, 0);
  head.writeBigUInt64LE(BigInt(body.length), 8);
  head.writeUInt32LE(inverted ? ~slowCrc(body, 0xffffffff) >>> 0 : slowCrc(body, 0), 16);
  return Buffer.concat([head, body]);
}

const LAYERS: OverlaybdRecord[] = [
  ['R', 0, 4096n, 8192n],
  ['R', 2, 10n, 4095n],
  ['W', 0, 131072n, 17592186044416n],
];

describe('overlaybd', () => {
  test('bytes are the pages of a layer that they lie in', async () => {
    for (const inverted of [false, true]) {
      const bytes = overlaybdBytes(LAYERS, { inverted });
      expect(takers(bytes)).toEqual(['overlaybd']);
      const trace = await readBytes(overlaybd, bytes, { size: 25 });
      expect(trace.mounts.map((mount) => mount.name)).toEqual(['layer 0', 'layer 2']);
      expect(trace.events.map((e) => [e.op, e.file, wholePage(e), e.pages, e.bytes])).toEqual([
        [OP.read, 0, 2, 1, 4096],
        [OP.read, 1, 0, 2, 10],
        [OP.write, 0, 2 ** 32, 32, 131072],
      ]);
    }
    expect((await readBytes(overlaybd, overlaybdBytes([]))).events).toEqual([]);
  });

  test('the checksum of `123456789` is the one that RFC 3720 and everybody else has', () => {
    expect(~slowCrc(Buffer.from('123456789'), 0xffffffff) >>> 0).toBe(0xe3069283);
  });

  test('what is wrong is said with its byte', async () => {
    const flipped = overlaybdBytes(LAYERS);
    flipped[30]! ^= 1;
    const cases: [Buffer, string][] = [
      [overlaybdBytes([...LAYERS, ['X', 0, 1n, 0n]]), 'byte 96: its operation 88 is neither R nor W'],
      [overlaybdBytes([['R', 0, 0n, 0n]]), 'byte 24: its length is 0 bytes'],
      [overlaybdBytes([['R', 0, 1n, -1n]]), 'byte 24: it ends beyond 2^53 bytes'],
      [overlaybdBytes(LAYERS).subarray(0, -1), 'byte 72: ends after 23 of the 24 bytes of a record'],
      [overlaybdBytes(LAYERS).subarray(0, -24), 'byte 8: says that there are 72 bytes of records, but there are 48'],
      [overlaybdBytes(LAYERS).subarray(0, 20), 'byte 0: ends after 20 bytes of the header'],
      [Buffer.alloc(24), 'byte 0: is no overlaybd trace: another magic number'],
      [flipped, 'byte 16: the records have another checksum'],
    ];
    for (const [bytes, message] of cases)
      expect(await said(readBytes(overlaybd, bytes))).toBe(`DataError: t: ${message}`);
  });
});

const MAPPED = { time: '1:us', container: '2', path: '3', offset: '5', length: '6', op: '4' };

describe('any CSV', () => {
  test('columns by number, with and without a header line', async () => {
    const body = '10,c1,/a,R,4095,2\n12.5,c2,/a,write,8192,4096\n12.5,,"/b ""x"",\ny",read,0,0\n';
    for (const text of [body, `us,who,file,what,where,how much\r\n${body}`]) {
      const trace = await read(genericCsv, text, { columns: MAPPED, size: 11 });
      expect(trace.facted.startNs).toBe(10_000);
      expect(trace.facted.header).toEqual(
        text === body ? undefined : ['us', 'who', 'file', 'what', 'where', 'how much'],
      );
      expect(trace.containers).toEqual(['c1', 'c2', '?']);
      expect(filesOf(trace)).toEqual(['?:/a', '?:/b "x",\ny']);
      expect(trace.events).toEqual([
        event('read', { pages: 2, bytes: 2 }),
        event('write', { timeNs: 2500, container: 1, page: 2, bytes: 4096 }),
        event('read-nothing', { timeNs: 2500, container: 2, file: 1, pages: 0 }),
      ]);
    }
  });

  test('columns by name, inodes and pages, another delimiter', async () => {
    const text = '"ino";n;page;t_ms;size;tid;mnt\n36;3;7;1000;99;5;m\n36;1;4294967296;1001;;0;m\n37;1;0;1001;5;0;n\n';
    const columns = {
      ino: 'ino',
      pages: 'n',
      page: 'page',
      time: 't_ms',
      size: 'size',
      task: 'tid',
      mount: 'mnt',
      delimiter: 'semicolon',
    };
    const trace = await read(genericCsv, text, { columns });
    expect(trace.files).toEqual([
      { mount: 0, ino: 36, sizeBytes: 99 },
      { mount: 1, ino: 37, sizeBytes: 5 },
    ]);
    expect(trace.events).toEqual([
      event('read', { page: 7, pages: 3, task: 5 }),
      event('read', { timeNs: 1_000_000, pageHigh: 1 }),
      event('read', { timeNs: 1_000_000, file: 1 }),
    ]);
  });

  test('objects: numbers as they are, or texts as they appear', async () => {
    const columns = { id: '2', length: '3' };
    const numbers = await read(genericCsv, '1,18446744073709551615,5\n1,7,0\n', { columns });
    expect(numbers.mounts).toEqual([{ name: '?', ids: 'object' }]);
    expect(numbers.events).toEqual([
      event('read', { page: 2 ** 32 - 1, pageHigh: 2 ** 32 - 1, bytes: 5 }),
      event('read', { page: 7 }),
    ]);
    const texts = await read(genericCsv, 'x,b,5\nx,a,5\nx,b,5\n', { columns: { ...columns, header: 'no' } });
    expect(texts.events.map((e) => e.page)).toEqual([0, 1, 0]);
  });

  test('only a path: its first page; only pages: a device', async () => {
    const paths = await read(genericCsv, '/a\n/b\n/a\n', { columns: { path: '1' } });
    expect(paths.events).toEqual([0, 1, 0].map((file) => event('read', { file })));
    const pages = await read(genericCsv, '5\n6\n', { columns: { page: '1' } });
    expect([pages.mounts, pages.files]).toEqual([[{ name: '?', ids: 'block' }], [{ mount: 0 }]]);
  });

  test.each([
    [
      { pth: '1' },
      "'pth' is no column of a trace: time, container, mount, path, ino, id, offset, page, length, pages, size, op, task",
    ],
    [{ path: '9' }, 'path=9: the first line has 6 columns'],
    [{ path: '0' }, 'path=0: the first line has 6 columns'],
    [{ path: 'file' }, 'path=file: the first line names no such column, but 10, c1, /a, R, 4095, 2'],
    [{ path: '3', time: '1' }, 'time needs a unit, s, ms, us or ns: time=1:ns'],
    [{ time: '1:us' }, 'one of path, ino, id, offset and page must be mapped'],
    [{ id: '1', offset: '2' }, "id and offset can't both be mapped"],
    [{ path: '3', length: '1', pages: '2' }, "length and pages can't both be mapped"],
    [{ path: '3', delimiter: 'x' }, "delimiter 'x' is none of comma, semicolon, tab, space, bar"],
    [{ path: 'file', header: 'no' }, 'header=no leaves columns without names'],
  ])('a mapping that can’t be is an error of usage: %j', async (columns, message) => {
    expect(await said(read(genericCsv, '10,c1,/a,R,4095,2\n', { columns: columns as Record<string, string> }))).toBe(
      `UsageError: --map: ${message}`,
    );
  });

  test.each([
    ['10,c1,/a,R,4095', 'has 5 fields where the first line has 6'],
    ['10,c1,/a,Q,4095,2', "op 'Q' is unknown"],
    ['10,c1,,R,4095,2', 'path is empty'],
    ['ten,c1,/a,R,4095,2', "time 'ten' is not a number"],
    ['9,c1,/a,R,4095,2', 'its time is 1000 ns before that of the record above'],
    ['10,c1,/a,R,-1,2', "offset '-1' is not a whole number"],
    ['10,c1,/a,R,0,4294967296', 'length 4294967296 is beyond 2^32'],
    ['10,c1,/a,W,0,0', 'its length is 0'],
    ['10,"c1,/a,R,4095,2', 'opens a quoted field that is not closed'],
  ])('what is wrong is said with its line: %s', async (line, message) => {
    const text = `10,c1,/a,R,4095,2\n${line}\n10,c1,/a,R,4095,2\n`;
    expect(await said(read(genericCsv, text, { columns: MAPPED }))).toBe(`DataError: t: line 2: ${message}`);
    const trace = await read(genericCsv, text, { columns: MAPPED, skip: true });
    expect([trace.events.length, trace.bad!.count]).toEqual([2, 1]);
  });

  test('needs a mapping', async () => {
    expect(await said(read(genericCsv, 'a\n'))).toMatch(/^UsageError: a CSV needs --map/);
  });
});

describe('damaged', () => {
  test('files are events, or an error that says where', async () => {
    const next = random(33);
    const wholes: [TraceFormat, Buffer, Record<string, string>?][] = [
      [estargz, Buffer.from(ESTARGZ)],
      [nydusOptimizer, Buffer.from(NYDUS)],
      [nydusOptimizer, Buffer.from(READABLE)],
      [nydusPattern, Buffer.from(PATTERN)],
      [soci, Buffer.from(SOCI)],
      [overlaybd, overlaybdBytes(LAYERS)],
      [
        genericCsv,
        Buffer.from('10,c1,/a,R,4095,2\n12.5,c2,/a,write,8192,4096\n12.5,,"/b ""x"",\ny",read,0,0\n'),
        MAPPED,
      ],
    ];
    let errors = 0;
    for (let i = 0; i < 4200; i++) {
      const [format, whole, columns] = wholes[i % wholes.length]!;
      let bytes = Buffer.from(whole);
      for (let k = 1 + next(3); k > 0; k--)
        bytes[next(bytes.length)] = next(2) === 0 ? next(256) : '0123456789,. "{}[]:-\n'.charCodeAt(next(21));
      if (next(5) === 0) bytes = bytes.subarray(0, next(bytes.length));
      try {
        await readBytes(format, bytes, { skip: next(2) === 0, size: 1 + next(200), ...(columns && { columns }) });
      } catch (error) {
        if (error instanceof Error && error.name === 'UsageError' && format === genericCsv) continue;
        if (!(error instanceof DataError)) throw error;
        expect(error.message).toMatch(/^t: (line|byte|entry) \d+: /);
        errors++;
      }
    }
    expect(errors).toBeGreaterThan(600);
  });
});
