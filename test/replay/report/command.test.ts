import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { reportCommand } from '../../../src/cli/report.ts';
import { UsageError } from '../../../src/error.ts';
import { toCsv, toJson, toMail } from '../../../src/replay/report/index.ts';
import { realisticResult, smallResult } from './fixture.ts';

let dir = '';
let results = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'foliolab-report-'));
  results = join(dir, 'results.json');
  await writeFile(results, toJson(smallResult()));
});
afterAll(() => rm(dir, { recursive: true }));

/** Runs the verb; gives what it wrote to stdout. */
async function run(...args: string[]): Promise<string> {
  let out = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((...call: unknown[]) => {
    out += String(call[0]);
    const done = call.at(-1);
    if (typeof done === 'function') done();
    return true;
  });
  try {
    const command = reportCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} });
    await command.parseAsync(args, { from: 'user' });
  } finally {
    write.mockRestore();
  }
  return out;
}

describe('foliolab report', () => {
  it('writes text to stdout, or to the file or directory of -o', async () => {
    expect(await run(results, '--format', 'mail')).toBe(toMail(smallResult()));
    expect(await run(results, '--format', 'json')).toBe(toJson(smallResult()));
    expect(await run(results, '--format', 'csv', '-o', join(dir, 'new/rows.csv'))).toBe('');
    expect(await readFile(join(dir, 'new/rows.csv'), 'utf8')).toBe(toCsv(smallResult()));
    await run(results, '--format', 'md', '-o', `${join(dir, 'md')}/`);
    expect(await readdir(join(dir, 'md'))).toEqual(['report.md']);
  });

  it('writes one chart to stdout and all that have data to a directory', async () => {
    expect(await run(results, '--format', 'svg', '--chart', 'memory')).toMatch(/^<svg /);
    const all = join(dir, 'all.json');
    await writeFile(all, toJson(realisticResult()));
    await run(all, '--format', 'svg', '-o', join(dir, 'charts'));
    expect((await readdir(join(dir, 'charts'))).sort()).toEqual(['hit-ratio.svg', 'memory.svg', 'residency.svg']);
  });

  it('says which data a chart lacks', async () => {
    await expect(run(results, '--format', 'svg', '--chart', 'residency')).rejects.toThrow(
      `${results}: no row has a series: there is no residency chart`,
    );
  });

  it('calls wrong usage wrong usage, before it reads anything', async () => {
    const none = join(dir, 'none.json');
    await expect(run(none, '--format', 'svg')).rejects.toThrow(UsageError);
    await expect(run(none, '--format', 'png', '-o', 'x.png')).rejects.toThrow(/^-o x\.png is one file/);
    await expect(run(none, '--format', 'mail', '--chart', 'memory')).rejects.toThrow(UsageError);
    await expect(run(none, '--format', 'pdf')).rejects.toThrow(CommanderError);
    await expect(run(none)).rejects.toThrow(CommanderError);
  });
});
