import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mrcMarkdown } from '../../../src/replay/curves/md.ts';
import { MRC_SCHEMA } from '../../../src/replay/curves/result.ts';
import { readResult } from '../../../src/replay/report/index.ts';
import { sweepMarkdown } from '../../../src/replay/sweep/md.ts';
import { SWEEP_SCHEMA } from '../../../src/replay/sweep/result.ts';
import { random } from '../../erofs/random.ts';

const CLI = new URL('../../../dist/cli.js', import.meta.url).pathname;
let folder = '';

function foliolab(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [CLI, ...args], { cwd: folder, encoding: 'utf8' });
}

function text(...path: string[]): string {
  return readFileSync(join(folder, ...path), 'utf8');
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'foliolab-kinds-'));
  const next = random(3);
  for (const name of ['a', 'b'])
    writeFileSync(join(folder, name), Array.from({ length: 3000 }, () => `${next(12) * next(12)}\n`).join(''));
  const traces = ['a', 'b'].map((path) => ({ path, format: 'ids' }));
  const study = { traces, policies: ['lru', 'fifo', 'random'], memory: ['5p', '20p', 'unlimited'], seeds: [1, 2] };
  writeFileSync(join(folder, 'study.json'), JSON.stringify(study));
  expect(foliolab('sweep', 'study.json', '-o', 'sweep').status).toBe(0);
  const flags = ['--policy', 'lru,clock', '--size', '5,20', '--working-set', '--refaults'];
  expect(foliolab('mrc', '--trace', 'a', '--format', 'ids', ...flags, '-o', 'mrc').status).toBe(0);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(['sweep', 'mrc'])('report of a result of %s', (verb) => {
  it('makes again what the verb wrote', () => {
    const results = join(verb, 'results.json');
    expect(foliolab('report', results, '--format', 'json').stdout).toBe(text(results));
    expect(foliolab('report', results, '--format', 'csv').stdout).toBe(text(verb, 'results.csv'));
    const again = join(verb, 'again');
    const charts = readdirSync(join(folder, verb)).filter((name) => /\.(svg|png)$/.test(name));
    expect(charts).toHaveLength(4);
    for (const format of ['svg', 'png'])
      expect(foliolab('report', results, '--format', format, '-o', again).status).toBe(0);
    expect(readdirSync(join(folder, again)).sort()).toEqual(charts.sort());
    for (const name of charts)
      expect(readFileSync(join(folder, again, name)).equals(readFileSync(join(folder, verb, name))), name).toBe(true);
  }, 60_000);

  it('says which formats and charts there are', () => {
    const results = join(verb, 'results.json');
    for (const format of ['mail', 'html']) {
      const { status, stderr } = foliolab('report', results, '--format', format);
      expect(status).toBe(2);
      expect(stderr).toBe(
        `foliolab: ${results}: --format ${format} is not made of a result of ${verb}, only md, csv, json, svg, png\n`,
      );
    }
    const { status, stderr } = foliolab('report', results, '--format', 'svg', '--chart', 'memory');
    expect(status).toBe(2);
    expect(stderr).toContain(`--chart memory is not made of a result of ${verb}, only `);
  }, 60_000);

  it('fails with a located error on every truncation and on flipped bytes, or can be rendered', {
    timeout: 60_000,
  }, async () => {
    const whole = Buffer.from(text(verb, 'results.json'));
    const path = join(folder, `flipped-${verb}.json`);
    for (let i = 0; i < 300; i++) {
      const bytes = Buffer.from(whole);
      if (i % 2 === 0) bytes[(i * 7919) % bytes.length]! ^= 1 << (i % 8);
      writeFileSync(path, i % 2 === 0 ? bytes : bytes.subarray(0, (i * 7919) % bytes.length));
      const result = await readResult(path).catch((error: Error) => error.message);
      if (typeof result === 'string') expect(result).toMatch(/^[^\n]*flipped-\w+\.json: [^\n]+$/);
      else if (result.schema === SWEEP_SCHEMA) expect(sweepMarkdown(result)).toContain('## Reproduce');
      else if (result.schema === MRC_SCHEMA) expect(mrcMarkdown(result)).toContain('## Reproduce');
    }
  });
});

it('a sweep as Markdown has a table for each trace, and what is saved against the baseline', () => {
  const markdown = foliolab('report', 'sweep/results.json', '--format', 'md').stdout;
  const [header, ...lines] = text('sweep', 'results.csv').trim().split('\n');
  const at = (name: string) => header!.split(',').indexOf(name);
  const ratios = lines
    .map((line) => line.split(','))
    .filter((cells) => cells[at('trace')] === 'a' && cells[at('policy')] === 'lru' && cells[at('seed')] === '1')
    .map((cells) => `${(100 * Number(cells[at('missRatio')])).toFixed(2)}%`);
  expect(ratios).toHaveLength(3);
  const table = markdown.slice(markdown.indexOf('### a\n'), markdown.indexOf('### b\n'));
  expect(table).toContain('| policy | 5p | 20p | unlimited |');
  expect(table.replaceAll('*', '')).toContain(`| lru | ${ratios.join(' | ')} |`);
  const saved = markdown.slice(markdown.indexOf('## Misses saved against lru'), markdown.indexOf('## Parameters'));
  expect(saved.match(/^\| none \| recorded \| (fifo|random) \| (5p|20p) \|.*\| 2 \| 4 \|$/gm)).toHaveLength(4);
  expect(markdown).toContain('    npx foliolab sweep study.json -o sweep\n');
});

it('a curve as Markdown has the miss ratios and the refaults', () => {
  const markdown = foliolab('report', 'mrc/results.json', '--format', 'md').stdout;
  const rows = (JSON.parse(text('mrc', 'results.json')) as { rows: { size: number; missRatio: number }[] }).rows;
  expect(markdown).toMatch(/^\| (objects|pages) \| of footprint \| lru \| clock \|$/m);
  const own = rows.filter(({ size }) => size === 20).map(({ missRatio }) => `${(100 * missRatio).toFixed(2)} %`);
  expect(markdown).toMatch(new RegExp(`^\\| 20 \\| [\\d.]+ % \\| ${own.join(' \\| ')} \\|$`, 'm'));
  expect(markdown).toContain('## Refaults by distance');
});
