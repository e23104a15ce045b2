/* Measures one policy and prints its samples as JSON; see policies.bench.mjs. */
import { HIT, nextUses, parsePolicy } from '../dist/policies/index.js';
import { measure } from './measure.mjs';
import { ZIPF, zipfIds } from './zipf.mjs';

const { policy, company, capacityPages, expectedMisses } = JSON.parse(process.argv[2]);
const ids = zipfIds();
const nextUse = nextUses(ids, ZIPF.universe);

/** The loop under test; the one place of the process that calls `access`. */
function countMisses(cache) {
  let misses = 0;
  for (let i = 0; i < ids.length; i++) if (cache.access(ids[i]) !== HIT) misses++;
  return misses;
}

function replay(name) {
  const misses = countMisses(parsePolicy(name).create(capacityPages, ZIPF.universe, 1, nextUse));
  if (misses !== expectedMisses[name]) throw new Error(`${name}: ${misses} misses, expected ${expectedMisses[name]}`);
}

for (let round = 0; round < 3; round++) for (const name of company) replay(name);
console.log(JSON.stringify(measure(policy, () => replay(policy))));
