/*
 * Damages the fixtures of test/fixtures/erofs, seeded, and asks each damaged image for everything: docs/hostile-input.md.
 * usage: node scripts/hostile/campaign.mjs [--images N] [--from N] [--seed N] [--jobs N] [--json]
 * Image n of a seed is the same on every machine: --from N --images 1 repeats one, --from N goes on where a campaign was stopped.
 * Needs dist/ (npm run build). Exits with 1 when an image escapes: an exception that is no ErofsError, more than a second, a buffer beyond the bound.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';

const USAGE = 'usage: node scripts/hostile/campaign.mjs [--images N] [--from N] [--seed N] [--jobs N] [--json]';
const { images, from, seed, jobs, json } = readOptions();

function readOptions() {
  const text = (otherwise) => ({ type: 'string', default: String(otherwise) });
  const options = { images: text(20_000), from: text(0), seed: text(1), jobs: text(availableParallelism()) };
  try {
    const { json, ...texts } = parseArgs({ options: { ...options, json: { type: 'boolean', default: false } } }).values;
    for (const [name, value] of Object.entries(texts))
      if (!/^\d+$/.test(value) || (name === 'jobs' && value === '0'))
        throw new Error(`--${name} '${value}' is no number`);
    return { ...Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, Number(value)])), json };
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    return process.exit(2);
  }
}

const STUCK_MS = 20_000;
const SLOW_MS = 1000;

const folder = fileURLToPath(new URL('../../test/fixtures/erofs', import.meta.url));
const bases = readdirSync(folder)
  .filter((file) => file.endsWith('.json') && !/^tree2?\.json$/.test(file))
  .sort()
  .map((file) => ({ name: file.slice(0, -5), ...JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) }))
  .filter(({ refused }) => refused === undefined)
  .map(({ name, device = false }) => ({ name, device }));

const started = performance.now();
const lanes = Array.from({ length: jobs }, (_, lane) => {
  const current = new Float64Array(new SharedArrayBuffer(16)); // the image at hand; how many are done
  const data = { folder, bases, seed, from: from + lane, to: from + images, step: jobs, current, slowMs: SLOW_MS };
  const worker = new Worker(new URL('worker.mjs', import.meta.url), {
    workerData: data,
    resourceLimits: { maxOldGenerationSizeMb: 512 },
  });
  const result = new Promise((resolve) => {
    worker.once('message', resolve);
    worker.once('error', (error) =>
      resolve({ failure: `image ${current[0]} (seed ${seed}): ${error.stack ?? error}` }),
    );
  });
  return { current, worker, result, last: -1, since: started };
});
const watch = setInterval(() => {
  let done = 0;
  for (const lane of lanes) {
    const [image, count] = lane.current;
    done += count;
    if (count !== lane.last) Object.assign(lane, { last: count, since: performance.now() });
    else if (performance.now() - lane.since > STUCK_MS && count < Math.ceil((images - lanes.indexOf(lane)) / jobs)) {
      console.error(`image ${image} (seed ${seed}): no end after ${STUCK_MS / 1000} s`);
      process.exit(1);
    }
  }
  if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${images}`);
}, 1000);
const results = await Promise.all(lanes.map(({ result }) => result));
clearInterval(watch);
const failures = results.flatMap(({ failure }) => failure ?? []);
for (const failure of failures) console.error(failure);
if (failures.length > 0) process.exit(1);

const outcomes = {};
for (const result of results)
  for (const [code, count] of Object.entries(result.outcomes)) outcomes[code] = (outcomes[code] ?? 0) + count;
const slowest = results.map((result) => result.slowest).sort((a, b) => b.ms - a.ms)[0];
const seconds = (performance.now() - started) / 1000;
if (json) {
  console.log(JSON.stringify({ images, from, seed, bases: bases.length, outcomes, slowest, seconds }));
} else {
  console.log(`${images} damaged images of ${bases.length}, from ${from} of seed ${seed}: none escaped`);
  for (const [code, count] of Object.entries(outcomes).sort((a, b) => b[1] - a[1])) console.log(`${count} ${code}`);
  console.log(`slowest: image ${slowest.image}, ${slowest.ms.toFixed(0)} ms; ${seconds.toFixed(0)} s, ${jobs} threads`);
}
