/*
 * Speed of each eviction policy: replay of two million Zipf references, ids already dense, in M references per CPU-second.
 *
 * Each policy is measured in a process of its own, and a second time in a process whose replay loop has served five others before. V8
 * compiles `policy.access(page)` for the classes it has seen there: with one class it inlines the method, with several it compares, with
 * more than four it looks the method up. The last column is what a sweep would lose by running its cells in one isolate, and why it does
 * not.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { policies } from '../dist/policies/index.js';
import { printTable, speed } from './measure.mjs';
import { ZIPF } from './zipf.mjs';

const CAPACITY_PAGES = 15_856;
const COMPANY = 5;

/** Counts that differ: lfuda's by faults there, lecar's and lhd's by what they draw. */
const DIFFERENT = new Set(['lecar', 'lfuda', 'lhd']);

/** Misses counted by libCacheSim on this trace, by policy. */
const EXPECTED_MISSES = Object.fromEntries(
  readFileSync(new URL('../test/policies/libcachesim.csv', import.meta.url), 'utf8')
    .split('\n')
    .map((line) => line.split(','))
    .filter(
      ([trace, policy, size]) =>
        trace === 'zipf' && Number(size) === CAPACITY_PAGES && policy in policies && !DIFFERENT.has(policy),
    )
    .map(([, policy, , misses]) => [policy, Number(misses)]),
);

function run(policy, company) {
  const child = fileURLToPath(new URL('policies.child.mjs', import.meta.url));
  const job = { policy, company, capacityPages: CAPACITY_PAGES, expectedMisses: EXPECTED_MISSES };
  const output = execFileSync(process.execPath, [child, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'inherit'] });
  return speed(JSON.parse(output), ZIPF.requests / 1e6);
}

const names = Object.keys(EXPECTED_MISSES);
console.log(
  `policies: ${ZIPF.requests / 1e6} M references, Zipf(1.0) over ${ZIPF.universe} pages, ${CAPACITY_PAGES} frames\n`,
);
const rows = [['policy', 'M references/s', 'quartiles', 'runs', 'misses', `after ${COMPANY} others`, 'factor']];
for (const name of names) {
  const alone = run(name, []);
  const shared = run(name, names.filter((other) => other !== name).slice(0, COMPANY));
  rows.push([
    name,
    alone.median.toFixed(1),
    `${alone.lowerQuartile.toFixed(1)}–${alone.upperQuartile.toFixed(1)}`,
    String(alone.runs),
    String(EXPECTED_MISSES[name]),
    shared.median.toFixed(1),
    (alone.median / shared.median).toFixed(2),
  ]);
}
printTable(rows);
const unstated = Object.keys(policies).filter((name) => !names.includes(name));
if (unstated.length > 0) console.log(`\nnot measured, for want of an expected miss count: ${unstated.join(', ')}`);
