import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HIT, nextUses, parsePolicy, policies } from '../../src/policies/index.ts';
import { type GoldenTrace, goldenTraces, oracleGeneral } from './golden-traces.ts';

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

it('every policy of the registry has golden counts at eight sizes of each trace', () => {
  for (const policy of Object.keys(policies)) {
    for (const trace of Object.keys(TRACES)) {
      const found = rows.filter((row) => row.trace === trace && row.policy === policy);
      expect(
        found.map((row) => row.size),
        `${policy} on ${trace}`,
      ).toHaveLength(8);
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
  it.each([...new Set(ours.map((row) => row.policy))])('%s misses exactly as often as in libCacheSim', (policy) => {
    const expected = ours.filter((row) => row.policy === policy);
    const counted = expected.map(({ size }) => ({
      size,
      misses: countMisses(policy, size, trace, nextUse),
    }));
    expect(counted).toEqual(expected.map(({ size, misses }) => ({ size, misses })));
  });
});
