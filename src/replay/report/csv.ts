/** Rows as CSV: one line each, columns that stay where they are, RFC 4180 quoting, line feeds as line ends. */
import type { ContainerRow, ReplayResult, ReplayRow } from '../result.ts';

/** New columns go to the end. */
export const CSV_COLUMNS = [
  'workload',
  'from',
  'sharing',
  'policy',
  'memory',
  'capacityPages',
  'references',
  'hits',
  'misses',
  'coldMisses',
  'refaults',
  'evictions',
  'footprintPages',
  'peakPages',
  'residentPages',
  'missRatio',
  'hitRatio',
  'bytesSavedVsPerInode',
  'mounts',
] as const satisfies readonly (keyof ReplayRow)[];

const RUN_COLUMNS = ['workload', 'from', 'sharing', 'policy', 'memory', 'capacityPages'] as const;

const CONTAINER_COLUMNS = [
  'name',
  'references',
  'misses',
  'usedPages',
  'sharedPages',
  'chargedPages',
] as const satisfies readonly (keyof ContainerRow)[];

/** null (unlimited memory) is the empty field. */
function field(value: string | number | null): string {
  const text = value === null ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A line of CSV. */
export const line = (values: readonly (string | number | null)[]) => `${values.map(field).join(',')}\n`;

export function toCsv(result: ReplayResult): string {
  return line(CSV_COLUMNS) + result.rows.map((row) => line(CSV_COLUMNS.map((c) => row[c]))).join('');
}

/** One line per container of each row. */
export function containersCsv(result: ReplayResult): string {
  let csv = line([...RUN_COLUMNS, 'container', ...CONTAINER_COLUMNS.slice(1)]);
  for (const row of result.rows) {
    const run = RUN_COLUMNS.map((c) => row[c]);
    for (const container of row.containers) csv += line([...run, ...CONTAINER_COLUMNS.map((c) => container[c])]);
  }
  return csv;
}
