import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { need } from '../require.ts';

const root = resolve(import.meta.dirname, '../..');

test.skipIf(!need('AssemblyScript compiler', existsSync(resolve(root, 'node_modules/assemblyscript'))))(
  'src/erofs/codecs-wasm.ts is what src/erofs/assembly compiles to, byte for byte',
  () => {
    const run = spawnSync(process.execPath, ['scripts/assembly.mjs', '--check'], { cwd: root, encoding: 'utf8' });
    expect([run.stderr, run.status]).toEqual(['', 0]);
  },
  60_000,
);
