/*
 * Runs the benchmark suites bench/*.bench.mjs on dist/, each in a process of its own, one after the other.
 * usage: npm run bench [-- NAME…]      NAME picks the suites whose file name begins with it
 * Fails when a suite does, as every suite does when a result differs from the one it states.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

const wanted = process.argv.slice(2);
const folder = new URL('.', import.meta.url);
const suites = readdirSync(folder)
  .filter((file) => file.endsWith('.bench.mjs'))
  .filter((file) => wanted.length === 0 || wanted.some((name) => file.startsWith(name)))
  .sort();
if (suites.length === 0) {
  console.error(`bench: no suite is named ${wanted.join(' or ')}`);
  process.exit(2);
}

const [{ model }] = cpus();
console.log(
  `node ${process.version}, V8 ${process.versions.v8}, ${process.platform} ${process.arch}, ${cpus().length} × ${model}`,
);
console.log('speeds per CPU-second of the whole process, median of the runs\n');
const failed = [];
for (const suite of suites) {
  const { status } = spawnSync(process.execPath, [fileURLToPath(new URL(suite, folder))], { stdio: 'inherit' });
  if (status !== 0) failed.push(suite);
  console.log();
}
if (failed.length > 0) {
  console.error(`bench: failed: ${failed.join(', ')}`);
  process.exit(1);
}
