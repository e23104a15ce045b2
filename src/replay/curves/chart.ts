/** Charts of miss-ratio curves as vega-lite specs. */
import type { TopLevelSpec } from 'vega-lite';
import type { Specs } from '../report/draw.ts';
import { chartConfig, INKS, LINE_COLOURS } from '../report/theme.ts';
import type { MrcResult, MrcRow } from './result.ts';

const SCHEMA = 'https://vega.github.io/schema/vega-lite/v6.json';
const WIDTH = 640;
const HEIGHT = 360;
const OPT = 'OPT: no policy is below';

/** By file name. */
export function mrcCharts(result: MrcResult): Specs {
  return { 'miss-ratio': missRatioChart(result), 'working-set': workingSetChart(result) };
}

/** Miss ratio by cache size: one panel a cache, one line a policy, below them what no policy can be better than. */
export function missRatioChart(result: MrcResult): TopLevelSpec | null {
  const { rows, trace, bounds, sample } = result;
  if (rows.length === 0) return null;
  const panelOf = (row: MrcRow): string =>
    row.container === null ? (trace.containers.length > 1 ? 'one cache for all' : '') : `${row.container} alone`;
  const panels = [...new Set(rows.map(panelOf))];
  const policies = [...new Set(rows.map((row) => row.policy))];
  const values: object[] = rows.map((row) => ({
    panel: panelOf(row),
    line: row.policy,
    size: row.size,
    ratio: row.missRatio,
    kind: 'policy',
  }));
  for (const { size, missRatio } of policies.includes('opt') ? [] : (bounds.opt ?? []))
    values.push({ panel: panels[0], line: OPT, size, ratio: missRatio, kind: 'opt' });
  values.push({ panel: panels[0], ratio: bounds.coldMissRatio, kind: 'cold' });
  const ink = INKS.light;
  const lines = [...policies, ...(values.some((value) => 'line' in value && value.line === OPT) ? [OPT] : [])];
  const colours = lines.map((line, at) => (line === OPT ? ink.muted : LINE_COLOURS[at % LINE_COLOURS.length]!));
  const about = sample === null ? '' : `, estimated from ${(100 * sample.rate).toPrecision(2)} % of the ids`;
  const x = {
    field: 'size',
    type: 'quantitative' as const,
    title: `${trace.unit} cached`,
    scale: { type: 'log' as const, base: 10, nice: false },
    axis: { format: '~s', tickCount: 6, grid: false },
  };
  const y = {
    field: 'ratio',
    type: 'quantitative' as const,
    title: null,
    scale: { domain: [0, 1] },
    axis: { format: '.0%', tickCount: 5, ticks: false, domain: false },
  };
  return {
    $schema: SCHEMA,
    title: {
      text: `Miss ratio by cache size: ${clip(trace.path)}`,
      subtitle: [
        `${trace.requests.toLocaleString('en-US')} references of ${trace.footprint.toLocaleString('en-US')} ${trace.unit}${about}; sizes on a log scale.`,
        'Dotted: first references, which miss in a cache of any size.',
      ],
    },
    config: {
      ...chartConfig('light'),
      legend: { title: null, labelColor: ink.text, labelLimit: 0, symbolStrokeWidth: 3 },
    },
    data: { values },
    facet: { field: 'panel', type: 'nominal', sort: panels, title: null, header: { title: null } },
    columns: 2,
    spec: {
      width: panels.length > 1 ? WIDTH * 0.7 : WIDTH,
      height: HEIGHT,
      layer: [
        {
          transform: [{ filter: "datum.kind !== 'cold'" }],
          mark: { type: 'line', strokeJoin: 'round', strokeWidth: 2 },
          encoding: {
            x,
            y,
            color: { field: 'line', type: 'nominal', scale: { domain: lines, range: colours } },
            strokeDash: {
              field: 'kind',
              type: 'nominal',
              legend: null,
              scale: {
                domain: ['policy', 'opt'],
                range: [
                  [1, 0],
                  [6, 4],
                ],
              },
            },
          },
        },
        {
          transform: [{ filter: "datum.kind === 'cold'" }],
          mark: { type: 'rule', strokeDash: [1, 3], strokeWidth: 1.5, color: ink.ceiling },
          encoding: { y: { field: 'ratio', type: 'quantitative' } },
        },
      ],
    },
  } as TopLevelSpec;
}

/** Distinct pages in each window of references, and how many of them are new. */
export function workingSetChart({ workingSet, trace }: MrcResult): TopLevelSpec | null {
  if (workingSet === null) return null;
  const values = workingSet.windows.flatMap(({ end, pages, newPages }) => [
    { end, line: `${trace.unit} in the window`, pages },
    { end, line: 'of them for the first time', pages: newPages },
  ]);
  return {
    $schema: SCHEMA,
    title: {
      text: `Working set: ${clip(trace.path)}`,
      subtitle: [`Distinct ${trace.unit} in each ${workingSet.windowReferences.toLocaleString('en-US')} references.`],
    },
    config: {
      ...chartConfig('light'),
      legend: { title: null, labelColor: INKS.light.text, labelLimit: 0, symbolStrokeWidth: 3 },
    },
    data: { values },
    width: WIDTH,
    height: HEIGHT,
    mark: { type: 'line', interpolate: 'step-before', strokeWidth: 2 },
    encoding: {
      x: { field: 'end', type: 'quantitative', title: 'references', axis: { format: '~s', grid: false, tickCount: 6 } },
      y: { field: 'pages', type: 'quantitative', title: null, axis: { tickCount: 5, ticks: false, domain: false } },
      color: { field: 'line', type: 'nominal', scale: { range: [LINE_COLOURS[0], LINE_COLOURS[1]] } },
    },
  } as TopLevelSpec;
}

function clip(text: string): string {
  return text.length > 80 ? `…${text.slice(-79)}` : text;
}
