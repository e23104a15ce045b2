import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { writeFileAtomic } from '../../src/replay/io/output.ts';
import { temporaryFolder } from '../replay/support.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const REDIS = join(ROOT, 'traces/redis');
const TRACE = join(REDIS, 'run.csv.zst');

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

interface Row {
  sharing: string;
  policy: string;
  capacityPages: number | null;
  residentPages: number;
  footprintPages: number;
  references: number;
}

const rowsOf = (text: string): Row[] => (JSON.parse(text) as { rows: Row[] }).rows;

describe('foliolab replay', () => {
  it('answers with the JSON of the contract, the same bytes each time, on any number of workers', () => {
    const args = [
      'replay',
      '--trace',
      TRACE,
      '--sharing',
      'per-inode,fingerprint',
      '--policy',
      'lru,fifo',
      '--memory',
      '0.3,unlimited',
      '--json',
    ];
    const first = foliolab([...args, '--workers', '1']);
    expect(first.stderr).toBe('');
    expect(first.status).toBe(0);
    const again = foliolab([...args, '--workers', '2']);
    expect(again.stdout.replace('--workers 2', '--workers 1')).toBe(first.stdout);
    const result = JSON.parse(first.stdout) as Record<string, unknown>;
    expect(result.schema).toBe('foliolab.replay/1');
    expect(Object.keys(result)).toEqual(
      expect.arrayContaining(['inputs', 'parameters', 'rows', 'command', 'versions']),
    );
    expect(rowsOf(first.stdout).map((r) => [r.sharing, r.policy, r.capacityPages])).toEqual([
      ['per-inode', 'lru', 751],
      ['per-inode', 'lru', null],
      ['per-inode', 'fifo', 751],
      ['per-inode', 'fifo', null],
      ['fingerprint', 'lru', 751],
      ['fingerprint', 'lru', null],
      ['fingerprint', 'fifo', 751],
      ['fingerprint', 'fifo', null],
    ]);
    expect(result.inputs).toContainEqual({
      path: TRACE,
      sha256: execFileSync('sha256sum', [TRACE], { encoding: 'utf8' }).slice(0, 64),
      kind: 'trace',
    });
  });

  it('gives what the kernel cached, from fills', () => {
    const { stdout } = foliolab([
      'replay',
      '--trace',
      TRACE,
      '--from',
      'fills',
      '--sharing',
      'per-inode,hardlink:match=content,fingerprint',
      '--json',
    ]);
    expect(rowsOf(stdout).map((r) => r.residentPages)).toEqual([10_987, 5576, 5576]);
  });

  it('prints a table and CSV of the same rows', () => {
    const table = foliolab(['replay', '--trace', TRACE, '--sharing', 'per-inode,fingerprint']);
    expect(table.status).toBe(0);
    expect(table.stdout).toContain('fingerprint');
    const csv = foliolab(['replay', '--trace', TRACE, '--sharing', 'per-inode,fingerprint', '--csv']);
    expect(csv.stdout.trimEnd().split('\n')).toHaveLength(3);
  });

  it('replays through worker threads what it replays in one', () => {
    const folder = temporaryFolder();
    const lines = ['time_ns,container,dev,ino,op,page_index,nr_pages,touch'];
    // 1.2 M references: enough that each cell gets a worker.
    for (let i = 0; i < 4000; i++) lines.push(`${i},c,a,782848,read,${(i * 37) % 800},300,`);
    const trace = join(folder, 'big.csv');
    writeFileSync(trace, lines.join('\n'));
    const args = [
      'replay',
      '--trace',
      trace,
      '--mount',
      `a=${join(REDIS, 'a.fidx')}`,
      '--sharing',
      'per-inode',
      '--policy',
      'lru,clock',
      '--memory',
      '100p,500p',
      '--json',
    ];
    const one = rowsOf(foliolab([...args, '--workers', '1']).stdout);
    expect(one[0]!.references).toBe(1_200_000);
    expect(rowsOf(foliolab([...args, '--workers', '2']).stdout)).toEqual(one);
  });

  it('writes every report, whole, where it is told', () => {
    const folder = join(temporaryFolder(), 'new/reports');
    const { status, stderr } = foliolab(['replay', '--trace', TRACE, '--memory', 'unlimited,0.5', '-o', folder]);
    expect(status).toBe(0);
    const files = readdirSync(folder).sort();
    expect(files).toEqual(expect.arrayContaining(['report.html', 'report.txt', 'results.csv', 'results.json']));
    expect(files.filter((f) => f.endsWith('.svg'))).toHaveLength(3);
    expect(files.filter((f) => f.endsWith('.png'))).toHaveLength(3);
    for (const file of files) expect(stderr).toContain(file);
    const mail = foliolab(['report', join(folder, 'results.json'), '--format', 'mail']);
    expect(mail.stdout).toBe(readFileSync(join(folder, 'report.txt'), 'utf8'));
    expect(Math.max(...mail.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(72);
  });
});

it('without --sharing, replays what the images allow and says what is left out', () => {
  const { status, stdout } = foliolab([
    'replay',
    '--trace',
    join(ROOT, 'traces/postgres/run.csv.zst'),
    '--from',
    'fills',
  ]);
  expect(status).toBe(0);
  expect(stdout).toContain('physical-index: not replayed');
  expect(stdout).toMatch(/postgres +73\.8/);
});

describe('a wrong call ends with 2 and a bad file with 1, each in one line that says where', () => {
  const index = join(REDIS, 'a.fidx');
  it.each<[string[], number, string | RegExp]>([
    [['replay'], 2, "required option '--trace <file...>' not specified"],
    [['replya'], 2, "unknown command 'replya'"],
    [['replay', '--trace', TRACE, '--nonsense'], 2, "unknown option '--nonsense'"],
    [['replay', '--trace', TRACE, '--sharing', 'magic'], 2, "unknown sharing model 'magic'"],
    [['replay', '--trace', TRACE, '--policy', 'nonsense'], 2, "unknown policy 'nonsense'"],
    [['replay', '--trace', TRACE, '--memory', '5 apples'], 2, "memory '5 apples' is none of"],
    [['replay', '--trace', TRACE, '--memory', '100'], 2, "memory '100' is not between one page"],
    [['replay', '--trace', TRACE, '--from', 'hell'], 2, "argument 'hell' is invalid"],
    [['replay', '--trace', TRACE, '--from', 'fills', '--memory', '0.5'], 2, 'no other memory size than unlimited'],
    [
      ['replay', '--trace', TRACE, '--readahead', 'linux', '--policy', 'opt'],
      2,
      '--readahead linux: opt needs to know',
    ],
    [
      ['replay', '--trace', TRACE, '--readahead', 'linux', '--from', 'fills'],
      2,
      '--readahead linux: the fills of a recording',
    ],
    [['replay', '--trace', TRACE, '--read-ahead-kb', '64'], 2, '--read-ahead-kb goes with --readahead linux'],
    [['replay', '--trace', TRACE, '--mount', 'a'], 2, "--mount 'a' is not of the form ID=VALUE"],
    [['replay', '--trace', TRACE, '--mount', `a=${index}`, `a=${index}`], 2, "--mount names 'a' twice"],
    [['replay', '--trace', TRACE, '--backing', 'tape'], 2, "--backing is file or block, not 'tape'"],
    [['replay', '--trace', TRACE, '--json', '--csv'], 2, '--json and --csv exclude each other'],
    [['replay', '--trace', TRACE, '--domains', 'per-container', '--mounts', 'per-image'], 2, 'a mount has one domain'],
    [['replay', '--trace', TRACE, '--containers', 'a1,zz'], 2, "no trace has a container 'zz'"],
    [['index'], 2, 'index needs an image, or --manifest'],
    [['index', 'x', '-o', 'y', '--manifest', 'z'], 2, 'index takes an image or --manifest, not both'],
    [['replay', '--trace', '/nonexistent.csv'], 1, '/nonexistent.csv: no such file'],
    [['replay', '--trace', join(ROOT, 'package.json')], 1, 'package.json: line 1: is not the header of a trace'],
    [['replay', '--trace', TRACE, '--mount', 'b=/nonexistent'], 1, '/nonexistent: no such file'],
    [
      ['replay', '--trace', TRACE, '--mount', `b=${TRACE}`],
      1,
      'run.csv.zst: archive @ 0x0 or behind: no tar header is here',
    ],
    [
      ['replay', '--trace', TRACE, '--mount', `b=${index}`],
      1,
      /run\.csv\.zst: line 4: mount 'b' ran the image with sha256 [0-9a-f]{64}, but .*a\.fidx is that of/,
    ],
    [
      ['replay', '--trace', join(ROOT, 'traces/postgres/run.csv.zst'), '--sharing', 'physical-index'],
      1,
      'physical-index needs physical addresses',
    ],
    [['image', 'info', join(ROOT, 'package.json')], 1, 'package.json: '],
    [['report', join(ROOT, 'package.json'), '--format', 'mail'], 1, 'package.json: '],
  ])('%j', (args, status, message) => {
    const result = foliolab(args.includes('-o') || args[0] !== 'index' ? args : [...args, '-o', 'never.fidx']);
    expect(result.stderr).toMatch(
      typeof message === 'string'
        ? new RegExp(`^foliolab: .*${message.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}.*\n`)
        : message,
    );
    expect(result.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(result.stdout).toBe('');
    expect(result.status).toBe(status);
    expect(existsSync(join(ROOT, 'never.fidx'))).toBe(false);
  });

  it('an error has a stack with --debug only', () => {
    expect(foliolab(['--debug', 'replay', '--trace', '/nonexistent.csv']).stderr).toContain('    at ');
  });

  it('leaves nothing half-written: a result that can’t be placed is not there, and neither is a temporary file', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'taken.fidx/x'), { recursive: true });
    const result = foliolab(['index', join(ROOT, 'traces/self/self.erofs'), '-o', join(folder, 'taken.fidx')]);
    expect(result.status).toBe(1);
    expect(readdirSync(folder)).toEqual(['taken.fidx']);
  });

  it('warns of a mount no trace has, and does not list its image as an input', () => {
    const nginx = join(ROOT, 'traces/nginx/a.fidx');
    const { status, stdout, stderr } = foliolab([
      'replay',
      '--trace',
      TRACE,
      '--mount',
      `zz=${nginx}`,
      '--backing',
      'yy=block',
      '--sharing',
      'per-inode',
      '--json',
    ]);
    expect(status).toBe(0);
    expect(stderr).toBe(
      'foliolab: warning: --mount zz: no trace has this mount; there are a, b, a2\nfoliolab: warning: --backing yy: no trace has this mount; there are a, b, a2\n',
    );
    expect(stdout).not.toContain('nginx/a.fidx",\n      "sha256');
    expect((JSON.parse(stdout) as { inputs: { path: string }[] }).inputs.map(({ path }) => path)).toEqual([
      TRACE,
      join(REDIS, 'a.fidx'),
      join(REDIS, 'b.fidx'),
    ]);
  });

  it('a folder that cannot be made is one line', () => {
    expect(foliolab(['index', join(ROOT, 'traces/self/self.erofs'), '-o', '/proc/nowhere/x.fidx'])).toMatchObject({
      status: 1,
      stderr: 'foliolab: /proc/nowhere/x.fidx: no such file\n',
    });
  });

  it('an image with extra devices is indexed with them', () => {
    const fixtures = join(ROOT, 'test/fixtures/erofs');
    const folder = temporaryFolder();
    const [image, blob] = ['blob.erofs', 'blob.blob'].map((name) => {
      writeFileSync(join(folder, name), gunzipSync(readFileSync(join(fixtures, `${name}.gz`))));
      return join(folder, name);
    }) as [string, string];
    const index = join(folder, 'x.fidx');
    expect(foliolab(['index', image, '-o', index]).status).toBe(1);
    expect(foliolab(['index', image, '--device', blob, '-o', index]).status).toBe(0);
  });

  it('a trace without its images beside it says which is missing', () => {
    const folder = temporaryFolder();
    copyFileSync(TRACE, join(folder, 'run.csv.zst'));
    const { status, stderr } = foliolab(['replay', '--trace', join(folder, 'run.csv.zst')]);
    const [trace, index] = ['run.csv.zst', 'a.fidx'].map((name) => join(folder, name));
    const message = new RegExp(
      `^foliolab: ${trace}: line \\d+: mount 'a' is bound to no image: ${index} isn’t there: add --mount a=IMAGE\n$`,
    );
    expect(stderr).toMatch(message);
    expect(status).toBe(1);
  });

  it('a symlink as output stays one: what it leads to is written', () => {
    const folder = temporaryFolder();
    const link = join(folder, 'link');
    for (const [args, name] of [
      [['trace', 'synth', 'scan', '--references', '9', '--pages', '3', '--to', 'arrow'], 'a'],
      [['trace', 'convert', TRACE, '--to', 'jsonl'], 'b'],
      [['trace', 'convert', TRACE, '--to', 'lcs'], 'c'],
      [['index', join(ROOT, 'traces/self/self.erofs')], 'd'],
    ] as const) {
      symlinkSync(join(folder, name), link);
      expect(foliolab([...args, '-o', link]).status).toBe(0);
      expect(lstatSync(link).isSymbolicLink()).toBe(true);
      expect(lstatSync(join(folder, name)).size).toBeGreaterThan(0);
      rmSync(link);
    }
  });
});

describe('domains', () => {
  it('by a file give each publisher its own, and an empty one switches inode_share off', () => {
    const folder = temporaryFolder();
    const file = join(folder, 'domains.csv');
    const fingerprint = (domains: string[]) =>
      rowsOf(
        foliolab(['replay', '--trace', TRACE, '--from', 'fills', '--sharing', 'fingerprint', '--json', ...domains])
          .stdout,
      )[0]!.residentPages;
    writeFileSync(file, 'name,domain\nredis-a.plain.erofs,one\nredis-b.plain.erofs,one\n');
    expect(fingerprint(['--domains', file])).toBe(5576);
    writeFileSync(file, 'name,domain\nredis-a.plain.erofs,debian\nredis-b.plain.erofs,other\n');
    const apart = fingerprint(['--domains', file]);
    expect(apart).toBe(fingerprint(['--domains', 'per-image']));
    expect(apart).toBeGreaterThan(5576);
    writeFileSync(file, 'name,domain\nredis-a.plain.erofs,\nredis-b.plain.erofs,\n');
    expect(fingerprint(['--domains', file])).toBe(10_987);
    expect(foliolab(['replay', '--trace', TRACE, '--domains', join(folder, 'none.csv')]).status).toBe(1);
    writeFileSync(file, 'name,domain\nredis-a.plain.erofs,x\n');
    expect(foliolab(['replay', '--trace', TRACE, '--domains', file]).stderr).toContain(
      "names no domain for container 'b1'",
    );
  });
});

describe('foliolab demo', () => {
  it('prints the table, writes every report and names each', () => {
    const folder = join(temporaryFolder(), 'demo');
    const { status, stdout } = foliolab(['demo', '-o', folder]);
    expect(status).toBe(0);
    const names = [
      'hit-ratio.png',
      'hit-ratio.svg',
      'memory.png',
      'memory.svg',
      'report.html',
      'report.txt',
      'residency.png',
      'residency.svg',
      'results.csv',
      'results.json',
    ];
    expect(readdirSync(folder).sort()).toEqual(names);
    for (const name of names) expect(stdout).toContain(join(folder, name));
    for (const service of ['redis', 'nginx', 'postgres', 'tfjs', 'python-sci']) expect(stdout).toContain(service);
    expect(stdout).toContain('each as sha256sum saw it');
  }, 120_000);
});

describe('what is already there', () => {
  const image = join(ROOT, 'traces/self/self.erofs');

  it('a pipe or device that is named as output is written to, and stays what it is', async () => {
    const pipe = join(temporaryFolder(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const read = spawn('cat', [pipe]);
    const chunks: Buffer[] = [];
    read.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    const closed = once(read, 'close');
    await writeFileAtomic(pipe, 'through the pipe');
    await closed;
    expect(Buffer.concat(chunks).toString()).toBe('through the pipe');
    expect(statSync(pipe).isFIFO()).toBe(true);
  });

  it('index does not overwrite what it is made of', () => {
    const copy = join(temporaryFolder(), 'copy.erofs');
    copyFileSync(image, copy);
    const { status, stderr } = foliolab(['index', copy, '-o', copy]);
    expect([status, stderr]).toEqual([2, `foliolab: -o ${copy} would overwrite ${copy}, which it is made of\n`]);
    expect(Buffer.compare(readFileSync(copy), readFileSync(image))).toBe(0);
  });

  it('a full device on standard output is one line', () => {
    const { status, stderr } = spawnSync(
      '/bin/sh',
      ['-c', '"$1" "$2" image ls "$3" > /dev/full', 'sh', process.execPath, join(ROOT, 'dist/cli.js'), image],
      { encoding: 'utf8' },
    );
    expect([status, stderr]).toEqual([1, 'foliolab: standard output: no space left on the device\n']);
  });

  it('a check that may not decode enough says so once', () => {
    const { status, stderr } = foliolab(['image', 'check', '--max-data', '5', image]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/: more than 5 bytes of file data in an image of \d+: see maxData, --max-data$/m);
    expect(stderr.match(/--max-data/g)).toHaveLength(1);
  });

  it('every bound of the decoder has an option, which says what is wrong with its value', () => {
    for (const [option, error] of [
      ['--max-metadata', /more than 5 bytes of metadata .*: see maxMetadata, --max-metadata$/m],
      ['--max-bytes', /inode nid \d+: a directory of \d+ bytes exceeds the limit of 5 bytes \(maxBytes\)$/m],
    ] as const) {
      for (const verb of ['info', 'ls', 'digest', 'check']) {
        const { status, stderr } = foliolab(['image', verb, option, '5', image]);
        expect([verb, option, status]).toEqual([verb, option, 1]);
        expect(stderr).toMatch(error);
      }
      const { status, stderr } = foliolab(['image', 'ls', option, 'x', image]);
      expect([status, stderr]).toEqual([2, `foliolab: ${option} 'x' is no size such as 65536, 256MiB or 64GiB\n`]);
    }
  });

  it('index --json takes the options that an index is made with, or refuses them', () => {
    const env = { ...process.env, XDG_CACHE_HOME: temporaryFolder() };
    const index = (...args: string[]) => {
      const argv = [join(ROOT, 'dist/cli.js'), 'index', '--json', ...args];
      return spawnSync(process.execPath, argv, { encoding: 'utf8', env });
    };
    for (const option of ['--max-data', '--max-metadata', '--max-bytes'])
      expect([option, index(option, '5', image).status]).toEqual([option, 1]);
    expect(index('--jobs', 'x', image)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^foliolab: --jobs/),
    });
    expect(index('--force', image).stderr).toBe('foliolab: index with --force needs -o FILE\n');
    expect(index('--platform', 'linux/amd64', image).stderr).toBe(
      'foliolab: --platform and --image go with an OCI image\n',
    );
    const made = join(temporaryFolder(), 'self.fidx');
    expect(foliolab(['index', image, '-o', made]).status).toBe(0);
    expect(index('--max-data', '5', made).stderr).toBe(
      'foliolab: --jobs, --max-data, --max-metadata and --max-bytes go with an EROFS image\n',
    );
  });

  it('a replay of nothing is refused', () => {
    const fills = foliolab(['replay', '--trace', TRACE, '--containers', 'a1', '--warmup', '99999999']);
    expect(fills.status).toBe(2);
    expect(fills.stderr).toMatch(/--warmup 99999999 leaves nothing to count of \d+ references/);
  });
});
