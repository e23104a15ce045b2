import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = new URL('../', import.meta.url).pathname;
const notebooks = readdirSync(join(ROOT, 'notebooks')).filter((name) => name.endsWith('.ipynb'));

/** What a notebook is expected to print at its end. */
const PRINTS: Readonly<Record<string, string>> = {
  'who-pays.ipynb': 'per-inode  a1 3668  b1 3651  a2 3668\nfingerprint  a1 3668  b1 1908  a2 0\n',
};

it('every notebook has its output stated here', () => {
  expect(notebooks.sort()).toEqual(Object.keys(PRINTS).sort());
});

it.each(notebooks)('%s runs from its first cell to its last', (name) => {
  const { cells } = JSON.parse(readFileSync(join(ROOT, 'notebooks', name), 'utf8')) as {
    cells: { cell_type: string; source: string[] }[];
  };
  const code = cells
    .filter((cell) => cell.cell_type === 'code')
    .map((cell) => cell.source.join(''))
    .join('\n');
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(stdout).toBe(PRINTS[name]);
});
