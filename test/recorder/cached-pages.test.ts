import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cachedPages } from '../../src/recorder/cached-pages.ts';
import { watchedMounts } from '../../src/recorder/mounts.ts';
import { systemCalls } from '../../src/recorder/system-calls.ts';
import { temporaryFolder } from '../replay/support.ts';

test('every file is looked at, whatever its name, and what cannot be is told', async () => {
  const dir = temporaryFolder();
  // As Kubernetes names what a config map's files are in.
  mkdirSync(join(dir, '..data'));
  for (const name of ['..data/config', '..x', 'plain', 'gone', 'other'])
    writeFileSync(join(dir, name), 'x'.repeat(5000));
  writeFileSync(join(dir, 'empty'), '');
  const ino = (name: string): number => statSync(join(dir, name)).ino;
  const seen = ['..data/config', '..x', 'plain'].map(ino);
  const unseen = ['gone', 'other'].map(ino);
  const [mount] = await watchedMounts([{ dir, name: 'm' }], () => {});
  rmSync(join(dir, 'gone'));
  writeFileSync(join(dir, 'new'), '');
  rmSync(join(dir, 'other'));
  mkdirSync(join(dir, 'other'));
  for (const name of ['..data/config', '..x', 'plain']) readFileSync(join(dir, name));
  const told: number[] = [];
  const looks = [...cachedPages(mount!, await systemCalls(), (each) => told.push(each))];
  expect(looks.map((look) => look.ino).sort()).toEqual(seen.sort());
  expect(looks.map(({ pages }) => pages.size)).toEqual([2, 2, 2]);
  expect(told.sort()).toEqual(unseen.sort());
});
