/** A result as plain text for a mailing list: ASCII, at most 72 columns, nothing that needs editing before it is sent. */
import { PAGE_SIZE, type ReplayResult } from '../result.ts';
import {
  BASELINE,
  ceilingShare,
  finding,
  fromMeaning,
  type Group,
  groupsOf,
  type HitLine,
  headlineModel,
  hitLines,
  isResidency,
  MODEL_KEYS,
  mib,
  modelsOf,
  parameterLines,
  savedShare,
  truthChecks,
} from './facts.ts';
import { ascii, clean, clip, percent, variantLines, wrap, wrapCommand } from './text.ts';

export const MAIL_WIDTH = 72;

const text = (s: string) => ascii(clean(s));
const para = (s: string, indent = '', hanging = indent) => wrap(text(s), MAIL_WIDTH, indent, hanging);
const share = (value: number | null) => (value === null ? '-' : percent(value).replace('—', '-'));
const size = (pages: number) => mib(pages).toFixed(1);

/** One column under a model's name, its cells right-aligned. */
interface Column {
  model: string;
  width: number;
}

/** Names that don't fit beside the numbers get a line of their own, so that no name is cut. */
function named(name: string, room: number, cells: string): string[] {
  const label = text(name);
  if (label.length <= room) return [(label.padEnd(room) + cells).trimEnd()];
  return [...wrap(label, MAIL_WIDTH), (' '.repeat(room) + cells).trimEnd()];
}

/** The model's name on one line, or cut at a hyphen into two; always two lines. */
function headLines(model: string, width: number): [string, string] {
  const name = text(model);
  const room = width - 1;
  const variant = variantLines(name);
  if (variant) return [clip(variant[0], room, '~').padStart(width), clip(variant[1], room, '~').padStart(width)];
  const cut = name.indexOf('-') + 1;
  if (name.length > room && cut > 0) {
    return [clip(name.slice(0, cut), room, '~').padStart(width), clip(name.slice(cut), room, '~').padStart(width)];
  }
  return [''.padStart(width), clip(name, room, '~').padStart(width)];
}

/** Columns in as many tables as 72 characters need. */
function chunks(columns: Column[], labelWidth: number): Column[][] {
  const out: Column[][] = [];
  let room = -1;
  for (const column of columns) {
    if (room < column.width) {
      out.push([]);
      room = MAIL_WIDTH - labelWidth;
    }
    out.at(-1)!.push(column);
    room -= column.width;
  }
  return out;
}

function header(label: string, labelWidth: number, columns: Column[]): string[] {
  const heads = columns.map((c) => headLines(c.model, c.width));
  const lines = [
    ''.padEnd(labelWidth) + heads.map((h) => h[0]).join(''),
    label.padEnd(labelWidth) + heads.map((h) => h[1]).join(''),
    '-'.repeat(labelWidth + columns.reduce((sum, c) => sum + c.width, 0)),
  ];
  return lines.map((l) => l.trimEnd()).filter((l) => l !== '');
}

/** The workloads replayed from one kind of rows. */
function memoryTable(result: ReplayResult, groups: Group[]): string[] {
  const models = modelsOf(result).filter((m) => groups.some((g) => g.rows.has(m)));
  const cellOf = (group: Group, model: string) => {
    const row = group.rows.get(model);
    if (!row) return '-';
    const resident = size(row.residentPages);
    return model === BASELINE ? resident : `${resident}${share(savedShare(row)).padStart(6)}`;
  };
  // Four sharing models fit beside the baseline when each gives up a space before its number.
  const tight = models.filter((m) => m !== BASELINE).length >= 4;
  const columns: Column[] = models.map((model) => ({
    model,
    width: groups.reduce(
      (n, g) => Math.max(n, cellOf(g, model).length + 1),
      (model === BASELINE ? [10, 7] : [14, 12])[Number(tight)]!,
    ),
  }));
  const longest = groups.reduce((n, g) => Math.max(n, text(g.workload).length), 'workload'.length);
  const spare = MAIL_WIDTH - columns.reduce((sum, c) => sum + c.width, 0);
  const labelWidth = Math.max(16, Math.min(longest, spare, 24));
  const { from } = groups[0]!;
  const what = isResidency(result, from) ? 'Resident page cache' : 'Pages that programs touched,';
  const lines = para(`${what} in MiB and share saved against ${BASELINE}, memory unlimited, from ${from}:`);
  for (const picked of chunks(columns, labelWidth)) {
    lines.push('', ...header('workload', labelWidth, picked));
    for (const group of groups) {
      const cells = picked.map(({ model, width }) => cellOf(group, model).padStart(width));
      lines.push(...named(group.workload, labelWidth, cells.join('')));
    }
  }
  return [...lines, ''];
}

function ceilings(groups: Group[]): string[] {
  const mounts = [...new Set(groups.map((g) => g.mounts))].sort((a, b) => a - b);
  const shares = mounts.map((m) => `${share(ceilingShare(m))} for ${m} mount${m === 1 ? '' : 's'}`);
  return [
    ...para(
      `Ceiling of sharing between mounts (1 - 1/mounts): ${shares.join(', ')}; duplicates within an image come on top.`,
    ),
    '',
  ];
}

function truthTable(result: ReplayResult): string[] {
  const checks = truthChecks(result);
  if (checks.length === 0) return [];
  const alike = checks.every((c) => c.group.from === checks[0]!.group.from);
  const room = 25;
  const head = `${'design'.padStart(15)}${'kernel'.padStart(10)}${'model'.padStart(10)}${'off by'.padStart(9)}`;
  const lines = [
    `Against the real kernel, pages${alike ? `, from ${checks[0]!.group.from}` : ''}:`,
    '',
    'workload'.padEnd(room) + head,
  ];
  lines.push('-'.repeat(room + head.length));
  for (const { group, truth, modelPages, difference } of checks) {
    const cells = [
      clip(text(truth.sharing), 14, '~').padStart(15),
      String(truth.residentPages).padStart(10),
      String(modelPages ?? '-').padStart(10),
      (difference === null ? '-' : percent(difference, 2)).padStart(9),
    ];
    lines.push(...named(alike ? group.workload : group.label, room, cells.join('')));
  }
  const sources = [...new Set(checks.map((c) => c.truth.source))];
  return [...lines, '', ...sources.flatMap((s) => para(`Kernel figures: ${s}`, '', '  ')), ''];
}

/** More lines than this would bury the rest of a mail. */
const MOST_HIT_LINES = 30;

function hitRatioTable(result: ReplayResult): string[] {
  const all = hitLines(result);
  if (all.length === 0) return [];
  const model = headlineModel(result);
  if (all.length > MOST_HIT_LINES && model !== null) {
    const short = widestGaps(all, model);
    if (short.length > 0) return short;
  }
  const models = modelsOf(result).filter((m) => all.some((l) => l.rows.has(m)));
  const columns: Column[] = models.map((m) => ({ model: m, width: Math.max(9, Math.min(text(m).length + 1, 12)) }));
  const labelWidth = Math.max(
    12,
    Math.min(
      20,
      all.reduce((n, l) => Math.max(n, text(l.memory).length + 3), 0),
    ),
  );
  const out = ['Hit ratio by memory size:'];
  for (const picked of chunks(columns, labelWidth)) {
    out.push('', ...header('memory', labelWidth, picked));
    let block = '';
    for (const line of all) {
      const title = `${line.label}, ${line.policy}`;
      if (title !== block) out.push(...para(title));
      block = title;
      const cells = picked.map(({ model: m, width }) => share(line.rows.get(m)?.hitRatio ?? null).padStart(width));
      out.push(...named(`  ${text(line.memory)}`, labelWidth, cells.join('')));
    }
  }
  return [...out, ''];
}

/** For each workload and policy the one memory size at which sharing changes most. */
function widestGaps(all: HitLine[], model: string): string[] {
  const best = new Map<string, { line: HitLine; own: number; base: number }>();
  for (const line of all) {
    const own = line.rows.get(model)?.hitRatio;
    const base = line.rows.get(BASELINE)?.hitRatio;
    if (own === undefined || base === undefined) continue;
    const key = JSON.stringify([line.label, line.policy]);
    const other = best.get(key);
    if (!other || own - base > other.own - other.base) best.set(key, { line, own, base });
  }
  if (best.size === 0) return [];
  const from = all[0]!.from;
  const alike = all.every((l) => l.from === from);
  const memories = [...best.values()].map(({ line }) => text(line.memory));
  const wide = Math.min(18, memories.reduce((n, m) => Math.max(n, m.length), 6) + 2);
  const head = `${'policy'.padEnd(10)}${'memory'.padStart(wide)}${BASELINE.padStart(10)}${clip(text(model), 11, '~').padStart(12)}`;
  const room = MAIL_WIDTH - head.length;
  const out = para(
    `Hit ratio at the one memory size where ${model} gains most on ${BASELINE}, of all that were replayed` +
      `${alike ? `, from ${from}` : ''}:`,
  );
  out.push('', 'workload'.padEnd(room) + head, '-'.repeat(room + head.length));
  for (const { line, own, base } of best.values()) {
    const cells =
      clip(text(line.policy), 9, '~').padEnd(10) +
      clip(text(line.memory), wide - 1, '~').padStart(wide) +
      share(base).padStart(10) +
      share(own).padStart(12);
    out.push(...named(alike ? line.workload : line.label, room, cells));
  }
  return [...out, ''];
}

function method(result: ReplayResult): string[] {
  const lines = ['Method', '------'];
  lines.push(
    ...para(
      `A page is ${PAGE_SIZE} bytes of regular-file data. Saved is the resident memory of ${BASELINE} less that of the ` +
        'model, at the end of the replay.',
    ),
  );
  for (const from of ['demand', 'fills'] as const)
    if (result.rows.some((r) => r.from === from))
      lines.push(...para(`from ${from}: ${fromMeaning(result, from)}.`, '', '  '));
  lines.push('', 'A cached page is keyed by:');
  for (const model of modelsOf(result)) {
    const key = MODEL_KEYS[model];
    if (key !== undefined) lines.push(...para(`- ${model}: ${key}`, '  ', '    '));
  }
  if (result.notes.length > 0) {
    lines.push('', 'To know when reading the numbers:');
    for (const note of result.notes) lines.push(...para(`- ${note}`, '  ', '    '));
  }
  const parameters = parameterLines(result);
  if (parameters.length > 0) lines.push('', 'Parameters:', ...parameters.flatMap((p) => para(p, '  ', '    ')));
  return lines;
}

/** The whole mail. Every line is ASCII and at most {@link MAIL_WIDTH} columns, whatever the names are. */
export function toMail(result: ReplayResult): string {
  const groups = groupsOf(result);
  const title = para(result.title);
  const lines = [...title, '='.repeat(title.reduce((n, l) => Math.max(n, l.length), 1)), ''];
  lines.push(...para(finding(result).join(' ')), '');
  for (const from of ['fills', 'demand'] as const) {
    const some = groups.filter((g) => g.from === from);
    if (some.length > 0) lines.push(...memoryTable(result, some));
  }
  if (groups.length > 0) lines.push(...ceilings(groups));
  lines.push(...truthTable(result), ...hitRatioTable(result), ...method(result), '');
  lines.push('Inputs (sha256)', '---------------');
  for (const input of result.inputs)
    lines.push(...para(`${input.kind} ${input.path}`, '  ', '    '), ...wrap(text(input.sha256), MAIL_WIDTH, '    '));
  if (result.inputs.length === 0) lines.push('  none');
  // Numbers too large for their columns: a broken row is better than a line that a mailer breaks.
  const safe = lines.flatMap((line) => (line.length > MAIL_WIDTH ? wrap(line, MAIL_WIDTH) : [line]));
  lines.splice(0, lines.length, ...safe);
  lines.push('', 'To reproduce', '------------', ...wrapCommand(result.command, MAIL_WIDTH), '');
  lines.push(...para(`foliolab ${result.versions.foliolab}, Node.js ${result.versions.node}`));
  return `${lines.join('\n')}\n`;
}
