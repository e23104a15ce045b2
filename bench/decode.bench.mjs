/*
 * Decoding against fsck.erofs: both read and decode every byte of the same images, made by mkfs.erofs from one tree.
 * usage: npm run bench -- decode
 *   BENCH_TREE  the tree (default /usr); its regular files are copied, so that none is a hard link, which fsck.erofs would decode again
 *   BENCH_MIB   how much of it (default 1024)
 *   BENCH_RUNS  runs of each (default 5), taken in turns; the fastest counts, and the median of the ratios of neighbours stands beside it
 * mkfs.erofs and fsck.erofs come from $FOLIOLAB_EROFS_UTILS/bin or PATH; algorithms that they lack are left out.
 * Fails when an image isn't sound to both, or when the number of bytes decoded is not that of the tree.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, opendirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from 'simple-statistics';
import { printTable } from './measure.mjs';

const { BENCH_TREE = '/usr', BENCH_MIB = '1024', BENCH_RUNS = '5', FOLIOLAB_EROFS_UTILS } = process.env;
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const path = `${FOLIOLAB_EROFS_UTILS ? `${FOLIOLAB_EROFS_UTILS}/bin:` : ''}${process.env.PATH}`;
const env = { ...process.env, PATH: path, LC_ALL: 'C' };
const IMAGES = {
  plain: [],
  lz4hc: ['-zlz4hc,9', '-C65536'],
  zstd: ['-zzstd,9', '-C65536'],
  deflate: ['-zdeflate,9', '-C65536'],
  lzma: ['-zlzma,6', '-C65536'],
};

/** Copies regular files until there is enough. @returns how many bytes */
function copyTree(from, to, limit) {
  let bytes = 0;
  let files = 0;
  const todo = [from];
  while (todo.length > 0) {
    const dir = opendirSync(todo.pop());
    for (let entry = dir.readSync(); entry !== null; entry = dir.readSync()) {
      const file = join(entry.parentPath ?? entry.path, entry.name);
      if (entry.isDirectory()) todo.push(file);
      if (!entry.isFile()) continue;
      const { size } = statSync(file);
      if (bytes + size > limit) continue;
      const folder = join(to, `${Math.floor(files / 500)}`);
      mkdirSync(folder, { recursive: true });
      copyFileSync(file, join(folder, `${files++}`));
      bytes += size;
    }
    dir.closeSync();
  }
  return bytes;
}

/** CPU and wall seconds of a command, by the shell's own `time`. */
function timed(command) {
  const script = 'TIMEFORMAT="%R %U %S"; time "$@" > /dev/null';
  const run = spawnSync('bash', ['-c', script, 'bash', ...command], { env, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`${command.join(' ')} exited with ${run.status}: ${run.stderr}`);
  const [wall, user, system] = run.stderr.trim().split('\n').pop().split(' ').map(Number);
  return { wall, cpu: user + system };
}

const folder = mkdtempSync(join(tmpdir(), 'foliolab-bench-'));
try {
  const version = spawnSync('fsck.erofs', ['--version'], { env, encoding: 'utf8' }).stdout?.split('\n')[0] || null;
  if (version === null) throw new Error('fsck.erofs 1.7 or later is not there: scripts/erofs-utils.sh fetches one');
  const bytes = copyTree(BENCH_TREE, join(folder, 'tree'), Number(BENCH_MIB) * 2 ** 20);
  console.log(`${bytes} bytes of files from ${BENCH_TREE}; ${version}`);
  console.log(
    'fsck.erofs --extract IMAGE | node dist/cli.js image check [--jobs 1] IMAGE; seconds, the fastest of the runs',
  );
  const rows = [
    ['image', 'fsck CPU', 'ours CPU', 'fsck / ours', 'median', 'fsck wall', 'ours wall, all cores', 'fsck / ours'],
  ];
  for (const [name, options] of Object.entries(IMAGES)) {
    const image = join(folder, `${name}.erofs`);
    const made = spawnSync('mkfs.erofs', ['-T0', '--quiet', ...options, image, join(folder, 'tree')], { env });
    if (made.status !== 0) {
      console.log(`${name}: left out, mkfs.erofs can't`);
      continue;
    }
    const check = JSON.parse(
      execFileSync(process.execPath, [cli, 'image', 'check', '--json', image], { encoding: 'utf8' }),
    );
    if (!check.ok || check.counts.dataBytes !== bytes) throw new Error(`${name}: ${JSON.stringify(check)}`);
    const theirs = [];
    const ours = [];
    const parallel = [];
    for (let run = 0; run < Number(BENCH_RUNS); run++) {
      theirs.push(timed(['fsck.erofs', '--extract', image]));
      ours.push(timed([process.execPath, cli, 'image', 'check', '--jobs', '1', image]));
      parallel.push(timed([process.execPath, cli, 'image', 'check', image]));
    }
    const least = (runs, what) => Math.min(...runs.map((run) => run[what]));
    const row = [least(theirs, 'cpu'), least(ours, 'cpu'), least(theirs, 'cpu') / least(ours, 'cpu')];
    row.push(median(theirs.map(({ cpu }, at) => cpu / ours[at].cpu)));
    row.push(least(theirs, 'wall'), least(parallel, 'wall'), least(theirs, 'wall') / least(parallel, 'wall'));
    rows.push([name, ...row.map((value) => value.toFixed(2))]);
    rmSync(image);
  }
  printTable(rows);
} finally {
  rmSync(folder, { recursive: true });
}
