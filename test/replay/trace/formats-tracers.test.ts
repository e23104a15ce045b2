import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DataError } from '../../../src/error.ts';
import { bpftrace } from '../../../src/replay/trace/formats/bpftrace.ts';
import { fatrace } from '../../../src/replay/trace/formats/fatrace.ts';
import type { TraceFormat } from '../../../src/replay/trace/formats/format.ts';
import { TRACE_FORMATS } from '../../../src/replay/trace/formats/index.ts';
import { strace } from '../../../src/replay/trace/formats/strace.ts';
import { tracefs } from '../../../src/replay/trace/formats/tracefs.ts';
import { OP, TRACE_OP_NAMES, TRACE_OPS, type TraceEvent } from '../../../src/replay/trace/trace.ts';
import { random } from '../../erofs/random.ts';
import { readBytes, said } from './memory-sink.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/traces');
const sample = (name: string): string => readFileSync(join(FIXTURES, name), 'latin1');
const read = (format: TraceFormat, text: string, options: Parameters<typeof readBytes>[2] = {}) =>
  readBytes(format, Buffer.from(text, 'latin1'), options);
const op = (e: TraceEvent): string => TRACE_OP_NAMES[e.op]!;

describe('formats', () => {
  test('are known by their beginning, and no other takes them for its own', () => {
    const of: Record<string, TraceFormat> = {
      'tracefs.txt': tracefs,
      'bpftrace-tracefs.txt': tracefs,
      'perf.txt': tracefs,
      'bpftrace.txt': bpftrace,
      'strace.txt': strace,
      'strace-terminal.txt': strace,
      'fatrace.txt': fatrace,
      'fatrace.jsonl': fatrace,
    };
    for (const [name, format] of Object.entries(of)) {
      const head = Buffer.from(sample(name), 'latin1');
      expect([name, TRACE_FORMATS.filter((one) => one.detect?.(head)).map((one) => one.name)]).toEqual([
        name,
        [format.name],
      ]);
    }
  });
});

/** What was asked for of the file of 40 pages: first page and how many; of a window the page that was wanted, −1 unknown. */
const demand = (events: readonly TraceEvent[]): [string, number, number][] =>
  events
    .filter((e) => e.task === events.at(-1)!.task && TRACE_OPS[TRACE_OP_NAMES[e.op]!] === 'demand')
    .map((e) =>
      e.op === OP['fault-around'] ? [op(e), e.touch < 0 ? -1 : e.page + e.touch, 1] : [op(e), e.page, e.pages],
    );

/** By hand of pages.c. */
const PAGES: [string, number, number][] = [
  ['read', 0, 1],
  ['read', 5, 2],
  // page 3, in the window at the start of a mapping, of which no other page of the window is known
  ['fault-around', -1, 1],
  ['fault', 20, 1],
  ['fault-around', 39, 1],
  ['fault', 21, 1],
  ['read', 0, 2],
];

describe('tracefs', () => {
  test('what a program asked for is what is read, and the pages it touched are known', async () => {
    const { events, mounts, files, containers, facted, ended } = await read(tracefs, sample('tracefs.txt'), {
      size: 1000,
    });
    expect(facted).toMatchObject({ source: 'tracefs', readsClipped: false });
    expect([mounts, containers]).toEqual([[{ name: '7:1' }], ['7:1']]);
    expect(files.map(({ ino }) => ino)).toEqual([0x24, 0x28]);
    expect(demand(events)).toEqual(PAGES);
    expect(ended).toMatchObject({ lost: 0, touches: { exact: 1, agreed: 0, unknown: 1 } });
  });

  test('perf script says the same, but which pages of windows', async () => {
    const { events } = await read(tracefs, sample('perf.txt'), { size: 333 });
    expect(demand(events)).toEqual(PAGES.map(([name, page, n]) => [name, name === 'fault-around' ? -1 : page, n]));
    const withoutCpu = sample('perf.txt').replace(/\[\d+\] /g, '');
    expect((await read(tracefs, withoutCpu)).events).toEqual(events);
    const withPid = sample('perf.txt').replace(/ (\d+) \[/g, ' $1/$1 [');
    expect((await read(tracefs, withPid)).events).toEqual(events);
  });

  test('lines of every kind are understood', async () => {
    // of a kernel before 5.17, with record-tgid, of `irq-info 0`, of trace-cmd report 3.1
    const { events, ended, mounts } = await read(
      tracefs,
      `# tracer: nop
#
# entries-in-buffer/entries-written: 96/1292   #P:2
 a b-1 [9] c-4711    [001] ....    10.000001: mm_filemap_add_to_page_cache: dev 8:1 ino 2a page=00000000a3f1c2d4 pfn=12345 ofs=8192
CPU:1 [LOST 4 EVENTS]
CPU:0 [LOST EVENTS]
              dd-30053   (  30053) [001] .....    10.000002: mm_filemap_get_pages: dev=8:1 ino=2a ofs=114688-118783
           <...>-7       (-------) [000] d..2.    10.000002: mm_filemap_delete_from_page_cache: dev 8:1 ino 2a pfn=0x1 ofs=8192 order=4
             cat-8       [000]    10.000003: mm_filemap_fault: dev=259:1048575 ino=ffffffffff ofs=4398046507008
             cat-8       [000]    10.000004: mm_filemap_fault:     dev=0:39 ino=1 ofs=0
             cat-8       [000] .....    10.000004: erofs_read_folio: dev = (7,0), nid = 36, DIR, index = 0, uptodate = 0 raw = 1
 => ksys_read
             cat-8       [000] .....    10.000004: <stack trace>
`,
    );
    expect(events.map((e) => [e.timeNs, op(e), e.task, e.file, e.page, e.pages])).toEqual([
      [0, 'fill', 4711, 0, 2, 1],
      [1000, 'read', 30053, 0, 28, 1],
      [1000, 'drop', 7, 0, 2, 16],
      [2000, 'fault', 8, 1, 2 ** 30 - 1, 1],
      [3000, 'fault', 8, 2, 0, 1],
    ]);
    expect(mounts.map(({ name }) => name)).toEqual(['8:1', '259:1048575', '0:39']);
    expect(ended).toMatchObject({ lost: 1292 - 96 + 4 + 1 });
    const perf = `dd 30310 [000]  2175.461726: PERF_RECORD_LOST lost 674
cat 30367 [001]  2177.354233: filemap:mm_filemap_get_pages: dev=7:0 ino=2b ofs=0-131071
\tffffffff8159e379 __traceiter_mm_filemap_get_pages+0x39 ([kernel.kallsyms])
\t           f82ad read+0xd (/usr/lib/x86_64-linux-gnu/libc.so.6)

`;
    expect((await read(tracefs, perf)).ended).toMatchObject({ lost: 674 });
    expect((await read(tracefs, perf.slice(perf.indexOf('cat')))).ended).not.toHaveProperty('lost');
  });

  test('what is wrong is said with its line', async () => {
    const head = 'cat-8       [000] .....    10.000004: mm_filemap_';
    const cases: [string, string][] = [
      [`${head}fault: dev=7:0 ino=1 ofs=`, 'is no event as the kernel prints them'],
      [`${head}fault: dev=7:0 ino=20000000000000 ofs=0`, 'is no event as'],
      [`${head}get_pages: dev=7:0 ino=1 ofs=4096-4095`, 'its last page is before its first, 1'],
      [`${head}fault: dev=7:0 ino=1 ofs=9007199254740991`, 'its last page is beyond 2^32'],
      [`${head}add_to_page_cache: dev 7:0 ino 1 pfn=0x1 ofs=0 order=64`, 'a folio of order 64 is larger than 1 GiB'],
      [
        `cat-8       [000] .....    10.000002: mm_filemap_fault: dev=7:0 ino=1 ofs=0`,
        'its time is 1000 ns before that',
      ],
      [`cat-8       [000] .....    10.000002: mm_filem`, 'is no event as'],
      ['\u0000\u0001\u0002', "\\u0000\\u0001\\u0002' is no event as"],
    ];
    for (const [line, message] of cases) {
      const text = `  cat-8       [000] .....    10.000003: mm_filemap_fault: dev=7:0 ino=1 ofs=0\n  ${line}\n`;
      expect(await said(read(tracefs, text))).toMatch(/^DataError: t: line 2: /);
      expect(await said(read(tracefs, text))).toContain(message);
      const { events, bad } = await read(tracefs, text, { skip: true });
      expect([events.length, bad!.count]).toEqual([1, 1]);
    }
  });
});

describe('bpftrace', () => {
  test('says what tracefs said of the same moments', async () => {
    const ours = await read(bpftrace, sample('bpftrace.txt'), { size: 100 });
    const theirs = await read(tracefs, sample('bpftrace-tracefs.txt'));
    const tasks = (events: readonly TraceEvent[]) =>
      [...new Set(events.map((e) => e.task))].sort().map((task) =>
        events
          .filter((e) => e.task === task)
          // Without page faults, which tracefs was not asked for, which of two windows is whose can't be told.
          .map((e) => [
            op(e)
              .replace('fault-around', 'map')
              .replace(/^map.*/, 'map'),
            e.page,
            e.pages,
          ]),
      );
    expect(tasks(ours.events)).toEqual(tasks(theirs.events));
    expect(ours.events).toHaveLength(105);
    expect(ours.containers).toEqual(['1']);
    expect(ours.ended).toMatchObject({ lost: 0 });
    // work.sh maps data.bin and touches its pages 0, 20 and 39.
    const windows = ours.events.filter((e) => e.op === OP['fault-around'] && ours.files[e.file]!.ino === 0x29);
    for (const { page, touch } of windows) if (touch >= 0) expect([0, 20, 39]).toContain(page + touch);
    expect(windows.length).toBeGreaterThan(1);
  });

  test('lines in another order than that of time are put in it, and cgroups have names', async () => {
    const whole = sample('bpftrace.txt');
    const { events, files } = await read(bpftrace, whole);
    const next = random(3);
    const lines = whole.trim().split('\n');
    // As CPUs are drained: what each task's CPU said stays in its order.
    const queues = [0, 1].map((cpu) => lines.slice(2).filter((line) => Number(line.split(' ')[2]) % 2 === cpu));
    const mixed: string[] = [];
    while (queues.some((queue) => queue.length > 0)) mixed.push(...queues[next(2)]!.splice(0, 1 + next(40)));
    const names = '# cgroup 1 \n# cgroup 12 a/b c\n';
    const again = await read(
      bpftrace,
      `${lines[0]}\n${names}# foliolab filemap.bt 1\n${mixed.join('\n')}\nLost 12 events\n`,
    );
    expect(again.events.map(({ file, ...e }) => [e, again.files[file]!.ino])).toEqual(
      events.map(({ file, ...e }) => [e, files[file]!.ino]),
    );
    expect([again.containers, again.ended]).toEqual([['/'], expect.objectContaining({ lost: 12 })]);
  });

  test('a line that is cut off is an error by its number', async () => {
    const text = '# foliolab filemap.bt 1\nG 1 2 3 7:0 2a 0 31 cat\n';
    for (const line of [
      'G 1 2 3 7:0 2a 0',
      'G 1 2 3 7 2a 0 31 cat',
      'P 1 2 xyz',
      'X 1',
      'A 1 2 3 7:0 2a 0 x c',
      'hello',
      'F 1 2 3 7:0 20000000000000 0 c',
    ])
      expect([line, await said(read(bpftrace, `${text}${line}`))]).toEqual([
        line,
        expect.stringMatching(/^DataError: t: line 3: .* is no (event|line) of filemap\.bt$/),
      ]);
  });
});

// Every read and write of calls.c, by hand: file, operation, bytes, offset.
const CALLS: [string, string, number, number][] = [
  ['data.bin', 'read', 5000, 0],
  ['data.bin', 'read', 100, 5000],
  ['data.bin', 'read', 4096, 8192],
  ['data.bin', 'read', 10, 40960],
  ['data.bin', 'read', 9100, 12288],
  ['data.bin', 'read', 9100, 12345],
  ['data.bin', 'read', 8192, 4096],
  ['data.bin', 'read', 100, 21388],
  ['data.bin', 'read', 4096, 21488],
  ['data.bin', 'read', 10, 0],
  ...[10, 1010, 2010, 3010, 4010, 5010].map((at): [string, string, number, number] => ['data.bin', 'read', 1000, at]),
  ['a "b", <c> é) = 1.bin', 'write', 5000, 0],
  ['a "b", <c> é) = 1.bin', 'read', 1000, 4000],
  ['data.bin', 'read', 1, 6010],
  ['data.bin', 'read-nothing', 0, 1 << 20],
  ['data.bin', 'read', 4096, 0],
  ['copy.bin', 'write', 4096, 0],
];
const CALLS_EVENTS = CALLS.map(([file, name, bytes, at]) => {
  const page = Math.floor(at / 4096);
  return [`/tmp/sample/${file}`, name, page, bytes === 0 ? 0 : Math.floor((at + bytes - 1) / 4096) - page + 1, bytes];
});

describe('strace', () => {
  const events = async (text: string, size = 1 << 16) => {
    const trace = await read(strace, text, { size });
    return { ...trace, told: trace.events.map((e) => [trace.files[e.file]!.path, op(e), e.page, e.pages, e.bytes]) };
  };

  test('every read and write is where the program made it, whatever else strace prints', async () => {
    const plain = await events(sample('strace.txt'), 100);
    expect(plain.told).toEqual(CALLS_EVENTS);
    expect(plain.facted).toEqual({
      source: 'strace',
      times: 'epoch',
      startNs: expect.stringMatching(/^17956087\d{11}$/),
    });
    // /dev/null isn't there; two ends of a pipe; O_APPEND, and a descriptor that the shell opened
    expect(plain.ended).toEqual({ mmaps: 1, placeless: 2, notFiles: 2 });
    const terminal = await events(sample('strace-terminal.txt'), 77);
    expect(terminal.told).toEqual(CALLS_EVENTS);
    expect(terminal.ended).toEqual(plain.ended);
  });

  test('times of every kind are the same moments, as far as they go', async () => {
    const text = sample('strace.txt');
    const { events: exact, told } = await events(text);
    const seconds = (line: string): number => Number(/^\d+ +(\d+\.\d+)/.exec(line)![1]);
    const first = seconds(text);
    let before = first;
    const relative = text.replace(/^(\d+ +)(\d+\.\d+)/gm, (_, pid: string, time: string) => {
      const line = `${pid}     ${(Number(time) - before).toFixed(6)}`;
      before = Number(time);
      return line;
    });
    // from a second before midnight
    const day = (digits: number) =>
      text.replace(/^(\d+ +)(\d+\.\d+)/gm, (_, pid: string, time: string) => {
        const at = (86_399 + Number(time) - Math.floor(first)) % 86_400;
        const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');
        return `${pid}${two(at / 3600)}:${two((at / 60) % 60)}:${two(at % 60)}${digits > 0 ? (at % 1).toFixed(digits).slice(1) : ''}`;
      });
    for (const [form, other, within] of [
      ['relative', relative, 200_000],
      ['day', day(6), 2000],
      ['day', day(0), 1e9],
      ['none', text.replace(/^(\d+ +)\d+\.\d+ /gm, '$1'), Number.POSITIVE_INFINITY],
    ] as const) {
      const trace = await events(other);
      expect([form, trace.facted.times, trace.told]).toEqual([form, form, told]);
      for (const [i, e] of trace.events.entries())
        expect(Math.abs(e.timeNs - exact[i]!.timeNs)).toBeLessThanOrEqual(within);
      if (form === 'none') expect(trace.events.at(-1)!.timeNs).toBe(0);
    }
  });

  test('a child that speaks before its clone has come back has its parent’s descriptors', async () => {
    const { told, ended } = await events(`1 openat(AT_FDCWD</>, "/a", O_RDONLY) = 3</a>
1 read(3</a>, "", 4096) = 4096
1 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>
2 read(3</a>, "", 4096) = 4096
2 close(3</a>) = 0
2 +++ exited with 0 +++
1 <... clone resumed>) = 2
1 read(3</a>, "", 4096) = 4096
3 read(3</a>, "", 4096) = 4096
3 lseek(3</a>, 40960, SEEK_SET) = 40960
3 pread64(3</a>, "", 4096, 0) = 4096
3 read(3</a>, "", 4096) = 4096
3 read(3</b>, "", 4096 <unfinished ...>
`);
    expect(told.map(([, , page]) => page)).toEqual([0, 1, 2, 0, 10]);
    expect(ended).toEqual({ mmaps: 0, placeless: 1, notFiles: 0, unfinished: 1 });
  });

  test('what is wrong is said with its line', async () => {
    const cases: [string, RegExp][] = [
      ['1 1.0 read(3</a>, "abc', /line 2: '.*' is cut off$/],
      ['1 1.0 read(3, "abc", 3) = 3', /line 2: read\(\) has a descriptor without a path: strace -y prints them$/],
      ['1 1.0 openat(AT_FDCWD, "a", O_RDONLY) = 3', /line 2: openat\(\) has a descriptor without a path/],
      ['1 1.0 getpid(', /line 2: '.*' is cut off$/],
      ['1 1.0 <... read resumed>"abc", 3) = 3', /line 2: resumes read\(\), which the task 1 isn't in$/],
      ['1 0.5 x', /line 2: '.*' is no line of strace$/],
      ['1 read(3</a>, "abc", 3) = 3', /line 2: has no time, which the lines above have$/],
      ['1 12:00:00 read(3</a>, "abc", 3) = 3', /line 2: its time is of another form than those above$/],
      ['1 25:00:00 read(3</a>, "abc", 3) = 3', /line 2: '25:00:00' is no time$/],
      ['1 1.0 pread64(3</a>, "abc", 3, 99999999999999999999) = 3', /line 2: pread64\(\) has no offset$/],
      [
        '1 1.0 pread64(3</a>, "abc", 4294967296, 0) = 4294967296',
        /line 2: pread64\(\) of 4294967296 bytes at 0 is beyond/,
      ],
    ];
    for (const [line, message] of cases) {
      const text = `1 1.0 openat(AT_FDCWD</>, "/a", O_RDONLY) = 3</a>\n${line}\n1 1.0 read(3</a>, "", 1) = 1\n`;
      expect(await said(read(strace, text))).toMatch(message);
      const { events: left, bad } = await read(strace, text, { skip: true });
      expect([line, left.length, bad!.count]).toEqual([line, 1, 1]);
    }
    const backwards = '1 1795608300.5 getpid() = 1\n1 1795608300.4 getpid() = 1\n';
    expect(await said(read(strace, backwards))).toMatch(
      /line 2: its time is 100000000 ns before that of the record above$/,
    );
  });
});

describe('fatrace', () => {
  test('reads and writes of whole files, plain and as JSON', async () => {
    const text = sample('fatrace.txt');
    const plain = await read(fatrace, text, { size: 50 });
    // by grep: lines with R, and with W, in their third column
    const types = text
      .trim()
      .split('\n')
      .map((line) => /: ([A-Z+]+) /.exec(line)![1]!);
    const count = (name: string): number => plain.events.filter((e) => op(e) === name).length;
    expect([count('read'), count('write')]).toEqual([
      types.filter((one) => one.includes('R')).length,
      types.filter((one) => one.includes('W')).length,
    ]);
    expect(plain.facted).toMatchObject({
      source: 'fatrace',
      wholeFiles: true,
      times: 'epoch',
      startNs: '1795609465998077000',
    });
    expect(plain.mounts).toEqual([{ name: '/', ids: 'path' }]);
    expect(plain.files.map(({ path }) => path).slice(0, 3)).toEqual(
      ['a.bin', 'with space', 'b.bin'].map((name) => `/tmp/sample/fx/${name}`),
    );
    expect(new Set(plain.events.map((e) => [e.page, e.pages, e.bytes].join()))).toEqual(new Set(['0,1,0']));
    expect(plain.ended).toEqual({ opened: types.filter((one) => one === 'O').length, nameless: 0 });

    const json = await read(fatrace, sample('fatrace.jsonl'));
    expect(json.mounts).toEqual([{ name: '254:0' }]);
    expect(json.files[0]).toEqual({ mount: 0, ino: 2146690, path: '/tmp/sample/fx/a.bin' });
    expect(json.files.at(-1)).toEqual({ mount: 0, ino: 2146694, path: '/tmp/sample/fx/odd "\ufffd' });
    expect(json.facted).toMatchObject({ startNs: '1795609466038083000' });
  });

  test('options that add to a line take nothing from it', async () => {
    const { events, files, mounts, ended } = await read(
      fatrace,
      `a (1): b(4711) [0:1000]: RO  /x y exe=/usr/bin/cat, parents=(pid=1 comm=sh exe=/bin/sh)
cat(2): W   /x y (deleted)
cat(3): RC  device 8:1 inode 123
cat(4): R   (deleted)
`,
    );
    expect(events.map((e) => [op(e), e.task, e.file])).toEqual([
      ['read', 4711, 0],
      ['write', 2, 0],
      ['read', 3, 1],
    ]);
    expect(mounts.map(({ name }) => name)).toEqual(['/', '8:1']);
    expect(files).toEqual([
      { mount: 0, path: '/x y' },
      { mount: 1, ino: 123 },
    ]);
    expect(ended).toEqual({ opened: 0, nameless: 1 });
  });

  test('midnight is passed, and a line that is none is an error', async () => {
    const text = '23:59:59.999999 a(1): R /a\n00:00:00.000001 a(1): R /a\n';
    expect((await read(fatrace, text)).events.map((e) => e.timeNs)).toEqual([0, 2000]);
    for (const line of ['cat(1): R', '{"pid":1', '{"pid":-1,"types":"R"}', '{"pid":1,"types":"R","path":1}', 'x'])
      expect(await said(read(fatrace, `a(1): R /a\n${line}`))).toBe(
        `DataError: t: line 2: '${JSON.stringify(line).slice(1, -1)}' is no line of fatrace`,
      );
  });
});

describe('damaged', () => {
  test('texts are events, or an error by its line', async () => {
    const next = random(22);
    const wholes: [TraceFormat, Buffer][] = (
      [
        [tracefs, 'tracefs.txt'],
        [tracefs, 'perf.txt'],
        [bpftrace, 'bpftrace.txt'],
        [strace, 'strace.txt'],
        [strace, 'strace-terminal.txt'],
        [fatrace, 'fatrace.txt'],
        [fatrace, 'fatrace.jsonl'],
      ] as const
    ).map(([format, name]) => [format, readFileSync(join(FIXTURES, name))]);
    let errors = 0;
    for (let i = 0; i < 1400; i++) {
      const [format, whole] = wholes[i % wholes.length]!;
      const bytes = Buffer.from(next(4) === 0 ? whole.subarray(0, next(whole.length)) : whole);
      for (let k = 1 + next(4); k > 0 && bytes.length > 0; k--)
        bytes[next(bytes.length)] = next(2) === 0 ? next(256) : '0123456789,. :()<>[]"-=\\\n'.charCodeAt(next(25));
      try {
        await readBytes(format, bytes, { skip: next(2) === 0, size: 1 + next(2000) });
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        expect(error.message).toMatch(/^t: line \d+: /);
        errors++;
      }
    }
    expect(errors).toBeGreaterThan(300);
  });
});
