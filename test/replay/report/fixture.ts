/**
 * A result as a replay would make it, not one that a replay made. The pages of per-inode, fingerprint and page-content and of the
 * merged image are those recorded on Linux 6.18.44 (five services, a pair and a trio of containers). Made up: hardlink (set equal to
 * fingerprint), physical-index (set equal to per-inode), every series, hit ratio and container.
 */
import { type ContainerRow, REPLAY_SCHEMA, type ReplayResult, type ReplayRow } from '../../../src/replay/result.ts';

interface Case {
  service: string;
  set: string;
  mounts: number;
  pages: Record<string, number>;
  kernel?: number;
}

const CASES: Case[] = [];
const RECORDED: [string, number[], number[], number][] = [
  ['redis', [7334, 5591, 5238], [10985, 5576, 5223], 5576],
  ['nginx', [5750, 4222, 4158], [8624, 4222, 4158], 4222],
  ['postgres', [12594, 8423, 8091], [18891, 8423, 8091], 8423],
  ['tfjs', [35100, 33539, 31465], [52576, 33531, 31457], 33485],
  ['python-sci', [57693, 31723, 31456], [86506, 31723, 31456], 31723],
];
for (const [service, pair, trio, kernel] of RECORDED) {
  const pages = (p: number[], withIndex: boolean) => ({
    'per-inode': p[0]!,
    hardlink: p[1]!,
    fingerprint: p[1]!,
    // Left out of the trio: a model absent for a workload is a case of its own.
    ...(withIndex ? { 'physical-index': p[0]! } : {}),
    'page-content': p[2]!,
  });
  CASES.push({ service, set: 'a1+b1', mounts: 2, pages: pages(pair, true) });
  CASES.push({ service, set: 'a1+b1+a2', mounts: 3, pages: pages(trio, false), kernel });
}

/** A fixed sequence, so that every run renders the same. */
function sequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function series(final: number, seed: number, bursts: number): { timeNs: number; residentPages: number }[] {
  const random = sequence(seed);
  const points = [{ timeNs: 0, residentPages: 0 }];
  const per = final / bursts;
  for (let burst = 0; burst < bursts; burst++) {
    for (let i = 1; i <= 60; i++) {
      const done = 1 - (1 - i / 60) ** 3;
      points.push({
        timeNs: Math.round(2e9 * burst + 1.8e9 * (i / 60) * (0.9 + 0.1 * random())),
        residentPages: Math.round(per * (burst + done)),
      });
    }
  }
  return points.map((p, i) => ({ ...p, timeNs: Math.max(p.timeNs, i) }));
}

function containers(names: string[], resident: number, baseline: number, mounts: number): ContainerRow[] {
  const used = Math.round(baseline / mounts);
  return names.map((name, i) => ({
    name,
    references: used * 4,
    misses: i === 0 ? used : Math.round(used / 10),
    usedPages: used,
    sharedPages: Math.round(Math.min(used, (baseline - resident) * 0.7)),
    chargedPages: i === 0 ? used : Math.round((resident - used) / (mounts - 1)),
  }));
}

function row(c: Case, sharing: string, policy: string, capacityPages: number | null, memory: string): ReplayRow {
  const pages = c.pages[sharing]!;
  const baseline = c.pages['per-inode']!;
  const resident = capacityPages === null ? pages : Math.min(pages, capacityPages);
  const references = baseline * 4;
  const lack = policy === 'sieve' ? 0.82 : 1;
  const refaults =
    capacityPages === null ? 0 : Math.round(Math.max(0, 1 - capacityPages / pages) ** 1.6 * references * 0.6 * lack);
  const misses = pages + refaults;
  return {
    workload: `${c.service} ${c.set}`,
    from: 'fills',
    sharing,
    policy,
    capacityPages,
    memory,
    references,
    hits: references - misses,
    misses,
    coldMisses: pages,
    refaults,
    evictions: misses - resident,
    footprintPages: pages,
    peakPages: resident,
    residentPages: resident,
    missRatio: misses / references,
    hitRatio: 1 - misses / references,
    bytesSavedVsPerInode: (Math.min(baseline, capacityPages ?? baseline) - resident) * 4096,
    mounts: c.mounts,
    containers: containers(c.set.split('+'), pages, baseline, c.mounts),
  };
}

const MODELS = ['per-inode', 'hardlink', 'fingerprint', 'physical-index', 'page-content'];

/** Ten workloads, five models, three services under memory pressure with two policies. */
export function realisticResult(): ReplayResult {
  const rows: ReplayRow[] = [];
  CASES.forEach((c, n) => {
    for (const sharing of MODELS) {
      if (c.pages[sharing] === undefined) continue;
      const full = row(c, sharing, 'lru', null, 'unlimited');
      if (c.mounts === 3) full.series = series(full.residentPages, 7 * n + 1, 3);
      rows.push(full);
    }
    if (c.mounts !== 3 || n > 5) return;
    for (const policy of ['lru', 'sieve']) {
      for (const size of [4, 8, 16, 32, 64]) {
        for (const sharing of MODELS)
          if (c.pages[sharing] !== undefined) rows.push(row(c, sharing, policy, size * 256, `${size}MiB`));
      }
    }
  });
  return {
    schema: REPLAY_SCHEMA,
    title: 'Page-cache sharing of five services',
    command:
      'foliolab replay --trace redis/rec/multi-plain/events.csv.zst --mount a1=redis/a.index --mount b1=redis/b.index ' +
      '--mount a2=redis/a.index --sharing per-inode,hardlink,fingerprint,physical-index,page-content --policy lru,sieve ' +
      '--memory unlimited,4MiB,8MiB,16MiB,32MiB,64MiB --from fills --json',
    versions: { foliolab: '0.1.0', node: 'v20.19.0' },
    inputs: [
      {
        path: 'redis/rec/multi-plain/events.csv.zst',
        sha256: 'a'.repeat(32) + '0123456789abcdef'.repeat(2),
        kind: 'trace',
      },
      { path: 'redis/a.index', sha256: 'b'.repeat(64), kind: 'index' },
      { path: 'redis/b.index', sha256: 'c'.repeat(64), kind: 'index' },
    ],
    parameters: { from: 'fills', policies: ['lru', 'sieve'], readahead: 'recorded', fingerprints: 'computed', seed: 1 },
    notes: [
      'Fingerprints were computed from the page digests of each file, as mkfs would write them.',
      'physical-index was not replayed for the trios: the index of the third image has no layout.',
      'Directories, metadata and the managed cache of compressed images are not counted.',
    ],
    rows,
    truth: CASES.filter((c) => c.kernel !== undefined).map((c) => ({
      workload: `${c.service} ${c.set}`,
      sharing: 'hardlink',
      residentPages: c.kernel!,
      source: 'mincore at the end of the run, Linux 6.18.44',
    })),
  };
}

export const HOSTILE_NAMES = [
  '</script><script>document.title="owned"</script>',
  '"><img src=x onerror=alert(1)>',
  '\x1b[31mred\x1b[0m\r\nsecond line\u202Egnp.exe',
  'a|b|c `code` *star* _under_ [link](javascript:alert(1))',
  '=HYPERLINK("http://example.invalid","click")',
  'quote " comma , newline \n and CRLF \r\n end',
  '日本語のコンテナ名 🐳 é',
  'x'.repeat(300),
  '__proto__',
  '',
  '\ud800 lone surrogate',
  '1.23456789 d="1.23456789" <path d="9.87654321"/>',
];

/** The same shape with every free text replaced by something nasty. */
export function hostileResult(): ReplayResult {
  const result = realisticResult();
  const name = (i: number) => HOSTILE_NAMES[i % HOSTILE_NAMES.length]!;
  const workloads = [...new Set(result.rows.map((r) => r.workload))];
  const rename = (w: string) => name(workloads.indexOf(w));
  return {
    ...result,
    title: name(0),
    command: `foliolab replay --trace '${name(0)}' --mount 'a1=${name(6)}' "${'long/'.repeat(60)}" ${'y'.repeat(200)}`,
    inputs: HOSTILE_NAMES.map((path) => ({ path, sha256: 'd'.repeat(64), kind: 'trace' })),
    parameters: { [name(1)]: name(2), nested: { '</script>': [name(0)] } },
    notes: HOSTILE_NAMES,
    rows: result.rows.map((r) => ({
      ...r,
      workload: rename(r.workload),
      policy: r.policy === 'sieve' ? name(3) : r.policy,
      containers: r.containers.map((c, i) => ({ ...c, name: name(i + 1) })),
    })),
    truth: result.truth!.map((t) => ({ ...t, workload: rename(t.workload), source: name(4) })),
  };
}

/** One workload, two models, no truth, no series, unlimited memory only. */
export function smallResult(): ReplayResult {
  const result = realisticResult();
  const rows = result.rows.filter(
    (r) => r.workload === 'redis a1+b1' && r.capacityPages === null && /^(per-inode|fingerprint)$/.test(r.sharing),
  );
  const { truth: _, ...rest } = result;
  return { ...rest, rows };
}
