/** The exporters: each reads a `ReplayResult` and nothing else. The heavy ones are loaded when they are used. */
import { join } from 'node:path';
import { writeFileAtomic } from '../io/output.ts';
import type { ReplayResult } from '../result.ts';
import type { ChartName } from './charts.ts';
import { toCsv } from './csv.ts';
import { toJson } from './json.ts';
import { toMail } from './mail.ts';
import { toMarkdown } from './md.ts';

export type { ChartName } from './charts.ts';
export { containersCsv, toCsv } from './csv.ts';
export { finding } from './facts.ts';
export { toJson } from './json.ts';
export { toMail } from './mail.ts';
export { toMarkdown } from './md.ts';
export { readResult } from './read.ts';
export { containersTable, headlineTable, hitRatioTable, toTable, wantsColor } from './table.ts';

/** File name to content. */
export type Files = Map<string, string | Uint8Array>;

export interface ExportOptions<Chart extends string = ChartName> {
  /** Charts to make, of those that have data; all by default. Only svg and png take it. */
  charts?: readonly Chart[];
}

export type Exporter<Result = ReplayResult, Chart extends string = ChartName> = (
  result: Result,
  options?: ExportOptions<Chart>,
) => Promise<Files>;

export const exporters = {
  mail: async (result) => new Map([['report.txt', toMail(result)]]),
  html: async (result) => new Map([['report.html', await (await import('./html.ts')).toHtml(result)]]),
  md: async (result) => new Map([['report.md', toMarkdown(result)]]),
  csv: async (result) => new Map([['results.csv', toCsv(result)]]),
  json: async (result) => new Map([['results.json', toJson(result)]]),
  svg: async (result, options) => (await import('./svg.ts')).toSvg(result, options?.charts),
  png: async (result, options) => (await import('./png.ts')).toPng(result, options?.charts),
} satisfies Record<string, Exporter>;

export type Format = keyof typeof exporters;
export const FORMATS = Object.keys(exporters) as Format[];

/**
 * Writes all files or says which failed. Each appears under its name complete, by renaming; a reader never sees half of one.
 * @returns the paths written
 */
export async function writeFiles(dir: string, files: ReadonlyMap<string, string | Uint8Array>): Promise<string[]> {
  const written: string[] = [];
  for (const [name, content] of files) {
    const path = join(dir, name);
    await writeFileAtomic(path, content);
    written.push(path);
  }
  return written;
}
