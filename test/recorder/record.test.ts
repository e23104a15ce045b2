import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RecordReport } from '../../src/recorder/recorder.ts';
import type { TraceOp } from '../../src/replay/trace/trace.ts';
import { random } from '../erofs/random.ts';
import { temporaryFolder } from '../replay/support.ts';
import { hasTool, need } from '../require.ts';
import { pageSets, type Row, rowsOf } from './page-truth.ts';

const CLI = new URL('../../dist/cli.js', import.meta.url).pathname;
const tools = ['mkfs.erofs', 'mount', 'unshare', 'python3'];
const able =
  need(tools.join(', '), tools.every(hasTool)) &&
  need(
    'root, EROFS and tracefs in the kernel, to record',
    process.getuid?.() === 0 && ['erofs', 'tracefs'].every((fs) => kernelHas(fs)),
  );
const CGROUP2 = /^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 /m.exec(readFileSync('/proc/self/mountinfo', 'utf8'))?.[1];
const MEMORY_CGROUP = '/sys/fs/cgroup/memory';

function kernelHas(fs: string): boolean {
  if (readFileSync('/proc/filesystems', 'utf8').includes(`\t${fs}\n`)) return true;
  return spawnSync('modprobe', [fs]).status === 0;
}

let imageFolder = '';

/** An image of a few files, one of 8 MiB, another of 4. */
function buildImage(): void {
  imageFolder = mkdtempSync(join(tmpdir(), 'foliolab-record-'));
  const tree = join(imageFolder, 'tree');
  mkdirSync(join(tree, 'sub'), { recursive: true });
  const next = random(3);
  const bytes = (n: number): Buffer => randomBytes(n);
  writeFileSync(join(tree, 'big'), bytes(8 << 20));
  writeFileSync(join(tree, 'sub/other'), bytes(4 << 20));
  writeFileSync(join(tree, 'small'), bytes(5000));
  for (let i = 0; i < 30; i++) writeFileSync(join(tree, `sub/f${i}`), bytes(1 + next(40_000)));
  execFileSync('mkfs.erofs', ['-zlz4', join(imageFolder, 'test.erofs'), tree], { stdio: 'ignore' });
}

/** A copy of the image, for mount(8) gives a file that is mounted already the same superblock again. */
function makeImage(dir: string): string {
  const image = join(dir, 'test.erofs');
  copyFileSync(join(imageFolder, 'test.erofs'), image);
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

const TRIES = 3;

/** Records a script; again if a page came or went while mincore(2) was asked, which is the host's doing and is said. */
function record(script: string, options = '', dir = temporaryFolder(), image = makeImage(dir)): Recorded {
  writeFileSync(join(dir, 'run'), script);
  const trace = join(dir, 'run.arrows');
  const command = `$N "$C" record -o '${trace}' --tracefs "$T" --mount "$M=m" --name c --hold 500ms --json ${options} -- bash "$D/run"`;
  for (let attempt = 1; ; attempt++) {
    const { status, stdout, stderr } = spawnSync('unshare', inNamespace(dir, image, command), { encoding: 'utf8' });
    const different =
      status === 0 ? (JSON.parse(stdout.slice(stdout.indexOf('{\n'))) as RecordReport).filesDifferent : 0;
    if (different === 0 || attempt === TRIES) return { status, stdout, stderr, trace, dir };
    process.stderr.write(`recording ${attempt} of ${TRIES}: ${different} files changed while they were looked at\n`);
  }
}

/** Waits until a recorder of this process id records: its first look at the page cache, before which nothing is an access, takes a moment. */
const RECORDING =
  'recording() { until [ "$(cat "$T/instances/foliolab-$1-cache/tracing_on" 2> /dev/null)" = 1 ]; do kill -0 $1 || exit 9; sleep 0.1; done; sleep 0.5; }';

/** Records what runs: `before`, then the recorder, then `meanwhile`, then SIGINT. */
async function attached(before: string, options: string, meanwhile: string, mount = '--mount "$M=m"') {
  const dir = temporaryFolder();
  const image = makeImage(dir);
  const trace = join(dir, 'run.arrows');
  const script = `${RECORDING}
A=; trap '[ -z "$A" ] || kill -9 $A 2> /dev/null' EXIT
${before}
"$N" "$C" record -o '${trace}' --tracefs "$T" ${mount} --hold 0ms --duration 200s ${options} & P=$!
recording $P
${meanwhile}
sleep 0.5; kill -INT $P; wait $P`;
  const { status, stdout, stderr } = spawnSync('unshare', inNamespace(dir, image, script), { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  return { ...(await rowsOf(trace)), stdout, stderr, dir };
}

/** Who read which file. */
function readers(rows: readonly Row[]): Record<string, string> {
  return Object.fromEntries(rows.filter(({ op }) => op === 'read').map(({ path, container }) => [path, container]));
}

async function holds(run: Recorded): Promise<Row[]> {
  expect([run.status, run.stderr]).toEqual([0, '']);
  const { rows, reader } = await rowsOf(run.trace);
  const { events, truth } = pageSets({ rows, reader });
  expect(truth.length).toBeGreaterThan(0);
  expect(events).toEqual(truth);
  expect(reader.endFacts).toMatchObject({ lost: 0, late: 0, filesDifferent: 0 });
  return rows;
}

// Each test waits for real seconds, on machines that may have other work.
describe.skipIf(!able)('record', { timeout: 240_000 }, () => {
  beforeAll(buildImage, 120_000);
  afterAll(() => rmSync(imageFolder, { recursive: true, force: true }));

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

  test.skipIf(!need('redis-server', hasTool('redis-server')))(
    'a service recorded on a mounted image, replayed end to end: its fills leave what mincore(2) showed, and it asked for no more',
    async () => {
      const dir = temporaryFolder();
      const image = join(dir, 'redis.erofs');
      execFileSync(
        'bash',
        [
          '-euc',
          `
mkdir -p "$1/root/tmp" "$1/root/bin"
cp "$(command -v redis-server)" "$(command -v redis-cli)" "$1/root/bin"
ldd "$1"/root/bin/* | grep -o '/[^ :]* (' | tr -d ' (' | sort -u | while read -r library; do
  mkdir -p "$1/root$(dirname "$library")"; cp -L "$library" "$1/root$library"
done
mkfs.erofs --quiet "$2" "$1/root"`,
          'bash',
          dir,
          image,
        ],
        { stdio: ['ignore', 'ignore', 'inherit'] },
      );
      execFileSync(process.execPath, [CLI, 'index', image, '-o', join(dir, 'redis.fidx')], { stdio: 'ignore' });
      const rows = await holds(
        record(
          `
set -e
mount -t tmpfs tmpfs "$M/tmp"
chroot "$M" /bin/redis-server --port 0 --unixsocket /tmp/s --save '' --dir /tmp > /dev/null &
cli() { chroot "$M" /bin/redis-cli -s /tmp/s "$@" > /dev/null 2>&1; }
until cli ping; do sleep 0.1; done
for i in 1 2 3 4 5 6 7 8 9; do cli set key$i value; cli get key$i; done
cli eval 'return redis.sha1hex("x")' 0
cli shutdown nosave || true
wait`,
          '',
          dir,
          image,
        ),
      );
      expect(
        rows.some(({ op, path, container }) => op === 'fault' && path === '/bin/redis-server' && container === 'c'),
      ).toBe(true);
      rmSync(image);
      const replayed = (from: string): { residentPages: number; footprintPages: number } =>
        JSON.parse(
          execFileSync(
            process.execPath,
            [CLI, 'replay', '--trace', join(dir, 'run.arrows'), '--sharing', 'per-inode', '--from', from, '--json'],
            { encoding: 'utf8' },
          ),
        ).rows[0];
      const { truth } = pageSets(await rowsOf(join(dir, 'run.arrows')));
      const shown = truth.flatMap(([, runs]) => runs).reduce((sum, [, pages]) => sum + pages, 0);
      expect(replayed('fills').residentPages).toBe(shown);
      expect(replayed('demand').footprintPages).toBeLessThanOrEqual(replayed('fills').footprintPages);
    },
  );

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

  test('reads of 1,000 bytes, and cold writes to a private mapping, are as many as a program makes', async () => {
    const next = random(29);
    const written = [...new Set(Array.from({ length: 60 }, () => next(1024)))];
    const dir = temporaryFolder();
    writeFileSync(join(dir, 'plan.json'), JSON.stringify(written));
    const rows = await holds(
      record(
        `
python3 - <<'P'
import json, mmap, os
M, D = os.environ['M'], os.environ['D']
for again in range(2):
    f = os.open(M + '/big', os.O_RDONLY)
    for i in range(500): os.read(f, 1000)
f = os.open(M + '/sub/other', os.O_RDONLY)
m = mmap.mmap(f, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
m.madvise(mmap.MADV_RANDOM)
for again in range(2):
    for p in json.load(open(D + '/plan.json')): m[4096 * p] = 1
    m.madvise(mmap.MADV_DONTNEED)
P
`,
        '',
        dir,
      ),
    );
    const asked = Array.from({ length: 1000 }, (_, i): [number, number] => {
      const at = 1000 * (i % 500);
      const page = Math.floor(at / 4096);
      return [page, Math.floor((at + 999) / 4096) - page + 1];
    });
    const of = (wanted: TraceOp, file: string): Row[] => rows.filter(({ op, path }) => op === wanted && path === file);
    const reads = of('read', '/big').map(({ page, pages }) => [page, pages] as const);
    // Where a read runs into a page that is on its way in, Linux 6.18 has no event for the pages ahead of it.
    const ends = (all: readonly (readonly number[])[]): number[] => all.map(([page, pages]) => page! + pages!);
    expect(ends(reads)).toEqual(ends(asked));
    expect(reads.slice(500)).toEqual(asked.slice(500));
    expect(of('fault', '/sub/other').map(({ page }) => page)).toEqual([...written, ...written]);
    expect(of('fault-again', '/sub/other').length).toBeGreaterThan(0);
  });

  test('the page of a window is the one that was touched, in mappings that lie as those of a library do', async () => {
    const next = random(31);
    // Multiples of 5: a page beside is none of them.
    const touched = Array.from({ length: 80 }, () => 5 * next(100));
    const dir = temporaryFolder();
    writeFileSync(join(dir, 'plan.json'), JSON.stringify(touched));
    const rows = await holds(
      record(
        `
python3 - <<'P'
import ctypes, json, mmap, os
M, D = os.environ['M'], os.environ['D']
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
f = os.open(M + '/sub/other', os.O_RDONLY)
for p in range(1024): os.pread(f, 1, 4096 * p)
P, READ, WRITE, PRIVATE, FIXED, ANONYMOUS = 4096, 1, 2, 2, 16, 32
base = libc.mmap(None, 16 << 20, READ, PRIVATE | ANONYMOUS, -1, 0)
base += -base % 65536
code = libc.mmap(base + 5 * P, 500 * P, READ, PRIVATE | FIXED, f, 0)
data = libc.mmap(base + 506 * P, 100 * P, READ | WRITE, PRIVATE | FIXED, f, 500 * P)
ctypes.c_char.from_address(data + 3 * P).value = 1
for p in json.load(open(D + '/plan.json')): ctypes.c_char.from_address(code + p * P).value
P
`,
        '',
        dir,
      ),
    );
    const events = rows.filter(({ op, path }) => (op === 'fault-around' || op === 'fault') && path === '/sub/other');
    const known = events.filter(({ op, page, touch }) => op === 'fault-around' && page < 500 && touch >= 0);
    let at = -1;
    for (const { page, touch } of known) {
      at = touched.indexOf(page + touch, at + 1);
      expect(at).toBeGreaterThanOrEqual(0);
    }
    expect(known.length).toBeGreaterThan(5);
    expect(events.some(({ op, page }) => op === 'fault' && page === 503)).toBe(true);
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
    const { rows } = await attached(
      `
mkfifo "$D/go"; exec 7<> "$D/go"
sh -c 'read x <&7; cat "$M/sub/f1"; sh -c "cat $M/sub/f2"' > /dev/null & A=$!
sh -c 'read x <&7; cat "$M/sub/f3"' > /dev/null & B=$!`,
      '--container one=$A --container two=$B',
      'echo >&7; echo >&7; cat "$M/sub/f4" > /dev/null; wait $A $B',
    );
    expect(readers(rows)).toEqual({ '/sub/f1': 'one', '/sub/f2': 'one', '/sub/f3': 'two', '/sub/f4': '?' });
  });

  test('a container is told by its pid namespace, and what enters that later is of it', async () => {
    const { rows } = await attached(
      `
unshare --pid --fork --kill-child sh -c 'echo > "$D/up"; sleep 1000' 2> /dev/null & U=$!; disown
until [ -e "$D/up" ]; do sleep 0.1; done
A=$(echo $(cat /proc/$U/task/$U/children))`,
      '--container one=$A',
      'nsenter --pid --target $A sh -c \'sleep 1; cat "$M/sub/f1"; sleep 1\' > /dev/null; cat "$M/sub/f2" > /dev/null; kill -9 $A',
    );
    expect(readers(rows)).toEqual({ '/sub/f1': 'one', '/sub/f2': '?' });
  });

  test.skipIf(!need('cgroup version 2', CGROUP2 !== undefined))(
    'a container is told by its cgroup: what is in it, and what comes into it or below',
    async () => {
      const group = join(CGROUP2!, `foliolab-test-${process.pid}`);
      mkdirSync(join(group, 'below'), { recursive: true });
      try {
        const { rows } = await attached(
          `
mkfifo "$D/go"; exec 7<> "$D/go"
sh -c 'echo $$ > "$1/cgroup.procs"; echo > "$D/up"; read x <&7; cat "$M/sub/f1"' sh '${group}' > /dev/null & A=$!
until [ -e "$D/up" ]; do sleep 0.1; done`,
          `--container one='${group}'`,
          `
echo >&7; wait $A; cat "$M/sub/f2" > /dev/null
sh -c 'echo $$ > "$1/below/cgroup.procs"; cat "$M/sub/f3"' sh '${group}' > /dev/null`,
        );
        expect(readers(rows)).toEqual({ '/sub/f1': 'one', '/sub/f2': '?', '/sub/f3': 'one' });
      } finally {
        spawnSync('rmdir', [join(group, 'below'), group]);
      }
    },
  );

  test('a filesystem in another mount namespace is found by a process of it, and is read to the end when that has gone', async () => {
    const { rows, reader, dir } = await attached(
      `
umount -l "$M"
unshare --mount --pid --fork --kill-child sh -c 'mount -t erofs -o ro,loop "$I" "$M"; echo > "$D/up"; exec sleep 1000' 2> /dev/null & U=$!; disown
until [ -e "$D/up" ]; do sleep 0.1; done
A=$(echo $(cat /proc/$U/task/$U/children))`,
      '--container one=$A --mount "/proc/$A/root$M=there"',
      'nsenter --mount --pid --target $A sh -c \'sleep 1; cat "$M/sub/f1"; sleep 1\' > /dev/null; kill -9 $A',
      '',
    );
    expect(readers(rows)).toEqual({ '/sub/f1': 'one' });
    expect(reader.mounts).toMatchObject([{ name: 'there', image: 'test.erofs' }]);
    await holds({ status: 0, stderr: '', stdout: '', trace: join(dir, 'run.arrows'), dir });
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
    const one = `$N "$C" record -o '${trace}' --tracefs "$T" --mount "$M" --hold 0ms`;
    const script = `
${RECORDING}
${one} -- sh -c 'echo $$ > "$D/pid"; cat "$M/big"; exec sleep 60' > /dev/null & P=$!
recording $P; sleep 6.5; kill -9 $P; wait $P 2> /dev/null; kill -9 "$(cat "$D/pid")"
ls "$T/instances" | wc -l
${one} --duration 100ms -o "$D/second" > /dev/null
ls "$T/instances" | wc -l
${one} --duration 100ms -o "$D/third" --remove-stale > /dev/null
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

  test('what goes in and out while the recorder starts is not missed', async () => {
    const run = await attached(
      `
python3 - <<'P' &
import glob, os, time
M, D, T = os.environ['M'], os.environ['D'], os.environ['T']
def ours(instance):
    try: return D in open('/proc/%s/cmdline' % os.path.basename(instance).split('-')[1]).read()
    except OSError: return False
while not any(map(ours, glob.glob(T + '/instances/foliolab-*-cache'))): pass
for name, pages in ('/big', 2048), ('/sub/other', 1024):
    f = os.open(M + name, os.O_RDONLY)
    os.posix_fadvise(f, 0, 0, os.POSIX_FADV_RANDOM)
    for i in range(pages):
        os.pread(f, 1, 4096 * i)
        time.sleep(0.0001)
P
L=$!`,
      '',
      'wait $L',
    );
    expect(run.rows.some(({ op }) => op === 'cached-before')).toBe(true);
    await holds({ status: 0, stdout: '', stderr: '', trace: join(run.dir, 'run.arrows'), dir: run.dir });
  });

  test('a signal ends a recording of what runs, whole', async () => {
    const { rows, reader, stdout } = await attached('', '', 'cat "$M/small" > /dev/null');
    expect(stdout).toMatch(/events, 0 lost$/m);
    expect(reader.endFacts).not.toBe(null);
    expect(readers(rows)).toEqual({ '/small': 'm' });
  });

  test('a signal or the time ends a command too, which is no failure; its own failure is', () => {
    const dir = temporaryFolder();
    const image = makeImage(dir);
    const script = `
${RECORDING}
one() { "$N" "$C" record -o "$D/run.arrows" --tracefs "$T" --mount "$M" --hold 0ms "$@" > /dev/null; }
$N "$C" record -o "$D/run.arrows" --tracefs "$T" --mount "$M" -- sleep 1000 > /dev/null & P=$!; recording $P; kill -INT $P; wait $P; echo $?
one --duration 500ms -- sleep 1000; echo $?
one -- sh -c 'exit 3'; echo $?
one -- sh -c 'kill -9 $$'; echo $?
`;
    const { stdout, stderr } = spawnSync('unshare', inNamespace(dir, image, script), { encoding: 'utf8' });
    expect([stderr, ...stdout.split('\n')]).toEqual([
      'foliolab: sh exited with 3\nfoliolab: sh was ended by SIGKILL\n',
      ...['0', '0', '1', '1', ''],
    ]);
  });

  test('without --mount every EROFS filesystem is recorded, each once', async () => {
    const { reader, rows, stderr } = await attached(
      'mkdir "$D/n" "$D/b"; cp "$I" "$D/other.erofs"; mount -t erofs -o ro,loop "$D/other.erofs" "$D/n"; mount --bind "$M" "$D/b"',
      '',
      'cat "$D/b/sub/f1" "$D/n/sub/f2" > /dev/null',
      '',
    );
    expect(stderr).toBe('');
    const ours = reader.mounts.filter(({ image }) => image === 'test.erofs' || image === 'other.erofs');
    expect(ours.map(({ image }) => image)).toEqual(['test.erofs', 'other.erofs']);
    expect(Object.keys(readers(rows)).sort()).toEqual(['/sub/f1', '/sub/f2']);
  });

  test('events that are lost are counted, in the trace too, and the status is 1, unless --allow-loss', async () => {
    const dir = temporaryFolder();
    const image = makeImage(dir);
    const script = `
one() { "$N" "$C" record -o "$D/$1.arrows" --tracefs "$T" --mount "$M" --hold 0ms --buffer 64KiB "\${@:2}" -- python3 -c '
import os
f = os.open(os.environ["M"] + "/big", os.O_RDONLY)
for i in range(100000): os.pread(f, 1, 4096 * (i % 2048))
' > /dev/null; echo $?; }
one strict; one lax --allow-loss
`;
    const { stdout, stderr } = spawnSync('unshare', inNamespace(dir, image, script), { encoding: 'utf8' });
    expect(stdout.split('\n')).toEqual(['1', '0', '']);
    expect(stderr).toMatch(
      /^foliolab: \S+strict.arrows: \d+ events were lost: a larger --buffer, or fewer mounts\n.*lax/,
    );
    const { reader } = await rowsOf(join(dir, 'strict.arrows'));
    expect(reader.endFacts!.lost).toBe(Number(/(\d+) events were lost/.exec(stderr)![1]));
  });

  test('page faults that are lost are counted by themselves: page sets are whole', async () => {
    const dir = temporaryFolder();
    const image = makeImage(dir);
    const script = `
${RECORDING}
"$N" "$C" record -o "$D/run.arrows" --tracefs "$T" --mount "$M=m" --hold 0ms --duration 200s --buffer 64KiB & P=$!
recording $P
kill -STOP $P
python3 -c '
import mmap
m = mmap.mmap(-1, 4 << 20)
for again in range(100):
    for i in range(0, 4 << 20, 4096): m[i] = 1
    m.madvise(mmap.MADV_DONTNEED)
'
kill -CONT $P; cat "$M/small" > /dev/null; sleep 0.5; kill -INT $P; wait $P; echo $?`;
    const { stdout, stderr } = spawnSync('unshare', inNamespace(dir, image, script), { encoding: 'utf8' });
    expect(stdout.trim().split('\n').at(-1)).toBe('1');
    expect(stdout).toMatch(/events, 0 lost, and \d+ page faults$/m);
    expect(stderr).toMatch(/^foliolab: \S+run.arrows: \d+ page faults were lost, of which references are made/);
    const { reader } = await rowsOf(join(dir, 'run.arrows'));
    expect(reader.endFacts).toMatchObject({ lost: 0, filesDifferent: 0, filesUnseen: 0 });
    expect(reader.endFacts!.lostPageFaults).toBe(Number(/(\d+) page faults were/.exec(stderr)![1]));
  });

  test('an instance that somebody reads, or one of our own process id, is a sentence', () => {
    const dir = temporaryFolder();
    const image = makeImage(dir);
    const script = `
one='record -o '$D/x' --tracefs '$T' --mount '$M' --duration 100ms --hold 0ms'
I="$T/instances/foliolab-999999999-cache"; mkdir "$I"; exec 5< "$I/trace_pipe"
"$N" "$C" $one --remove-stale; echo $?
exec 5<&-
"$N" "$C" $one --remove-stale > /dev/null; echo $?
N="$N" C="$C" one="$one" bash -c 'mkdir "$T/instances/foliolab-$$-cache"; exec "$N" "$C" $one'; echo $?
"$N" "$C" $one --remove-stale > /dev/null
`;
    const { stdout, stderr } = spawnSync('unshare', inNamespace(dir, image, script), { encoding: 'utf8' });
    expect(stdout.split('\n')).toEqual(['2', '0', '2', '']);
    expect(stderr.trim().split('\n')).toEqual([
      `foliolab: the trace instance ${dir}/t/instances/foliolab-999999999-cache is in use: somebody reads it; rmdir it when that has ended`,
      expect.stringMatching(/was left by a recorder that is gone; --remove-stale removes it$/),
      expect.stringMatching(
        /foliolab-\d+-cache is there already, of a recorder that is gone: --remove-stale removes it$/,
      ),
    ]);
  });

  test('a full disk or an output that cannot be written is one line', () => {
    const dir = temporaryFolder();
    const image = makeImage(dir);
    const script = `
mkdir "$D/small"; mount -t tmpfs -o size=4k tmpfs "$D/small"
$N "$C" record -o "$D/small/x.arrows" --tracefs "$T" --mount "$M" -- sh -c 'cat "$M"/sub/* "$M/big" > /dev/null'; echo $?
$N "$C" record -o "$M/x.arrows" --tracefs "$T" --mount "$M" -- true; echo $?
ls "$T/instances" | grep -c "foliolab-$!-"
`;
    const { stdout, stderr } = spawnSync('unshare', inNamespace(dir, image, script), { encoding: 'utf8' });
    expect(stdout.split('\n').slice(0, 2)).toEqual(['1', '1']);
    expect(stderr.trim().split('\n')).toEqual([
      `foliolab: ${dir}/small/x.arrows: no space left on the device`,
      `foliolab: ${dir}/m/x.arrows: EROFS`,
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
    expect(ask(`umount -l -a -t erofs; ${one} --tracefs "$T" -- true`)[1]).toMatch(
      /nothing to record: no EROFS filesystem is mounted, and no --mount DIR names another/,
    );
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
