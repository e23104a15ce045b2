import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readWhole } from '../../src/replay/io/input.ts';
import { temporaryFile } from '../replay/support.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const REDIS = 'traces/redis/run.csv.zst';
const CACHED = 'traces/redis/run-cached.csv.zst';

/** Runs the built command line as a user would. */
function verify(args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['dist/cli.js', 'verify', 'trace', ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
}

/** The first rows of the recording that satisfy a condition, with its columns and under given header lines. */
async function rowsOf(keep: (fields: string[]) => boolean, header: readonly string[] = []): Promise<string> {
  const lines = (await readWhole(join(ROOT, REDIS))).bytes.toString().trimEnd().split('\n');
  const at = lines.findIndex((line) => line.startsWith('time_ns,'));
  return [lines[0], ...header, lines[at], ...lines.slice(at + 1).filter((line) => keep(line.split(',')))].join('\n');
}

describe('foliolab verify trace', () => {
  it('prints the fields of its contract as JSON, whose sums are those of its files', () => {
    const { status, stdout, stderr } = verify(['--trace', REDIS, '--truth', CACHED, '--json']);
    expect([status, stderr]).toEqual([0, '']);
    const result = JSON.parse(stdout);
    expect(result.schema).toBe('foliolab.verify/1');
    const files = result.files as { path: string; predicted: number; measured: number; common: number }[];
    const sum = (what: 'predicted' | 'measured' | 'common') => files.reduce((total, file) => total + file[what], 0);
    expect([result.predictedPages, result.measuredPages, result.commonPages]).toEqual([
      sum('predicted'),
      sum('measured'),
      sum('common'),
    ]);
    const either = result.predictedPages + result.measuredPages - result.commonPages;
    expect(result.jaccard).toBe(result.commonPages / either);
    expect(files.every(({ path }) => path.startsWith('/'))).toBe(true);
    expect(result.inputs.map(({ kind }: { kind: string }) => kind)).toEqual(['trace', 'index', 'index', 'truth']);
  });

  it('exits with 1 below --min-jaccard, and with 0 at it', () => {
    // 10,985 of 10,987 pages
    const args = ['--trace', REDIS, '--truth', CACHED, '--min-jaccard'];
    const failed = verify([...args, '0.9999']);
    expect(failed.status).toBe(1);
    expect(failed.stdout).toContain('below 0.9999');
    expect(failed.stdout).toContain('/usr/lib/x86_64-linux-gnu/libcrypto.so.3');
    expect(verify([...args, '0.9998']).status).toBe(0);
    expect(verify([...args, '1.1'])).toMatchObject({
      status: 2,
      stderr: "foliolab: --min-jaccard '1.1' is not a number from 0 to 1\n",
    });
  });

  it('--explain lays each page to the rule that put it in', () => {
    expect(verify(['--trace', REDIS, '--truth', CACHED, '--explain']).stdout).toContain(
      'pages 598–599 too many: fault: executable mapping, forward to its end',
    );
  });

  it('what was cached before is no prediction, and nothing compared is no success', async () => {
    const lines = [
      '# foliolab.trace-csv/2',
      '# mount-is {"name":"a"}',
      '# file-is {"mount":0,"ino":91008}',
      '# container-is {"name":"a1"}',
      'time_ns,container,dev,ino,op,page_index,nr_pages,touch,file,bytes,task',
      '0,a1,a,91008,cached-before,0,4,,0,0,0',
      '# end {"lost":0}',
    ];
    const trace = temporaryFile('t.csv', `${lines.join('\n')}\n`);
    const { status, stdout } = verify(['--trace', trace, '--mount', 'a=traces/redis/a.fidx']);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^0 files: 0 pages predicted, 0 measured/);
    expect(stdout).toContain('note: 4 pages were cached before the recording began: nothing is predicted of them');
    expect(stdout).toContain('note: there is nothing to compare');
  });

  it('takes the recording’s own fills and drops for the truth when none is given', () => {
    const { status, stdout } = verify(['--trace', 'traces/recorded/nginx/run.arrows', '--min-jaccard', '1']);
    expect(status).toBe(0);
    expect(stdout).toContain('every file page for page');
  });
});

describe('what foliolab verify trace is given', () => {
  const one = (args: readonly string[], message: string) =>
    expect(verify(args)).toEqual({ status: 1, stdout: '', stderr: `foliolab: ${message}\n` });

  it.each([
    ['nonsense', "line 1: is not the header 'dev,ino,page_index,nr_pages'"],
    ['dev,ino,page_index,nr_pages\na,590,0,two\n', 'line 2: is not a run of pages'],
    [
      'dev,ino,page_index,nr_pages\na,590,0,2\na,590,4294967296,1\n',
      "line 3: page 4294967296 is past the end of inode 590 on mount 'a', which has 2 pages",
    ],
    [
      'dev,ino,page_index,nr_pages\na,590,1,2\n',
      "line 2: page 2 is past the end of inode 590 on mount 'a', which has 2 pages",
    ],
    [
      'dev,ino,page_index,nr_pages\na,7777777,0,16777216\na,7777777,0,1\n',
      'line 3: makes it more than 16777216 pages together',
    ],
    [
      'dev,ino,page_index,nr_pages\na,7777777,0,999999999999999\n',
      'line 2: makes it more than 16777216 pages together',
    ],
  ])('a truth that is wrong is located: %j', (text, message) => {
    const truth = temporaryFile('cached.csv', text);
    one(['--trace', REDIS, '--truth', truth], `${truth}: ${message}`);
  });

  it('a mount that isn’t bound, or to an image that didn’t run, is located', async () => {
    const trace = temporaryFile('run.csv', await rowsOf(([, , , , op]) => op === 'fault'));
    one(['--trace', trace], `${trace}: line 3: mount 'a' is bound to no image: add --mount a=IMAGE`);
    const other = verify([
      '--trace',
      trace,
      '--mount',
      'a=traces/nginx/a.fidx',
      'a2=traces/nginx/a.fidx',
      'b=traces/nginx/b.fidx',
    ]);
    expect(other.status).toBe(1);
    expect(other.stderr).toMatch(/^foliolab: .*run\.csv: line \d+: .*mount 'a2?' did not run this image\n$/);
  });

  it.each(['read', 'add', 'del', 'map'])('a %s past the end of its file is located', async (op) => {
    const row = `0,a1,a,590,${op},4294967296,1,,1,1,`;
    const trace = temporaryFile('run.csv', `${await rowsOf(() => false)}\n${row}\n`);
    const { status, stderr } = verify(['--trace', trace, '--mount', 'a=traces/redis/a.fidx']);
    expect(status).toBe(1);
    expect(stderr).toContain(`${trace}: line 3: page 4294967296 is past the end of `);
  });

  it('a read that asks for 4 GiB, and faults past the end, cost what the file has', async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) =>
      i % 2 === 0 ? `${i},a1,a,91008,read,0,4,,1,1048575,` : `${i},a1,a,91008,fault,${2 ** 33 + i},1,,1,1,`,
    );
    const trace = temporaryFile('run.csv', `${await rowsOf(() => false)}\n${rows.join('\n')}\n`);
    const { status, stdout } = verify([
      '--trace',
      trace,
      '--mount',
      'a=traces/redis/a.fidx',
      '--min-jaccard',
      '0',
      '--json',
    ]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).predictedPages).toBe(31);
  });

  it('windows larger than any are refused', async () => {
    expect(verify(['--trace', REDIS, '--read-ahead-kb', '9007199254740991'])).toMatchObject({ status: 2 });
    expect(verify(['--trace', REDIS, '--read-ahead-kb', '131072'])).toMatchObject({ status: 1, stderr: '' });
  });
});
