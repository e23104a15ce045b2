import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { HIT, nextUses, parsePolicy, policies } from '../../src/policies/index.ts';
import { convert } from '../../src/replay/trace/open.ts';
import { type GoldenTrace, goldenTraces, oracleGeneral } from './golden-traces.ts';
import { KnuthSource } from './knuth-source.ts';
import { overfillingLirs } from './naive/adaptive.ts';
import { faultyLfuda } from './naive/libcachesim.ts';

const RECORDED = fileURLToPath(new URL('../../traces/postgres/run.csv.zst', import.meta.url));

/** A recording's page references, as `foliolab trace convert` writes them, pages numbered as they come. */
async function recorded(path: string): Promise<GoldenTrace & { bytes: Uint8Array }> {
  const folder = mkdtempSync(join(tmpdir(), 'foliolab-golden-'));
  try {
    const output = join(folder, 'x.oracleGeneral');
    await convert(path, { to: 'oracleGeneral', output });
    const bytes = readFileSync(output);
    const numbers = new Map<bigint, number>();
    const ids = Uint32Array.from({ length: bytes.length / 24 }, (_, i) => {
      const object = bytes.readBigUInt64LE(24 * i + 4);
      if (!numbers.has(object)) numbers.set(object, numbers.size);
      return numbers.get(object) as number;
    });
    return { ids, universe: numbers.size, bytes };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const loaded = {
  zipf: goldenTraces.zipf(),
  mixed: goldenTraces.mixed(),
  postgres: await recorded(RECORDED),
};

const TRACES = {
  postgres: { distinct: 4_164, sha256: '3ed5d7f6dfb094358b69a02129b719fe1e4ff8394b586892640308dc1243b0ef' },
  zipf: { distinct: 158_559, sha256: '1bf45222e1f9f66ed014f73c9668d314bb4f44f9922b35993087947f7cf548f0' },
  mixed: { distinct: 510_986, sha256: '0153a8b77cd276ed84bd621327efcf9291eb64f47914fa103ab7b47de282f410' },
};

const rows = readFileSync(new URL('libcachesim.csv', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('trace,'))
  .map((line) => line.split(','))
  .map(([trace, policy, size, misses]) => ({ trace, policy, size: Number(size), misses: Number(misses) }));

function countMisses(
  spec: string,
  capacityPages: number,
  { ids, universe }: GoldenTrace,
  nextUse: Uint32Array,
): number {
  const policy = parsePolicy(spec).create(capacityPages, universe, 1, nextUse);
  if (DRAWS.has(spec)) (policy as unknown as { random: KnuthSource }).random = new KnuthSource();
  const hit = HIT;
  let misses = 0;
  for (let i = 0; i < ids.length; i++) if (policy.access(ids[i]) !== hit) misses++;
  policy.check();
  return misses;
}

/** Policies that draw; for equal counts they are given the numbers that libCacheSim draws. */
const DRAWS = new Set(['lecar', 'lhd']);

/** Policies without rows, and why. */
const NOT_IN_LIBCACHESIM = new Map([
  ['2q-simple', 'absent'],
  ['cacheus', 'another policy there; the authors have it: src/policies/cacheus.ts'],
  ['car', 'absent'],
  ['clock-pro', 'absent'],
  ['hyperbolic', 'draws by the low bits of a generator, which repeat: src/policies/hyperbolic.ts'],
  ['linux-lru', 'absent'],
  ['lru-k', 'not offered by cachesim'],
  ['mglru', 'absent'],
  ['mru', 'not offered by cachesim'],
  ['random', 'draws from a hash table'],
  ['s3-fifo-caffeine', 'Caffeine has it'],
  ['second-chance', 'another name of clock there'],
]);

/** Policies whose rows are not what we count; tests of their own say why. */
const DIFFERENT = new Set(['lfuda']);
/** The one row of lirs that has the reference's fault; see src/policies/lirs.ts. */
const isOverfilled = (row: (typeof rows)[0]) => row.policy === 'lirs' && row.size < 200;

it('every policy of the registry has golden counts at eight sizes of each trace, or a reason not to', () => {
  for (const policy of Object.keys(policies)) {
    for (const trace of Object.keys(TRACES)) {
      const found = rows.filter((row) => row.trace === trace && row.policy === policy);
      const expected = NOT_IN_LIBCACHESIM.has(policy) ? 0 : policy === 'lfuda' && trace !== 'postgres' ? 7 : 8;
      expect(found.length, `${policy} on ${trace}`).toBe(expected);
    }
  }
});

describe.each(Object.entries(TRACES))('on the %s trace', (name, { distinct, sha256 }) => {
  const trace = loaded[name as keyof typeof loaded];
  const nextUse = nextUses(trace.ids, trace.universe);

  it('the bytes are those libCacheSim read', () => {
    expect(new Set(trace.ids).size).toBe(distinct);
    expect(
      createHash('sha256')
        .update('bytes' in trace ? trace.bytes : oracleGeneral(trace))
        .digest('hex'),
    ).toBe(sha256);
  });

  const ours = rows.filter((row) => row.trace === name);
  const exact = ours.filter((row) => !DIFFERENT.has(row.policy) && !isOverfilled(row));
  it.each([...new Set(exact.map((row) => row.policy))])(
    '%s misses exactly as often as in libCacheSim',
    (policy) => {
      const expected = exact.filter((row) => row.policy === policy);
      const counted = expected.map(({ size }) => ({ size, misses: countMisses(policy, size, trace, nextUse) }));
      expect(counted).toEqual(expected.map(({ size, misses }) => ({ size, misses })));
    },
    120_000,
  );

  it.each(ours.filter(isOverfilled))(
    'lirs, overfilling its $size frames as libCacheSim does, misses as often',
    (row) => {
      const twin = overfillingLirs(row.size, parsePolicy('lirs').params);
      let misses = 0;
      for (const id of trace.ids) if (twin.access(id) !== null) misses++;
      expect(misses).toBe(row.misses);
      expect(countMisses('lirs', row.size, trace, nextUse)).not.toBe(row.misses);
    },
  );

  it.each(ours.filter((row) => row.policy === 'lfuda' && row.size < 16_000))(
    'lfuda at $size frames, with the faults of libCacheSim, misses as often',
    (row) => {
      const access = faultyLfuda(row.size);
      let misses = 0;
      for (const id of trace.ids) if (!access(id)) misses++;
      expect(misses).toBe(row.misses);
    },
  );

  it('lfuda misses as often as gdsf in libCacheSim, which it is where all sizes are equal', () => {
    for (const { size, misses } of ours.filter((row) => row.policy === 'gdsf')) {
      expect(countMisses('lfuda', size, trace, nextUse)).toBe(misses);
    }
  });
});

it('cacheus misses as often as in the code of its authors, where that draws our numbers', () => {
  const lines = readFileSync(new URL('cacheus.csv', import.meta.url), 'utf8').split('\n');
  const expected = lines
    .filter((line) => line.startsWith('postgres,'))
    .map((line) => line.split(',').slice(2).map(Number));
  expect(expected).toHaveLength(8);
  const trace = loaded.postgres;
  const counted = expected.map(([size]) => [size, countMisses('cacheus', size, trace, new Uint32Array(0))]);
  expect(counted).toEqual(expected);
});
