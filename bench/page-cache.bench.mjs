/*
 * The model of Linux's readahead: rows of real recordings, already read, to the pages that are cached in the end. Each run verifies its
 * result: where it says so, the pages that mincore(2) showed.
 */
import { Bindings } from '../dist/replay/binding.js';
import { Prediction } from '../dist/replay/page-cache/predict.js';
import { loadReferences } from '../dist/replay/references.js';
import { measure, printTable, speed } from './measure.mjs';

const LIMITS = { windowPages: 32, ioPages: 0 };
/** recording → pages that are cached in the end; for `run` those that the kernel had */
const RECORDINGS = {
  'redis/run': 11_034,
  'postgres/run': 30_897,
  'node/run': 39_934,
  'python/run': 18_772,
  'java/run': 32_525,
  'java/limited': 30_455,
};

async function modelling(name, pages) {
  const options = { traces: [`traces/recorded/${name}.arrows`], mounts: new Map() };
  const { references } = await loadReferences((await Bindings.open(options)).traces, {
    from: 'demand',
    mounts: 'recorded',
  });
  const binding = (await Bindings.open(options)).traces[0];
  const rows = [];
  for await (const batch of binding.batches()) for (const row of batch) rows.push(row);
  const samples = measure(name, () => {
    const prediction = new Prediction(binding, () => LIMITS);
    for (const row of rows) prediction.add(row);
    let cached = 0;
    for (const file of prediction.files()) cached += file.pages.cached;
    if (cached !== pages) throw new Error(`${name}: ${cached} pages cached, not ${pages}`);
  });
  const all = speed(samples, references / 1e6);
  return [
    name,
    String(rows.length),
    (references / rows.length).toFixed(1),
    speed(samples, rows.length / 1e6).median.toFixed(1),
    all.median.toFixed(1),
    `${all.lowerQuartile.toFixed(1)}–${all.upperQuartile.toFixed(1)}`,
  ];
}

process.chdir(new URL('..', import.meta.url).pathname);
console.log('page-cache: the readahead model on rows of recordings; a reference is a page that a program asked for\n');
const table = [['recording', 'rows', 'references a row', 'M rows/s', 'M references/s', 'quartiles']];
for (const [name, pages] of Object.entries(RECORDINGS)) table.push(await modelling(name, pages));
printTable(table);
