/* Replays dense ids once, in a fresh process, and prints the CPU seconds of making the policy and of the loop; see libcachesim.bench.mjs. */
import { nextUses, parsePolicy } from '../dist/policies/index.js';
import { loadDense } from '../dist/replay/curves/dense.js';
import { runJob } from '../dist/replay/curves/job.js';
import { openSource } from '../dist/replay/curves/source.js';

const { trace: path, policy, capacityPages } = JSON.parse(process.argv[2]);
const { needsFuture, needsIds } = parsePolicy(policy);
const source = await openSource(path, { format: 'oracleGeneral' });
const { trace } = await loadDense(source, {
  warmup: 0,
  sample: null,
  keep: Infinity,
  who: false,
  objectIds: needsIds,
});
// Next uses are of the trace, as ids are: a study makes them once.
const next = needsFuture ? nextUses(trace.ids, trace.universe) : null;
const before = process.cpuUsage();
const { misses } = runJob({ kind: 'policy', policy, capacity: capacityPages, seed: 1, refaults: false }, trace, next);
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ misses, cpu: (user + system) / 1e6 }));
