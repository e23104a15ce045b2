/** A result as GitHub-flavoured Markdown. */
import type { ReplayResult, ReplayRow } from '../result.ts';
import {
  BASELINE,
  finding,
  fromMeaning,
  groupsOf,
  hitLines,
  limitedRows,
  mib,
  modelsOf,
  parameterLines,
  savedShare,
} from './facts.ts';
import { clean, percent } from './text.ts';

/** Text that stays text: every character Markdown or HTML would act on is escaped. */
export function plain(text: string): string {
  return clean(text)
    .replace(/[\\`*_{}[\]()#+!|~$]/g, '\\$&')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

/** A code span longer than any run of backquotes inside; `|` would end a table cell even there. */
function code(text: string): string {
  if (text === '') return '(unnamed)';
  const fence = '`'.repeat(1 + Math.max(0, ...[...text.matchAll(/`+/g)].map((m) => m[0].length)));
  const pad = /^`|`$|^ .* $/.test(text) ? ' ' : '';
  return `${fence}${pad}${clean(text)}${pad}${fence}`;
}

export function table(head: string[], rows: string[][], left: number): string {
  const rule = head.map((_, i) => (i < left ? '---' : '---:'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function memoryTable(result: ReplayResult): string[] {
  const groups = groupsOf(result);
  if (groups.length === 0) return [];
  const models = modelsOf(result).filter((m) => groups.some((g) => g.rows.has(m)));
  const truth = groups.some((g) => g.truth.length > 0);
  const head = ['workload', 'from', ...models.map(plain), ...(truth ? ['real kernel'] : [])];
  const cell = (row: ReplayRow | undefined) => {
    if (!row) return '—';
    const size = mib(row.residentPages).toFixed(1);
    return row.sharing === BASELINE ? size : `${size} (${percent(savedShare(row))})`;
  };
  const rows = groups.map((g) => [
    plain(g.workload),
    g.from,
    ...models.map((m) => cell(g.rows.get(m))),
    ...(truth ? [g.truth.map((t) => `${mib(t.residentPages).toFixed(1)} ${plain(t.sharing)}`).join(', ') || '—'] : []),
  ]);
  return [
    '## Resident page cache, MiB',
    '',
    `Memory unlimited; in brackets the share saved against ${BASELINE}.`,
    '',
    table(head, rows, 2),
    '',
  ];
}

function hitRatioTable(result: ReplayResult): string[] {
  const rows = limitedRows(result);
  if (rows.length === 0) return [];
  const models = modelsOf(result).filter((m) => rows.some((r) => r.sharing === m));
  const body = hitLines(result).map((l) => [
    ...[l.label, l.policy, l.memory].map(plain),
    ...models.map((m) => percent(l.rows.get(m)?.hitRatio ?? null)),
  ]);
  return ['## Hit ratio', '', table(['workload', 'policy', 'memory', ...models.map(plain)], body, 2), ''];
}

export function toMarkdown(result: ReplayResult): string {
  const lines = [`# ${plain(result.title)}`, '', plain(finding(result).join(' ')), ''];
  lines.push(...memoryTable(result), ...hitRatioTable(result));
  if (result.notes.length > 0) lines.push('## Notes', '', ...result.notes.map((n) => `- ${plain(n)}`), '');
  const froms = (['demand', 'fills'] as const).filter((from) => result.rows.some((r) => r.from === from));
  lines.push('## Parameters', '', ...froms.map((from) => `- from ${from}: ${fromMeaning(result, from)}`));
  lines.push(...parameterLines(result).map((p) => `- ${plain(p)}`), '');
  lines.push(...provenance(result));
  return `${lines.join('\n')}\n`;
}

/** What it was made of, and how to make it again. */
export function provenance(result: Pick<ReplayResult, 'inputs' | 'command' | 'versions'>): string[] {
  const inputs = result.inputs.map((i) => `- ${i.kind} ${code(i.path)}<br>sha256 ${code(i.sha256)}`);
  return [
    ...['## Inputs', '', ...(inputs.length > 0 ? inputs : ['none']), ''],
    // Four columns of indentation are code that nothing in the text can end.
    ...['## Reproduce', '', `    ${clean(result.command)}`, ''],
    `foliolab ${plain(result.versions.foliolab)}, Node.js ${plain(result.versions.node)}`,
  ];
}

/** Sentences a reader must know, if there are any, and every parameter. */
export function notesAndParameters(result: Pick<ReplayResult, 'notes' | 'parameters'>): string[] {
  return [
    ...(result.notes.length > 0 ? ['## Notes', '', ...result.notes.map((note) => `- ${plain(note)}`), ''] : []),
    ...['## Parameters', '', ...parameterLines(result).map((parameter) => `- ${plain(parameter)}`), ''],
  ];
}
