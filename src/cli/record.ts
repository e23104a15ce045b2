/** `foliolab record`: page-cache accesses and fills of real containers, as root. */
import { Command, Option } from 'commander';
import { UsageError } from '../error.ts';
import type { MountRequest } from '../recorder/mounts.ts';
import { type RecordReport, record } from '../recorder/recorder.ts';
import type { ContainerRequest } from '../recorder/tasks.ts';
import { parseBytes } from '../replay/sizes.ts';

interface RecordCommandOptions {
  output: string;
  mount?: MountRequest[];
  container?: ContainerRequest[];
  name?: string;
  duration?: string;
  hold: string;
  buffer: string;
  tracefs?: string;
  backend: 'binary' | 'text';
  removeStale?: boolean;
  allowLoss?: boolean;
  json?: boolean;
}

const collect =
  <T>(parse: (text: string) => T) =>
  (text: string, all: T[] = []): T[] => [...all, parse(text)];

function mountRequest(text: string): MountRequest {
  const at = text.indexOf('=');
  const dir = at < 0 ? text : text.slice(0, at);
  const name = at < 0 ? null : text.slice(at + 1);
  if (dir === '' || name === '') throw new UsageError(`--mount '${text}' is not DIR or DIR=NAME`);
  return { dir, name };
}

function containerRequest(text: string): ContainerRequest {
  const at = text.indexOf('=');
  const [name, what] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 1 || what === '') throw new UsageError(`--container '${text}' is not NAME=PID or NAME=CGROUP`);
  return { name, what };
}

/** `60s`, `500ms`, `5min` in nanoseconds. */
function duration(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|min)$/.exec(text);
  if (match === null) throw new UsageError(`${option} '${text}' is not a time such as 500ms, 60s or 5min`);
  return Math.round(Number(match[1]) * { ms: 1e6, s: 1e9, min: 60e9 }[match[2] as 'ms' | 's' | 'min']);
}

async function recordFiles(command: string[], options: RecordCommandOptions): Promise<void> {
  const mounts = options.mount ?? [];
  if (command.length === 0 && options.duration === undefined && process.stdin.isTTY !== true)
    throw new UsageError('nothing says how long: --duration TIME, or a command behind --');
  const buffer = parseBytes(options.buffer);
  if (buffer === null || buffer < 65_536) throw new UsageError(`--buffer '${options.buffer}' is no size from 64KiB`);
  const terminal = process.stderr.isTTY === true;
  const report = await record({
    output: options.output,
    mounts,
    containers: options.container ?? [],
    command,
    name: options.name ?? null,
    durationNs: options.duration === undefined ? 0 : duration('--duration', options.duration),
    holdMs: duration('--hold', options.hold) / 1e6,
    bufferKb: Math.ceil(buffer / 1024),
    tracefs: options.tracefs,
    removeStale: options.removeStale === true,
    backend: options.backend,
    ...(terminal && { progress: (line: string) => process.stderr.write(`\r\u001b[K${line}`) }),
    warn: (line) => process.stderr.write(`foliolab: ${line}\n`),
  });
  if (terminal) process.stderr.write('\r\u001b[K');
  if (options.json) process.stdout.write(`${JSON.stringify({ schema: 'foliolab.record/1', ...report }, null, 2)}\n`);
  else process.stdout.write(`${summary(options.output, report)}\n`);
  const { exit } = report;
  if (exit !== null && exit.code !== 0 && !exit.stopped) {
    process.stderr.write(
      `foliolab: ${command[0]} ${exit.signal === null ? `exited with ${exit.code}` : `was ended by ${exit.signal}`}\n`,
    );
    process.exitCode = 1;
  }
  const { lost, lostPageFaults } = report;
  if (lost > 0)
    process.stderr.write(`foliolab: ${options.output}: ${lost} events were lost: a larger --buffer, or fewer mounts\n`);
  if (lostPageFaults > 0)
    process.stderr.write(
      `foliolab: ${options.output}: ${lostPageFaults} page faults were lost, of which references are made, not page sets: a larger --buffer, or --container\n`,
    );
  if (lost + lostPageFaults > 0 && options.allowLoss !== true) process.exitCode = 1;
}

function summary(output: string, report: RecordReport): string {
  const { exact, agreed, unknown } = report.touches;
  const files = report.filesEqual + report.filesDifferent;
  return [
    `${output}: ${report.events} events, ${report.lost} lost` +
      (report.lostPageFaults === 0 ? '' : `, and ${report.lostPageFaults} page faults`),
    `page cache: ${report.filledPages} pages filled, ${report.droppedPages} dropped`,
    `cached at the end: ${report.cachedPages} pages in ${files} files; fills minus drops are equal to mincore(2) in ${report.filesEqual} of them` +
      (report.filesDifferent === 0 ? '' : `, and differ by ${report.pagesDifferent} pages in ${report.filesDifferent}`),
    ...(report.filesUnseen === 0 ? [] : [`not looked at: ${report.filesUnseen} files that can't be opened`]),
    ...(report.late === 0 ? [] : [`out of order: ${report.late} events, whose times were raised`]),
    ...(report.elsewhere === 0
      ? []
      : [`left out: ${report.elsewhere} events of files that are elsewhere on the filesystem`]),
    `fault-around windows: page known in ${exact + agreed} of ${exact + agreed + unknown}`,
  ].join('\n');
}

export function recordCommand(): Command {
  return new Command('record')
    .description(
      'Record what containers read, and what the page cache takes in and drops, until a command ends. Needs root.',
    )
    .argument('[command...]', 'what to run, behind --; without it, what runs already is recorded')
    .requiredOption('-o, --output <trace>', 'the trace to write, such as run.arrows')
    .option(
      '--mount <dir[=name]>',
      'a mounted filesystem to record (may be repeated; default: every EROFS one); an overlay stands for its lower layers; NAME can be the image',
      collect(mountRequest),
    )
    .option(
      '--container <name=pid|cgroup>',
      'a container to tell apart, by a process of it or its cgroup’s folder (may be repeated)',
      collect(containerRequest),
    )
    .option('--name <name>', 'what the command is called as a container (default: the program’s name)')
    .option('--duration <time>', 'how long at most: 500ms, 60s, 5min')
    .option('--hold <time>', 'how long to wait at the end for readahead in flight', '1s')
    .option('--buffer <size>', 'ring buffer of each CPU', '16MiB')
    .option('--tracefs <dir>', 'where tracefs is mounted (default: /sys/kernel/tracing)')
    .addOption(
      new Option(
        '--backend <how>',
        'text: events as text, for a kernel whose ring buffer is laid out otherwise; slower, microseconds',
      )
        .choices(['binary', 'text'])
        .default('binary'),
    )
    .option('--remove-stale', 'remove what a killed recorder left in tracefs')
    .option('--allow-loss', 'exit with 0 even if events were lost')
    .option('--json', 'print the summary as JSON')
    .action(recordFiles);
}
