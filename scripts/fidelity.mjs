/*
 * Holds the model of Linux's page cache against every bundled recording: node scripts/fidelity.mjs [DIR]
 * Writes DIR/fidelity.json and DIR/table.md (DIR: results/fidelity). Needs dist/ (npm run build). The same bytes on every machine.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyTrace } from '../dist/replay/page-cache/verify.js';

process.chdir(new URL('..', import.meta.url).pathname);
const folder = process.argv[2] ?? 'results/fidelity';

const recorded = ['redis', 'nginx', 'postgres', 'python', 'node', 'java'];
const bundled = ['redis', 'nginx', 'postgres', 'tfjs', 'python-sci'];
const runs = [
  ...recorded.map((name) => ({ trace: `traces/recorded/${name}/run.arrows`, truth: null })),
  ...bundled.map((name) => ({ trace: `traces/${name}/run.csv.zst`, truth: `traces/${name}/run-cached.csv.zst` })),
  ...recorded.map((name) => ({ trace: `traces/recorded/${name}/limited.arrows`, truth: null })),
];

const rows = [];
for (const { trace, truth } of runs) {
  const options = { trace, mounts: new Map(), truth, windowPages: null, minJaccard: 0.995, explain: false };
  const command = `foliolab verify trace --trace ${trace}${truth === null ? '' : ` --truth ${truth}`}`;
  const { files, predictedPages, measuredPages, commonPages, jaccard, inputs } = await verifyTrace(options, command);
  const filesEqual = files.filter((f) => f.predicted === f.common && f.measured === f.common).length;
  rows.push({
    trace,
    truth: truth === null ? 'fills' : 'mincore',
    files: files.length,
    filesEqual,
    predictedPages,
    measuredPages,
    commonPages,
    jaccard,
    command,
    inputs,
  });
}

const header = ['recording', 'files', 'of them equal', 'predicted', 'measured', 'in both', 'Jaccard'];
const cells = rows.map((row) => [
  row.trace.replace('traces/', '').replace('.csv.zst', '').replace('.arrows', ''),
  ...[row.files, row.filesEqual, row.predictedPages, row.measuredPages, row.commonPages].map(String),
  row.jaccard.toFixed(5),
]);
const table = [header, ['---', ...header.slice(1).map(() => '---:')], ...cells];
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'fidelity.json'), `${JSON.stringify({ schema: 'foliolab.fidelity/1', rows }, null, 1)}\n`);
writeFileSync(join(folder, 'table.md'), `${table.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n`);
