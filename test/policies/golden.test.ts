import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HIT, nextUses, parsePolicy, policies } from '../../src/policies/index.ts';
import { type GoldenTrace, goldenTraces, oracleGeneral } from './golden-traces.ts';
import { overfillingLirs } from './naive/adaptive.ts';
import { faultyLfuda } from './naive/libcachesim.ts';

const TRACES = {
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
  const hit = HIT;
  let misses = 0;
  for (let i = 0; i < ids.length; i++) if (policy.access(ids[i]) !== hit) misses++;
  policy.check();
  return misses;
}

/** Policies without rows, and why. */
const NOT_IN_LIBCACHESIM = new Map([
  ['2q-simple', 'absent'],
  ['car', 'absent'],
  ['hyperbolic', 'draws by the low bits of a generator, which repeat: src/policies/hyperbolic.ts'],
  ['linux-lru', 'absent'],
  ['lru-k', 'not offered by cachesim'],
  ['mru', 'not offered by cachesim'],
  ['random', 'draws from a hash table'],
  ['second-chance', 'another name of clock there'],
]);

/** Policies whose rows are not what we count; tests of their own say why. */
const DIFFERENT = new Set(['lecar', 'lfuda']);
/** The one row of lirs that has the reference's fault; see src/policies/lirs.ts. */
const isOverfilled = (row: (typeof rows)[0]) => row.policy === 'lirs' && row.size < 200;

it('every policy of the registry has golden counts at eight sizes of each trace, or a reason not to', () => {
  for (const policy of Object.keys(policies)) {
    for (const trace of Object.keys(TRACES)) {
      const found = rows.filter((row) => row.trace === trace && row.policy === policy);
      const expected = NOT_IN_LIBCACHESIM.has(policy) ? 0 : policy === 'lfuda' ? 7 : 8;
      expect(found.length, `${policy} on ${trace}`).toBe(expected);
    }
  }
});

describe.each(Object.entries(TRACES))('on the %s trace', (name, { distinct, sha256 }) => {
  const trace = goldenTraces[name as keyof typeof goldenTraces]();
  const nextUse = nextUses(trace.ids, trace.universe);

  it('the bytes are those libCacheSim read', () => {
    expect(new Set(trace.ids).size).toBe(distinct);
    expect(createHash('sha256').update(oracleGeneral(trace)).digest('hex')).toBe(sha256);
  });

  const ours = rows.filter((row) => row.trace === name);
  const exact = ours.filter((row) => !DIFFERENT.has(row.policy) && !isOverfilled(row));
  it.each([...new Set(exact.map((row) => row.policy))])('%s misses exactly as often as in libCacheSim', (policy) => {
    const expected = exact.filter((row) => row.policy === policy);
    const counted = expected.map(({ size }) => ({ size, misses: countMisses(policy, size, trace, nextUse) }));
    expect(counted).toEqual(expected.map(({ size, misses }) => ({ size, misses })));
  });

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

  // Its victims are drawn, there by another generator.
  it('lecar misses as often as in libCacheSim, within a thousandth', () => {
    for (const { size, misses } of ours.filter((row) => row.policy === 'lecar')) {
      const ratio = countMisses('lecar', size, trace, nextUse) / misses;
      expect(Math.abs(ratio - 1), `${size} frames`).toBeLessThan(0.001);
    }
  });
});
