/** `foliolab report`: any result again, in another form. */
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { Command, Option } from 'commander';
import { DataError, UsageError } from '../error.ts';
import { MRC_CHARTS, mrcExporters } from '../replay/curves/exporters.ts';
import { MRC_SCHEMA } from '../replay/curves/result.ts';
import { CHARTS } from '../replay/report/charts.ts';
import { type Exporter, exporters, FORMATS, type Format, readResult, writeFiles } from '../replay/report/index.ts';
import type { AnyResult } from '../replay/report/read.ts';
import { REPLAY_SCHEMA } from '../replay/result.ts';
import { SWEEP_CHARTS, sweepExporters } from '../replay/sweep/exporters.ts';
import { SWEEP_SCHEMA } from '../replay/sweep/result.ts';

/** What can be made of each kind of result. */
const KINDS = {
  [REPLAY_SCHEMA]: { verb: 'replay', charts: CHARTS, exporters },
  [MRC_SCHEMA]: { verb: 'mrc', charts: MRC_CHARTS, exporters: mrcExporters },
  [SWEEP_SCHEMA]: { verb: 'sweep', charts: SWEEP_CHARTS, exporters: sweepExporters },
} as const;

const ALL_CHARTS = [...CHARTS, ...MRC_CHARTS, ...SWEEP_CHARTS] as const;
type AnyChart = (typeof ALL_CHARTS)[number];

/** Why there is no such chart. */
const LACK: Readonly<Record<AnyChart, string>> = {
  memory: 'no row has unlimited memory',
  residency: 'no row has a series',
  'hit-ratio': 'no row has limited memory',
  'miss-ratio': 'no rows',
  'working-set': 'it was made without --working-set',
  'heat-map': 'no rows',
  relative: 'no policy was compared with a baseline',
};

interface ReportOptions {
  format: Format;
  output?: string;
  chart?: AnyChart;
}

async function isDirectory(path: string): Promise<boolean> {
  if (path.endsWith('/')) return true;
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

function writeOut(content: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: NodeJS.ErrnoException | null) => {
      process.stdout.off('error', done);
      // The reader had enough: `report … | head`.
      if (!error || error.code === 'EPIPE') resolve();
      else reject(error);
    };
    process.stdout.on('error', done);
    process.stdout.write(content, done);
  });
}

async function report(path: string, options: ReportOptions): Promise<void> {
  const { format, output, chart } = options;
  const drawn = format === 'svg' || format === 'png';
  if (chart !== undefined && !drawn) throw new UsageError(`--chart goes with --format svg or png, not ${format}`);
  if (drawn && chart === undefined) {
    if (output === undefined)
      throw new UsageError(`--format ${format} makes several files: add -o DIR or --chart NAME`);
    if (/\.(svg|png)$/i.test(output) && !(await isDirectory(output)))
      throw new UsageError(
        `-o ${output} is one file and --format ${format} makes several: add --chart NAME, or name a directory`,
      );
  }
  if (format === 'png' && output === undefined && process.stdout.isTTY)
    throw new UsageError('a PNG on a terminal cannot be read: add -o FILE');

  const result = await readResult(path);
  const kind = KINDS[result.schema];
  const exporter = kind.exporters[format] as Exporter<AnyResult, AnyChart> | undefined;
  if (exporter === undefined)
    throw new UsageError(
      `${path}: --format ${format} is not made of a result of ${kind.verb}, only ${Object.keys(kind.exporters).join(', ')}`,
    );
  if (chart !== undefined && !(kind.charts as readonly AnyChart[]).includes(chart))
    throw new UsageError(
      `${path}: --chart ${chart} is not made of a result of ${kind.verb}, only ${kind.charts.join(', ')}`,
    );
  const files = await exporter(result, chart === undefined ? {} : { charts: [chart] });
  if (files.size === 0)
    throw new DataError(
      path,
      chart === undefined ? 'no rows: there is nothing to draw' : `${LACK[chart]}: there is no ${chart} chart`,
    );
  if (drawn && chart === undefined) {
    await writeFiles(output!, files);
    return;
  }
  const [name, content] = [...files][0]!;
  if (output === undefined) await writeOut(content);
  else if (await isDirectory(output)) await writeFiles(output, new Map([[name, content]]));
  else await writeFiles(dirname(output), new Map([[basename(output), content]]));
}

export function reportCommand(): Command {
  return new Command('report')
    .description('render results again: as a mail, a page, a table, charts')
    .argument('<results>', 'results JSON of replay, demo, mrc or sweep')
    .addOption(new Option('--format <format>', 'what to make').choices(FORMATS).makeOptionMandatory())
    .addOption(new Option('--chart <name>', 'one chart only (svg, png)').choices(ALL_CHARTS))
    .option('-o, --output <path>', 'file or directory to write; text goes to stdout without it')
    .addHelpText(
      'after',
      `
Examples:
  foliolab report results.json --format mail
  foliolab report results.json --format html -o report.html
  foliolab report results.json --format png -o charts/
  foliolab report results.json --format svg --chart memory > memory.svg

Results of mrc and sweep are made into md, csv, json, svg and png.`,
    )
    .action(report);
}
