import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ArrowTraceWriter } from '../../src/replay/trace/arrow/writer.ts';
import { temporaryFolder } from '../replay/support.ts';
import { event, MemorySink } from '../replay/trace/memory-sink.ts';

const ROOT = new URL('../../', import.meta.url).pathname;

/** Runs the built command line as a user would. */
function foliolab(args: readonly string[], cwd = ROOT) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'dist/cli.js'), ...args], {
    cwd,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
}

/** A recording of two containers, as a file in a folder of its own. */
async function recording(end = true): Promise<{ folder: string; path: string }> {
  const folder = temporaryFolder();
  const path = join(folder, 'run.arrows');
  const trace = new MemorySink();
  trace.facts({ kernel: '6.18' });
  trace.container('web\u001b[31m');
  trace.container('db');
  const mount = trace.mount({ name: 'a', image: 'a.erofs', imageSha256: 'ab'.repeat(32) });
  trace.file({ mount, ino: 36, path: '/usr/lib/libc.so.6' });
  trace.file({ mount, ino: 40 });
  trace.event(event('fill', { pages: 4 }));
  trace.event(event('read', { timeNs: 1_500_000_000, pages: 4, bytes: 16_384, task: 12 }));
  trace.event(event('fault-around', { timeNs: 2e9, container: 1, file: 1, page: 16, pages: 16, touch: 3 }));
  trace.event(event('read', { timeNs: 3e9, container: 1, page: 2 }));
  trace.ended = { lost: 0 };
  if (end) {
    await trace.pour(await ArrowTraceWriter.create(path));
  } else {
    const writer = await ArrowTraceWriter.create(path, true);
    trace.end = async () => {};
    const killed = Object.assign(Object.create(writer), {
      facts: (f: object) => writer.facts(f as never),
      container: (n: string) => writer.container(n),
      mount: (m: never) => writer.mount(m),
      file: (f: never) => writer.file(f),
      event: (e: never) => writer.event(e),
      end: () => writer.abort(),
    });
    await trace.pour(killed);
  }
  return { folder, path };
}

describe('foliolab trace info', () => {
  it('says what is in a recording, aligned, and nothing that a terminal would act on', async () => {
    const { path } = await recording();
    const { stdout, stderr, status } = foliolab(['trace', 'info', path]);
    expect([status, stderr]).toEqual([0, '']);
    const sha256 = execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64);
    expect(stdout.replace(path, 'run.arrows').replace(sha256, 'SHA256')).toBe(
      [
        'trace       run.arrows, arrow',
        'sha256      SHA256',
        'whole       yes',
        'lost        0 events',
        'time        3.000 s from the first event to the last',
        'events      4 of 2 files',
        'demand      6 references to 5 pages, 0.0 MiB',
        'first ones  83.3 % of the references',
        're-use      within 3 pages 10 %, 3 50 %, 3 90 %, 3 99 %, 3 all',
        '',
        'operation     events  pages',
        'read               2      5',
        'fault-around       1     16',
        'fill               1      4',
        '',
        'mount  files  image',
        'a          2  a.erofs',
        '',
        'container    references  pages  MiB',
        'web\\x1b[31m           4      4  0.0',
        'db                    2      2  0.0',
        '',
        'file type  references  pages  MiB',
        '.so                 5      4  0.0',
        'unknown             1      1  0.0',
        '',
      ].join('\n'),
    );
  });

  it('--json is one document with a schema', async () => {
    const { path } = await recording();
    const { stdout } = foliolab(['trace', 'info', path, '--json', '--no-reuse']);
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 'foliolab.trace.info/1',
      whole: true,
      lost: 0,
      references: 6,
      distinctPages: 5,
      facts: { kernel: '6.18' },
      reuse: null,
    });
  });

  it('of what a killed recorder left, says that it is not whole', async () => {
    const { path } = await recording(false);
    const { stdout, status } = foliolab(['trace', 'info', path]);
    expect([status, stdout]).toEqual([0, expect.stringContaining('whole       no: it has no end')]);
    expect(stdout).toContain('lost        unknown\n');
  });

  it('an error is one line, about the file; usage exits with 2', async () => {
    const { folder, path } = await recording();
    writeFileSync(join(folder, 'cut.arrows'), readFileSync(path).subarray(0, 1000));
    expect(foliolab(['trace', 'info', 'cut.arrows'], folder)).toEqual({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^foliolab: cut\.arrows: message at byte \d+: ends within a message\n$/),
    });
    expect(foliolab(['trace', 'info', 'none.arrows'], folder).stderr).toBe('foliolab: none.arrows: no such file\n');
    expect(foliolab(['trace', 'info', path, '--format', 'wav'])).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^foliolab: 'wav' is no format that is read: arrow, /),
    });
  });
});

describe('foliolab trace head', () => {
  it('shows rows that can be read', async () => {
    const { path } = await recording();
    const { stdout } = foliolab(['trace', 'head', path, '-n', '3']);
    expect(stdout).toBe(
      [
        '    seconds  container    operation     mount  file                pages  touch  bytes  task',
        '0.000000000  web\\x1b[31m  fill          a      /usr/lib/libc.so.6    0-3',
        '1.500000000  web\\x1b[31m  read          a      /usr/lib/libc.so.6    0-3         16384    12',
        '2.000000000  db           fault-around  a      inode 40            16-31     19',
        '',
      ].join('\n'),
    );
    expect(JSON.parse(foliolab(['trace', 'head', path, '-n', '1', '--json']).stdout)).toMatchObject({
      schema: 'foliolab.trace.head/1',
      events: [{ timeNs: 0, op: 'fill', pages: 4 }],
    });
  });
});

describe('foliolab trace convert', () => {
  it('says on stderr what the format lacks, and takes the format from --to or from the name', async () => {
    const { folder, path } = await recording();
    const named = foliolab(['trace', 'convert', path, '-o', 'x.oracleGeneral', '--json'], folder);
    expect(named.stderr).toMatch(/^foliolab: oracle-general lacks who asked, files, .*\n$/);
    expect(JSON.parse(named.stdout)).toMatchObject({
      schema: 'foliolab.trace.convert/1',
      input: { format: 'arrow', whole: true },
      output: { format: 'oracle-general', bytes: 6 * 24 },
      lacks: [{ format: 'oracle-general' }],
      skippedRecords: 0,
    });
    foliolab(['trace', 'convert', path, '-o', 'y', '--to', 'oracleGeneral'], folder);
    expect(readFileSync(join(folder, 'y')).equals(readFileSync(join(folder, 'x.oracleGeneral')))).toBe(true);
    expect(foliolab(['trace', 'info', 'x.oracleGeneral'], folder).stdout).toContain('demand      6 references to 5');
    expect(foliolab(['trace', 'convert', path, '-o', 'z'], folder)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--to says in which format'),
    });
  });

  it('to its own format is the identity', async () => {
    const { folder, path } = await recording();
    expect(foliolab(['trace', 'convert', path, '-o', 'same.arrows'], folder)).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
    expect(readFileSync(join(folder, 'same.arrows')).equals(readFileSync(path))).toBe(true);
  });

  it('counts what --skip-bad leaves out, and without it leaves nothing behind', async () => {
    const { folder } = await recording();
    writeFileSync(join(folder, 'ids.txt'), '1\n2\nx\n1\n');
    const args = ['trace', 'convert', 'ids.txt', '--format', 'ids', '-o', 'ids.arrows'];
    expect(foliolab(args, folder)).toMatchObject({ status: 1, stderr: expect.stringContaining('ids.txt: line 3: ') });
    expect(readdirSync(folder).filter((name) => name.startsWith('ids.arrows'))).toEqual([]);
    expect(foliolab([...args, '--skip-bad'], folder)).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/ids\.txt: 1 bad records left out, the first: line 3: /),
    });
    const { stdout } = foliolab(['trace', 'info', 'ids.arrows', '--json'], folder);
    expect(JSON.parse(stdout)).toMatchObject({ references: 3, distinctPages: 2, end: { skippedRecords: 1 } });
  });

  it('never overwrites its input or a device', async () => {
    const { path } = await recording();
    const before = readFileSync(path);
    expect(foliolab(['trace', 'convert', path, '-o', path])).toMatchObject({ status: 2 });
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(foliolab(['trace', 'convert', path, '-o', '/dev/null', '--to', 'arrow'])).toMatchObject({ status: 2 });
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });
});

describe('foliolab trace formats', () => {
  it('is the table of traces/FORMAT.md; else replace that with what --markdown prints', () => {
    const { stdout } = foliolab(['trace', 'formats', '--markdown']);
    const text = readFileSync(join(ROOT, 'traces/FORMAT.md'), 'utf8');
    const table = /<!-- foliolab trace formats --markdown -->\n(.*?)<!-- end -->/s.exec(text)?.[1];
    expect(table).toBe(stdout);
  });
});

describe('foliolab trace synth', () => {
  it('makes the same bytes of the same seed, and others of another', () => {
    const folder = temporaryFolder();
    const make = (name: string, seed: string): Buffer => {
      const args = ['trace', 'synth', 'zipf', '-o', name, '--seed', seed, '--references', '5000', '--pages', '300'];
      const { status, stderr } = foliolab([...args, '--param', 'alpha=0.8', '--containers', '2'], folder);
      expect([status, stderr]).toEqual([0, '']);
      return readFileSync(join(folder, name));
    };
    const one = make('a.arrows', '1');
    expect(make('b.arrows', '1').equals(one)).toBe(true);
    expect(make('c.arrows', '2').equals(one)).toBe(false);
    const { stdout } = foliolab(['trace', 'info', 'a.arrows', '--json'], folder);
    expect(JSON.parse(stdout)).toMatchObject({
      references: 5000,
      facts: { synthetic: 'zipf', parameters: { alpha: 0.8 }, seed: 1 },
      containers: [{ references: 2500 }, { references: 2500 }],
    });
  });

  it('refuses what makes no sense', () => {
    const folder = temporaryFolder();
    for (const [args, wrong] of [
      [['zipf', '--param', 'alpha=x'], "--param 'alpha=x' is no number from 0 to 16"],
      [['zipf', '--param', 'beta=1'], "--param 'beta=1': zipf has alpha"],
      [['loop', '--pages', '0'], "--pages '0' is not a whole number from 1"],
      [['loop', '--pages', '999999999999'], '--pages 999999999999 is more than'],
      [['scan', '--interval', '1h'], "--interval '1h' is not a time such as"],
      [['scan', '--references', '1000000000', '--interval', '1min'], 'reach beyond 2^53 ns'],
      [['compose', '--from', 'a.arrows', '--arrival', 'poisson:0/s'], "--arrival 'poisson:0/s' is not"],
    ] as const) {
      const { status, stderr } = foliolab(['trace', 'synth', ...args, '-o', 'x.arrows'], folder);
      expect([status, stderr.includes(wrong)]).toEqual([2, true]);
    }
    expect(existsSync(join(folder, 'x.arrows'))).toBe(false);
  });

  it('compose: a thousand containers of two recorded ones', async () => {
    const { folder } = await recording();
    const args = ['trace', 'synth', 'compose', '--from', 'run.arrows=db', 'run.arrows', '--containers', '1000'];
    const { status, stdout, stderr } = foliolab(
      [...args, '--arrival', 'every:2s', '-o', 'many.arrows', '--json'],
      folder,
    );
    expect(status).toBe(0);
    expect(stderr).toMatch(/2 recorded events that are no demand are left out/);
    expect(stderr).toMatch(/a\.erofs is not beside many\.arrows: a replay needs --mount/);
    expect(JSON.parse(stdout)).toMatchObject({ schema: 'foliolab.trace.synth/1', kind: 'compose', containers: 1000 });
    const info = JSON.parse(foliolab(['trace', 'info', 'many.arrows', '--json'], folder).stdout);
    expect(info.mounts).toHaveLength(1);
    expect(info.containers).toHaveLength(1000);
    expect(info).toMatchObject({ distinctPages: 5, whole: true });
  });
});

describe('a converted kernel trace', () => {
  it('is replayed against the image: reads that reach past the end of file, as tracepoints have them, end where the file does', {
    timeout: 120_000,
  }, () => {
    const folder = temporaryFolder();
    const image = join(ROOT, 'traces/self/self.erofs');
    const { stdout } = foliolab(['image', 'ls', image, '--json']);
    const { entries } = JSON.parse(stdout) as { entries: { path: string; nid: number; size: number }[] };
    const file = entries.find(({ path }) => path === '/src/cli/image.ts')!;
    const head = (at: string): string => `          cat-7    [000] .....  ${at}: mm_filemap_`;
    const text = [
      `${head('10.000001')}add_to_page_cache: dev 0:39 ino ${file.nid.toString(16)} pfn=0x4a217c ofs=0 order=0`,
      `${head('10.000002')}get_pages: dev=0:39 ino=${file.nid.toString(16)} ofs=0-131071`,
      `${head('10.000003')}get_pages: dev=0:39 ino=${file.nid.toString(16)} ofs=1048576-1052671`,
    ];
    writeFileSync(join(folder, 'pipe.txt'), `${text.join('\n')}\n`);
    const converted = foliolab(['trace', 'convert', 'pipe.txt', '-o', 'pipe.arrows'], folder);
    expect(converted.status).toBe(0);
    const replayed = (from: string): { references: number; footprintPages: number } => {
      const args = ['replay', '--trace', join(folder, 'pipe.arrows'), '--mount', `0:39=${image}`, '--from', from];
      const { stdout } = foliolab([...args, '--sharing', 'per-inode', '--json']);
      return JSON.parse(stdout).rows[0];
    };
    expect(replayed('fills')).toMatchObject({ references: 1, footprintPages: 1 });
    const pages = Math.ceil(file.size / 4096);
    expect(replayed('demand')).toMatchObject({ references: pages, footprintPages: pages });
  });
});
