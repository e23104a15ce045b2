/** Charts of a sweep as vega-lite specs. A chart that has no data is null. */
import type { TopLevelSpec } from 'vega-lite';
import { lines, uniqueNames } from '../report/charts.ts';
import type { Specs } from '../report/draw.ts';
import { percent } from '../report/text.ts';
import { chartConfig, INKS, LINE_COLOURS } from '../report/theme.ts';
import { type HeatMap, heatMaps, placeOf } from './heat-map.ts';
import type { Relative } from './relative.ts';
import type { SweepResult } from './result.ts';

const SCHEMA = 'https://vega.github.io/schema/vega-lite/v6.json';
const WIDTH = 1120;
/** Panels of one picture, and cells of a heat map beyond its first panel: more could not be read, nor its pixels held in memory. */
const MAX_PANELS = 40;
const MAX_CELLS = 10_000;
const CELL_WIDTH = 58;
/** What is written left of the cells. */
const LABELS = 170;
/** Below so many traces a percentile interval covers less than 90 % (docs/sweep.md). */
const FEW = 8;
const SHAPES = ['circle', 'square', 'triangle-up', 'diamond'];

/** By file name. */
export function sweepCharts(result: SweepResult): Specs {
  return { 'heat-map': heatMapChart(result), relative: relativeChart(result) };
}

/** Miss ratio by policy and memory size: a panel for each trace, kind of mounts and sharing model. */
export function heatMapChart(result: SweepResult): TopLevelSpec | null {
  const all = heatMaps(result.rows);
  if (all.length === 0) return null;
  const most = all.reduce((most, { cells }) => Math.max(most, cells.length), 1);
  const maps = all.slice(0, Math.max(1, Math.min(MAX_PANELS, Math.floor(MAX_CELLS / most))));
  const ink = INKS.light;
  const panels = uniqueNames(maps.map(({ title }) => title));
  const policies = uniqueNames(maps[0]!.policies);
  const top = maps.reduce(
    (top, { cells }) => cells.reduce((most, { missRatio }) => Math.max(most, missRatio), top),
    Number.MIN_VALUE,
  );
  const values = maps.flatMap(({ title, memories, cells }: HeatMap) => {
    const sizes = uniqueNames(memories);
    return cells.map(({ policy, memory, missRatio, best }) => ({
      panel: panels.get(title),
      policy: policies.get(policy),
      memory: sizes.get(memory),
      rank: memories.indexOf(memory),
      ratio: missRatio,
      text: percent(missRatio),
      best,
    }));
  });
  const sizes = Math.max(...maps.map(({ memories }) => memories.length));
  const seeds = new Set(result.rows.map(({ seed }) => seed)).size;
  const columns = Math.max(1, Math.min(maps.length, Math.floor(WIDTH / (LABELS + sizes * CELL_WIDTH))));
  const x = {
    field: 'memory',
    type: 'nominal' as const,
    sort: { field: 'rank', op: 'min' as const },
    title: 'memory',
    axis: { labelAngle: 0, ticks: false, domain: false },
  };
  const y = {
    field: 'policy',
    type: 'nominal' as const,
    sort: [...policies.values()],
    title: null,
    axis: { ticks: false, domain: false, labelColor: ink.text, labelPadding: 8 },
  };
  return {
    $schema: SCHEMA,
    title: {
      text: 'Miss ratio by policy and memory size',
      subtitle: lines(
        [
          `Policies from the lowest mean miss ratio to the highest${seeds > 1 ? `; mean of ${seeds} seeds` : ''}. Bold: the lowest of its column, opt aside.`,
          ...left(maps.length, all.length, 'results.csv has all.'),
        ],
        Math.max(WIDTH / 2, columns * (LABELS + sizes * CELL_WIDTH)),
      ),
    },
    config: chartConfig('light'),
    data: { values },
    facet: panelFacet(panels.values()),
    columns,
    resolve: { scale: { x: 'independent' }, axis: { x: 'independent', y: 'independent' } },
    spec: {
      width: sizes * CELL_WIDTH,
      height: { step: 22 },
      layer: [
        {
          mark: { type: 'rect', stroke: ink.background },
          encoding: {
            x,
            y,
            color: {
              field: 'ratio',
              type: 'quantitative',
              scale: { domain: [0, top], range: ['#f4f8fb', '#0b3c5d'] },
              legend: null,
            },
          },
        },
        ...[true, false].map((best) => ({
          transform: [{ filter: `datum.best === ${best}` }],
          mark: { type: 'text' as const, fontWeight: best ? 600 : 400 },
          encoding: {
            x,
            y,
            text: { field: 'text', type: 'nominal' as const },
            color: { condition: { test: `datum.ratio > ${0.5 * top}`, value: ink.background }, value: ink.text },
          },
        })),
      ],
    },
  } as TopLevelSpec;
}

/** Miss ratio reduction against the baseline by memory size: a panel for each kind of mounts and sharing model. */
export function relativeChart({ relative, rows }: SweepResult): TopLevelSpec | null {
  if (relative === null || relative.rows.length === 0) return null;
  const ink = INKS.light;
  const titleOf = placeOf(rows);
  const all = [...new Set(relative.rows.map(titleOf))];
  // One panel alone needs no name.
  const panels = all.length === 1 ? new Map([[all[0]!, '']]) : uniqueNames(all.slice(0, MAX_PANELS));
  const shown = relative.rows.filter((row) => panels.has(titleOf(row)));
  const policies = uniqueNames(shown.map(({ policy }) => policy));
  const sizes = uniqueNames(shown.map(({ memory }) => memory));
  const order = [...policies.values()];
  const values = shown.map((row) => ({
    panel: panels.get(titleOf(row)),
    policy: policies.get(row.policy),
    memory: sizes.get(row.memory),
    reduction: row.reduction,
    low: row.low,
    high: row.high,
  }));
  const traces = shown.reduce((most, row) => Math.max(most, row.traces), 0);
  const cells = shown.reduce((most, row) => Math.max(most, row.cells), 0);
  const width = sizes.size * Math.max(60, order.length * 9 + 14);
  const columns = Math.max(1, Math.min(panels.size, Math.floor(WIDTH / (width + 70))));
  const position = {
    x: {
      field: 'memory',
      type: 'nominal' as const,
      sort: [...sizes.values()],
      title: 'memory',
      axis: { labelAngle: 0, ticks: false },
      scale: { paddingInner: 0.25 },
    },
    xOffset: { field: 'policy', type: 'nominal' as const, sort: order },
  };
  const axis = { format: '.0%', tickCount: 6, ticks: false, domain: false };
  const y = { type: 'quantitative' as const, title: null, axis };
  const colour = {
    field: 'policy',
    type: 'nominal' as const,
    scale: { domain: order, range: order.map((_, at) => LINE_COLOURS[at % LINE_COLOURS.length]!) },
  };
  const shape = {
    field: 'policy',
    type: 'nominal' as const,
    scale: {
      domain: order,
      range: order.map((_, at) => SHAPES[Math.floor(at / LINE_COLOURS.length) % SHAPES.length]!),
    },
  };
  return {
    $schema: SCHEMA,
    title: {
      text: `Misses saved against ${uniqueNames([relative.baseline]).get(relative.baseline)}`,
      subtitle: lines(
        [
          `1 − miss ratio / the baseline's; above 0 is better. A point is the mean of ${counted(traces, 'trace')}, ${counted(cells, 'cell')}.`,
          ...about(relative, traces, cells),
          ...left(panels.size, all.length, 'relative.csv has all.'),
        ],
        Math.max(WIDTH / 2, columns * (width + 70)),
      ),
    },
    config: { ...chartConfig('light'), legend: { title: null, labelColor: ink.text, labelLimit: 0 } },
    data: { values },
    facet: panelFacet(panels.values()),
    columns,
    resolve: { axis: { x: 'independent', y: 'independent' } },
    spec: {
      width,
      height: 260,
      layer: [
        { mark: { type: 'rule', color: ink.muted }, encoding: { y: { datum: 0 } } },
        {
          transform: [{ filter: 'isValid(datum.low)' }],
          mark: { type: 'rule', strokeWidth: 1.5 },
          encoding: { ...position, y: { field: 'low', ...y }, y2: { field: 'high' }, color: colour },
        },
        {
          mark: { type: 'point', filled: true, size: 45, opacity: 1 },
          encoding: { ...position, y: { field: 'reduction', ...y }, color: colour, shape },
        },
      ],
    },
  } as TopLevelSpec;
}

/** A panel for each value of the field `panel`, its name above it, in the order given. */
function panelFacet(order: Iterable<string>): object {
  return {
    field: 'panel',
    type: 'nominal',
    sort: [...order],
    title: null,
    header: { labelAnchor: 'start', title: null },
  };
}

function about({ resamples }: Relative, traces: number, cells: number): string[] {
  if (cells === 1) return ['One trace and one seed: no intervals.'];
  const over = traces === 1 ? 'seeds; other traces may differ' : cells > traces ? 'traces and their seeds' : 'traces';
  return [
    `Bars: 95 % bootstrap intervals over ${over} (${resamples.toLocaleString('en-US')} resamples).`,
    ...(traces > 1 && traces < FEW ? ['Of so few traces they are too narrow.'] : []),
  ];
}

function left(drawn: number, panels: number, where: string): string[] {
  return panels > drawn ? [`The first ${drawn} of ${panels} panels; ${where}`] : [];
}

function counted(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
