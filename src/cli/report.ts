/** `foliolab report`: any result again, in another form. */
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { Command, Option } from 'commander';
import { DataError, UsageError } from '../error.ts';
import { CHARTS, type ChartName } from '../replay/report/charts.ts';
import { exporters, type Files, FORMATS, type Format, readResult, writeFiles } from '../replay/report/index.ts';

interface ReportOptions {
  format: Format;
  output?: string;
  chart?: ChartName;
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
  const files: Files = await exporters[format](result, chart === undefined ? {} : { charts: [chart] });
  if (files.size === 0) {
    const lack = {
      memory: 'no row has unlimited memory',
      residency: 'no row has a series',
      'hit-ratio': 'no row has limited memory',
    };
    throw new DataError(
      path,
      chart === undefined ? 'no rows: there is nothing to draw' : `${lack[chart]}: there is no ${chart} chart`,
    );
  }
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
    .description('render the results of a replay again: as a mail, a page, a table, charts')
    .argument('<results>', 'results JSON of replay or demo')
    .addOption(new Option('--format <format>', 'what to make').choices(FORMATS).makeOptionMandatory())
    .addOption(new Option('--chart <name>', 'one chart only (svg, png)').choices(CHARTS))
    .option('-o, --output <path>', 'file or directory to write; text goes to stdout without it')
    .addHelpText(
      'after',
      `
Examples:
  foliolab report results.json --format mail
  foliolab report results.json --format html -o report.html
  foliolab report results.json --format png -o charts/
  foliolab report results.json --format svg --chart memory > memory.svg`,
    )
    .action(report);
}
