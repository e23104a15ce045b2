import { quantile } from 'simple-statistics';
import { Bench } from 'tinybench';

/** CPU time of this process so far, all threads: what its garbage collector and compiler threads spend is part of the price. */
function cpuTimeMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * Runs `work` again and again for about `timeMs` of CPU time and returns its samples.
 * @param {string} name
 * @param {() => void} work throws when its result is not the stated one
 * @returns {number[]} CPU milliseconds of each run
 */
export function measure(name, work, { timeMs = 1500, warmupTimeMs = 500 } = {}) {
  const bench = new Bench({
    now: cpuTimeMs,
    time: timeMs,
    iterations: 15,
    warmupTime: warmupTimeMs,
    warmupIterations: 3,
    retainSamples: true,
    throws: true,
  });
  bench.add(name, work);
  const [task] = bench.runSync();
  return task.result.latency.samples;
}

/**
 * Median and quartiles of a speed.
 * @param {number[]} samplesMs
 * @param {number} amount what one run gets through, such as millions of references
 * @returns {{ median: number, lowerQuartile: number, upperQuartile: number, runs: number }} amount per second
 */
export function speed(samplesMs, amount) {
  const perSecond = (p) => (amount * 1000) / quantile(samplesMs, p);
  return {
    median: perSecond(0.5),
    lowerQuartile: perSecond(0.75), // the slower quarter of the runs took longer
    upperQuartile: perSecond(0.25),
    runs: samplesMs.length,
  };
}

/** Prints rows, the first being the header, as a Markdown table with its numbers to the right. */
export function printTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`;
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  console.log([rows[0], rule, ...rows.slice(1)].map(line).join('\n'));
}
