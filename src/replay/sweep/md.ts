import { notesAndParameters, plain, provenance, table } from '../report/md.ts';
import { percent } from '../report/text.ts';
import { type HeatMap, heatMaps } from './heat-map.ts';
import type { Relative } from './relative.ts';
import type { SweepResult } from './result.ts';

/** A sweep as GitHub-flavoured Markdown: the heat maps as tables, and what each policy saves against the baseline. */
export function sweepMarkdown(result: SweepResult): string {
  const lines = [
    ...[
      `# ${plain(result.title)}`,
      '',
      '## Miss ratio',
      '',
      'Means of the seeds. Bold: the lowest of its column, opt aside.',
      '',
    ],
    ...heatMaps(result.rows).flatMap(mapTable),
    ...(result.relative === null ? [] : relativeTable(result.relative)),
    ...notesAndParameters(result),
    ...provenance(result),
  ];
  return `${lines.join('\n')}\n`;
}

function mapTable({ title, policies, memories, cells }: HeatMap): string[] {
  const rows = policies.map((policy) => [
    plain(policy),
    ...memories.map((memory) => {
      const cell = cells.find((one) => one.policy === policy && one.memory === memory);
      const text = percent(cell?.missRatio ?? null, 2);
      return cell?.best ? `**${text}**` : text;
    }),
  ]);
  return [`### ${plain(title)}`, '', table(['policy', ...memories.map(plain)], rows, 1), ''];
}

function relativeTable({ baseline, resamples, rows }: Relative): string[] {
  const body = rows.map(({ sharing, mounts, policy, memory, reduction, low, high, traces, cells }) => [
    ...[sharing, mounts, policy, memory].map(plain),
    percent(reduction),
    low === null ? '—' : `${percent(low)} to ${percent(high)}`,
    String(traces),
    String(cells),
  ]);
  return [
    `## Misses saved against ${plain(baseline)}`,
    '',
    `1 − miss ratio / the baseline's, and 95 % bootstrap intervals over traces and their seeds (${resamples} resamples), which of fewer than eight traces are too narrow.`,
    '',
    table(['sharing', 'mounts', 'policy', 'memory', 'saved', 'interval', 'traces', 'cells'], body, 4),
    '',
  ];
}
