import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/error.ts';
import { CsvTrace } from '../../src/replay/trace/csv.ts';
import type { TraceRow } from '../../src/replay/trace/row.ts';
import { hasTool, need } from '../require.ts';
import { row, temporaryFile } from './support.ts';

const HEADER = 'time_ns,container,dev,ino,op,page_index,nr_pages,touch,pid,req_pages,pf';

async function rowsOf(path: string): Promise<TraceRow[]> {
  const rows: TraceRow[] = [];
  for await (const batch of (await CsvTrace.open(path)).batches()) rows.push(...batch);
  return rows;
}

const read = (text: string | Uint8Array): Promise<TraceRow[]> => rowsOf(temporaryFile('t.csv', text));

describe('the CSV trace', () => {
  it('reads every column by its name, wherever it stands', async () => {
    const rows = await read('op,touch,time_ns,container,ino,dev,nr_pages,page_index\nmap,7,12,a1,36,m,16,0\n');
    expect(rows).toEqual([row({ timeNs: 12, container: 'a1', nid: 36, op: 'map', pageCount: 16, touch: 7, line: 2 })]);
  });

  it('takes a container attributed by its mount alone at its word, and keeps a bare question mark', async () => {
    const rows = await read(`${HEADER}\n0,a1?,m,1,read,0,1,,1,1,\n0,?,m,1,read,0,1,,1,1,\n`);
    expect(rows.map((r) => r.container)).toEqual(['a1', '?']);
  });

  it('reads plain, gzip and zstd alike, by content and not by name', async () => {
    const text = `${HEADER}\n0,a1,m,1,read,0,4,,1,4,\n`;
    const plain = await read(text);
    expect(await read(gzipSync(text))).toEqual(plain);
    if (need('zstd', hasTool('zstd'))) {
      const compressed = execFileSync('zstd', ['-q', '-c'], { input: text });
      expect(await read(compressed)).toEqual(plain);
      expect(
        await read(
          Buffer.concat([compressed, execFileSync('zstd', ['-q', '-c'], { input: '5,a1,m,1,read,9,1,,1,1,\n' })]),
        ),
      ).toHaveLength(2);
    }
  });

  it.skipIf(!need('zstd', hasTool('zstd')))(
    'verifies the checksum of every zstd frame and passes over skippable ones',
    async () => {
      const compress = (text: string) => execFileSync('zstd', ['-q', '-c'], { input: text });
      // Incompressible text, so that a flipped byte is a literal that decodes to another digit.
      let seed = 1;
      const digits = () => {
        seed = (seed * 16_807) % 2_147_483_647;
        return String(seed);
      };
      const text = `${HEADER}\n${Array.from({ length: 400 }, (_, i) => `${i},a1,m,${digits()},read,0,4,,${digits()},4,`).join('\n')}\n`;
      const whole = compress(text);
      expect(await read(whole)).toHaveLength(400);
      const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
      expect(await read(Buffer.concat([skippable, whole, skippable]))).toHaveLength(400);
      let silent = 0;
      for (let at = 20; at < whole.length; at += 7) {
        const flipped = Buffer.from(whole);
        flipped[at]! ^= 1;
        const outcome = await read(flipped).catch((e: unknown) => e);
        if (!(outcome instanceof DataError)) silent++;
      }
      expect(silent).toBe(0);
      const window = Buffer.from(whole.subarray(0, 6));
      window[4] = 0x04;
      window[5] = 0xff;
      await expect(read(Buffer.concat([whole, window, Buffer.alloc(20)]))).rejects.toThrow(
        /its window is \d+ bytes; at most 134217728 are accepted/,
      );
    },
  );

  it('needs no newline at the end and takes CRLF and a byte order mark', async () => {
    expect(await read(`\ufeff${HEADER}\r\n0,a1,m,1,read,0,4,,1,4,`)).toHaveLength(1);
  });

  it('numbers lines across chunks', async () => {
    const lines = Array.from({ length: 60_000 }, (_, i) => `${i},a1,m,1,read,0,4,,1,4,`);
    const rows = await read(`# a comment\n${HEADER}\n${lines.join('\n')}\n`);
    expect(rows).toHaveLength(60_000);
    expect(rows.every((r, i) => r.line === i + 3 && r.timeNs === i)).toBe(true);
  });

  it('lets a trace name its images', async () => {
    const path = temporaryFile(
      't.csv',
      `# mount a index=a.fidx image-sha256=${'ab'.repeat(32)}\n# mount b\n${HEADER}\n`,
    );
    const trace = await CsvTrace.open(path);
    for await (const _ of trace.batches());
    expect([...trace.header.mounts]).toEqual([
      ['a', { beside: ['a.fidx'], imageSha256: 'ab'.repeat(32), readAheadKb: null, line: 1 }],
      ['b', { beside: [], imageSha256: null, readAheadKb: null, line: 2 }],
    ]);
  });

  it.each([
    ['', 'is not a trace: it holds no header line'],
    ['a,b,c\n', "line 1: is not the header of a trace: column 'time_ns', 'container'"],
    [`${HEADER},op\n`, 'line 1: names a column twice'],
    [`${HEADER}\n0,a1,m,1,read,0,4\n`, 'line 2: has 7 fields where the header has 11'],
    [`${HEADER}\n0,a1,m,1,raed,0,4,,1,4,\n`, "line 2: op 'raed' is unknown"],
    [`${HEADER}\n0,a1,m,1,constructor,0,4,,1,4,\n`, "line 2: op 'constructor' is unknown"],
    [`${HEADER}\n0,a1,m,-1,read,0,4,,1,4,\n`, "line 2: ino '-1' is not a whole number"],
    [`${HEADER}\n0,a1,m,1,read,0x10,4,,1,4,\n`, "line 2: page_index '0x10' is not a whole number"],
    [
      `${HEADER}\n0,a1,m,1,read,0,99999999999999999999,,1,4,\n`,
      "line 2: nr_pages '99999999999999999999' is not a whole number",
    ],
    [
      `${HEADER}\n5,a1,m,1,read,0,4,,1,4,\n4,a1,m,1,read,0,4,,1,4,\n`,
      'line 3: time_ns 4 is before that of the row above, 5',
    ],
    [`${HEADER}\n0,,m,1,read,0,4,,1,4,\n`, 'line 2: container is empty'],
    [`${HEADER}\n\n`, 'line 2: has 1 fields where the header has 11'],
    [
      `# mount a index=../../etc/passwd\n${HEADER}\n`,
      "line 1: index '../../etc/passwd' is not the name of a file beside the trace",
    ],
    [`# mount a image-sha256=12\n${HEADER}\n`, 'line 1: image-sha256 is not 64 hex digits'],
    ['x'.repeat(1_400_000), 'line 1: is longer than 1048576 bytes'],
  ])('refuses a bad trace with the place at fault: %#', async (text, message) => {
    const path = temporaryFile('bad.csv', text);
    const error = await rowsOf(path).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toContain(`${path}: ${message}`);
  });

  it('says which file is missing, is a folder, or is cut off', async () => {
    await expect(rowsOf('/nonexistent/t.csv')).rejects.toThrow('/nonexistent/t.csv: no such file');
    await expect(rowsOf('/')).rejects.toThrow('/: is a directory, not a file');
    const gz = gzipSync(`${HEADER}\n${'0,a1,m,1,read,0,4,,1,4,\n'.repeat(1000)}`);
    await expect(read(gz.subarray(0, gz.length - 20))).rejects.toThrow(
      /t\.csv: can't be decompressed: unexpected end of file/,
    );
  });

  it('survives any bytes: rows or its own error', async () => {
    const text = Buffer.from(
      `# mount a index=a.fidx\n${HEADER}\n0,a1,m,1,read,0,4,,1,4,\n7,a1,m,1,map,0,16,3,1,4,0x14\n`,
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(text.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        async (changes) => {
          const bytes = Buffer.from(text);
          for (const [at, value] of changes) bytes[at] = value;
          const outcome = await read(bytes).catch((e: unknown) => e);
          expect(Array.isArray(outcome) || outcome instanceof DataError).toBe(true);
        },
      ),
      { numRuns: 300, seed: 7 },
    );
  });

  it('keeps a truncated zstd recording from passing as a whole one', async () => {
    const whole = readFileSync(new URL('../../traces/redis/run.csv.zst', import.meta.url));
    await expect(read(whole.subarray(0, whole.length - 100))).rejects.toThrow(/is not a whole zstd file/);
  });
});
