import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { policies } from '../../../src/policies/index.ts';
import type { MrcResult } from '../../../src/replay/curves/result.ts';
import { goldenTraces, oracleGeneral } from '../../policies/golden-traces.ts';
import { parquetLines, temporaryFile, temporaryFolder } from '../support.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
let folder = '';

/** Runs the built command line as a user would. */
function foliolab(...args: string[]) {
  return spawnSync(process.execPath, [join(ROOT, 'dist/cli.js'), ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
}

function mrc(...args: string[]): MrcResult {
  const { status, stdout, stderr } = foliolab('mrc', '--json', ...args);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return JSON.parse(stdout) as MrcResult;
}

/** Misses by trace, policy and size, as libCacheSim counted them; of w-tinylfu those for the ids as they are in the trace. */
const golden = ['../../policies/libcachesim.csv', 'libcachesim-belady.csv', 'libcachesim-w-tinylfu.csv']
  .flatMap((file) =>
    readFileSync(new URL(file, import.meta.url), 'utf8')
      .split('\n')
      .filter((line) => /^(zipf|mixed),/.test(line) && !(file.includes('policies/') && line.includes(',w-tinylfu,')))
      .map((line) => line.split(',')),
  )
  .map(([trace, policy, size, misses]) => ({
    trace: trace!,
    policy: policy === 'belady' ? 'opt' : policy!,
    size: Number(size),
    misses: Number(misses),
  }));

/** Which count the same with libCacheSim's draws: test/policies/golden.test.ts. */
const DRAWS = ['lecar', 'lhd'];

/** What we count otherwise; golden.test.ts says why. Of lirs it is one size, and lfuda is gdsf where all objects are of one size. */
const isApart = ({ policy, size }: { policy: string; size: number }): boolean =>
  policy === 'lfuda' || DRAWS.includes(policy) || (policy === 'lirs' && size < 200);

/** A trace in a file of whatever one name it is called by. */
function file(name: string): string {
  return join(folder, name);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'foliolab-test-'));
  for (const [name, make] of Object.entries(goldenTraces)) writeFileSync(file(`${name}.bin`), oracleGeneral(make()));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(Object.keys(goldenTraces))('mrc on the %s trace', (name) => {
  const counted = golden.filter(
    (row) => row.trace === name && !isApart(row) && row.policy.split(':')[0]! in { ...policies, opt: 'always' },
  );
  const known = [...new Map(counted.map((row) => [`${row.policy} ${row.size}`, row])).values()];
  const sizes = [...new Set(known.map((row) => row.size))];
  const names = [...new Set(known.map((row) => row.policy))];
  const args = ['--format', 'oracleGeneral', '--unit', 'objects', '--size', sizes.join(',')];

  test('counts what libCacheSim counts, all its sizes and policies at once', () => {
    const asked = [...names, 'lfuda'].join(',');
    const { rows: all, schema } = mrc('--trace', file(`${name}.bin`), ...args, '--policy', asked);
    expect(schema).toBe('foliolab.mrc/1');
    const rows = all.filter((row) => !isApart(row));
    const sorted = (list: { policy: string; size: number }[]) =>
      list.sort((a, b) => (a.policy < b.policy ? -1 : a.policy > b.policy ? 1 : a.size - b.size));
    expect(sorted(rows.map(({ policy, size, misses, missRatio }) => ({ policy, size, misses, missRatio })))).toEqual(
      sorted(known.map(({ policy, size, misses }) => ({ policy, size, misses, missRatio: misses / 2_000_000 }))),
    );
    const lfuda = all.filter(({ policy }) => policy === 'lfuda').map(({ size, misses }) => ({ size, misses }));
    expect(lfuda).toEqual(rows.filter(({ policy }) => policy === 'gdsf').map(({ size, misses }) => ({ size, misses })));
  }, 300_000);

  test('counts the same one size at a time, where lru is run instead', () => {
    const [row] = known.filter(({ policy }) => policy === 'lru').slice(3);
    const { rows } = mrc('--trace', file(`${name}.bin`), '--format', 'oracleGeneral', '--size', String(row!.size));
    expect(rows).toEqual([
      {
        policy: 'lru',
        size: row!.size,
        requests: 2_000_000,
        misses: row!.misses,
        missRatio: row!.misses / 2_000_000,
        method: 'simulation',
        container: null,
      },
    ]);
  });
});

describe('mrc', () => {
  const short = (count: number): Uint8Array => oracleGeneral(goldenTraces.zipf()).subarray(0, 24 * count);

  test('answers the same bytes on any number of workers, and says what it read', () => {
    const args = [
      'mrc',
      '--json',
      '--trace',
      file('mixed.bin'),
      '--format',
      'oracleGeneral',
      '--policy',
      'lru,fifo,clock',
    ];
    const one = foliolab(...args, '--points', '5', '--workers', '1');
    const two = foliolab(...args, '--points', '5', '--workers', '2');
    expect(one.status).toBe(0);
    expect(two.stdout.replace('--workers 2', '--workers 1')).toBe(one.stdout);
    const sha256 = execFileSync('sha256sum', [file('mixed.bin')], { encoding: 'utf8' }).slice(0, 64);
    expect((JSON.parse(one.stdout) as MrcResult).inputs).toEqual([{ path: file('mixed.bin'), sha256, kind: 'trace' }]);
  });

  test('reads oracleGeneral, lcs, plain ids and CSV, compressed or not, to the same counts', () => {
    const bytes = short(30_000);
    const words = new Uint32Array(bytes.slice().buffer);
    const ids = Array.from(
      { length: 30_000 },
      (_, i) => (BigInt(words[6 * i + 2]!) << 32n) | BigInt(words[6 * i + 1]!),
    );
    const requests = temporaryFile('requests.oracleGeneral', bytes);
    const args = ['--policy', 'lru,fifo,opt,w-tinylfu', '--size', '10,100,1000'];
    const expected = mrc('--trace', requests, ...args).rows;
    expect(expected[0]!.requests).toBe(30_000);
    const lcs = join(temporaryFolder(), 'requests.lcs');
    expect(foliolab('trace', 'convert', requests, '--to', 'lcs', '-o', lcs).status).toBe(0);
    for (const [path, format] of [
      [temporaryFile('requests.oracleGeneral.gz', gzipSync(bytes)), 'oracleGeneral'],
      [lcs, 'lcs'],
      [temporaryFile('lcs', gzipSync(readFileSync(lcs))), 'lcs'],
      [temporaryFile('ids', ids.join('\n')), 'ids'],
      [temporaryFile('a.csv', `${ids.map((id, i) => `${i >> 4},${id},0`).join('\n')}\n`), 'csv'],
      [temporaryFile('b.csv', `size,obj_id,time\n${ids.map((id, i) => `7,${id},${-i}`).join('\n')}`), 'csv'],
    ] as const)
      expect(mrc('--trace', path, '--format', format, ...args).rows, path).toEqual(expected);
  }, 60_000);

  test('counts a recording by its files’ pages, or by what a sharing model takes for one', () => {
    const trace = join(ROOT, 'traces/redis/run.csv.zst');
    const rowOf = (args: string[]) =>
      (
        JSON.parse(foliolab('replay', '--json', '--trace', trace, '--memory', '500p', ...args).stdout) as {
          rows: { references: number; misses: number; coldMisses: number; footprintPages: number }[];
        }
      ).rows[0]!;
    for (const sharing of ['per-inode', 'fingerprint']) {
      const replayed = rowOf(['--sharing', sharing]);
      const { rows, trace: facts } = mrc('--trace', trace, '--sharing', sharing, '--size', '500');
      expect([facts.footprint, facts.coldMisses, rows[0]!.requests, rows[0]!.misses]).toEqual([
        replayed.footprintPages,
        replayed.coldMisses,
        replayed.references,
        replayed.misses,
      ]);
    }
    const bare = mrc('--trace', trace, '--size', '500,2000KiB,0.5');
    expect(bare.rows.map(({ size }) => size)).toEqual([500, 500, Math.round(bare.trace.footprint / 2)]);
    expect(bare.trace.unit).toBe('pages');
    expect(bare.rows[0]!.misses).toBe(rowOf(['--sharing', 'per-inode']).misses);
  });

  test('writes results and charts', async () => {
    const output = join(temporaryFolder(), 'out');
    const trace = temporaryFile('requests.oracleGeneral', short(5000));
    const { status, stderr } = foliolab('mrc', '--trace', trace, '--policy', 'lru,fifo', '--working-set', '-o', output);
    expect(status).toBe(0);
    expect(stderr.trim().split('\n')).toEqual(
      [
        ...['results.json', 'results.csv', 'results.parquet'],
        ...['miss-ratio.svg', 'miss-ratio.png', 'working-set.svg', 'working-set.png'],
      ].map((name) => join(output, name)),
    );
    const result = JSON.parse(readFileSync(join(output, 'results.json'), 'utf8')) as MrcResult;
    expect(result.bounds.opt!.map(({ size }) => size)).toEqual(
      result.rows.filter(({ policy }) => policy === 'lru').map(({ size }) => size),
    );
    for (const [at, { missRatio }] of result.bounds.opt!.entries())
      expect(missRatio).toBeLessThanOrEqual(result.rows[at]!.missRatio);
    const lines = readFileSync(join(output, 'results.csv'), 'utf8').trim().split('\n');
    expect(lines).toHaveLength(1 + result.rows.length);
    expect(await parquetLines(join(output, 'results.parquet'))).toEqual(lines);
  }, 60_000);

  test('says where a trace or an option is wrong', () => {
    const cut = temporaryFile('cut.oracleGeneral', short(10).subarray(0, 24 * 9 + 5));
    const back = short(3).slice();
    back[48] = 0;
    const fails = (...args: string[]): [number | null, string] => {
      const { status, stderr } = foliolab('mrc', ...args);
      return [status, stderr];
    };
    expect(fails('--trace', cut)).toEqual([
      1,
      `foliolab: ${cut}: byte 216: ends after 5 of the 24 bytes of a record\n`,
    ]);
    const past = temporaryFile('past.oracleGeneral', back);
    expect(fails('--trace', past)).toEqual([
      1,
      `foliolab: ${past}: byte 48: its time is 1 s before that of the record above\n`,
    ]);
    expect(fails('--trace', join(folder, 'none'))[1]).toContain('none: no such file');
    const good = temporaryFile('good.oracleGeneral', short(10));
    for (const [args, message] of [
      [['--size', '0'], "--size '0' is not between 1 and 2^31"],
      [['--size', 'x'], "--size 'x' is none of 1000, 64MiB, or a fraction of the footprint such as 0.1"],
      [['--size', '1MiB'], "--size '1MiB' is in bytes, and objects are counted whatever their sizes"],
      [
        ['--policy', 'fifo', '--points', 'all'],
        'fifo can’t be counted at every size at once: --points takes a number for it',
      ],
      [['--sample', '2'], "--sample '2' is no share above 0 and up to 1"],
      [
        ['--sample-size', '10', '--policy', 'fifo'],
        '--sample-size is for lru: other policies are sampled at a rate, --sample 0.01',
      ],
      [['--warmup', '10'], `--warmup 10 leaves nothing to count of the 10 references of ${good}`],
      [
        ['--stream', '--policy', 'opt'],
        'a policy that needs to know the future needs the whole trace in memory, and --stream keeps no trace',
      ],
      [['--mount', 'a=b'], '--mount goes with --sharing: without it a page is its file in the trace and its number'],
    ] as const)
      expect(fails('--trace', good, ...args)).toEqual([2, `foliolab: ${message}\n`]);
  }, 60_000);
});
