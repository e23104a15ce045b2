import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Bindings } from '../../src/replay/binding.ts';
import { replay } from '../../src/replay/run.ts';

const TRACES = new URL('../../traces/', import.meta.url).pathname;
const MODELS = ['per-inode', 'hardlink:match=content', 'fingerprint', 'page-content'];

/**
 * Pages by which demand with readahead is off the recorded fills, per-inode: postgres's write faults in pages of executable segments,
 * which a trace doesn't tell from others; of nginx and tfjs the pages that the host took away while they were recorded.
 */
const OFF = { redis: 0, nginx: 8, postgres: -3, 'python-sci': 0, tfjs: 18 } as const;

async function pagesOf(service: string, from: 'demand' | 'fills', memory = 'unlimited') {
  const bindings = await Bindings.open({ traces: [join(TRACES, service, 'run.csv.zst')], mounts: new Map() });
  const { rows, notes } = await replay({
    workload: service,
    traces: bindings.traces,
    from,
    sharing: MODELS,
    policies: ['lru'],
    memory: [memory],
    mounts: 'recorded',
    fingerprints: 'auto',
    containers: [],
    warmup: 0,
    seed: 1,
    readahead: from === 'demand',
  });
  return { rows: new Map(rows.map((row) => [row.sharing, row])), notes };
}

describe.each(Object.entries(OFF))('%s', (service, off) => {
  it('asked for again through the model of readahead, caches what the recorded kernel cached', async () => {
    const [demand, fills] = [await pagesOf(service, 'demand'), await pagesOf(service, 'fills')];
    const resident = (rows: typeof demand.rows) => MODELS.map((model) => rows.get(model)!.residentPages);
    const differences = resident(demand.rows).map((pages, at) => pages - resident(fills.rows)[at]!);
    expect(differences[0]).toBe(off);
    for (const difference of differences) expect(Math.abs(difference)).toBeLessThanOrEqual(Math.abs(off));
  });
});

it('counts what was asked for alone, and says what is read ahead under pressure', async () => {
  const { rows, notes } = await pagesOf('redis', 'demand', '0.3');
  const row = rows.get('per-inode')!;
  expect(row.references).toBe(row.hits + row.misses);
  expect(row.evictions).toBeGreaterThan(0);
  expect(notes.map(({ text }) => text).join('\n')).toMatch(/while nothing is evicted/);
});
