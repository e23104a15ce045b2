import { basename, dirname, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { UsageError } from '../error.ts';
import { policies } from '../policies/index.ts';
import { Bindings } from '../replay/binding.ts';
import { DOMAIN_MODES, readDomains } from '../replay/domains.ts';
import { BACKINGS, type Backing, MOUNT_MODES, type MountMode } from '../replay/references.ts';
import { type Exporter, exporters, toCsv, toJson, toTable, wantsColor, writeFiles } from '../replay/report/index.ts';
import { TABLE_WIDTH } from '../replay/report/table.ts';
import { wrap } from '../replay/report/text.ts';
import { PAGE_SIZE, type ReplayResult } from '../replay/result.ts';
import { replay, resultOf } from '../replay/run.ts';
import { sharingModels } from '../replay/sharing/index.ts';
import { commandLine } from './command-line.ts';
import { checkFolder, keyValues, list } from './lists.ts';
import { whole } from './numbers.ts';
import { userCache } from './user-cache.ts';

const READAHEAD = ['linux', 'none', 'recorded'] as const;

export interface ReplayFlags {
  trace: string[];
  mount?: string[];
  sharing?: string;
  policy: string;
  memory: string;
  from: 'demand' | 'fills';
  readahead?: (typeof READAHEAD)[number];
  readAheadKb?: string;
  fingerprints: 'auto' | 'xattr' | 'computed';
  mounts: MountMode;
  backing?: string[];
  domains?: string;
  containers?: string;
  name?: string;
  warmup: string;
  seed: string;
  workers?: string;
  json?: boolean;
  csv?: boolean;
  output?: string;
}

/** `replay`: traces × sharing models × policies × memory sizes. */
export function replayCommand(): Command {
  return new Command('replay')
    .description('replay traces under sharing models, eviction policies and memory sizes')
    .requiredOption('--trace <file...>', 'recorded traces (Arrow or CSV, plain, .zst or .gz), merged by time')
    .option(
      '--mount <id=image...>',
      "binds a trace's mount id to an image or its index; N:id for the Nth of several traces",
    )
    .option(
      '--sharing <models>',
      `comma-separated, of ${Object.keys(sharingModels).join(', ')}; parameters as hardlink:match=content (default: all that the images allow)`,
    )
    .option(
      '--policy <policies>',
      `comma-separated, of ${Object.keys(policies).join(', ')}; parameters as clock:bits=2`,
      'lru',
    )
    .option(
      '--memory <sizes>',
      'comma-separated: unlimited, 64MiB, 1000p, or a fraction of the per-inode footprint such as 0.1',
      'unlimited',
    )
    .addOption(
      new Option('--from <what>', 'demand: what programs asked for; fills: what the recorded kernel cached and evicted')
        .choices(['demand', 'fills'])
        .default('demand'),
    )
    .addOption(
      new Option(
        '--readahead <model>',
        'of demand: none (default), or linux, as Linux 6.18 reads ahead; fills are as recorded',
      ).choices(READAHEAD),
    )
    .option(
      '--read-ahead-kb <number>',
      'with --readahead linux: what mounts read ahead (default: as the trace says, else 128)',
    )
    .addOption(
      new Option('--fingerprints <source>', 'auto: the xattr where the image has it, else computed')
        .choices(['auto', 'xattr', 'computed'])
        .default('auto'),
    )
    .addOption(
      new Option('--mounts <mode>', 'what has a superblock of its own').choices(MOUNT_MODES).default('recorded'),
    )
    .option('--backing <[id=]kind...>', `what a mount lies on: ${BACKINGS.join(' or ')} (default: file)`)
    .option(
      '--domains <file>',
      `trust domains of inode_share: ${DOMAIN_MODES.join(', ')}, or a CSV file of name,domain (default: one)`,
    )
    .option('--containers <names>', 'only these containers, comma-separated')
    .option(
      '--name <workload>',
      'names the rows (default: the trace, or its folder where it is called run, events or trace)',
    )
    .option('--warmup <references>', 'references that fill the cache before counting begins', '0')
    .option('--seed <number>', 'seed of any random choice', '1')
    .option('--workers <number>', 'threads at most (default: one a core)')
    .option('--json', 'print the result as JSON (foliolab.replay/1)')
    .option('--csv', 'print the rows as CSV')
    .option('-o, --output <dir>', 'also write report.html, report.txt, results.json, results.csv and charts there')
    .action(async (flags: ReplayFlags) => {
      if (flags.output !== undefined) await checkFolder(flags.output);
      if (flags.json && flags.csv) throw new UsageError('--json and --csv exclude each other');
      const result = await runReplay(flags, commandLine());
      if (flags.output !== undefined)
        for (const path of await writeReports(flags.output, result)) process.stderr.write(`${path}\n`);
      process.stdout.write(print(result, flags));
    });
}

/** Replays as the flags say. */
export async function runReplay(flags: ReplayFlags, command: string): Promise<ReplayResult> {
  const backings = backingsOf(flags.backing ?? []);
  const domains = await readDomains(flags.domains);
  if (flags.readahead === 'linux' && flags.from === 'fills')
    throw new UsageError(
      '--readahead linux: the fills of a recording contain the readahead of the kernel that it ran on',
    );
  if (flags.readahead === 'recorded' && flags.from === 'demand')
    throw new UsageError("--readahead recorded: the recorded kernel's readahead is in its fills: use --from fills");
  if (flags.readahead === 'none' && flags.from === 'fills')
    throw new UsageError('--readahead none: the fills of a recording contain its readahead');
  const bindings = await Bindings.open({
    traces: flags.trace,
    mounts: keyValues('--mount', flags.mount ?? []),
    backings,
    cache: userCache(),
  });
  const workload = flags.name ?? workloadName(flags.trace);
  const workers = flags.workers === undefined ? undefined : whole('--workers', flags.workers, 1);
  const options = {
    workload,
    from: flags.from,
    sharing: flags.sharing === undefined ? Object.keys(sharingModels) : list('--sharing', flags.sharing),
    // Models that nobody named are left out where an image has not what they need.
    lenient: flags.sharing === undefined,
    policies: list('--policy', flags.policy),
    memory: list('--memory', flags.memory),
    mounts: flags.mounts,
    fingerprints: flags.fingerprints,
    containers: flags.containers === undefined ? [] : list('--containers', flags.containers),
    readahead: flags.readahead === 'linux',
    windowPages: readAheadPages(flags),
    warmup: whole('--warmup', flags.warmup, 0),
    seed: whole('--seed', flags.seed, 0),
  };
  const replayed = await replay({
    ...options,
    traces: bindings.traces,
    domainOf: domains.domainOf,
    ...(workers === undefined ? {} : { workers }),
  });
  for (const sentence of bindings.unknownIds()) process.stderr.write(`foliolab: warning: ${sentence}\n`);
  const { workload: _, lenient: __, readahead: ___, windowPages, ...effective } = options;
  const parameters = {
    ...effective,
    sharing: replayed.models,
    policies: replayed.policies,
    readahead: flags.from === 'fills' ? 'recorded' : (flags.readahead ?? 'none'),
    ...(windowPages !== null && { readAheadPages: windowPages }),
    backing: flags.backing ?? ['file'],
    domains: flags.domains ?? 'one',
    pageBytes: PAGE_SIZE,
  };
  return resultOf(`Page-cache sharing: ${workload}`, command, [...bindings.inputs(), ...domains.inputs], parameters, [
    replayed,
  ]);
}

/** Pages that --read-ahead-kb says. */
function readAheadPages({ readahead, readAheadKb }: ReplayFlags): number | null {
  if (readAheadKb === undefined) return null;
  if (readahead !== 'linux') throw new UsageError('--read-ahead-kb goes with --readahead linux');
  return Math.floor((whole('--read-ahead-kb', readAheadKb, 0) * 1024) / PAGE_SIZE);
}

/** The traces' file names, or their folders' where those say nothing; whole paths where that does not tell them apart. */
function workloadName(traces: readonly string[]): string {
  const nameOf = (path: string): string => {
    const name = basename(path).replace(/\.(csv|arrows)(\.zst|\.gz)?$/, '');
    return ['run', 'events', 'trace'].includes(name) ? basename(dirname(resolve(path))) : name;
  };
  const names = traces.map(nameOf);
  return (new Set(names).size === names.length ? names : traces).join(' + ');
}

/** Writes every report of a result into a folder. @returns the files, in the order of their names */
export async function writeReports(directory: string, result: ReplayResult): Promise<string[]> {
  return writeFiles(directory, await allReports(result));
}

async function allReports(result: ReplayResult): Promise<Map<string, string | Uint8Array>> {
  const files = new Map<string, string | Uint8Array>();
  for (const name of ['json', 'csv', 'mail', 'html', 'svg', 'png'] as const) {
    const exporter: Exporter = exporters[name];
    for (const [file, content] of await exporter(result)) files.set(file, content);
  }
  return files;
}

function print(result: ReplayResult, flags: ReplayFlags): string {
  if (flags.json) return toJson(result);
  if (flags.csv) return toCsv(result);
  const notes = result.notes.flatMap((note) => wrap(note, TABLE_WIDTH, '  - ', '    '));
  return `${toTable(result, { color: wantsColor(process.stdout) })}${notes.length > 0 ? `\nNotes:\n${notes.join('\n')}\n` : ''}`;
}

function backingsOf(texts: readonly string[]): Map<string, Backing> {
  const backings = new Map<string, Backing>();
  for (const text of texts) {
    const at = text.lastIndexOf('=');
    const kind = text.slice(at + 1);
    if (!(BACKINGS as readonly string[]).includes(kind))
      throw new UsageError(`--backing is ${BACKINGS.join(' or ')}, not '${kind}'`);
    backings.set(text.slice(0, Math.max(at, 0)), kind as Backing);
  }
  return backings;
}
