import { Command } from 'commander';
import { UsageError } from '../error.ts';
import { writeFiles } from '../replay/report/index.ts';
import { documentJson } from '../replay/report/json.ts';
import { parquetTable } from '../replay/report/parquet.ts';
import { sweepCharts } from '../replay/sweep/chart.ts';
import { relativeCsv, relativeTo } from '../replay/sweep/relative.ts';
import { SWEEP_COLUMNS, SWEEP_SCHEMA, type SweepResult, sweepCsv } from '../replay/sweep/result.ts';
import { readStudy, type Study } from '../replay/sweep/study-file.ts';
import { sweep } from '../replay/sweep/sweep.ts';
import { VERSION } from '../version.ts';
import { commandLine } from './command-line.ts';
import { checkFolder } from './lists.ts';
import { whole } from './numbers.ts';
import { userCache } from './user-cache.ts';

interface SweepFlags {
  output: string;
  baseline?: string;
  workers?: string;
  json?: boolean;
}

/** `sweep`: every combination that a study file lists, kept cell by cell. */
export function sweepCommand(): Command {
  return new Command('sweep')
    .description(
      'count every combination of traces, sharing models, policies, memory sizes and seeds that a study lists',
    )
    .argument('<file>', 'a study in YAML or JSON, such as examples/sweep.yaml')
    .requiredOption('-o, --output <dir>', 'where the results and the journal of finished cells go')
    .option('--baseline <policy>', 'what the others are compared with, of the study (default: lru, if it has it)')
    .option('--workers <number>', 'threads at most (default: one a core)')
    .option('--json', 'print the result, too (foliolab.sweep/1)')
    .action(async (file: string, flags: SweepFlags) => {
      await checkFolder(flags.output);
      const workers = flags.workers === undefined ? undefined : whole('--workers', flags.workers, 1);
      const study = await readStudy(file);
      const baseline = baselineOf(study, flags.baseline);
      const bar = new Progress();
      const swept = await sweep(study, flags.output, {
        workers,
        cache: userCache(),
        progress: (done, total, { cells }) => bar.show(done, total, cells),
      });
      bar.end();
      if (swept.lost > 0)
        process.stderr.write(
          `foliolab: the journal ended with ${swept.lost} broken bytes, whose cells were counted again\n`,
        );
      const counted = swept.rows.length - swept.found;
      process.stderr.write(`${swept.rows.length} cells: ${swept.found} were there, ${counted} counted now\n`);
      const result: SweepResult = {
        schema: SWEEP_SCHEMA,
        title: `Sweep: ${file}`,
        command: commandLine(),
        versions: { foliolab: VERSION, node: process.versions.node },
        inputs: swept.inputs,
        parameters: parametersOf(study),
        notes: [],
        rows: swept.rows,
        relative: baseline === null ? null : relativeTo(baseline, swept.rows),
      };
      const { draw } = await import('../replay/report/draw.ts');
      const files = new Map<string, string | Uint8Array>([
        ['results.csv', sweepCsv(result)],
        ['results.json', documentJson(result)],
        ['results.parquet', parquetTable(SWEEP_SCHEMA, SWEEP_COLUMNS, result.rows)],
        ...(result.relative === null ? [] : [['relative.csv', relativeCsv(result.relative)] as const]),
        ...(await draw(sweepCharts(result))),
      ]);
      for (const path of await writeFiles(flags.output, files)) process.stderr.write(`${path}\n`);
      if (flags.json) process.stdout.write(documentJson(result));
    });
}

/** @throws UsageError when the study has no such policy */
function baselineOf({ path, policies }: Study, asked: string | undefined): string | null {
  const labels = policies.map(({ label }) => label);
  if (asked === undefined) return labels.includes('lru') ? 'lru' : null;
  if (!labels.includes(asked))
    throw new UsageError(`--baseline '${asked}' is none of the policies of ${path}: ${labels.join(', ')}`);
  return asked;
}

/** Every effective parameter. */
function parametersOf({ traces, sharing, mounts, policies, memory, seeds, warmup, fingerprints }: Study) {
  return {
    traces: traces.map(({ name, path, format, images }) => ({
      name,
      path,
      format: format ?? null,
      images: Object.fromEntries(images),
    })),
    sharing: sharing ?? ['none'],
    mounts,
    policies: policies.map(({ label, params }) => ({ name: label, params })),
    memory: memory.map(({ text }) => text),
    seeds,
    warmup,
    fingerprints,
    from: 'demand',
  };
}

/** A line on a terminal that says how far a sweep is. */
class Progress {
  readonly #begun = performance.now();
  #shown = -Infinity;

  /** @param counted cells of this run, from whose pace the rest is told */
  show(done: number, total: number, counted: number): void {
    const now = performance.now();
    if (!process.stderr.isTTY || now - this.#shown < 100) return;
    this.#shown = now;
    const left = counted === 0 ? Number.NaN : ((now - this.#begun) / counted) * (total - done);
    const eta = Number.isNaN(left) ? '' : `, about ${duration(left / 1000)} left`;
    process.stderr.write(`\r\x1b[K${done} of ${total} cells${eta}`);
  }

  end(): void {
    if (this.#shown > 0) process.stderr.write('\r\x1b[K');
  }
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  return whole < 3600 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${(whole / 3600).toFixed(1)} h`;
}
