import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../src/policies/index.ts';
import { loadPlugins, splitPlugin } from '../../src/policies/plugin.ts';
import { temporaryFile, temporaryFolder } from '../replay/support.ts';
import { countMisses } from './trace.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const EXAMPLE = join(ROOT, 'examples/mru.ts');

function foliolab(cwd: string, ...args: string[]) {
  return spawnSync(process.execPath, [join(ROOT, 'dist/cli.js'), ...args], { cwd, encoding: 'utf8' });
}

/** Evicts the page used last. */
function naiveMru(pages: readonly number[], size: number): number {
  const cached = new Set<number>();
  let misses = 0;
  pages.forEach((page, i) => {
    if (cached.has(page)) return;
    misses++;
    if (cached.size === size) cached.delete(pages[i - 1]!);
    cached.add(page);
  });
  return misses;
}

const pages = fc.array(fc.nat(30), { minLength: 1, maxLength: 300 });

describe('a policy in a file of its own', () => {
  test('is named by the file, and takes parameters', () => {
    expect(splitPlugin('./mine.js')).toEqual(['./mine.js']);
    expect(splitPlugin('/a:b/mine.mts:k=2:j=3')).toEqual(['/a:b/mine.mts', 'k=2', 'j=3']);
    for (const name of ['lru', 'clock:bits=2', 's3-fifo:small=0.1', '2q']) expect(splitPlugin(name)).toBeNull();
  });

  test('goes through the registry and counts what it should: the example, against a set', async () => {
    await loadPlugins([EXAMPLE]);
    fc.assert(
      fc.property(pages, fc.integer({ min: 1, max: 12 }), (trace, size) => {
        expect(countMisses(parsePolicy(EXAMPLE).create(size, 31, 1), trace)).toBe(naiveMru(trace, size));
      }),
    );
  });

  test('runs from the command line, in TypeScript and in JavaScript, on any number of workers', () => {
    const folder = temporaryFolder();
    copyFileSync(EXAMPLE, join(folder, 'mru.ts'));
    const javascript = readFileSync(EXAMPLE, 'utf8')
      .replace(/^import type.*$/m, '')
      .replace('} satisfies PolicyEntry;', '};');
    writeFileSync(join(folder, 'mru.mjs'), javascript);
    // So many that a second thread is worth its while.
    const trace = Array.from({ length: 700_000 }, (_, i) => (i * (i % 1009)) % 211);
    writeFileSync(join(folder, 'ids'), trace.join('\n'));
    for (const workers of ['1', '2']) {
      const { status, stdout, stderr } = foliolab(
        folder,
        ...['mrc', '--trace', 'ids', '--format', 'ids', '--policy', './mru.ts,./mru.mjs', '--size', '3,20,50'],
        ...['--workers', workers, '--csv'],
      );
      expect([status, stderr]).toEqual([0, '']);
      const expected = ['./mru.ts', './mru.mjs'].flatMap((policy) =>
        [3, 20, 50].map((size) => {
          const misses = naiveMru(trace, size);
          return `${policy},${size},700000,${misses},${misses / 700_000},simulation,`;
        }),
      );
      expect(stdout.trim().split('\n').slice(1)).toEqual(expected);
    }
  }, 60_000);

  test('replays a recording as mrc does', () => {
    const trace = join(ROOT, 'traces/redis/run.csv.zst');
    const misses = (...args: string[]): number[] =>
      (
        JSON.parse(foliolab(ROOT, ...args, '--trace', trace, '--json').stdout) as { rows: { misses: number }[] }
      ).rows.map((row) => row.misses);
    const policy = ['--policy', './examples/mru.ts', '--sharing', 'per-inode'];
    expect(misses('replay', ...policy, '--memory', '100p,500p')).toEqual(misses('mrc', ...policy, '--size', '100,500'));
  });

  test('that needs the future is given it: Belady’s MIN counts what the curve of opt does', () => {
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, 'min.mjs'),
      `export default {
        defaults: {},
        needsFuture: true,
        create({ capacityPages, nextUse }) {
          const next = new Map();
          let now = 0;
          return {
            victims: new Uint32Array(1),
            get residentPages() { return next.size; },
            access(page) {
              const hit = next.has(page);
              const evicts = !hit && next.size === capacityPages;
              if (evicts) {
                let last = -1;
                for (const [other, use] of next) if (last < 0 || use > next.get(last)) last = other;
                next.delete(last);
                this.victims[0] = last;
              }
              next.set(page, nextUse[now++]);
              return hit ? -1 : evicts ? 1 : 0;
            },
            check() {},
          };
        },
      };`,
    );
    const args = ['--trace', join(ROOT, 'traces/redis/run.csv.zst'), '--sharing', 'per-inode', '--json'];
    const misses = (...more: string[]): number[] => {
      const { stdout } = foliolab(folder, ...more, ...args);
      return (JSON.parse(stdout) as { rows: { misses: number }[] }).rows.map((row) => row.misses);
    };
    const expected = misses('mrc', '--policy', 'opt', '--size', '20,200');
    expect(misses('mrc', '--policy', './min.mjs', '--size', '20,200')).toEqual(expected);
    expect(misses('replay', '--policy', './min.mjs', '--memory', '20p,200p')).toEqual(expected);
  }, 60_000);

  test('says what is wrong with it', async () => {
    const policy = (access: string, rest = 'victims: new Uint32Array(1), residentPages: 1, check() {}'): string =>
      `export default { defaults: {}, create: () => ({ access: ${access}, ${rest} }) };`;
    for (const [source, message] of [
      ['export const create = 1;', 'its default export is no policy: { create(context), defaults: {} }'],
      ['export default { create() {}, defaults: { k: "2" } };', "the default of its parameter 'k' is no number"],
      ['export default { create() { throw new Error("no room"); } };', 'fails with a cache of one page: no room'],
      ['export default { create: () => ({}) };', 'create() makes no policy: it lacks access() or check()'],
      [policy('() => 0', 'victims: [], residentPages: 1, check() {}'), 'its victims are no Uint32Array'],
      [policy('() => true'), 'the first access of an empty cache answers true, not 0'],
      [
        policy('() => 0', 'victims: new Uint32Array(1), residentPages: 0, check() {}'),
        'its residentPages are 0 after the first access, not 1',
      ],
      ['export default {', "can't be loaded: "],
    ]) {
      const path = temporaryFile('mine.mjs', source!);
      await expect(loadPlugins([path]), source).rejects.toThrow(`policy '${path}': ${message}`);
    }
    await expect(loadPlugins(['./nowhere.js:k=2'])).rejects.toThrow(
      "policy './nowhere.js:k=2': there is no file ./nowhere.js",
    );
    const good = temporaryFile('good.mjs', policy('() => 0'));
    await loadPlugins([good]);
    expect(() => parsePolicy(`${good}:k=2`)).toThrow(`policy '${good}:k=2': unknown parameter 'k'; ${good} takes none`);
    const { status, stderr } = foliolab(ROOT, 'mrc', '--trace', 'none', '--format', 'ids', '--policy', './nowhere.js');
    expect([status, stderr]).toEqual([2, "foliolab: policy './nowhere.js': there is no file ./nowhere.js\n"]);
  }, 60_000);
});
