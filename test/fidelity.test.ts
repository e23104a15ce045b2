import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from './replay/support.ts';

const ROOT = new URL('../', import.meta.url).pathname;
const text = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const run = (args: readonly string[]) =>
  spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });

it('results/fidelity and the table of docs/verify.md are what scripts/fidelity.mjs writes today', () => {
  const folder = temporaryFolder();
  expect(run(['scripts/fidelity.mjs', folder])).toMatchObject({ status: 0, stderr: '' });
  for (const name of ['fidelity.json', 'table.md'])
    expect(readFileSync(join(folder, name), 'utf8')).toBe(text(`results/fidelity/${name}`));
  const table = /<!-- fidelity table:.*-->\n([\s\S]*?)<!-- end of fidelity table -->/.exec(text('docs/verify.md'))![1];
  expect(table).toBe(text('results/fidelity/table.md'));
}, 120_000);

it("README's verification is what the command prints today", () => {
  const [, args, output] = /\$ npx foliolab (verify .*)\n([\s\S]*?)```/.exec(text('README.md'))!;
  expect(run(['dist/cli.js', ...args!.split(' ')])).toMatchObject({ status: 0, stdout: output });
}, 60_000);
