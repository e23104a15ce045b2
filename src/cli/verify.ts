/** `foliolab verify`: is what the model predicts what the kernel did? */
import { Command } from 'commander';
import { printableName } from '../erofs/index.ts';
import { UsageError } from '../error.ts';
import { type VerifiedFile, type VerifyResult, verifyTrace } from '../replay/page-cache/verify.ts';
import { PAGE_SIZE } from '../replay/result.ts';
import { columns } from './columns.ts';
import { commandLine } from './command-line.ts';
import { keyValues } from './lists.ts';
import { whole } from './numbers.ts';

interface TraceFlags {
  trace: string;
  mount?: string[];
  truth?: string;
  readAheadKb?: string;
  minJaccard: string;
  explain?: boolean;
  json?: boolean;
}

/** Files that a terminal is shown; --json has them all. */
const SHOWN = 20;

export function verifyCommand(): Command {
  const verify = new Command('verify').description('compare what the model of the page cache predicts with the kernel');
  verify
    .command('trace')
    .description(
      'what programs asked for in a recording, through the model, against the pages that the kernel had then',
    )
    .requiredOption('--trace <file>', 'recorded trace (Arrow or CSV, plain, .zst or .gz)')
    .option('--mount <id=image...>', "binds a trace's mount id to an image or its index")
    .option(
      '--truth <file>',
      'pages cached in the end: CSV with the columns dev, ino, page_index, nr_pages (default: what the recording’s own fills and drops leave)',
    )
    .option('--read-ahead-kb <number>', 'what the mounts read ahead (default: as the trace says, else 128)')
    .option('--min-jaccard <fraction>', 'pages in both, of pages in either: below it the exit status is 1', '0.995')
    .option('--explain', 'lay each difference to the rule that made it')
    .option('--json', 'print the result as JSON (foliolab.verify/1)')
    .action(async (flags: TraceFlags) => {
      const result = await verifyTrace(
        {
          trace: flags.trace,
          mounts: keyValues('--mount', flags.mount ?? []),
          truth: flags.truth ?? null,
          windowPages:
            flags.readAheadKb === undefined
              ? null
              : Math.floor((whole('--read-ahead-kb', flags.readAheadKb, 0) * 1024) / PAGE_SIZE),
          minJaccard: fraction('--min-jaccard', flags.minJaccard),
          explain: flags.explain ?? false,
        },
        commandLine(),
      );
      process.stdout.write(flags.json ? `${JSON.stringify(result, null, 2)}\n` : table(result));
      if (!result.ok) process.exitCode = 1;
    });
  return verify;
}

function fraction(option: string, text: string): number {
  const value = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 0 && value <= 1)) throw new UsageError(`${option} '${text}' is not a number from 0 to 1`);
  return value;
}

function table(result: VerifyResult): string {
  const { files, predictedPages, measuredPages, commonPages, jaccard, ok, notes, parameters } = result;
  const different = files.filter(({ predicted, measured, common }) => predicted !== common || measured !== common);
  different.sort((a, b) => distance(b) - distance(a));
  const rows = [['mount', 'file', 'predicted', 'measured', 'common']];
  for (const { mount, path, predicted, measured, common } of different.slice(0, SHOWN))
    rows.push([mount, printableName(path), String(predicted), String(measured), String(common)]);
  let text = `${files.length} files: ${predictedPages} pages predicted, ${measuredPages} measured (${parameters.truth}), ${commonPages} in both: Jaccard ${jaccard.toFixed(5)}, ${ok ? 'at least' : 'below'} ${parameters.minJaccard}\n`;
  if (different.length > 0) text += `\n${columns(rows, [2, 3, 4])}`;
  else if (files.length > 0) text += 'every file page for page\n';
  if (different.length > SHOWN) text += `and ${different.length - SHOWN} more: see --json\n`;
  for (const file of different.slice(0, SHOWN)) text += explanation(file);
  for (const note of notes) text += `note: ${note}\n`;
  return text;
}

function distance({ predicted, measured, common }: VerifiedFile): number {
  return predicted + measured - 2 * common;
}

function explanation({ mount, path, extra = [], missing = [] }: VerifiedFile): string {
  if (extra.length + missing.length === 0) return '';
  let text = `\n${mount} ${printableName(path)}\n`;
  for (const { pages, rule } of extra) text += `  ${run(pages)} too many: ${rule}\n`;
  for (const { pages } of missing) text += `  ${run(pages)} missing: no rule put them in\n`;
  return text;
}

function run([first, last]: readonly [number, number]): string {
  return first === last ? `page ${first}` : `pages ${first}–${last}`;
}
