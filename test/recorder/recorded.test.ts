import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Bindings } from '../../src/replay/binding.ts';
import { replay } from '../../src/replay/run.ts';
import { pageSets, rowsOf } from './page-truth.ts';

const RECORDED = new URL('../../traces/recorded/', import.meta.url).pathname;
const SERVICES = readdirSync(RECORDED).filter((name) => existsSync(join(RECORDED, name, 'run.arrows')));

it('six services at least are recorded', () => {
  expect(SERVICES.length).toBeGreaterThanOrEqual(6);
});

describe.each(SERVICES)('recorded %s', (service) => {
  const file = (name: string): string => join(RECORDED, service, name);

  it('is as SHA256SUMS has it, and the images have the hashes that the recipe says', async () => {
    const sums = readFileSync(file('SHA256SUMS'), 'utf8').trim().split('\n');
    for (const [sum, name] of sums.map((line) => line.split('  ') as [string, string]))
      expect([
        name,
        createHash('sha256')
          .update(readFileSync(file(name)))
          .digest('hex'),
      ]).toEqual([name, sum]);
    const recipe = readFileSync(file('recipe.md'), 'utf8');
    const { reader } = await rowsOf(file('run.arrows'));
    for (const { imageSha256 } of reader.mounts) expect(recipe).toContain(imageSha256);
  });

  it.each(['run', 'limited'])(
    '%s: nothing is lost, and fills minus drops are what mincore(2) showed, file by file',
    async (kind) => {
      const trace = await rowsOf(file(`${kind}.arrows`));
      const { events, truth } = pageSets(trace);
      expect(truth.length).toBeGreaterThan(30);
      expect(events).toEqual(truth);
      expect(trace.reader.endFacts).toMatchObject({ lost: 0, filesDifferent: 0 });
    },
  );

  it('run: each container reads its own mount, from the first to the last', async () => {
    const { rows } = await rowsOf(file('run.arrows'));
    const seen = new Set(
      rows
        .filter(({ op }) => op === 'read' || op === 'fault')
        .map(({ container, mount }) => `${container} on ${mount}`),
    );
    expect(seen).toEqual(new Set(['a1 on a1', 'b1 on b1', 'a2 on a2']));
  });

  it('run: replayed from its fills, per-inode is what mincore(2) showed, and finer sharing never costs more', async () => {
    const { truth } = pageSets(await rowsOf(file('run.arrows')));
    const shown = truth.reduce((sum, [, runs]) => sum + runs.reduce((pages, [, count]) => pages + count, 0), 0);
    const { traces } = await Bindings.open({ traces: [file('run.arrows')], mounts: new Map() });
    const models = ['per-inode', 'hardlink', 'fingerprint', 'page-content'];
    const { rows } = await replay({
      workload: service,
      traces,
      from: 'fills',
      sharing: models,
      policies: ['lru'],
      memory: ['unlimited'],
      mounts: 'recorded',
      fingerprints: 'auto',
      containers: [],
      warmup: 0,
      seed: 1,
    });
    const pages = models.map((model) => rows.find(({ sharing }) => sharing === model)!.residentPages);
    expect(pages[0]).toBe(shown);
    expect(pages).toEqual([...pages].sort((a, b) => b - a));
    expect(pages[2]).toBeLessThan(shown * 0.75);
  });

  it('limited: pages are used again, and come back after they were dropped', async () => {
    const { rows } = await rowsOf(file('limited.arrows'));
    const asked = new Set<string>();
    const dropped = new Set<string>();
    let reused = 0;
    let refaults = 0;
    for (const { op, mount, path, page, pages } of rows)
      for (let p = page; p < page + pages; p++) {
        const key = `${mount}:${path}:${p}`;
        if (op === 'drop') dropped.add(key);
        else if (op === 'fill' && dropped.delete(key)) refaults++;
        else if (op === 'read' || op === 'fault') {
          if (asked.has(key)) reused++;
          asked.add(key);
        }
      }
    expect(reused).toBeGreaterThan(100);
    expect(refaults).toBeGreaterThan(1000);
  });
});
