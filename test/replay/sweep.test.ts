import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Journal } from '../../src/replay/sweep/journal.ts';
import { readStudy } from '../../src/replay/sweep/study-file.ts';
import { parquetLines, temporaryFile, temporaryFolder } from './support.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const CLI = join(ROOT, 'dist/cli.js');
const EXAMPLE = join(ROOT, 'examples/sweep.yaml');

function foliolab(...args: string[]) {
  return spawnSync(process.execPath, [CLI, ...args], { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 28 });
}

/** Everything that a sweep leaves for its reader; the command names the folder. */
function results(directory: string): string[] {
  return [
    ...['results.csv', 'results.json', 'results.parquet', 'relative.csv'],
    ...['heat-map.svg', 'heat-map.png', 'relative.svg', 'relative.png'],
  ].map((name) => readFileSync(join(directory, name), 'latin1').replaceAll(directory, 'DIR'));
}

function journalLines(directory: string): number {
  const path = join(directory, 'journal.jsonl');
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0;
}

describe('foliolab sweep', () => {
  test('counts what replay counts, in the order of the columns', async () => {
    const directory = temporaryFolder();
    const { status, stderr } = foliolab('sweep', EXAMPLE, '-o', directory);
    expect(status).toBe(0);
    expect(stderr).toContain('240 cells: 0 were there, 240 counted now');
    const [header, ...lines] = readFileSync(join(directory, 'results.csv'), 'utf8').trim().split('\n');
    const rows = lines.map(
      (line) =>
        Object.fromEntries(line.split(',').map((cell, at) => [header!.split(',')[at], cell])) as Record<string, string>,
    );
    const study = { sharing: 'per-inode,hardlink,fingerprint', policy: 'lru,fifo,clock,clock:bits=3' };
    for (const trace of ['nginx', 'redis'])
      for (const mounts of ['recorded', 'per-container']) {
        const { stdout } = foliolab(
          ...['replay', '--json', '--trace', join(ROOT, 'traces', trace, 'run.csv.zst'), '--mounts', mounts],
          ...['--sharing', study.sharing, '--policy', study.policy, '--memory', '0.1,0.2,0.4,4MiB,unlimited'],
        );
        const replayed = (JSON.parse(stdout) as { rows: Record<string, string | number | null>[] }).rows;
        expect(replayed).toHaveLength(60);
        for (const one of replayed) {
          const mine = rows.filter(
            (row) =>
              row.trace === trace &&
              row.mounts === mounts &&
              ['sharing', 'policy', 'memory'].every((key) => row[key] === one[key]),
          );
          expect(mine).toHaveLength(1);
          for (const key of ['capacityPages', 'references', 'misses', 'coldMisses', 'refaults', 'footprintPages'])
            expect(mine[0]![key], key).toBe(String(one[key] ?? ''));
        }
      }
    const key = (row: Record<string, string>): string =>
      ['trace', 'mounts', 'sharing', 'policy'].map((k) => row[k]).join();
    expect(rows.map(key)).toEqual(rows.map(key).sort());
    expect(execFileSync('sha256sum', [join(ROOT, 'traces/nginx/run.csv.zst')], { encoding: 'utf8' })).toContain(
      (
        JSON.parse(readFileSync(join(directory, 'results.json'), 'utf8')) as {
          inputs: { path: string; sha256: string }[];
        }
      ).inputs.find(({ path }) => path === 'traces/nginx/run.csv.zst')!.sha256,
    );
    expect(await parquetLines(join(directory, 'results.parquet'))).toEqual([header, ...lines]);
  }, 120_000);

  test('killed again and again, goes on where it was and ends with the same bytes', async () => {
    const whole = temporaryFolder();
    expect(foliolab('sweep', EXAMPLE, '-o', whole, '--workers', '1').status).toBe(0);
    const directory = temporaryFolder();
    let before = 0;
    let kills = 0;
    for (const goal of [1, 20, 90, 170]) {
      const child = spawn(process.execPath, [CLI, 'sweep', EXAMPLE, '-o', directory, '--workers', '1'], { cwd: ROOT });
      const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_, signal) => resolve(signal)));
      while (journalLines(directory) < goal && child.exitCode === null)
        await new Promise((done) => setTimeout(done, 1));
      child.kill('SIGKILL');
      if ((await ended) === 'SIGKILL') kills++;
      // What was done is still done.
      expect(journalLines(directory)).toBeGreaterThanOrEqual(before);
      before = journalLines(directory);
    }
    expect(kills).toBeGreaterThan(0);
    const cells = new Journal(directory).cells.size;
    expect(cells).toBeGreaterThan(0);
    const { status, stderr } = foliolab('sweep', EXAMPLE, '-o', directory, '--workers', '1');
    expect(status).toBe(0);
    expect(stderr).toContain(`240 cells: ${cells} were there, ${240 - cells} counted now`);
    expect(results(directory)).toEqual(results(whole));
    expect(foliolab('sweep', EXAMPLE, '-o', directory, '--workers', '1').stderr).toContain(
      '240 were there, 0 counted now',
    );
    expect(results(directory)).toEqual(results(whole));
  }, 120_000);

  test('counts again what a crash left broken, and nothing else', () => {
    const directory = temporaryFolder();
    expect(foliolab('sweep', EXAMPLE, '-o', directory, '--workers', '2').status).toBe(0);
    const expected = results(directory);
    const path = join(directory, 'journal.jsonl');
    const { length } = readFileSync(path);
    truncateSync(path, length - 10);
    const after = foliolab('sweep', EXAMPLE, '-o', directory, '--workers', '2');
    expect(after.stderr).toContain('239 were there, 1 counted now');
    expect(after.stderr).toMatch(/the journal ended with \d+ broken bytes, whose cells were counted again/);
    expect(results(directory)).toEqual(expected);
    appendFileSync(path, 'no checksum\n');
    expect(foliolab('sweep', EXAMPLE, '-o', directory, '--workers', '2').stderr).toContain(
      '240 were there, 0 counted now',
    );
    expect(results(directory)).toEqual(expected);
  }, 120_000);

  test('counts anew what is of a trace that has changed', () => {
    const folder = temporaryFolder();
    mkdirSync(folder, { recursive: true });
    const trace = join(folder, 'ids');
    writeFileSync(trace, '1\n2\n3\n1\n');
    const study = join(folder, 'study.json');
    writeFileSync(
      study,
      JSON.stringify({ traces: [{ path: 'ids', format: 'ids' }], policies: ['lru', 'fifo'], memory: ['2p', '3p'] }),
    );
    const run = () => foliolab('sweep', study, '-o', join(folder, 'out'));
    expect(run().stderr).toContain('4 cells: 0 were there, 4 counted now');
    const csv = (): string => readFileSync(join(folder, 'out/results.csv'), 'utf8');
    expect(csv()).toBe(
      'trace,mounts,sharing,policy,memory,capacityPages,seed,references,misses,coldMisses,refaults,missRatio,footprintPages\n' +
        'ids,recorded,none,fifo,2p,2,1,4,4,3,1,1,3\nids,recorded,none,fifo,3p,3,1,4,3,3,0,0.75,3\n' +
        'ids,recorded,none,lru,2p,2,1,4,4,3,1,1,3\nids,recorded,none,lru,3p,3,1,4,3,3,0,0.75,3\n',
    );
    writeFileSync(trace, '1\n2\n2\n1\n');
    expect(run().stderr).toContain('4 cells: 0 were there, 4 counted now');
    expect(csv()).toContain('ids,recorded,none,lru,2p,2,1,4,2,2,0,0.5,2\n');
  }, 60_000);
});

test('the SQL of the guide has the answer that it prints', async () => {
  const guide = readFileSync(join(ROOT, 'docs/sweep.md'), 'utf8');
  const folder = temporaryFolder();
  const [study] = /printf '%s\\n' ([^>]*)>/.exec(guide)!.slice(1);
  const lines = [...study!.matchAll(/'([^']*)'/g)].map(([, text]) =>
    text!.replaceAll('../traces', join(ROOT, 'traces')),
  );
  writeFileSync(join(folder, 'fractions.yaml'), lines.join('\n'));
  const rows: Record<string, string>[] = [];
  for (const [at, file] of [EXAMPLE, join(folder, 'fractions.yaml')].entries()) {
    expect(foliolab('sweep', file, '-o', join(folder, String(at))).status).toBe(0);
    const [header, ...cells] = (await parquetLines(join(folder, String(at), 'results.parquet'))).map((l) =>
      l.split(','),
    );
    rows.push(...cells.map((row) => Object.fromEntries(row.map((cell, i) => [header![i], cell]))));
  }
  const cells = rows.filter(
    ({ mounts, policy, memory }) => mounts === 'recorded' && policy === 'lru' && /^0\.[124]$/.test(memory!),
  );
  const answer = cells
    .filter(({ sharing }) => sharing === 'per-inode')
    .map((own) => {
      const shared = cells.find(
        ({ sharing, trace, memory }) => sharing === 'fingerprint' && trace === own.trace && memory === own.memory,
      )!;
      const ratios = [own, shared].map(({ missRatio }) => Number(Number(missRatio).toFixed(4)));
      return [own.trace, own.memory, ...ratios, Number(own.misses) - Number(shared.misses)];
    })
    .sort((a, b) => Number(b[4]) - Number(a[4]))
    .slice(0, 5);
  expect(guide).toContain(`\n${['trace,memory,perInode,fingerprint,missesSaved', ...answer.map(String)].join('\n')}\n`);
}, 120_000);

test('a baseline that the study has not is named before anything is counted', () => {
  const directory = temporaryFolder();
  const { status, stderr } = foliolab('sweep', EXAMPLE, '-o', join(directory, 'out'), '--baseline', 'arc');
  expect(status).toBe(2);
  expect(stderr).toBe(
    `foliolab: --baseline 'arc' is none of the policies of ${EXAMPLE}: lru, fifo, clock, clock:bits=3\n`,
  );
  expect(existsSync(join(directory, 'out'))).toBe(false);
});

describe('a study', () => {
  const fault = async (text: string): Promise<string> => {
    const path = temporaryFile('study.yaml', text);
    try {
      await readStudy(path);
    } catch (error) {
      expect((error as Error).name).toBe('DataError');
      return (error as Error).message.slice(path.length + 2);
    }
    return 'is right';
  };

  test('says with line and column what is wrong with it', async () => {
    const good = 'traces: [a.csv]\nmemory: [0.1]\n';
    expect(await fault(good)).toBe('is right');
    for (const [text, message] of [
      [
        '',
        'line 1, column 1: a study is a map with traces, sharing, mounts, policies, memory, seeds, warmup, fingerprints',
      ],
      ['traces: [a.csv]\n', "line 1, column 1: a study needs 'memory'"],
      ['memory: [0.1]\n', "line 1, column 1: a study needs 'traces'"],
      [
        `${good}policy: lru\n`,
        "line 3, column 1: 'policy' is nothing that a study has: traces, sharing, mounts, policies, memory, seeds, warmup, fingerprints",
      ],
      ['traces: []\nmemory: 1', "line 1, column 9: 'traces' lists nothing"],
      [`${good}policies:\n  - lru\n  - belady2\n`, "line 5, column 5: policy 'belady2': unknown policy 'belady2'"],
      [`${good}policies: [lru, lru]`, "line 3, column 17: policy 'lru' is there twice"],
      [`${good}policies: [./none.js]`, "line 3, column 12: policy './none.js': there is no file"],
      [`${good}sharing: [per-inode, per-page]`, "line 3, column 22: unknown sharing model 'per-page'"],
      ['traces: [a.csv]\nmemory: [0.1, 12 apples]', "line 2, column 15: memory '12 apples' is none of"],
      [`${good}seeds: [one]`, "line 3, column 9: 'one' is no whole number"],
      [`${good}warmup: -1`, "line 3, column 9: '-1' is no whole number"],
      [`${good}mounts: [recorded]`, "line 3, column 9: 'mounts' goes with 'sharing'"],
      [
        `${good}sharing: hardlink\nmounts: per-host`,
        "line 4, column 9: 'per-host' is none of recorded, per-image, per-container",
      ],
      [
        'traces:\n  - {path: a.csv, fromat: lcs}\nmemory: 1p',
        "line 2, column 19: 'fromat' is nothing that a trace has",
      ],
      ['traces:\n  - {path: a.csv, format: xls}\nmemory: 1p', "line 2, column 27: 'xls' is no format that is read"],
      ['traces:\n  - {name: a}\nmemory: 1p', "line 2, column 5: a trace needs 'path'"],
      ['traces: [x/a.csv, y/a.csv]\nmemory: 1p', "line 1, column 19: trace 'a' is there twice"],
      ['traces: [a.csv\nmemory: 1p', 'line 2, column'],
      ['traces: a\ntraces: b\nmemory: 1p', 'line 2, column 1: Map keys must be unique'],
      ['{"traces": ["a.csv"],\n "memory": [true]}', "line 2, column 13: memory 'true' is none of"],
      ['traces: [*a]\nmemory: 1p', 'line 1, column 10'],
    ])
      expect(await fault(text!), text).toContain(message);
  });

  test('names files from its own folder, and keeps numbers as they are written', async () => {
    const path = temporaryFile(
      'study.yaml',
      'traces: [{path: sub/x.arrows, images: {a: ../i.erofs}}, /r/run.csv.zst]\nmemory: [0.10, 64MiB, 1000p, unlimited]\nsharing: hardlink\n',
    );
    const study = await readStudy(path);
    expect(study.traces.map(({ name }) => name)).toEqual(['x', 'r']);
    expect(execFileSync('realpath', ['-m', study.traces[0]!.path], { encoding: 'utf8' })).toBe(
      execFileSync('realpath', ['-m', join(path, '../sub/x.arrows')], { encoding: 'utf8' }),
    );
    expect(study.memory.map(({ text }) => text)).toEqual(['0.10', '64MiB', '1000p', 'unlimited']);
    expect(study.memory[1]!.size).toEqual({ kind: 'pages', pages: 16_384 });
  });
});
