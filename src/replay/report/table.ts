/** Tables for the terminal: at most 110 columns, colour only when asked for. */
import Table from 'cli-table3';
import type { ReplayResult, ReplayRow } from '../result.ts';
import {
  BASELINE,
  type Group,
  groupsOf,
  headlineModel,
  hitLines,
  limitedRows,
  mib,
  modelsOf,
  panelLabel,
  savedShare,
} from './facts.ts';
import { clean, clip, percent, variantLines } from './text.ts';

export const TABLE_WIDTH = 110;

export interface TableOptions {
  /** Whether to emit ANSI colour; see {@link wantsColor}. */
  color?: boolean;
}

/** Colour belongs on a terminal whose owner has not said NO_COLOR. */
export function wantsColor(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): boolean {
  return stream.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
}

type Paint = (text: string) => string;

function painter(color: boolean) {
  const sgr = (code: string): Paint => (color ? (text) => `\x1b[${code}m${text}\x1b[0m` : (text) => text);
  return { head: sgr('1'), dim: sgr('2'), good: sgr('36') };
}

interface Column {
  head: string;
  /** Columns of content; a longer cell loses its middle. */
  width: number;
  align: 'left' | 'right';
}

const GAP = 2;

// Horizontal rules only: columns align by themselves and lines paste well.
const RULES = {
  top: '─',
  'top-mid': '─',
  'top-left': '',
  'top-right': '',
  bottom: '─',
  'bottom-mid': '─',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};

function render(columns: Column[], rows: string[][], paint: ReturnType<typeof painter>, cellPaint?: CellPaint): string {
  const table = new Table({
    chars: RULES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP },
    colAligns: columns.map((c) => c.align),
    colWidths: columns.map((c) => c.width + GAP),
  });
  const toWidth = (text: string, column: number) =>
    text
      .split('\n')
      .map((line) => clip(line, columns[column]!.width))
      .join('\n');
  // Heads are a row of their own, so that they align with their column and can be told apart without colour.
  table.push(columns.map((c, i) => ({ content: paint.head(toWidth(c.head, i)), vAlign: 'bottom' as const })));
  table.push(columns.map((c) => paint.dim('─'.repeat(c.width))));
  rows.forEach((row, r) => {
    table.push(row.map((cell, i) => (cellPaint?.(r, i) ?? ((t: string) => t))(toWidth(cell, i))));
  });
  return table
    .toString()
    .split('\n')
    .slice(1, -1)
    .map((line) => line.replace(/(?<=\S) +((?:\x1b\[0m)?)$/, '$1').trimEnd())
    .join('\n');
}

type CellPaint = (row: number, column: number) => Paint | undefined;

/** As many of `extra` beside `fixed` as fit, in as many tables as that takes. */
function chunks(fixed: Column[], extra: Column[]): number[][] {
  const used = fixed.reduce((sum, c) => sum + c.width + GAP, 0);
  const out: number[][] = [];
  let room = -1;
  extra.forEach((column, i) => {
    if (out.length === 0 || room < column.width) {
      out.push([]);
      room = TABLE_WIDTH - used;
    }
    out.at(-1)!.push(i);
    room -= column.width + GAP;
  });
  return out;
}

/** Room a head asks for: a variant shows its values in full where that is not much. */
function headWidth(model: string): number {
  const lines = variantLines(clean(model));
  return lines ? Math.min(Math.max(...lines.map((line) => line.length)), 20) : Math.min(clean(model).length, 11);
}

/** `physical-index` on two lines when the column is narrower, and a variant's values below its model. */
function headOf(model: string, width: number): string {
  const name = clean(model);
  const variant = variantLines(name);
  if (variant) return variant.join('\n');
  const cut = name.indexOf('-');
  return name.length > width && cut > 0 && cut < width ? `${name.slice(0, cut + 1)}\n${name.slice(cut + 1)}` : name;
}

function workloadColumn(labels: string[], most: number): Column {
  const longest = labels.reduce((n, l) => Math.max(n, clip(l, most).length), 'workload'.length);
  return { head: 'workload', width: Math.min(longest, most), align: 'left' };
}

function modelCell(row: ReplayRow | undefined): string {
  if (!row) return '—';
  const size = mib(row.residentPages).toFixed(1);
  return row.sharing === BASELINE ? size : `${size} ${percent(savedShare(row)).padStart(5)}`;
}

function kernelCell(group: Group): string {
  if (group.truth.length === 0) return '—';
  return group.truth.map((t) => `${mib(t.residentPages).toFixed(1)} ${clean(t.sharing)}`).join('\n');
}

/** Resident MiB by sharing model and what each saves; null without rows of unlimited memory. */
export function headlineTable(result: ReplayResult, options: TableOptions = {}): string | null {
  const groups = groupsOf(result);
  if (groups.length === 0) return null;
  const paint = painter(options.color ?? false);
  const both = groups.some((g) => g.from !== groups[0]!.from);
  const models = modelsOf(result).filter((m) => groups.some((g) => g.rows.has(m)));
  const names = groups.map((g) => clean(g.workload));
  const fixed: Column[] = [workloadColumn(names, 20)];
  if (both) fixed.push({ head: 'from', width: 6, align: 'left' });
  const extra: Column[] = models.map((model) => {
    const content = groups.reduce((n, g) => Math.max(n, modelCell(g.rows.get(model)).length), 0);
    const width = Math.max(content, headWidth(model), 9);
    return { head: headOf(model, width), width, align: 'right' };
  });
  const truth = groups.some((g) => g.truth.length > 0);
  if (truth) extra.push({ head: 'real kernel', width: 16, align: 'right' });
  const tables = chunks(fixed, extra).map((picked) => {
    const rows = groups.map((g, r) => [
      names[r]!,
      ...(both ? [g.from] : []),
      ...picked.map((i) => (i === models.length ? kernelCell(g) : modelCell(g.rows.get(models[i]!)))),
    ]);
    return render([...fixed, ...picked.map((i) => extra[i]!)], rows, paint, (r, c) => {
      const model = models[picked[c - fixed.length] ?? -1];
      if (model === undefined) return undefined;
      if (model === BASELINE) return paint.dim;
      const shares = models.map((m) => (m === BASELINE ? -1 : (savedShare(groups[r]!.rows.get(m)) ?? -1)));
      const own = savedShare(groups[r]!.rows.get(model));
      return own !== null && own > 0 && own === Math.max(...shares) ? paint.good : undefined;
    });
  });
  const what = `Resident page cache in MiB and share saved against ${BASELINE}, memory unlimited`;
  const from = both ? '' : `, from ${groups[0]!.from}`;
  return [paint.dim(what + from), ...tables].join('\n');
}

/** Hit ratio by memory, policy and sharing model; null without rows of limited memory. */
export function hitRatioTable(result: ReplayResult, options: TableOptions = {}): string | null {
  const rows = limitedRows(result);
  if (rows.length === 0) return null;
  const paint = painter(options.color ?? false);
  const models = modelsOf(result).filter((m) => rows.some((r) => r.sharing === m));
  const all = hitLines(result).map(({ label, policy, memory, rows: some }) => ({
    cells: [label, policy, memory].map(clean),
    ratios: new Map([...some].map(([model, row]) => [model, row.hitRatio])),
  }));
  const widest = (i: number, most: number, least: number) =>
    Math.min(
      most,
      all.reduce((n, l) => Math.max(n, l.cells[i]!.length), least),
    );
  const fixed: Column[] = [
    workloadColumn(
      all.map((l) => l.cells[0]!),
      26,
    ),
    { head: 'policy', width: widest(1, 14, 6), align: 'left' },
    { head: 'memory', width: widest(2, 16, 6), align: 'right' },
  ];
  const extra: Column[] = models.map((m) => {
    const width = Math.max(7, headWidth(m));
    return { head: headOf(m, width), width, align: 'right' };
  });
  const tables = chunks(fixed, extra).map((picked) => {
    let last = ['', ''];
    const body = all.map((line) => {
      // A repeated workload or policy is left blank: the eye finds the groups.
      const same = line.cells[0] === last[0];
      const head = [
        same ? '' : line.cells[0]!,
        same && line.cells[1] === last[1] ? '' : line.cells[1]!,
        line.cells[2]!,
      ];
      last = line.cells.slice(0, 2);
      return [...head, ...picked.map((i) => percent(line.ratios.get(models[i]!) ?? null))];
    });
    return render([...fixed, ...picked.map((i) => extra[i]!)], body, paint, (r, c) => {
      const model = models[picked[c - fixed.length] ?? -1];
      const own = model === undefined ? undefined : all[r]!.ratios.get(model);
      const ratios = [...all[r]!.ratios.values()];
      return own !== undefined && ratios.length > 1 && own === Math.max(...ratios) && own > Math.min(...ratios)
        ? paint.good
        : undefined;
    });
  });
  return [paint.dim('Hit ratio by memory, policy and sharing model'), ...tables].join('\n');
}

const MOST_LINES = 40;
/** Containers listed of one row; JSON has them all. */
const MOST_CONTAINERS = 30;

/** What each container uses, shares and is charged, in MiB; a result of many models shows the headline model's. */
export function containersTable(result: ReplayResult, options: TableOptions = {}): string | null {
  const unlimited = result.rows.filter((r) => r.capacityPages === null);
  const candidates = (unlimited.length > 0 ? unlimited : result.rows).filter((r) => r.containers.length > 0);
  const seen = new Set<string>();
  const first = candidates.filter((r) => {
    const key = JSON.stringify([r.workload, r.from, r.sharing, r.capacityPages === null ? '' : [r.policy, r.memory]]);
    return !seen.has(key) && seen.add(key);
  });
  if (first.length === 0) return null;
  const paint = painter(options.color ?? false);
  const count = (rows: ReplayRow[]) => rows.reduce((n, r) => n + r.containers.length, 0);
  const model = headlineModel(result);
  const some = first.filter((r) => r.sharing === model);
  const rows = count(first) > MOST_LINES && some.length > 0 ? some : first;
  const limited = unlimited.length === 0;
  let last = '';
  const body = rows.flatMap((row) => {
    const lines = row.containers.slice(0, MOST_CONTAINERS).map((c) => {
      const group = [panelLabel(result, row), row.sharing, ...(limited ? [row.policy, row.memory] : [])].map(clean);
      const same = JSON.stringify(group) === last;
      last = JSON.stringify(group);
      const sizes = [c.usedPages, c.sharedPages, c.chargedPages].map((pages) => mib(pages).toFixed(1));
      return [...(same ? group.map(() => '') : group), clean(c.name), ...sizes];
    });
    const more = row.containers.length - lines.length;
    if (more > 0) lines.push([...lines[0]!.slice(0, -4).map(() => ''), `… and ${more} more`, '', '', '']);
    return lines;
  });
  const sized = (head: string, i: number, most: number): Column => ({
    head,
    width: Math.min(
      most,
      body.reduce((n, r) => Math.max(n, r[i]!.length), head.length),
    ),
    align: 'left',
  });
  const at = limited ? 4 : 2;
  const columns: Column[] = [
    sized('workload', 0, 26),
    sized('sharing', 1, 24),
    ...(limited ? [sized('policy', 2, 10), sized('memory', 3, 9)] : []),
    sized('container', at, limited ? 14 : 24),
    ...['uses', 'shares', 'is charged'].map((head): Column => ({ head, width: 10, align: 'right' })),
  ];
  const only = rows === first ? '' : ` (${clean(model!)} only)`;
  const uses = rows.some((row) => row.from === 'fills') ? 'used (fills: brought in)' : 'used';
  const caption = `Per container in MiB${only}: ${uses}, of that by others too, charged as first toucher`;
  return [paint.dim(clip(caption, TABLE_WIDTH)), render(columns, body, paint)].join('\n');
}

/** Every table that has data, for the terminal; ends with a newline. */
export function toTable(result: ReplayResult, options: TableOptions = {}): string {
  const tables = [headlineTable, hitRatioTable, containersTable].map((table) => table(result, options));
  const some = tables.filter((t) => t !== null);
  return `${some.length > 0 ? some.join('\n\n') : 'No rows.'}\n`;
}
