import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PageSet } from '../../src/recorder/page-set.ts';
import { ArrowTraceReader } from '../../src/replay/trace/arrow/reader.ts';
import { TRACE_OP_NAMES, type TraceOp } from '../../src/replay/trace/trace.ts';
import { random } from '../erofs/random.ts';
import { temporaryFolder } from '../replay/support.ts';
import { hasTool, need } from '../require.ts';

const CLI = new URL('../../dist/cli.js', import.meta.url).pathname;
const tools = ['mkfs.erofs', 'mount', 'unshare', 'python3'];
const able =
  need(tools.join(', '), tools.every(hasTool)) &&
  need(
    'root, EROFS and tracefs in the kernel, to record',
    process.getuid?.() === 0 && ['erofs', 'tracefs'].every((fs) => kernelHas(fs)),
  );
const MEMORY_CGROUP = '/sys/fs/cgroup/memory';

function kernelHas(fs: string): boolean {
  if (readFileSync('/proc/filesystems', 'utf8').includes(`\t${fs}\n`)) return true;
  return spawnSync('modprobe', [fs]).status === 0;
}

/** An image of a few files, one of 8 MiB, another of 4 that is executable. */
function makeImage(dir: string): string {
  const tree = join(dir, 'tree');
  mkdirSync(join(tree, 'sub'), { recursive: true });
  const next = random(3);
  const bytes = (n: number): Buffer => Buffer.from(Uint8Array.from({ length: n }, () => next(256)));
  writeFileSync(join(tree, 'big'), bytes(8 << 20));
  writeFileSync(join(tree, 'sub/other'), bytes(4 << 20));
  writeFileSync(join(tree, 'small'), bytes(5000));
  for (let i = 0; i < 30; i++) writeFileSync(join(tree, `sub/f${i}`), bytes(1 + next(40_000)));
  const image = join(dir, 'test.erofs');
  execFileSync('mkfs.erofs', ['-zlz4hc', image, tree], { stdio: 'ignore' });
  return image;
}

interface Recorded {
  status: number | null;
  stdout: string;
  stderr: string;
  trace: string;
  dir: string;
}

/** Mounts, for its own processes only, an image on $M and tracefs on $T, and runs `script`. */
function inNamespace(dir: string, image: string, script: string): string[] {
  for (const name of ['m', 't']) mkdirSync(join(dir, name), { recursive: true });
  const mounts = 'set -e; mount -t tracefs tracefs "$T"; mount -t erofs -o ro,loop "$I" "$M"; set +e';
  const variables = `M='${join(dir, 'm')}' T='${join(dir, 't')}' I='${image}' N='${process.execPath}' C='${CLI}' D='${dir}'`;
  return [
    '--mount',
    '--propagation',
    'private',
    'bash',
    '-c',
    `${variables}; export M T I N C D; ${mounts}; ${script}`,
  ];
}

function record(script: string, options = '', dir = temporaryFolder()): Recorded {
  const image = makeImage(dir);
  writeFileSync(join(dir, 'run'), script);
  const trace = join(dir, 'run.arrows');
  const command = `$N "$C" record -o '${trace}' --tracefs "$T" --mount "$M=m" --name c --hold 300ms --json ${options} -- bash "$D/run"`;
  const { status, stdout, stderr } = spawnSync('unshare', inNamespace(dir, image, command), { encoding: 'utf8' });
  return { status, stdout, stderr, trace, dir };
}

interface Row {
  op: TraceOp;
  path: string;
  container: string;
  page: number;
  pages: number;
  touch: number;
}

async function rowsOf(trace: string): Promise<{ rows: Row[]; reader: ArrowTraceReader }> {
  const reader = await ArrowTraceReader.open(trace);
  const rows: Row[] = [];
  for await (const b of reader.batches())
    for (let i = 0; i < b.rows; i++)
      rows.push({
        op: TRACE_OP_NAMES[b.op[i]!]!,
        path: reader.files[b.file[i]!]!.path ?? '',
        container: reader.containers[b.container[i]!]!,
        page: b.page[i]!,
        pages: b.pages[i]!,
        touch: b.touch[i]!,
      });
  return { rows, reader };
}

/** Pages by file: those cached before, and the fills, without the drops; and what mincore(2) showed at the end. */
function pageSets(rows: readonly Row[], files: ReadonlySet<string>): { events: Pages; truth: Pages } {
  const events: Pages = new Map();
  const truth: Pages = new Map();
  const looked = new Set<string>();
  const of = (sets: Pages, path: string): PageSet => {
    let set = sets.get(path);
    if (set === undefined) {
      set = new PageSet();
      sets.set(path, set);
    }
    return set;
  };
  for (const { op, path, page, pages } of rows) {
    if (!files.has(path) || (looked.has(path) && op !== 'cached-after')) continue;
    if (op === 'fill' || op === 'cached-before') of(events, path).add(page, pages);
    else if (op === 'drop') of(events, path).delete(page, pages);
    else if (op === 'cached-after') {
      // The look was at this file now: what the events say of it later is another matter.
      of(truth, path).add(page, pages);
      looked.add(path);
    }
  }
  return { events, truth };
}
type Pages = Map<string, PageSet>;

const shape = (sets: Pages): [string, [number, number][]][] =>
  [...sets]
    .map(([path, set]): [string, [number, number][]] => [path, [...set.runs()]])
    .filter(([, runs]) => runs.length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));

async function holds(run: Recorded): Promise<Row[]> {
  expect([run.status, run.stderr]).toEqual([0, '']);
  const { rows, reader } = await rowsOf(run.trace);
  const files = new Set(reader.files.filter(({ type }) => type === 'file').map(({ path }) => path!));
  const { events, truth } = pageSets(rows, files);
  expect(shape(truth).length).toBeGreaterThan(0);
  expect(shape(events)).toEqual(shape(truth));
  expect(reader.endFacts).toMatchObject({ lost: 0, late: 0, filesDifferent: 0 });
  return rows;
}

describe.skipIf(!able)('record', () => {
  test('fills minus drops are what mincore(2) shows, file by file, after reads and mappings at once', async () => {
    const rows = await holds(
      record(`
cat "$M"/sub/f* > /dev/null & dd if="$M/big" of=/dev/null bs=4096 skip=300 count=90 2> /dev/null & wait
python3 - <<'P'
import mmap, os
f = open(os.environ['M'] + '/sub/other', 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
for i in range(0, len(m), 40961): m[i]
P
`),
    );
    const own = rows.filter(({ container }) => container === 'c');
    expect(own.some(({ op, path }) => op === 'read' && path === '/big')).toBe(true);
    expect(own.some(({ op, path }) => (op === 'fault' || op === 'fault-around') && path === '/sub/other')).toBe(true);
  });

  test('as text too', async () => {
    const rows = await holds(record('cat "$M"/sub/f* > /dev/null', '--backend text'));
    expect(rows.filter(({ op, container }) => op === 'read' && container === 'c').length).toBeGreaterThan(29);
  });

  test('what a program asks for is what is recorded: reads page for page, faults and windows by the page', async () => {
    const next = random(17);
    const reads = Array.from({ length: 200 }, () => next(2048));
    const touched = Array.from({ length: 150 }, () => next(1024));
    const dir = temporaryFolder();
    writeFileSync(join(dir, 'plan.json'), JSON.stringify({ reads, touched }));
    const run = record(
      `
python3 - <<'P'
import json, mmap, os
M, D = os.environ['M'], os.environ['D']
plan = json.load(open(D + '/plan.json'))
f = os.open(M + '/big', os.O_RDONLY); os.posix_fadvise(f, 0, 0, os.POSIX_FADV_RANDOM)
for p in plan['reads']: os.pread(f, 100, 4096 * p + 7)
g = os.open(M + '/sub/other', os.O_RDONLY)
for p in range(1024): os.pread(g, 1, 4096 * p)
m = mmap.mmap(g, 0, prot=mmap.PROT_READ)
for p in plan['touched']: m[4096 * p]
P
`,
      '',
      dir,
    );
    const rows = await holds(run);
    const big = rows.filter(({ op, path }) => op === 'read' && path === '/big');
    expect(big.map(({ page, pages }) => [page, pages])).toEqual(reads.map((page) => [page, 1]));
    // A page leaves an event only if it isn't mapped yet, and a large folio may be mapped as a whole: those that do are in the order of touching.
    const events = rows.filter(({ op, path }) => (op === 'fault-around' || op === 'fault') && path === '/sub/other');
    const known = events.filter(({ op, touch }) => op === 'fault' || touch >= 0);
    let at = -1;
    for (const { op, page, touch } of known) {
      at = touched.indexOf(op === 'fault' ? page : page + touch, at + 1);
      expect(at).toBeGreaterThanOrEqual(0);
    }
    expect(known.length).toBeGreaterThan(5);
    expect(known.length / events.length).toBeGreaterThan(0.9);
  });

  test.skipIf(!need('a memory cgroup (version 1)', existsSync(join(MEMORY_CGROUP, 'memory.limit_in_bytes'))))(
    'under a memory limit pages are dropped and come again, and the sets still agree',
    async () => {
      const group = join(MEMORY_CGROUP, `foliolab-test-${process.pid}`);
      mkdirSync(group);
      try {
        writeFileSync(join(group, 'memory.limit_in_bytes'), String(6 << 20));
        const rows = await holds(
          record(
            `echo $$ > '${group}/cgroup.procs'; for i in 1 2 3; do cat "$M/big" > /dev/null; done`,
            `--container limited='${group}'`,
          ),
        );
        const of = (wanted: TraceOp): number =>
          rows.filter(({ op, path }) => op === wanted && path === '/big').reduce((sum, { pages }) => sum + pages, 0);
        expect(of('drop')).toBeGreaterThan(2048);
        expect(of('fill')).toBeGreaterThan(2 * 2048);
        expect(
          rows
            .filter(({ op, path }) => op === 'fill' && path === '/big')
            .every(({ container }) => container === 'limited'),
        ).toBe(true);
      } finally {
        for (let attempt = 0; attempt < 50 && existsSync(group); attempt++)
          spawnSync('sh', ['-c', `rmdir '${group}' || sleep 0.1`], { stdio: 'ignore' });
      }
    },
  );

  test('two containers are told apart by their process trees, and others are nobody', async () => {
    const dir = temporaryFolder();
    const image = makeImage(dir);
    const trace = join(dir, 'run.arrows');
    const script = `
sh -c 'read x; cat "$M/sub/f1"; sh -c "cat $M/sub/f2"' < <(sleep 2.5; echo) > /dev/null & A=$!
sh -c 'read x; cat "$M/sub/f3"' < <(sleep 2.5; echo) > /dev/null & B=$!
(sleep 2.5; cat "$M/sub/f4" > /dev/null) &
$N "$C" record -o '${trace}' --tracefs "$T" --mount "$M" --container one=$A --container two=$B --duration 4s --hold 0ms
`;
    const { status, stderr } = spawnSync('unshare', inNamespace(dir, image, script), { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
    const { rows } = await rowsOf(trace);
    const who = new Map(rows.filter(({ op }) => op === 'read').map(({ path, container }) => [path, container]));
    expect(Object.fromEntries(who)).toEqual({ '/sub/f1': 'one', '/sub/f2': 'one', '/sub/f3': 'two', '/sub/f4': '?' });
  });

  test('an overlay stands for its lower layer', async () => {
    const dir = temporaryFolder();
    const image = makeImage(dir);
    const trace = join(dir, 'run.arrows');
    const script = `
mkdir "$D/o"; mount -t tmpfs tmpfs "$D/o"; mkdir "$D/o/upper" "$D/o/work" "$D/o/root"
mount -t overlay overlay -o "lowerdir=$M,upperdir=$D/o/upper,workdir=$D/o/work" "$D/o/root"
$N "$C" record -o '${trace}' --tracefs "$T" --mount "$D/o/root=layer" --hold 300ms --json -- cat "$D/o/root/sub/other" > /dev/null
`;
    const { status, stderr } = spawnSync('unshare', inNamespace(dir, image, script), { encoding: 'utf8' });
    const { rows, reader } = await rowsOf(trace);
    await holds({ status, stderr, stdout: '', trace, dir });
    expect(reader.mounts.map(({ name, fstype }) => [name, fstype])).toEqual([['layer', 'erofs']]);
    expect(rows.filter(({ op }) => op === 'read').every(({ path }) => path === '/sub/other')).toBe(true);
  });

  test('a recorder that is killed leaves a trace up to its last batch, and what it left in tracefs is found and removed', async () => {
    const dir = temporaryFolder();
    const image = makeImage(dir);
    const trace = join(dir, 'run.arrows');
    const one = `$N "$C" record -o '${trace}' --tracefs "$T" --mount "$M"`;
    const script = `
${one} -- sh -c 'echo $$ > "$D/pid"; cat "$M/big"; exec sleep 60' > /dev/null & P=$!
sleep 7.5; kill -9 $P; wait $P 2> /dev/null; kill -9 "$(cat "$D/pid")"
ls "$T/instances" | wc -l
${one} --duration 100ms --hold 0ms -o "$D/second" > /dev/null
ls "$T/instances" | wc -l
${one} --duration 100ms --hold 0ms -o "$D/third" --remove-stale > /dev/null
ls "$T/instances" | wc -l
`;
    const { stdout, stderr } = spawnSync('unshare', inNamespace(dir, image, script), { encoding: 'utf8' });
    const counts = stdout.trim().split('\n').map(Number);
    // Another recorder may be at work on the machine.
    expect([counts[0]! - counts[2]!, counts[1]! - counts[2]!]).toEqual([2, 2]);
    expect(stderr).toMatch(
      /the trace instance foliolab-\d+-cache was left by a recorder that is gone; --remove-stale removes it/,
    );
    const { rows, reader } = await rowsOf(trace);
    expect(rows.filter(({ op, path }) => op === 'read' && path === '/big').length).toBeGreaterThan(10);
    expect(reader.endFacts).toBe(null);
  });

  test('a signal ends a recording of what runs, whole', async () => {
    const dir = temporaryFolder();
    const image = makeImage(dir);
    const trace = join(dir, 'run.arrows');
    const script = `(sleep 2; cat "$M/small" > /dev/null; sleep 1; pkill -INT -f "record -o ${trace}") & $N "$C" record -o '${trace}' --tracefs "$T" --mount "$M=m" --duration 60s; ls "$T/instances"`;
    const { status, stdout, stderr } = spawnSync('unshare', inNamespace(dir, image, script), { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/events, 0 lost$/m);
    const { rows, reader } = await rowsOf(trace);
    expect(reader.endFacts).not.toBe(null);
    expect(rows.filter(({ op }) => op === 'read').map(({ path, container }) => [path, container])).toEqual([
      ['/small', 'm'],
    ]);
  });

  test('what cannot be recorded is refused in a sentence', () => {
    const dir = temporaryFolder();
    const image = makeImage(dir);
    const ask = (script: string): string[] => {
      const { status, stderr } = spawnSync('unshare', inNamespace(dir, image, script), { encoding: 'utf8' });
      return [String(status), stderr.trim()];
    };
    const one = '$N "$C" record -o "$D/x"';
    expect(ask(`${one} --tracefs "$D" --mount "$M" -- true`)).toEqual([
      '2',
      `foliolab: --tracefs ${dir}: is no tracefs (mount -t tracefs tracefs ${dir})`,
    ]);
    expect(ask(`${one} --tracefs "$T" -- true`)[1]).toMatch(/nothing to record: --mount DIR/);
    expect(ask(`${one} --tracefs "$T" --mount "$M"`)[1]).toMatch(/nothing says how long/);
    expect(ask(`${one} --tracefs "$T" --mount /nowhere -- true`)).toEqual(['1', 'foliolab: /nowhere: no such file']);
    expect(ask(`${one} --tracefs "$T" --mount "$M" --container a=999999999 -- true`)[1]).toMatch(
      /there is no process 999999999/,
    );
    expect(ask(`${one} --tracefs "$T" --mount "$M" -- sh -c 'exit 3'`)).toEqual(['1', 'foliolab: sh exited with 3']);
    expect(ask(`${one} --tracefs "$T" --mount "$M" -- nosuchprogram`)[0]).toBe('1');
    expect(ask(`unshare --pid --fork ${one} --tracefs "$T" --mount "$M" -- true`)[1]).toMatch(
      /needs the host’s pid namespace/,
    );
    expect(ask(`chmod 755 "$D" && setpriv --reuid 65534 ${one} --tracefs "$T" --mount "$M" -- true`)[1]).toMatch(
      /needs root/,
    );
  });
});
