import type { Exporter, Format } from '../report/index.ts';
import { documentJson } from '../report/json.ts';
import { mrcCsv } from './csv.ts';
import { mrcMarkdown } from './md.ts';
import type { MrcResult } from './result.ts';

export const MRC_CHARTS = ['miss-ratio', 'working-set'] as const;

type MrcExporter = Exporter<MrcResult, (typeof MRC_CHARTS)[number]>;

/** The charts are loaded when they are used. */
const drawn =
  (format: 'svg' | 'png'): MrcExporter =>
  async (result, options) =>
    (await import('../report/draw.ts')).draw((await import('./chart.ts')).mrcCharts(result), [format], options?.charts);

export const mrcExporters: Partial<Record<Format, MrcExporter>> = {
  md: async (result) => new Map([['report.md', mrcMarkdown(result)]]),
  csv: async (result) => new Map([['results.csv', mrcCsv(result)]]),
  json: async (result) => new Map([['results.json', documentJson(result)]]),
  svg: drawn('svg'),
  png: drawn('png'),
};
