/*
 * Traces: reading our own Arrow format, numbering ids and paths, re-use distances. Each run verifies its result: the counts below are of
 * the seeded references, and of a Map over the same ids.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArrowTraceReader } from '../dist/replay/trace/arrow/reader.js';
import { ArrowTraceWriter } from '../dist/replay/trace/arrow/writer.js';
import { Names } from '../dist/replay/trace/formats/cells.js';
import { IdInterner } from '../dist/replay/trace/intern.js';
import { StackDistances } from '../dist/replay/trace/stack-distance.js';
import { blankEvent, OP } from '../dist/replay/trace/trace.js';
import { measure, printTable, speed } from './measure.mjs';
import { zipfIds } from './zipf.mjs';

const folder = mkdtempSync(join(tmpdir(), 'foliolab-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

function same(what, value, expected) {
  if (value !== expected) throw new Error(`${what}: ${value}, not ${expected}`);
}

/** mulberry32 */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

// Reading. Runs of 1, 4 or 32 pages at random places of 500 files, as a recording has them.
const ROWS = 1_000_000;
async function writeRecording(path, pagesOf) {
  const writer = await ArrowTraceWriter.create(path);
  for (let i = 0; i < 8; i++) writer.container(`c${i}`);
  const mount = writer.mount({ name: 'a' });
  for (let i = 0; i < 500; i++) writer.file({ mount, ino: 36 + i });
  const next = random(3);
  const event = blankEvent();
  let references = 0;
  for (let i = 0; i < ROWS; i++) {
    event.timeNs += 1000 + (next() % 20_000);
    event.op = next() % 2 === 0 ? OP.read : OP.fault;
    event.container = next() % 8;
    event.file = next() % 500;
    event.page = next() % 4096;
    event.pages = pagesOf(next());
    event.task = 1000 + event.container;
    references += event.pages;
    writer.event(event);
  }
  await writer.end({ lost: 0 });
  return references;
}

/** Reads the trace and touches each reference: what any consumer has to do. */
async function readReferences(path) {
  const reader = await ArrowTraceReader.open(path);
  let references = 0;
  let sum = 0;
  for await (const { rows, page, pages } of reader.batches())
    for (let i = 0; i < rows; i++) {
      const end = page[i] + pages[i];
      for (let p = page[i]; p < end; p++) sum = (sum + p) | 0;
      references += pages[i];
    }
  return { references, sum };
}

async function reading(name, pagesOf) {
  const path = join(folder, `${name}.arrows`);
  const references = await writeRecording(path, pagesOf);
  const samples = [];
  const { sum } = await readReferences(path);
  for (let run = 0; run < 12; run++) {
    const start = cpuMs();
    const got = await readReferences(path);
    if (run > 1) samples.push(cpuMs() - start);
    same(name, `${got.references} ${got.sum}`, `${references} ${sum}`);
  }
  const rows = speed(samples, ROWS / 1e6);
  const all = speed(samples, references / 1e6);
  return [
    name,
    (references / ROWS).toFixed(1),
    rows.median.toFixed(1),
    all.median.toFixed(1),
    `${all.lowerQuartile.toFixed(1)}–${all.upperQuartile.toFixed(1)}`,
  ];
}

console.log(`trace: ${ROWS / 1e6} M rows of an Arrow trace\n`);
printTable([
  ['runs of', 'pages a row', 'M rows/s', 'M references/s', 'quartiles'],
  await reading('1 page', () => 1),
  await reading('1, 4 or 32 pages', (r) => [1, 1, 4, 32][r % 4]),
  await reading('32 pages', () => 32),
]);

// Numbering. `first`: an interner that begins empty and grows; `again`: one that knows all of them.
const IDS = 1_000_000;
const KEYS = 10_000_000;
const asPages = (key) => [key, 1];
const scattered = (key) => [Math.imul(key, 0x9e3779b1) >>> 0, Math.imul(key, 0x85ebca6b) >>> 0];
const ranks = zipfIds({ seed: 42, requests: IDS, universe: 1_000_000 });
const manyRanks = zipfIds({ seed: 43, requests: IDS, universe: KEYS });
const uniform = random(4);
/** which key each reference has, and what a key's id is: both halves are bijections of it */
const kinds = {
  'pages in runs of 32, 1 M': [(i) => ((i >>> 5) * 7919 * 32 + (i & 31)) % 1_000_000, asPages],
  'Zipf, 1 M': [(i) => ranks[i], scattered],
  'Zipf, 10 M': [(i) => manyRanks[i], scattered],
  'uniform, 100,000': [() => uniform() % 100_000, scattered],
  'uniform, 1 M': [() => uniform() % 1_000_000, scattered],
  'uniform, 10 M': [() => uniform() % KEYS, scattered],
};

function numbering(name, [keyOf, idOf]) {
  const low = new Uint32Array(IDS);
  const high = new Uint32Array(IDS);
  const seen = new Uint8Array(KEYS);
  let distinct = 0;
  for (let i = 0; i < IDS; i++) {
    const key = keyOf(i);
    [low[i], high[i]] = idOf(key);
    distinct += 1 - seen[key];
    seen[key] = 1;
  }
  const out = new Uint32Array(IDS);
  const first = measure(name, () => {
    const interner = new IdInterner();
    interner.internAll(low, high, IDS, out);
    same(name, interner.size, distinct);
  });
  const interner = new IdInterner();
  interner.internAll(low, high, IDS, out);
  const again = measure(name, () => {
    interner.internAll(low, high, IDS, out);
    same(name, interner.size, distinct);
  });
  return [name, String(distinct), speed(first, IDS / 1e6).median.toFixed(1), speed(again, IDS / 1e6).median.toFixed(1)];
}

/** Paths of 41 characters, in the bytes of the lines that they are cut out of. */
function pathNumbering(name, distinct) {
  const count = 500_000;
  const next = random(5);
  const lines = Array.from(
    { length: count },
    () => `/usr/lib/python3/dist-packages/m${String(next() % distinct).padStart(7, '0')}.py`,
  );
  const seen = new Set(lines).size;
  const { length } = lines[0];
  const bytes = Buffer.from(lines.join(''));
  const samples = measure(name, () => {
    const names = new Names();
    for (let at = 0; at < bytes.length; at += length) names.number(bytes, at, at + length);
    same(name, names.size, seen);
  });
  return [name, String(seen), speed(samples, count / 1e6).median.toFixed(1), ''];
}

console.log('\ntrace: numbering ids and paths\n');
printTable([
  ['ids', 'distinct', 'M/s, first', 'M/s, again'],
  ...Object.entries(kinds).map(([name, idOf]) => numbering(name, idOf)),
  pathNumbering('paths of lines', 500),
  pathNumbering('paths of lines, many', 100_000),
]);

console.log('\ntrace: re-use distances\n');
// LRU of 15,856 frames misses what comes first or from further away: as often as libCacheSim counted (test/policies/libcachesim.csv).
const ids = zipfIds();
const samples = measure('re-use', () => {
  const distances = new StackDistances();
  let misses = 0;
  for (let i = 0; i < ids.length; i++) {
    const distance = distances.reference(ids[i]);
    if (distance === 0 || distance > 15_856) misses++;
  }
  same('misses of LRU', misses, 547_093);
});
printTable([
  ['references', 'distinct', 'M/s'],
  ['Zipf over 200,000', '158559', speed(samples, ids.length / 1e6).median.toFixed(1)],
]);
