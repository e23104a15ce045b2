import type { Exporter, Format } from '../report/index.ts';
import { documentJson } from '../report/json.ts';
import { sweepMarkdown } from './md.ts';
import { type SweepResult, sweepCsv } from './result.ts';

export const SWEEP_CHARTS = ['heat-map', 'relative'] as const;

type SweepExporter = Exporter<SweepResult, (typeof SWEEP_CHARTS)[number]>;

/** The charts are loaded when they are used. */
const drawn =
  (format: 'svg' | 'png'): SweepExporter =>
  async (result, options) =>
    (await import('../report/draw.ts')).draw(
      (await import('./chart.ts')).sweepCharts(result),
      [format],
      options?.charts,
    );

export const sweepExporters: Partial<Record<Format, SweepExporter>> = {
  md: async (result) => new Map([['report.md', sweepMarkdown(result)]]),
  csv: async (result) => new Map([['results.csv', sweepCsv(result)]]),
  json: async (result) => new Map([['results.json', documentJson(result)]]),
  svg: drawn('svg'),
  png: drawn('png'),
};
