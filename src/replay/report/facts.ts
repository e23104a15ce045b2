/** What the exporters say about a result: computed from its rows, once, so that table, mail and charts agree. */
import { median } from 'simple-statistics';
import { PAGE_SIZE, type ReplayResult, type ReplayRow, type TruthRow } from '../result.ts';
import { clean, clip, percent } from './text.ts';

export const BASELINE = 'per-inode';

/** From nothing shared to everything equal shared; a model not named here follows in the order it appears. */
const KNOWN_MODELS = [BASELINE, 'hardlink', 'fingerprint', 'backing-file', 'physical-index', 'page-content'];

/** What a cached page is keyed by, in the words of the debate. */
export const MODEL_KEYS: Readonly<Record<string, string>> = {
  'per-inode': 'superblock, inode, page index (mainline)',
  hardlink: 'as per-inode, equal files being one inode of one filesystem',
  fingerprint: 'domain, fingerprint of the whole file, page index',
  'backing-file': 'blob, offset in the blob',
  'physical-index': 'device, block (or decoded extent and offset)',
  'page-content': 'the bytes of the page, whatever file and index',
};

export function mib(pages: number): number {
  return (pages * PAGE_SIZE) / 1048576;
}

/** The sharing models of a result, baseline first. */
export function modelsOf(result: ReplayResult): string[] {
  const seen = new Set(result.rows.map((row) => row.sharing));
  return [...KNOWN_MODELS.filter((m) => seen.has(m)), ...[...seen].filter((m) => !KNOWN_MODELS.includes(m))];
}

/** What per-inode keeps resident for the same workload, policy and memory. */
export function baselinePages(row: ReplayRow): number {
  return row.residentPages + row.bytesSavedVsPerInode / PAGE_SIZE;
}

/** Share of the resident memory of per-inode that this model saves; null when per-inode keeps nothing. */
export function savedShare(row: ReplayRow | undefined): number | null {
  if (!row) return null;
  const baseline = baselinePages(row);
  return baseline > 0 ? row.bytesSavedVsPerInode / PAGE_SIZE / baseline : null;
}

/** Sharing between mounts can't save more: each page is still needed once. Duplicates within an image come on top. */
export function ceilingShare(mounts: number): number {
  return 1 - 1 / Math.max(1, mounts);
}

/** One workload, replayed from one kind of row, under every sharing model, with memory unlimited. */
export interface Group {
  workload: string;
  from: ReplayRow['from'];
  /** Unique within the result: the workload, and `from` where the result holds both. */
  label: string;
  mounts: number;
  rows: Map<string, ReplayRow>;
  baselinePages: number;
  truth: TruthRow[];
}

export function panelLabel(result: ReplayResult, row: ReplayRow): string {
  const both = result.rows.some((r) => r.from !== result.rows[0]!.from);
  return both ? `${row.workload}, ${row.from}` : row.workload;
}

/**
 * Whether rows of this kind say what a kernel would have cached, so that a measurement of one can stand beside them: fills do;
 * demand does through a readahead model, and without one is a lower bound only.
 */
export function isResidency(result: ReplayResult, from: ReplayRow['from']): boolean {
  const { readahead } = result.parameters;
  return from === 'fills' || (typeof readahead === 'string' && readahead !== 'none');
}

/** With unlimited memory no policy evicts, so the first row of each model stands for all. */
export function groupsOf(result: ReplayResult): Group[] {
  const groups = new Map<string, Group>();
  for (const row of result.rows) {
    if (row.capacityPages !== null) continue;
    const label = panelLabel(result, row);
    let group = groups.get(label);
    if (!group) {
      const known = isResidency(result, row.from) ? (result.truth ?? []) : [];
      const truth = known.filter((t) => t.workload === row.workload);
      const { workload, from, mounts } = row;
      group = { workload, from, label, mounts, rows: new Map(), baselinePages: baselinePages(row), truth };
      groups.set(label, group);
    }
    if (!group.rows.has(row.sharing)) group.rows.set(row.sharing, row);
  }
  return [...groups.values()];
}

export function limitedRows(result: ReplayResult): ReplayRow[] {
  return result.rows.filter((row) => row.capacityPages !== null);
}

/** One workload, policy and memory size, with a row per sharing model. */
export interface HitLine {
  workload: string;
  from: ReplayRow['from'];
  /** As {@link Group.label}. */
  label: string;
  policy: string;
  /** As asked for; a share of the footprint also in MiB, when it is the same for all models. */
  memory: string;
  rows: Map<string, ReplayRow>;
}

export function hitLines(result: ReplayResult): HitLine[] {
  const lines = new Map<string, HitLine>();
  for (const row of limitedRows(result)) {
    const label = panelLabel(result, row);
    const key = JSON.stringify([label, row.policy, row.memory]);
    let line = lines.get(key);
    if (!line) {
      line = { workload: row.workload, from: row.from, label, policy: row.policy, memory: row.memory, rows: new Map() };
      lines.set(key, line);
    }
    if (!line.rows.has(row.sharing)) line.rows.set(row.sharing, row);
  }
  for (const line of lines.values()) {
    const sizes = new Set([...line.rows.values()].map((r) => r.capacityPages!));
    if (/^[\d.]+$/.test(line.memory) && sizes.size === 1) line.memory += ` (${mib([...sizes][0]!).toFixed(1)} MiB)`;
  }
  return [...lines.values()];
}

/** The model a summary speaks about: the one merged in Linux if it was replayed, else the first that shares anything. */
export function headlineModel(result: ReplayResult): string | null {
  const models = modelsOf(result);
  return models.includes('fingerprint') ? 'fingerprint' : (models.find((m) => m !== BASELINE) ?? null);
}

/** A name within a sentence. */
const inProse = (label: string) => clip(clean(label), 48, '...') || '(unnamed)';

const plural = (n: number, one: string) => `${n} ${one}${n === 1 ? '' : 's'}`;
const mibText = (pages: number) => mib(pages).toFixed(1);

interface Saving {
  group: Group;
  row: ReplayRow;
  share: number;
}

/** A summary speaks of one kind of rows: of what the kernel cached where the result has that, never of a mixture. */
export function headlineFrom(result: ReplayResult): ReplayRow['from'] {
  const unlimited = result.rows.filter((r) => r.capacityPages === null);
  return unlimited.some((r) => r.from === 'fills') ? 'fills' : 'demand';
}

/** What the rows of the summary measure. */
export function subject(result: ReplayResult): string {
  return isResidency(result, headlineFrom(result)) ? 'the resident page cache' : 'the pages that programs touched';
}

/** Savings of one model in the rows that the summary speaks of, largest first. */
export function savingsOf(result: ReplayResult, model: string): Saving[] {
  const savings: Saving[] = [];
  const from = headlineFrom(result);
  for (const group of groupsOf(result)) {
    if (group.from !== from) continue;
    const row = group.rows.get(model);
    const share = savedShare(row);
    if (row && share !== null) savings.push({ group, row, share });
  }
  return savings.sort((a, b) => b.share - a.share);
}

/** `23.8%`, or `4.4% to 63.3%`. */
export function shareRange(savings: Saving[]): string {
  const high = percent(savings[0]!.share);
  const low = percent(savings.at(-1)!.share);
  return low === high ? low : `${low} to ${high}`;
}

/** Model against kernel, largest relative difference first. */
export interface TruthCheck {
  group: Group;
  truth: TruthRow;
  /** null: the model of that design was not replayed. */
  modelPages: number | null;
  /** (model − kernel) / kernel. */
  difference: number | null;
}

export function truthChecks(result: ReplayResult): TruthCheck[] {
  const checks: TruthCheck[] = [];
  for (const group of groupsOf(result)) {
    for (const truth of group.truth) {
      const modelPages = group.rows.get(truth.sharing)?.residentPages ?? null;
      const known = modelPages !== null && truth.residentPages > 0;
      checks.push({ group, truth, modelPages, difference: known ? modelPages / truth.residentPages - 1 : null });
    }
  }
  return checks;
}

function truthSentence(result: ReplayResult): string | null {
  const known = truthChecks(result).filter((c) => c.difference !== null);
  // A kernel that shared tests the model; one that did not only tests the recording.
  const shared = known.filter((c) => c.truth.sharing !== BASELINE);
  const checks = shared.length > 0 ? shared : known;
  if (checks.length === 0) return null;
  const worst = checks.reduce((a, b) => (Math.abs(b.difference!) > Math.abs(a.difference!) ? b : a));
  const designs = [...new Set(checks.map((c) => inProse(c.truth.sharing)))].join(', ');
  const where = inProse(worst.group.label);
  const pages = `${worst.modelPages} pages against the kernel's ${worst.truth.residentPages}`;
  if (checks.length === 1)
    return `A real kernel under ${designs} was measured once (${where}): the model has ${pages}.`;
  if (worst.difference === 0)
    return `The model equals the real kernel under ${designs} in all ${checks.length} measurements.`;
  return (
    `Against ${checks.length} measurements of a real kernel under ${designs} the model is off by at most ` +
    `${percent(Math.abs(worst.difference!), 2)} (${where}: ${pages}).`
  );
}

function pageSentence(result: ReplayResult, model: string | null): string | null {
  const savings = model === 'page-content' ? [] : savingsOf(result, 'page-content');
  if (savings.length === 0) return null;
  return `Sharing every page of equal content, which no kernel does today, would save ${shareRange(savings)}.`;
}

function ceilingSentence(groups: Group[]): string {
  const mounts = [...new Set(groups.map((g) => g.mounts))].sort((a, b) => a - b);
  const shares = mounts.map((m) => `${percent(ceilingShare(m))} with ${plural(m, 'mount')}`);
  return `Sharing between mounts saves at most ${shares.join(', ')}; duplicates within an image come on top.`;
}

/** One point of memory and policy, under the headline model and the baseline. */
interface Pressure {
  row: ReplayRow;
  base: ReplayRow;
  label: string;
}

function strongestPressure(result: ReplayResult, model: string | null): Pressure | null {
  const key = (r: ReplayRow) => JSON.stringify([r.workload, r.from, r.policy, r.memory]);
  const base = new Map<string, ReplayRow>();
  for (const row of limitedRows(result)) if (row.sharing === BASELINE) base.set(key(row), row);
  let best: Pressure | null = null;
  for (const row of limitedRows(result)) {
    const other = base.get(key(row));
    if (row.sharing !== model || !other) continue;
    if (!best || row.hitRatio - other.hitRatio > best.row.hitRatio - best.base.hitRatio)
      best = { row, base: other, label: inProse(panelLabel(result, row)) };
  }
  return best;
}

function pressureSentence(p: Pressure): string {
  return (
    `With ${mibText(p.row.capacityPages ?? 0)} MiB of memory and ${inProse(p.row.policy)}, ${percent(p.row.hitRatio)} of page references hit under ` +
    `${p.row.sharing} and ${percent(p.base.hitRatio)} under ${BASELINE} (${p.label}).`
  );
}

/** The finding in exactly two sentences, every number from the rows. */
export function finding(result: ReplayResult): [string, string] {
  const groups = groupsOf(result);
  const model = headlineModel(result);
  const pressure = strongestPressure(result, model);
  const savings = model === null ? [] : savingsOf(result, model);
  if (savings.length > 0) {
    const best = savings[0]!;
    const pages = `${mibText(baselinePages(best.row))} -> ${mibText(best.row.residentPages)} MiB`;
    const first =
      savings.length === 1
        ? `The ${model} model saves ${percent(best.share)} of ${subject(result)} against ${BASELINE} in ` +
          `${inProse(best.group.workload)}: ${pages}.`
        : `The ${model} model saves ${shareRange(savings)} of ${subject(result)} against ${BASELINE} in ` +
          `${plural(savings.length, 'workload')} (median ${percent(median(savings.map((s) => s.share)))}), ` +
          `most in ${inProse(best.group.workload)}: ${pages}.`;
    const second =
      truthSentence(result) ??
      (pressure && pressureSentence(pressure)) ??
      pageSentence(result, model) ??
      ceilingSentence(groups);
    return [first, second];
  }
  if (pressure) {
    const { row, base } = pressure;
    return [
      pressureSentence(pressure),
      `There, ${plural(row.refaults, 'reference')} ${row.refaults === 1 ? 'is a refault' : 'are refaults'} under ` +
        `${row.sharing}, ${base.refaults} under ${BASELINE}.`,
    ];
  }
  const rows = result.rows;
  if (rows.length === 0) return ['Nothing was replayed.', 'The result holds no rows.'];
  const peak = rows.reduce((a, b) => (b.footprintPages > a.footprintPages ? b : a));
  return [
    `The largest of ${plural(rows.length, 'replay')} touches ${peak.footprintPages} pages (${mibText(peak.footprintPages)} MiB) ` +
      `under ${peak.sharing} (${inProse(panelLabel(result, peak))}).`,
    model === null
      ? 'No sharing model was replayed beside it.'
      : `There is no ${BASELINE} row to compare ${model} with.`,
  ];
}

/** Plain meaning of `from`, in the words of this result's parameters. */
export function fromMeaning(result: ReplayResult, from: ReplayRow['from']): string {
  if (from === 'fills') return 'what the recorded kernel put into its page cache and took out of it';
  const asked = 'what programs asked for (reads, faults, mappings)';
  return isResidency(result, from)
    ? `${asked}, through the readahead model`
    : `${asked} without readahead: less than any kernel caches, and not compared with one`;
}

function byKey(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/** `key: value` lines of the parameters by name, nested values as JSON. */
export function parameterLines(result: Pick<ReplayResult, 'parameters'>): string[] {
  return Object.entries(byKey('', result.parameters) as Record<string, unknown>)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}: ${typeof value === 'string' ? value : JSON.stringify(value, byKey)}`);
}
