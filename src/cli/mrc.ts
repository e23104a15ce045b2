import { Command, Option } from 'commander';
import { UsageError } from '../error.ts';
import { policies } from '../policies/index.ts';
import { MRC_COLUMNS, mrcCsv } from '../replay/curves/csv.ts';
import { type MrcOptions, missRatioCurves } from '../replay/curves/mrc.ts';
import { MRC_SCHEMA, type MrcResult } from '../replay/curves/result.ts';
import { parseSize } from '../replay/curves/sizes.ts';
import { openSource } from '../replay/curves/source.ts';
import { headLines, mrcTable, refaultTable } from '../replay/curves/table.ts';
import { MOUNT_MODES, type MountMode } from '../replay/mount-mode.ts';
import { documentJson } from '../replay/report/json.ts';
import { VERSION } from '../version.ts';
import { columns } from './columns.ts';
import { commandLine } from './command-line.ts';
import { checkFolder, keyValues, list } from './lists.ts';
import { whole } from './numbers.ts';

interface MrcFlags {
  trace: string;
  format?: string;
  map?: string;
  policy: string;
  size?: string;
  unit?: 'objects' | 'pages';
  points: string;
  sample?: string;
  sampleMin: string;
  sampleSize?: string;
  checkError?: boolean;
  warmup: string;
  seed: string;
  workers?: string;
  perContainer?: boolean;
  refaults?: boolean;
  workingSet?: string | true;
  stream?: boolean;
  sharing?: string;
  mount?: string[];
  mounts: MountMode;
  fingerprints: 'auto' | 'xattr' | 'computed';
  maxReferences?: string;
  json?: boolean;
  csv?: boolean;
  output?: string;
}

/** `mrc`: miss ratios by cache size. */
export function mrcCommand(): Command {
  return new Command('mrc')
    .description('miss-ratio curves: exact, all sizes at once for lru and opt, or estimated from a sample')
    .requiredOption('--trace <file>', 'a trace in any format (trace formats lists them), plain, .zst or .gz')
    .option('--format <name>', 'its format: oracleGeneral, lcs, csv … (default: recognised)')
    .option('--map <columns>', 'of a CSV that is not our own: which column is what, as trace convert takes it')
    .option(
      '--policy <policies>',
      `comma-separated, of ${[...new Set([...Object.keys(policies), 'opt'])].sort().join(', ')}, or a file such as ./mine.js; parameters as clock:bits=2`,
      'lru',
    )
    .option('--size <sizes>', 'comma-separated: 1000 objects or pages, 64MiB of pages, 0.1 of the distinct ones')
    .addOption(new Option('--unit <unit>', 'what is cached (default: as the trace is)').choices(['objects', 'pages']))
    .option('--points <number>', "without --size: how many sizes, a like step apart; 'all' for lru and opt", '24')
    .option('--sample <rate>', 'estimate from this share of the ids (SHARDS; other policies in miniature)')
    .option('--sample-min <ids>', 'with --sample: at least so many ids, by a larger share where there are few', '16384')
    .option('--sample-size <ids>', 'estimate lru from at most so many ids (fixed-size SHARDS)')
    .option('--check-error', 'count exactly, too, and say how far off the sample is (default: where that is cheap)')
    .option('--no-check-error', 'never')
    .option('--warmup <references>', 'references that fill the cache before counting begins', '0')
    .option('--per-container', 'also with a cache for each container')
    .option('--refaults', 'also how many evictions after its own each page came back')
    .option('--working-set [references]', 'also distinct pages in each window of so many (default: a hundredth)')
    .option('--sharing <model>', 'what one page is, over images, as replay has it (default: the file and its page)')
    .option('--mount <id=image...>', "with --sharing: binds a trace's mount id to an image or its index")
    .addOption(new Option('--mounts <mode>', 'with --sharing').choices(MOUNT_MODES).default('recorded'))
    .addOption(
      new Option('--fingerprints <source>', 'with --sharing').choices(['auto', 'xattr', 'computed']).default('auto'),
    )
    .option('--stream', 'keep no trace in memory: read it twice (default: beyond 2^28 references)')
    .option('--max-references <number>', 'how many references the trace may stand for')
    .option('--seed <number>', 'seed of any random choice', '1')
    .option('--workers <number>', 'threads at most (default: one a core)')
    .option('--json', 'print the result as JSON (foliolab.mrc/1)')
    .option('--csv', 'print the rows as CSV')
    .option('-o, --output <dir>', 'also write the results as JSON, CSV and Parquet, and charts, there')
    .action(async (flags: MrcFlags) => {
      if (flags.json && flags.csv) throw new UsageError('--json and --csv exclude each other');
      if (flags.output !== undefined) await checkFolder(flags.output);
      const result = await runMrc(flags);
      if (flags.output !== undefined) await write(flags.output, result);
      process.stdout.write(print(result, flags));
    });
}

async function runMrc(flags: MrcFlags): Promise<MrcResult> {
  const options = optionsOf(flags);
  if (flags.sharing === undefined && flags.mount !== undefined)
    throw new UsageError('--mount goes with --sharing: without it a page is its file in the trace and its number');
  if (flags.sharing !== undefined && flags.format !== undefined)
    throw new UsageError('--format goes without --sharing, which takes recordings in our own formats');
  const source = await openSource(flags.trace, {
    format: flags.format,
    columns: flags.map === undefined ? undefined : keyValues('--map', flags.map.split(',')),
    maxReferences: flags.maxReferences === undefined ? undefined : whole('--max-references', flags.maxReferences, 1),
    ...(flags.sharing !== undefined && {
      bound: {
        sharing: flags.sharing,
        images: keyValues('--mount', flags.mount ?? []),
        mounts: flags.mounts,
        fingerprints: flags.fingerprints,
        cache: (await import('./user-cache.ts')).userCache(),
      },
    }),
  });
  const { policies: planned, notes, ...curves } = await missRatioCurves(source, options);
  const unit = flags.unit ?? curves.trace.unit;
  if (unit === 'objects' && flags.size !== undefined)
    for (const text of list('--size', flags.size)) parseSize(text, unit);
  return {
    schema: MRC_SCHEMA,
    title: `Miss ratios: ${flags.trace}`,
    command: commandLine(),
    versions: { foliolab: VERSION, node: process.versions.node },
    parameters: {
      policies: planned,
      size: flags.size ?? null,
      points: flags.size === undefined ? flags.points : null,
      unit,
      sample: flags.sample ?? null,
      sampleMin: flags.sample === undefined ? null : whole('--sample-min', flags.sampleMin, 0),
      sampleSize: flags.sampleSize ?? null,
      warmup: options.warmup,
      seed: options.seed,
      sharing: flags.sharing ?? 'none',
      ...(flags.sharing !== undefined && { mounts: flags.mounts, fingerprints: flags.fingerprints }),
      ...(flags.map !== undefined && { map: flags.map }),
    },
    notes,
    ...curves,
    trace: { ...curves.trace, unit },
  };
}

function optionsOf(flags: MrcFlags): MrcOptions {
  if (flags.sample !== undefined && flags.sampleSize !== undefined)
    throw new UsageError('--sample and --sample-size exclude each other');
  let sample: MrcOptions['sample'] = null;
  if (flags.sample !== undefined) {
    const rate = /^(\d+\.?\d*|\.\d+)(e-\d+)?$/.test(flags.sample) ? Number(flags.sample) : Number.NaN;
    if (!(rate > 0 && rate <= 1)) throw new UsageError(`--sample '${flags.sample}' is no share above 0 and up to 1`);
    sample = { rate, atLeast: whole('--sample-min', flags.sampleMin, 0) };
  }
  if (flags.sampleSize !== undefined) sample = { size: whole('--sample-size', flags.sampleSize, 1) };
  const { workingSet } = flags;
  return {
    policies: list('--policy', flags.policy),
    sizes: flags.size === undefined ? null : list('--size', flags.size).map((text) => parseSize(text, flags.unit)),
    points: flags.points === 'all' ? Infinity : whole('--points', flags.points, 1),
    sample,
    checkError: flags.checkError,
    warmup: whole('--warmup', flags.warmup, 0),
    seed: whole('--seed', flags.seed, 0),
    workers: flags.workers === undefined ? undefined : whole('--workers', flags.workers, 1),
    perContainer: flags.perContainer === true,
    refaults: flags.refaults === true,
    window: workingSet === undefined ? null : workingSet === true ? 0 : whole('--working-set', workingSet, 1),
    bounds: flags.output !== undefined,
    stream: flags.stream === true,
  };
}

async function write(directory: string, result: MrcResult): Promise<void> {
  const { mrcCharts } = await import('../replay/curves/chart.ts');
  const { draw } = await import('../replay/report/draw.ts');
  const { writeFiles } = await import('../replay/report/index.ts');
  const { parquetTable } = await import('../replay/report/parquet.ts');
  const files = new Map<string, string | Uint8Array>([
    ['results.json', documentJson(result)],
    ['results.csv', mrcCsv(result)],
    ['results.parquet', parquetTable(MRC_SCHEMA, MRC_COLUMNS, result.rows)],
    ...(await draw(mrcCharts(result))),
  ]);
  for (const path of await writeFiles(directory, files)) process.stderr.write(`${path}\n`);
}

function print(result: MrcResult, flags: MrcFlags): string {
  if (flags.json) return documentJson(result);
  if (flags.csv) return mrcCsv(result);
  const right = Array.from({ length: 64 }, (_, i) => i + 1);
  const table = mrcTable(result);
  const refaults = refaultTable(result);
  const sets = result.workingSet;
  const windows =
    sets === null
      ? []
      : [
          ['references', 'working set', 'new'],
          ...sets.windows.map(({ end, pages, newPages }) => [String(end), String(pages), String(newPages)]),
        ];
  return [
    `${headLines(result).join('\n')}\n`,
    columns(table, table[0]![0] === 'cache of' ? right : [0, ...right]),
    ...(refaults.length > 0 ? [columns(refaults, right)] : []),
    ...(windows.length > 0 ? [columns(windows, [0, 1, 2])] : []),
    ...(result.notes.length > 0 ? [`${result.notes.map((note) => `  - ${note}`).join('\n')}\n`] : []),
  ].join('\n');
}
