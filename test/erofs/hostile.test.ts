import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type BuiltFile, build, DATA_AT } from './build.ts';

// docs/hostile-input.md. These run what users run: the compiled package, in processes of their own.

const root = resolve(import.meta.dirname, '../..');
const dir = mkdtempSync(join(tmpdir(), 'foliolab-hostile-'));
afterAll(() => rmSync(dir, { recursive: true }));

const CI = process.env.FOLIOLAB_REQUIRE === 'all';
const IMAGES = CI ? 200_000 : 10_000;

test(`a campaign of ${IMAGES} damaged images: each an answer or an ErofsError, none slower than a second`, () => {
  const args = ['scripts/hostile/campaign.mjs', '--images', String(IMAGES), '--json'];
  const run = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: 600_000 });
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
  const { outcomes, bases } = JSON.parse(run.stdout) as { outcomes: Record<string, number>; bases: number };
  const total = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  expect(total).toBe(IMAGES);
  expect(bases).toBeGreaterThanOrEqual(59);
  // The damage is worth its name: much of it is found, much of it leaves the image readable, and every kind of error is met.
  expect(outcomes.CORRUPT).toBeGreaterThan(IMAGES / 4);
  expect(outcomes.answer).toBeGreaterThan(IMAGES / 4);
  expect(outcomes.UNSUPPORTED).toBeGreaterThan(IMAGES / 50);
  for (const code of ['ENOENT', 'LIMIT', 'ELOOP']) expect([code, (outcomes[code] ?? 0) > 0]).toEqual([code, true]);
}, 620_000);

describe('images that claim more than they can hold', () => {
  /** 30,000 chunks of 1 MiB, all the same one, in 1.2 MiB: 29 GiB. */
  const chunks = (): Uint8Array => {
    const map = new Uint8Array(4 * 30_000);
    new Uint32Array(map.buffer).fill(DATA_AT >> 12);
    const files = [{ name: 'bomb', size: 30_000 * 2 ** 20, layout: 4, iu: 8, tail: map }];
    return build({ blkszbits: 12, featureIncompat: 4, data: [new Uint8Array(2 ** 20).fill(7)], files });
  };
  /** a file of one chunk, which is a hole */
  const holeOf = (size: number): BuiltFile => ({
    name: 'hole',
    size,
    layout: 4,
    iu: 31,
    tail: new Uint8Array(4).fill(255),
  });
  /** one hole of 8 TiB */
  const hole = (): Uint8Array => build({ blkszbits: 12, featureIncompat: 4, data: [], files: [holeOf(2 ** 43)] });

  const foliolab = (...args: string[]) => {
    const start = performance.now();
    const run = spawnSync(process.execPath, [join(root, 'dist/cli.js'), ...args], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    return { status: run.status, stderr: run.stderr, seconds: (performance.now() - start) / 1000 };
  };
  const image = (name: string, bytes: Uint8Array): string => {
    const path = join(dir, name);
    writeFileSync(path, bytes);
    return path;
  };
  const LIMIT =
    /^foliolab: \S+\.erofs: inode nid \d+: more than \d+ bytes of file data in an image of \d+: see maxData, --max-data\n$/;

  test('a megabyte that decodes to 29 GiB is refused by check, digest, extract and index, soon', () => {
    const path = image('chunks.erofs', chunks());
    const target = join(dir, 'chunks');
    const index = join(dir, 'chunks.fidx');
    for (const args of [
      ['image', 'check'],
      ['image', 'digest'],
      ['image', 'extract', '-o', target],
      ['index', '-o', index],
    ]) {
      const { status, stderr, seconds } = foliolab(...args, path);
      expect([args, status]).toEqual([args, 1]);
      expect(stderr).toMatch(LIMIT);
      expect(seconds).toBeLessThan(30);
    }
    expect(existsSync(target)).toBe(false);
    expect(existsSync(index)).toBe(false);
    const { status, stderr } = foliolab('image', 'digest', '--max-data', '2MiB', path);
    expect([status, stderr.includes('more than 2097152 bytes')]).toEqual([1, true]);
  });

  test('a hole of 8 TiB costs a check nothing, and is not hashed byte by byte unless --max-data says so', () => {
    const path = image('hole.erofs', hole());
    expect(foliolab('image', 'check', path)).toMatchObject({ status: 0, stderr: '' });
    for (const args of [
      ['image', 'digest'],
      ['index', '-o', join(dir, 'hole.fidx')],
    ]) {
      const { status, stderr, seconds } = foliolab(...args, path);
      expect([args, status]).toEqual([args, 1]);
      expect(stderr).toMatch(LIMIT);
      expect(seconds).toBeLessThan(10);
    }
  });

  test('a hole is extracted as one', () => {
    const small = build({ blkszbits: 12, featureIncompat: 4, data: [], files: [holeOf(2 ** 36)] });
    const target = join(dir, 'hole');
    expect(foliolab('image', 'extract', '-o', target, image('small.erofs', small))).toMatchObject({ status: 0 });
    expect(readdirSync(target)).toEqual(['hole']);
    const { size, blocks } = statSync(join(target, 'hole'));
    expect([size, blocks]).toEqual([2 ** 36, 0]);
  });
});
