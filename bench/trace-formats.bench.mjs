/*
 * How fast traces in CSV are read, one core, and how much memory converting a large one takes.
 * BENCH_ROWS (default 2,000,000) rows for speed; BENCH_MIB (default 256) MiB of CSV for memory: 2048 for the figure that is stated.
 * Each run is a process of its own, so that CPU time and peak memory are its alone; the number of events is checked.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from 'simple-statistics';
import { printTable } from './measure.mjs';

const { BENCH_ROWS = '2000000', BENCH_MIB = '256', BENCH_RUNS = '3' } = process.env;
const FILES = 5000;
const MAX_RSS_MIB = 512;

/** Minimal standard generator (Park and Miller 1988). */
function seeded() {
  let seed = 1;
  return (n) => {
    seed = (seed * 16_807) % 2_147_483_647;
    return seed % n;
  };
}

/** One row each, without its end. Fields are of the lengths that recordings have. */
const ROWS = {
  csv: (next, t) => {
    const f = next(FILES);
    const pages = 1 + next(16);
    return `${t * 1000},c${next(8)},a,${1000 + 3 * f},${next(3) ? 'read' : 'fault'},${next(4096)},${pages},,${f},${pages * 4096},${1000 + next(50)}`;
  },
  'generic-csv': (next, t) =>
    `${t},c${next(8)},${next(3) ? 'read' : 'write'},/usr/lib/x86_64-linux-gnu/lib${next(FILES)}.so.6,${next(1 << 24)},${1 + next(65_536)}`,
};
const HEADERS = {
  csv: `# foliolab.trace-csv/2\n# mount-is {"name":"a"}\n${Array.from(
    { length: FILES },
    (_, i) => `# file-is {"mount":0,"ino":${1000 + 3 * i},"path":"/usr/lib/lib${i}.so"}\n`,
  ).join('')}time_ns,container,dev,ino,op,page_index,nr_pages,touch,file,bytes,task\n`,
  'generic-csv': 'time_us,container,op,path,offset,length\n',
};
const MAP = { time: 'time_us', container: 'container', op: 'op', path: 'path', offset: 'offset', length: 'length' };

/** Writes rows until there are enough of them, or of bytes. @returns how many */
function generate(path, format, { rows = Infinity, bytes = Infinity }) {
  const next = seeded();
  const fd = openSync(path, 'w');
  let text = HEADERS[format];
  let count = 0;
  let written = 0;
  for (let t = 0; count < rows && written < bytes; count++) {
    t += next(5);
    text += `${ROWS[format](next, t)}\n`;
    if (text.length > 1 << 20) {
      written += writeSync(fd, text);
      text = '';
    }
  }
  writeSync(fd, text);
  closeSync(fd);
  return count;
}

const root = new URL('../dist/replay/', import.meta.url);
const CHILD = `
  const [path, format, to, columns] = process.argv.slice(1);
  const { openInput } = await import('${new URL('io/input.js', root)}');
  const { BadRecords } = await import('${new URL('trace/formats/format.js', root)}');
  const { formatOf, convert } = await import('${new URL('trace/open.js', root)}');
  const options = columns ? { columns: new Map(Object.entries(JSON.parse(columns))) } : {};
  let events = 0;
  if (to === 'nothing') {
    let n = 0;
    const number = () => n++;
    const sink = { facts() {}, container: number, mount: number, file: number, event: () => void events++ };
    const { stream } = await openInput(path);
    await formatOf(format, 'read').read({ path, stream }, sink, { bad: new BadRecords(path, false), ...options });
  } else {
    await convert(path, { format, to, output: path + '.out', skipBad: false, ...options });
    const { ArrowTraceReader } = await import('${new URL('trace/arrow/reader.js', root)}');
    if (to === 'arrow' && process.env.COUNT)
      for await (const { rows } of (await ArrowTraceReader.open(path + '.out')).batches()) events += rows;
  }
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify({ events, cpu: (user + system) / 1e6, rss: process.resourceUsage().maxRSS / 1024 }));
`;

function run(path, format, to, env = {}) {
  const columns = format === 'generic-csv' ? JSON.stringify(MAP) : '';
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', CHILD, path, format, to, columns], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (child.status !== 0) throw new Error(`${format} to ${to}: ${child.stderr}`);
  return JSON.parse(child.stdout);
}

const folder = mkdtempSync(join(tmpdir(), 'foliolab-bench-'));
try {
  const table = [['read', 'to', 'M rows / CPU s', 'MB / CPU s', 'peak MiB']];
  for (const format of ['csv', 'generic-csv']) {
    const path = join(folder, format);
    const rows = generate(path, format, { rows: Number(BENCH_ROWS) });
    for (const to of ['nothing', 'arrow', 'jsonl', 'parquet']) {
      const runs = Array.from({ length: Number(BENCH_RUNS) }, () => run(path, format, to));
      if (to === 'nothing' && runs.some(({ events }) => events !== rows))
        throw new Error(`${format}: not ${rows} events`);
      const cpu = median(runs.map((one) => one.cpu));
      const rss = Math.max(...runs.map((one) => one.rss));
      table.push([
        format,
        to,
        (rows / cpu / 1e6).toFixed(2),
        (statSync(path).size / cpu / 1e6).toFixed(0),
        rss.toFixed(0),
      ]);
    }
    rmSync(path);
    rmSync(`${path}.out`);
  }
  printTable(table);

  const path = join(folder, 'large');
  const rows = generate(path, 'generic-csv', { bytes: Number(BENCH_MIB) * 2 ** 20 });
  const { cpu, rss, events } = run(path, 'generic-csv', 'arrow', { COUNT: '1' });
  if (events !== rows) throw new Error(`large: ${events} events of ${rows}`);
  const bytes = statSync(path).size;
  console.log(
    `\n${bytes} bytes of CSV, ${rows} rows: converted, and read again, in ${cpu.toFixed(1)} CPU s, peak ${rss.toFixed(0)} MiB`,
  );
  if (rss > MAX_RSS_MIB) throw new Error(`more than ${MAX_RSS_MIB} MiB`);
} finally {
  rmSync(folder, { recursive: true });
}
