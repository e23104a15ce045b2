/** `foliolab trace`: what is in a trace, traces in other formats, made-up ones. */
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import { printableName } from '../erofs/index.ts';
import { UsageError } from '../error.ts';
import { isSpecial } from '../replay/io/output.ts';
import { PAGE_SIZE } from '../replay/result.ts';
import type { TraceFormat } from '../replay/trace/formats/format.ts';
import type { NamedEvent } from '../replay/trace/head.ts';
import type { Footprint, TraceInfo } from '../replay/trace/info.ts';
import {
  ARROW,
  convert as convertTrace,
  formatNames,
  formatOf,
  formatOfName,
  type ReadTraceOptions,
  traceFormats,
  traceHead,
  traceInfo,
  traceWriter,
} from '../replay/trace/open.ts';
import {
  type Arrival,
  CHOICES,
  type ComposeOptions,
  compose,
  MOUNTS_OF_COMPOSED,
} from '../replay/trace/synth/compose.ts';
import { KINDS, type Kind } from '../replay/trace/synth/generators.ts';
import { MAX_RECORDED_EVENTS, type Recording, readRecording } from '../replay/trace/synth/recordings.ts';
import { synthesize } from '../replay/trace/synth/synth.ts';
import type { TraceSink } from '../replay/trace/trace.ts';
import { columns } from './columns.ts';
import { whole } from './numbers.ts';

interface ReadFlags {
  format?: string;
  map?: Map<string, string>;
  skipBad?: boolean;
  json?: boolean;
}

interface LimitFlags {
  maxReferences?: string;
}

/** Rows of a table that a terminal is shown; --json has them all. */
const SHOWN = 20;
/** A permutation and a distribution of so many pages take 3 GiB. */
const MAX_PAGES = 2 ** 28;
const MAX_CONTAINERS = 2 ** 20;

export function traceCommand(): Command {
  const trace = new Command('trace').description('look into traces, convert them, make them up');
  const reading = (verb: Command): Command =>
    verb
      .option('--format <name>', 'what it is, where its beginning and its name don’t say; see trace formats')
      .option('--map <columns>', 'of a CSV of another’s making: which column is what, as path=3,offset=5', mapOf)
      .option('--skip-bad', 'leave out, and count, what can’t be read; of an Arrow stream, all behind the fault')
      .option('--json', 'print it as JSON');
  const limit = [
    '--max-references <number>',
    'page references at most (default: 16 Mi, and 256 for each byte of the file)',
  ] as const;
  reading(trace.command('info'))
    .description('references, pages, footprints by container and file type, re-use distances, loss, hash')
    .argument('<trace>', 'a trace of any format, also .zst or .gz')
    .option('--no-reuse', 'without re-use distances: half the time')
    .option(...limit)
    .action(info);
  reading(trace.command('head'))
    .description('the first events')
    .argument('<trace>', 'a trace of any format, also .zst or .gz')
    .option('-n, --events <number>', 'how many', '10')
    .action(head);
  reading(trace.command('convert'))
    .description('write a trace in another format, and say what that one lacks')
    .argument('<trace>', 'a trace of any format, also .zst or .gz')
    .requiredOption('-o, --output <file>', 'where it goes')
    .option('--to <name>', `${formatNames('write').join(', ')} (default: as the output’s name ends)`)
    .option(...limit)
    .action(convert);
  trace
    .command('formats')
    .description('the formats: which are read, which are written, what each lacks')
    .option('--json', 'print them as JSON')
    .option('--markdown', 'print them as a table in Markdown')
    .action(formats);
  trace.addCommand(synthCommand());
  return trace;
}

function synthCommand(): Command {
  const synth = new Command('synth').description('make a trace up: the same on every machine');
  const writing = (verb: Command): Command =>
    verb
      .requiredOption('-o, --output <file>', 'where it goes')
      .option('--to <name>', `${formatNames('write').join(', ')} (default: as the output’s name ends, else ${ARROW})`)
      .option('--seed <number>', 'seed of all that is random', '1')
      .option('--json', 'print a summary as JSON');
  for (const kind of KINDS) {
    const verb = writing(synth.command(kind.name).description(kind.title))
      .option('--references <number>', 'how many page references', '1000000')
      .option('--pages <number>', 'how many pages there are', '100000')
      .option('--containers <number>', 'who take turns, each with references of its own to the same pages', '1')
      .option('--interval <time>', 'between two references: 100ns, 1us, 2ms, 1s', '1us');
    const parameters = Object.entries(kind.parameters);
    if (parameters.length > 0)
      verb.option(
        '--param <name=number...>',
        parameters.map(([name, { meaning, otherwise }]) => `${name}: ${meaning} (default: ${otherwise})`).join('; '),
      );
    verb.action((flags: SynthFlags) => synthKind(kind, flags));
  }
  writing(synth.command('compose'))
    .description('many containers out of recorded ones: each a copy of what one asked for, from its arrival on')
    .requiredOption(
      '--from <trace...>',
      'recordings of any readable format; TRACE=NAME,… for some containers of one (default: all that asked for something)',
    )
    .option('--containers <number>', 'how many', '100')
    .option('--arrival <when>', 'all-at-once, every:2s, or poisson:10/s', 'all-at-once')
    .addOption(
      new Option('--mounts <mode>', 'shared: one mount of each image; per-container: each mounts its images itself')
        .choices(MOUNTS_OF_COMPOSED)
        .default('shared'),
    )
    .addOption(
      new Option('--choice <how>', 'which recorded container each is a copy of')
        .choices(CHOICES)
        .default('round-robin'),
    )
    .action(composeContainers);
  return synth;
}

function mapOf(text: string): Map<string, string> {
  const map = new Map<string, string>();
  for (const pair of text.split(',')) {
    const at = pair.indexOf('=');
    const [name, column] = [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    if (at < 1 || column === '') throw new UsageError(`--map '${pair}' is not NAME=COLUMN`);
    if (map.has(name)) throw new UsageError(`--map names '${name}' twice`);
    map.set(name, column);
  }
  return map;
}

function readOptions({ format, map, skipBad }: ReadFlags): ReadTraceOptions {
  return { format, columns: map, skipBad: skipBad === true };
}

function limitOf({ maxReferences }: LimitFlags): { maxReferences?: number } {
  return maxReferences === undefined ? {} : { maxReferences: whole('--max-references', maxReferences, 1) };
}

async function info(path: string, flags: ReadFlags & LimitFlags & { reuse: boolean }): Promise<void> {
  const result = await traceInfo(path, { ...readOptions(flags), ...limitOf(flags), reuse: flags.reuse });
  await write(flags.json ? `${JSON.stringify(result, null, 2)}\n` : infoText(result));
}

function infoText(of: TraceInfo): string {
  const objects = of.mounts.length > 0 && of.mounts.every(({ ids }) => ids === 'object');
  const unit = objects ? 'objects' : 'pages';
  const reused = of.references * (1 - (of.reuse?.coldShare ?? 0));
  const facts: [string, string][] = [
    ['trace', `${of.path}, ${of.format}`],
    ['sha256', of.sha256],
    ['whole', wholeText(of)],
    ['lost', of.lost === null ? 'unknown' : `${number(of.lost)} events`],
    ...(of.skippedRecords > 0 ? [['skipped', `${number(of.skippedRecords)} bad records`] as [string, string]] : []),
    ['time', `${(of.spanNs / 1e9).toFixed(3)} s from the first event to the last`],
    ['events', `${number(of.events)} of ${number(of.files)} files`],
    [
      'demand',
      `${number(of.references)} references to ${number(of.distinctPages)} ${objects ? 'objects' : `pages, ${mib(of.distinctPages)} MiB`}`,
    ],
  ];
  if (of.reuse !== null) {
    const { coldShare, p10, p50, p90, p99, max } = of.reuse;
    facts.push(['first ones', `${(100 * coldShare).toFixed(1)} % of the references`]);
    facts.push([
      're-use',
      reused < 0.5
        ? 'none: nothing comes again'
        : `within ${number(p10)} ${unit} 10 %, ${number(p50)} 50 %, ${number(p90)} 90 %, ${number(p99)} 99 %, ${number(max)} all`,
    ]);
  }
  const blocks = [
    columns(facts),
    table(
      ['operation', 'events', 'pages'],
      Object.entries(of.ops).map(([op, { events, pages }]) => [op, number(events), number(pages)]),
    ),
    table(
      ['mount', 'files', 'image'],
      of.mounts.map(({ name, files, image, imageSha256 }) => [
        printableName(name),
        number(files),
        image === null ? (imageSha256?.slice(0, 12) ?? 'unknown') : printableName(image),
      ]),
      [1],
    ),
    footprints('container', of.containers, objects),
    objects ? '' : footprints('file type', of.types, false),
  ];
  return blocks.filter((block) => block !== '').join('\n');
}

function wholeText({ whole, skippedRecords }: TraceInfo): string {
  if (whole === null) return 'its format doesn’t say';
  if (whole) return 'yes';
  return skippedRecords > 0
    ? 'no: what is behind the fault is left out'
    : 'no: it has no end, as when its recorder was killed';
}

function footprints(head: string, rows: readonly Footprint[], objects: boolean): string {
  return table(
    [head, 'references', ...(objects ? ['objects'] : ['pages', 'MiB'])],
    rows.map(({ name, references, pages }) => [
      printableName(name),
      number(references),
      number(pages),
      ...(objects ? [] : [mib(pages)]),
    ]),
  );
}

/** A table behind an empty line; nothing without rows. */
function table(head: readonly string[], rows: readonly (readonly string[])[], right?: readonly number[]): string {
  if (rows.length === 0) return '';
  const more = rows.length - SHOWN;
  const text = columns([head, ...rows.slice(0, SHOWN)], right ?? head.map((_, i) => i).slice(1));
  return more > 0 ? `${text}… ${number(more)} more: --json has them\n` : text;
}

async function head(path: string, flags: ReadFlags & { events: string }): Promise<void> {
  const events = await traceHead(path, whole('-n', flags.events, 1), readOptions(flags));
  if (flags.json) {
    await write(`${JSON.stringify({ schema: 'foliolab.trace.head/1', path, events }, null, 2)}\n`);
    return;
  }
  const rows = events.map((e) => [
    (e.timeNs / 1e9).toFixed(9),
    printableName(e.container),
    e.op,
    printableName(e.mount),
    fileOf(e),
    pagesOf(e),
    e.touch === null ? '' : String(Number(e.page) + e.touch),
    e.bytes === 0 ? '' : String(e.bytes),
    e.task === 0 ? '' : String(e.task),
  ]);
  await write(
    columns(
      [['seconds', 'container', 'operation', 'mount', 'file', 'pages', 'touch', 'bytes', 'task'], ...rows],
      [0, 5, 6, 7, 8],
    ),
  );
}

function fileOf({ path, ino }: NamedEvent): string {
  if (path !== null) return printableName(path);
  return ino === null ? '' : `inode ${ino}`;
}

/** `12`, `12-15`; none: `–`. */
function pagesOf({ page, pages }: NamedEvent): string {
  if (pages === 0) return '–';
  return pages === 1
    ? String(page)
    : `${page}-${typeof page === 'number' ? page + pages - 1 : BigInt(page) + BigInt(pages - 1)}`;
}

async function convert(path: string, flags: ReadFlags & LimitFlags & { output: string; to?: string }): Promise<void> {
  const to = await outputFormat(flags, [path]);
  if (to === undefined) throw new UsageError(`--to says in which format: ${formatNames('write').join(', ')}`);
  const read = await convertTrace(path, {
    ...readOptions(flags),
    ...limitOf(flags),
    to: to?.name ?? ARROW,
    output: flags.output,
  });
  const from = read.format;
  const whole = read.end === undefined ? null : read.whole;
  const lacks = [from, to].flatMap((format) => (format?.lacks ? [{ format: format.name, lacks: format.lacks }] : []));
  for (const { format, lacks: what } of lacks) process.stderr.write(`foliolab: ${format} lacks ${what}\n`);
  if (whole === false)
    process.stderr.write(
      `foliolab: ${printableName(path)}: has no end, as when its recorder was killed: so has ${printableName(flags.output)}\n`,
    );
  if (read.skipped > 0)
    process.stderr.write(
      `foliolab: ${printableName(path)}: ${number(read.skipped)} bad records left out, the first: ${read.firstSkipped}\n`,
    );
  if (flags.json)
    await write(
      `${JSON.stringify(
        {
          schema: 'foliolab.trace.convert/1',
          input: { path, sha256: read.sha256, format: from?.name ?? ARROW, whole },
          output: { path: flags.output, format: to?.name ?? ARROW, bytes: statSync(flags.output).size },
          lacks,
          skippedRecords: read.skipped,
          firstSkipped: read.firstSkipped,
        },
        null,
        2,
      )}\n`,
    );
}

/** The format of an output: as --to says, else as its name ends; undefined when neither tells. */
async function outputFormat(
  { output, to }: { output: string; to?: string },
  inputs: readonly string[],
): Promise<TraceFormat | null | undefined> {
  const there = existsSync(output) ? statSync(output) : null;
  for (const input of inputs) {
    const one = existsSync(input) ? statSync(input) : null;
    if (one !== null && there !== null && one.ino === there.ino && one.dev === there.dev)
      throw new UsageError(`-o ${output} would overwrite ${input}, which it is made of`);
  }
  if (await isSpecial(output)) throw new UsageError(`-o ${output} is no regular file`);
  if (/\.(zst|gz)$/i.test(output))
    throw new UsageError(`-o ${output}: traces are written uncompressed (Arrow and Parquet compress by themselves)`);
  return to === undefined ? formatOfName(output, 'write') : formatOf(to, 'write');
}

async function formats(flags: { json?: boolean; markdown?: boolean }): Promise<void> {
  const all = traceFormats();
  if (flags.json) return write(`${JSON.stringify({ schema: 'foliolab.trace.formats/1', formats: all }, null, 2)}\n`);
  const yes = (is: boolean): string => (is ? 'yes' : '');
  if (flags.markdown) {
    const rows = all.map(
      ({ name, title, reads, writes, lacks }) =>
        `| ${name} | ${title} | ${yes(reads)} | ${yes(writes)} | ${lacks || 'nothing'} |\n`,
    );
    return write(`| name | is | read | written | lacks |\n|---|---|---|---|---|\n${rows.join('')}`);
  }
  await write(
    columns([
      ['name', 'read', 'written', 'is'],
      ...all.map(({ name, title, reads, writes }) => [name, yes(reads), yes(writes), title]),
    ]),
  );
  await write(`\n${all.map(({ name, lacks }) => `${name} lacks ${lacks || 'nothing'}\n`).join('')}`);
}

interface SynthFlags {
  output: string;
  to?: string;
  seed: string;
  json?: boolean;
  references: string;
  pages: string;
  containers: string;
  interval: string;
  param?: string[];
}

async function synthKind(kind: Kind, flags: SynthFlags): Promise<void> {
  const options = {
    kind,
    parameters: parametersOf(kind, flags.param ?? []),
    seed: whole('--seed', flags.seed, 0),
    references: whole('--references', flags.references, 1),
    pages: between('--pages', flags.pages, MAX_PAGES),
    containers: between('--containers', flags.containers, MAX_CONTAINERS),
    intervalNs: nanoseconds('--interval', flags.interval),
  };
  if (options.references * options.intervalNs > Number.MAX_SAFE_INTEGER)
    throw new UsageError('--references and --interval reach beyond 2^53 ns, which are 104 days');
  await intoSink(flags, [], (sink) => synthesize(options, sink));
  const { parameters, seed, references, pages, containers, intervalNs } = options;
  const summary = { kind: kind.name, parameters, seed, references, pages, containers, intervalNs };
  if (flags.json)
    await write(`${JSON.stringify({ schema: 'foliolab.trace.synth/1', output: flags.output, ...summary }, null, 2)}\n`);
}

function parametersOf(kind: Kind, given: readonly string[]): Record<string, number> {
  const out = Object.fromEntries(Object.entries(kind.parameters).map(([name, { otherwise }]) => [name, otherwise]));
  for (const text of given) {
    const at = text.indexOf('=');
    const name = text.slice(0, Math.max(at, 0));
    const value = Number(text.slice(at + 1));
    if (!Object.hasOwn(kind.parameters, name))
      throw new UsageError(`--param '${text}': ${kind.name} has ${Object.keys(kind.parameters).join(', ')}`);
    const { least, most } = kind.parameters[name]!;
    if (text.slice(at + 1).trim() === '' || !(value >= least && value <= most))
      throw new UsageError(`--param '${text}' is no number from ${least} to ${most}`);
    out[name] = value;
  }
  return out;
}

interface ComposeFlags {
  from: string[];
  output: string;
  to?: string;
  seed: string;
  json?: boolean;
  containers: string;
  arrival: string;
  mounts: ComposeOptions['mounts'];
  choice: ComposeOptions['choice'];
}

async function composeContainers(flags: ComposeFlags): Promise<void> {
  const containers = between('--containers', flags.containers, MAX_CONTAINERS);
  const arrival = arrivalOf(flags.arrival);
  const seed = whole('--seed', flags.seed, 0);
  const recordings: Recording[] = [];
  let room = MAX_RECORDED_EVENTS;
  for (const text of flags.from) {
    const { path, names } = fromOf(text);
    const recording = await readRecording(path, names, room, {});
    room -= recording.containers.reduce((sum, { events }) => sum + events.length, 0);
    recordings.push(recording);
  }
  const made = await intoSink(
    flags,
    recordings.map(({ path }) => path),
    (sink) => compose({ recordings, containers, arrival, mounts: flags.mounts, choice: flags.choice, seed }, sink),
  );
  for (const line of composeWarnings(recordings, flags.output)) process.stderr.write(`foliolab: ${line}\n`);
  if (!flags.json) return;
  const inputs = recordings.map(({ path, sha256 }) => ({ path, sha256 }));
  const parameters = { containers, arrival, mounts: flags.mounts, choice: flags.choice, seed };
  await write(
    `${JSON.stringify({ schema: 'foliolab.trace.synth/1', output: flags.output, kind: 'compose', inputs, ...parameters, ...made }, null, 2)}\n`,
  );
}

/** What whoever replays the composed trace will want to know. */
function* composeWarnings(recordings: readonly Recording[], output: string): Generator<string> {
  const leftOut = recordings.reduce((sum, recording) => sum + recording.leftOut, 0);
  if (leftOut > 0)
    yield `${number(leftOut)} recorded events that are no demand are left out: what the kernel filled and dropped, it did for the recorded containers`;
  const missing = new Set<string>();
  for (const { mounts } of recordings)
    for (const { index, image } of mounts) {
      const beside = [index, image, image?.replace(/\.(erofs|img)$/, '.fidx')].filter((name) => name !== undefined);
      if (beside.length > 0 && !beside.some((name) => existsSync(join(dirname(output), name)))) missing.add(beside[0]!);
    }
  if (missing.size > 0)
    yield `${[...missing].map(printableName).join(', ')} ${missing.size > 1 ? 'are' : 'is'} not beside ${printableName(output)}: a replay needs --mount MOUNT=INDEX for each mount of the trace (foliolab trace info names them), or copies there`;
}

/** `run.arrows`, `run.arrows=a1,b1`; a file whose name has a `=` may be meant. */
function fromOf(text: string): { path: string; names: string[] | null } {
  const at = text.lastIndexOf('=');
  if (at < 0 || existsSync(text)) return { path: text, names: null };
  const names = text.slice(at + 1).split(',');
  if (at === 0 || names.includes('')) throw new UsageError(`--from '${text}' is not TRACE or TRACE=CONTAINER,…`);
  return { path: text.slice(0, at), names };
}

function arrivalOf(text: string): Arrival {
  if (text === 'all-at-once') return { kind: 'all-at-once' };
  const every = /^every:(.+)$/.exec(text);
  if (every) return { kind: 'every', intervalNs: nanoseconds('--arrival every', every[1]!) };
  const poisson = /^poisson:(\d+(?:\.\d+)?)\/(s|min|h)$/.exec(text);
  const perSecond =
    poisson === null ? 0 : Number(poisson[1]) / { s: 1, min: 60, h: 3600 }[poisson[2] as 's' | 'min' | 'h'];
  if (!(perSecond > 0)) throw new UsageError(`--arrival '${text}' is not all-at-once, every:2s or poisson:10/s`);
  return { kind: 'poisson', perSecond };
}

/** `100ns`, `1us`, `2ms`, `1s`, `5min` in nanoseconds. */
function nanoseconds(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ns|us|ms|s|min)$/.exec(text);
  const ns =
    match === null
      ? Number.NaN
      : Math.round(
          Number(match[1]) *
            { ns: 1, us: 1e3, ms: 1e6, s: 1e9, min: 60e9 }[match[2] as 'ns' | 'us' | 'ms' | 's' | 'min'],
        );
  if (!Number.isSafeInteger(ns))
    throw new UsageError(`${option} '${text}' is not a time such as 100ns, 1us, 2ms or 1s`);
  return ns;
}

function between(option: string, text: string, most: number): number {
  const value = whole(option, text, 1);
  if (value > most) throw new UsageError(`${option} ${text} is more than ${most}`);
  return value;
}

/** Makes a file out of what is pushed; nothing is left of it after an error. */
async function intoSink<T>(
  flags: { output: string; to?: string },
  inputs: readonly string[],
  push: (sink: TraceSink) => Promise<T>,
): Promise<T> {
  const format = await outputFormat(flags, inputs);
  const sink = await traceWriter(format ?? null, flags.output);
  try {
    return await push(sink);
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}

function mib(pages: number): string {
  return ((pages * PAGE_SIZE) / 2 ** 20).toFixed(1);
}

async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}
