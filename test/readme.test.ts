import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from './replay/support.ts';

const ROOT = new URL('../', import.meta.url).pathname;

it("README's table and chart are what the demo prints and draws today", () => {
  const folder = temporaryFolder();
  const { status, stdout } = spawnSync(process.execPath, ['dist/cli.js', 'demo', '-o', folder], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  expect(status).toBe(0);
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const table = /<!-- demo table:.*-->\n```\n([\s\S]*?)```/.exec(readme)![1]!;
  expect(table).toBe(stdout.slice(0, stdout.indexOf('\nDecoded ')));
  expect(readFileSync(join(ROOT, 'docs/memory.svg'), 'utf8')).toBe(readFileSync(join(folder, 'memory.svg'), 'utf8'));
}, 120_000);
