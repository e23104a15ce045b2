/*
 * Beside libCacheSim's cachesim, on one trace in the oracleGeneral format: ratios of CPU time, user and system, of whole processes with one
 * thread each, taken in turns.
 * usage: CACHESIM=…/bin/cachesim npm run bench -- libcachesim
 *   BENCH_REQUESTS  of the trace (default 20,000,000), Zipf(1.0) over a tenth as many objects
 *   BENCH_RUNS      runs of each (default 3), of the sweep one; the median counts, of the ratios, too
 *   BENCH_POLICIES  some of the policies, by our names
 *
 *   straight  one policy, one cache of 10 % of the distinct objects: from the file to the count, reading and numbering ids included
 *   interned  the same without reading: the process is given dense ids; only the replay loop is timed, the policy's making included, and set
 *             against the whole of cachesim's process. This flatters us; it is what a study that has its ids already pays for one more cell.
 *   sweep     ten policies × eight sizes: one mrc process against one cachesim process that is given all of them
 *
 * cachesim begins with hash tables of 2^24 entries, whatever the trace, unless the path contains "data/trace.", which makes them 2^16. The
 * first is its default and what the ratios are of; the second, the same file under another name, has columns of its own, because on short
 * traces most of cachesim's time is clearing tables.
 * cachesim prints four digits of the miss ratio: a count has to agree with them, or exactly where the digits tell it.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, linkSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from 'simple-statistics';
import { printTable } from './measure.mjs';
import { zipfIds } from './zipf.mjs';

const { CACHESIM, BENCH_REQUESTS = '20000000', BENCH_RUNS = '3', BENCH_POLICIES } = process.env;
const requests = Number(BENCH_REQUESTS);
const universe = Math.ceil(requests / 10);
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const child = fileURLToPath(new URL('libcachesim.child.mjs', import.meta.url));

/** Ours by theirs. The first ten make the sweep. */
const POLICIES = {
  lru: 'lru',
  fifo: 'fifo',
  clock: 'clock',
  sieve: 'sieve',
  's3-fifo': 's3fifo',
  arc: 'arc',
  '2q': 'twoq',
  lirs: 'lirs',
  'w-tinylfu': 'wtinylfu',
  slru: 'slru',
  opt: 'belady',
};
const SWEPT = Object.keys(POLICIES).slice(0, 10);
/** Of the distinct objects: those of the golden counts. */
const FRACTIONS = [0.001, 0.01, 0.03, 0.05, 0.1, 0.2, 0.4, 0.8];

/** Writes the trace: 24 bytes a request, as libCacheSim's oracleGeneral.h reads them. @returns distinct objects */
function writeTrace(path) {
  const ids = zipfIds({ seed: 42, requests, universe });
  const next = new Int32Array(requests);
  const last = new Int32Array(universe).fill(-1);
  let distinct = 0;
  for (let i = requests - 1; i >= 0; i--) {
    next[i] = last[ids[i]];
    if (next[i] < 0) distinct++;
    last[ids[i]] = i;
  }
  const fd = openSync(path, 'w');
  for (let from = 0; from < requests; from += 1 << 16) {
    const count = Math.min(1 << 16, requests - from);
    const words = new Int32Array(6 * count);
    for (let i = 0; i < count; i++) {
      const id = ids[from + i];
      words[6 * i] = 1 + Math.floor((from + i) / 100_000);
      words[6 * i + 1] = scramble(id);
      words[6 * i + 2] = scramble(id ^ 0x5bd1e995) & 0x7fffffff;
      words[6 * i + 3] = 1;
      words[6 * i + 4] = next[from + i];
      words[6 * i + 5] = next[from + i] < 0 ? -1 : 0;
    }
    writeSync(fd, words);
  }
  closeSync(fd);
  return distinct;
}

/** A bijection: MurmurHash3's finalizer. */
function scramble(id) {
  let h = Math.imul(id ^ (id >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** CPU and wall seconds of a command, by the shell's own `time`, and what it prints. */
function timed(command, cwd) {
  const script = 'TIMEFORMAT="%R %U %S"; time "$@"';
  const run = spawnSync('bash', ['-c', script, 'bash', ...command], {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
    maxBuffer: 2 ** 28,
  });
  if (run.status !== 0) throw new Error(`${command.join(' ')} exited with ${run.status}: ${run.stderr}`);
  // cachesim's progress has no end of line.
  const [, wall, user, system] = /([\d.]+) ([\d.]+) ([\d.]+)\s*$/.exec(run.stderr).map(Number);
  return { wall, cpu: user + system, stdout: run.stdout };
}

/** Miss ratios as cachesim prints them, in its order. */
function ratiosOf(stdout) {
  return [...stdout.matchAll(/cache size +(\d+), +(\d+) req, miss ratio ([\d.]+)/g)].map(([, size, count, ratio]) => {
    if (Number(count) !== requests) throw new Error(`cachesim counted ${count} requests of ${requests}`);
    return { size: Number(size), ratio };
  });
}

function verify(what, misses, ratio) {
  const digits = ratio.split('.')[1].length;
  if ((misses / requests).toFixed(digits) !== ratio)
    throw new Error(`${what}: ${misses} misses of ${requests}, where cachesim has a miss ratio of ${ratio}`);
}

const theirs = (trace, policy, sizes) => [
  CACHESIM,
  trace,
  'oracleGeneral',
  policy,
  sizes.join(','),
  '--ignore-obj-size',
  '1',
  '--num-thread',
  '1',
];
const ours = (trace, policy, sizes) => [
  process.execPath,
  cli,
  'mrc',
  '--json',
  '--trace',
  trace,
  '--format',
  'oracleGeneral',
  '--policy',
  policy,
  '--size',
  sizes.join(','),
  '--unit',
  'objects',
  '--workers',
  '1',
];

function bench() {
  const folder = mkdtempSync(join(tmpdir(), 'foliolab-bench-'));
  try {
    const trace = join(folder, 'zipf.oracleGeneral');
    const distinct = writeTrace(trace);
    const size = Math.round(0.1 * distinct);
    const names = BENCH_POLICIES === undefined ? Object.keys(POLICIES) : BENCH_POLICIES.split(',');
    console.log(
      `libcachesim: ${requests} requests, Zipf(1.0) over ${universe} objects, ${distinct} distinct; ${size} frames; seconds of CPU, median of ${BENCH_RUNS}\n`,
    );
    // Another name for the same file, by which cachesim makes small tables.
    mkdirSync(join(folder, 'data'));
    const small = join(folder, 'data/trace.zipf.oracleGeneral');
    linkSync(trace, small);
    const rows = [['policy', 'misses', 'cachesim', '2^16', 'straight', 'ratio', '2^16', 'interned', 'ratio', '2^16']];
    for (const name of names) {
      const runs = Array.from({ length: Number(BENCH_RUNS) }, () => one(trace, small, name, size));
      const column = (what) => median(runs.map(what)).toFixed(2);
      rows.push([
        name,
        String(runs[0].misses),
        column((run) => run.theirs),
        column((run) => run.small),
        column((run) => run.straight),
        column((run) => run.theirs / run.straight),
        column((run) => run.small / run.straight),
        column((run) => run.interned),
        column((run) => run.theirs / run.interned),
        column((run) => run.small / run.interned),
      ]);
    }
    printTable(rows);

    // Below 200 frames cachesim's lirs overfills its cache: src/policies/lirs.ts.
    const sizes = [...new Set(FRACTIONS.map((fraction) => Math.max(200, Math.round(fraction * distinct))))];
    const swept = BENCH_POLICIES === undefined ? SWEPT : SWEPT.filter((name) => names.includes(name));
    const { theirs: peer, ours: mine } = sweep(trace, swept, sizes);
    console.log(
      `\nsweep of ${swept.length} policies × ${sizes.length} sizes, one thread each: cachesim ${peer.cpu.toFixed(1)} s of CPU, ours ${mine.cpu.toFixed(1)}, ratio ${(peer.cpu / mine.cpu).toFixed(2)}; wall clock ${peer.wall.toFixed(1)} and ${mine.wall.toFixed(1)} s`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function one(trace, small, name, size) {
  const folder = dirname(trace); // where cachesim leaves its results
  const peer = timed(theirs(trace, POLICIES[name], [size]), folder);
  const straight = timed(ours(trace, name, [size]), folder);
  const job = JSON.stringify({ trace, policy: name, capacityPages: size });
  const interned = JSON.parse(timed([process.execPath, child, job], folder).stdout);
  const peerSmall = timed(theirs(small, POLICIES[name], [size]), folder);
  const [{ misses }] = JSON.parse(straight.stdout).rows;
  verify(`${name} of ${size}`, misses, ratiosOf(peer.stdout).at(-1).ratio);
  if (interned.misses !== misses) throw new Error(`${name}: ${interned.misses} misses of dense ids, not ${misses}`);
  return { misses, theirs: peer.cpu, small: peerSmall.cpu, straight: straight.cpu, interned: interned.cpu };
}

function sweep(trace, names, sizes) {
  const folder = dirname(trace);
  const peer = timed(theirs(trace, names.map((name) => POLICIES[name]).join(','), sizes), folder);
  const mine = timed(ours(trace, names.join(','), sizes), folder);
  const { rows } = JSON.parse(mine.stdout);
  const found = ratiosOf(peer.stdout);
  if (found.length !== rows.length) throw new Error(`cachesim answers ${found.length} cells of ${rows.length}`);
  // Its cells are in the order of the policies, each with its sizes, as ours are.
  for (const [at, { policy, size, misses }] of rows.entries()) {
    if (found[at].size !== size) throw new Error(`cell ${at} is of ${found[at].size} frames, not ${size}`);
    verify(`${policy} of ${size}`, misses, found[at].ratio);
  }
  return { theirs: peer, ours: mine };
}

if (CACHESIM === undefined || !existsSync(CACHESIM))
  console.log(
    "libcachesim: skipped: CACHESIM names no file: build libCacheSim's cachesim, commit aa0fc40, with CMAKE_BUILD_TYPE=Release",
  );
else bench();
