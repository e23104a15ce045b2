/** Three charts as vega-lite specs: pure functions of the result. A chart that has no data is null. */
import type { TopLevelSpec } from 'vega-lite';
import type { ReplayResult, ReplayRow } from '../result.ts';
import {
  BASELINE,
  ceilingShare,
  groupsOf,
  headlineFrom,
  headlineModel,
  isResidency,
  limitedRows,
  mib,
  modelsOf,
  panelLabel,
  savedShare,
  savingsOf,
  shareRange,
} from './facts.ts';
import { clean, clip, percent } from './text.ts';
import { chartConfig, INKS, modelInks, type ThemeName } from './theme.ts';

export const CHARTS = ['memory', 'residency', 'hit-ratio'] as const;
export type ChartName = (typeof CHARTS)[number];

export interface ChartLayout {
  theme?: ThemeName;
  /** Pixels for the whole picture, margins aside. */
  width?: number;
}

/** Pixels beside the plot of one panel: what the labels left and right of it take. */
const SIDE: Record<ChartName, number> = { memory: 235, residency: 185, 'hit-ratio': 175 };
const DEFAULT_WIDTH = 1120;
const TWO_COLUMNS_FROM = 820;
const PANEL_GAP = 24;
const LINE_HEIGHT = 180;

interface Frame {
  theme: ThemeName;
  compact: boolean;
  columns: number;
  panelWidth: number;
}

function frame(chart: ChartName, layout: ChartLayout, panels: number, most = 2): Frame {
  const total = layout.width ?? DEFAULT_WIDTH;
  const compact = total < 520;
  const columns = total >= TWO_COLUMNS_FROM ? Math.min(most, panels) : 1;
  const side = SIDE[chart] - (compact ? 45 : 0);
  const each = Math.floor((total - PANEL_GAP * (columns - 1)) / columns) - side;
  return { theme: layout.theme ?? 'light', compact, columns, panelWidth: Math.max(90, Math.min(each, 640)) };
}

/** A name to show and to key by. Vega keys its groups by plain objects: a name such as `__proto__` must not be one of theirs. */
export function name(text: string): string {
  const shown = clip(clean(text).replaceAll('\ufffd', '?'), 44);
  return shown in {} ? `${shown}\u00a0` : shown;
}

/** Names cut to fit may collide; what a panel is keyed by may not. */
export function uniqueNames(keys: Iterable<string>): Map<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const key of keys) {
    if (names.has(key)) continue;
    let label = name(key) || '(unnamed)';
    for (let n = 2; taken.has(label); n++) label = `${name(key)} (${n})`;
    taken.add(label);
    names.set(key, label);
  }
  return names;
}

/** Lines of a subtitle that fit `width` at its size, about 6.3 px a character. */
export function lines(sentences: string[], width: number): string[] {
  const most = Math.max(30, Math.floor(width / 6.3));
  const out: string[] = [''];
  for (const word of sentences.join(' ').split(' ')) {
    if (out.at(-1)!.length + 1 + word.length > most && out.at(-1) !== '') out.push(word);
    else out[out.length - 1] += out.at(-1) === '' ? word : ` ${word}`;
  }
  return out;
}

function modelColor(models: string[], theme: ThemeName, part: 'fill' | 'text' = 'fill') {
  const range = modelInks(models, theme).map((ink) => ink[part]);
  return { field: 'model', type: 'nominal' as const, scale: { domain: models.map(name), range }, legend: null };
}

const SCHEMA = 'https://vega.github.io/schema/vega-lite/v6.json';

/** `hidden` lists the models to leave out; the page's filter sets it. */
const FILTER = {
  params: [{ name: 'hidden', value: [] as string[] }],
  transform: [{ filter: 'indexof(hidden, datum.model) < 0' }],
};

function shell(f: Frame, title: string, sentences: string[], layout: ChartLayout) {
  const width = layout.width ?? DEFAULT_WIDTH;
  return {
    $schema: SCHEMA,
    title: { text: lines([title], width * 0.72), subtitle: lines(sentences, width) },
    config: chartConfig(f.theme),
    ...FILTER,
    columns: f.columns,
    spacing: { row: 30, column: PANEL_GAP },
  };
}

function panelFacet(panels: string[]) {
  return {
    field: 'panel',
    type: 'nominal' as const,
    sort: panels,
    title: null,
    header: { labelAnchor: 'start' as const, labelOrient: 'top' as const, title: null },
  };
}

/** What a saving does to the memory: `−23.8%`. */
function signed(saved: number | null): string {
  const text = percent(saved === null ? null : Math.abs(saved));
  return /^0\.0%|—/.test(text) ? text : `${saved! > 0 ? '−' : '+'}${text}`;
}

// ---------------------------------------------------------------------------------------------------------------- memory

/** What the charts of memory show, as a title. */
function heading(result: ReplayResult): string {
  return isResidency(result, headlineFrom(result)) ? 'Resident page cache' : 'Pages that programs touched';
}

/** Resident memory by sharing model: one panel per workload, one bar per model, all from zero. */
export function memoryChart(result: ReplayResult, layout: ChartLayout = {}): TopLevelSpec | null {
  const groups = groupsOf(result);
  if (groups.length === 0) return null;
  const f = frame('memory', layout, groups.length);
  const ink = INKS[f.theme];
  const measured = groups.flatMap((g) => g.truth.map((t) => t.sharing));
  const replayed = modelsOf(result).filter((m) => groups.some((g) => g.rows.has(m)));
  const models = [...new Set([...replayed, ...measured])];
  const panels = uniqueNames(groups.map((g) => g.label));
  const values: object[] = [];
  for (const group of groups) {
    const share = ceilingShare(group.mounts);
    for (const model of models) {
      const row = group.rows.get(model);
      const truth = group.truth.find((t) => t.sharing === model);
      const saved = savedShare(row);
      const isBase = model === BASELINE;
      values.push({
        panel: panels.get(group.label),
        model: name(model),
        mib: row ? mib(row.residentPages) : null,
        pages: row ? row.residentPages : null,
        saved: isBase ? null : saved,
        sizeText: row ? `${mib(row.residentPages).toFixed(1)} MiB` : 'not replayed',
        sizeShort: row ? mib(row.residentPages).toFixed(1) : '—',
        savedText: row && !isBase ? `${percent(saved)} saved` : '',
        savedShort: row && !isBase ? signed(saved) : '',
        kernel: truth ? mib(truth.residentPages) : null,
        kernelPages: truth ? truth.residentPages : null,
        source: truth ? clip(clean(truth.source), 80) : null,
        ceiling: group.mounts > 1 ? mib(group.baselinePages) * (1 - share) : null,
        ceilingText: group.mounts > 1 ? `${percent(share, Number.isInteger(share * 100) ? 0 : 1)} ceiling` : '',
      });
    }
  }
  const model = headlineModel(result);
  const savings = model === null ? [] : savingsOf(result, model);
  const both = groups.some((g) => g.from !== groups[0]!.from);
  const within = both ? ` (${headlineFrom(result)})` : '';
  const finding = savings.length > 0 ? `: ${clean(model!)} saves ${shareRange(savings)}${within}` : '';
  const sentences = ['MiB of regular-file data at the end of the replay, memory unlimited, by sharing model.'];
  if (groups.some((g) => !isResidency(result, g.from)))
    sentences.push('demand: only what programs touched, without readahead.');
  if (groups.some((g) => g.mounts > 1))
    sentences.push('Dashed: the ceiling of sharing between mounts (per-inode / mounts).');
  if (measured.length > 0) sentences.push('◆ what the real kernel had cached.');

  const y = { field: 'model', type: 'nominal' as const, sort: models.map(name), title: null };
  const ticks = Math.max(3, Math.min(5, Math.floor(f.panelWidth / 56)));
  const numberColumn = f.compact ? 36 : 62;
  const tooltip = [
    { field: 'panel', type: 'nominal' as const, title: 'workload' },
    { field: 'model', type: 'nominal' as const, title: 'sharing' },
    { field: 'mib', type: 'quantitative' as const, title: 'MiB', format: '.2f' },
    { field: 'pages', type: 'quantitative' as const, title: 'pages' },
    { field: 'saved', type: 'quantitative' as const, title: 'saved', format: '.2%' },
  ];
  return {
    ...shell(f, `${heading(result)}, MiB${finding}`, sentences, layout),
    data: { name: 'memory', values },
    facet: panelFacet([...panels.values()]),
    resolve: { scale: { x: 'independent' }, axis: { x: 'independent', y: 'independent' } },
    spec: {
      width: f.panelWidth,
      height: { step: 22 },
      layer: [
        {
          mark: { type: 'bar', height: { band: 0.72 }, cornerRadiusEnd: 2 },
          encoding: {
            x: {
              field: 'mib',
              type: 'quantitative',
              title: null,
              scale: { zero: true, nice: ticks },
              axis: {
                tickCount: ticks,
                ticks: false,
                domain: false,
                labelPadding: 6,
                // The unit once, beside the zero.
                labelExpr: "datum.index === 0 ? datum.label + ' MiB' : datum.label",
              },
            },
            y: {
              ...y,
              axis: { ticks: false, domain: false, labelPadding: 8, labelColor: ink.text, labelFontSize: 11.5 },
            },
            color: modelColor(models, f.theme),
            tooltip,
          },
        },
        {
          transform: [{ filter: 'isValid(datum.ceiling)' }],
          mark: { type: 'rule', strokeDash: [4, 3], strokeWidth: 1.25, color: ink.ceiling },
          encoding: { x: { field: 'ceiling', type: 'quantitative', aggregate: 'max' } },
        },
        {
          transform: [{ filter: 'isValid(datum.ceiling)' }],
          mark: { type: 'text', color: ink.ceiling, fontSize: 10.5, dy: -7, y: 0, align: 'center', baseline: 'bottom' },
          encoding: {
            x: { field: 'ceiling', type: 'quantitative', aggregate: 'max' },
            y: { value: 6 },
            text: { field: 'ceilingText', type: 'nominal' },
          },
        },
        {
          mark: { type: 'text', align: 'right', dx: numberColumn, fontWeight: 600 },
          encoding: {
            x: { value: 'width' },
            y,
            text: { field: f.compact ? 'sizeShort' : 'sizeText', type: 'nominal' },
            color: { condition: { test: '!isValid(datum.mib)', value: ink.muted }, value: ink.text },
          },
        },
        {
          mark: { type: 'text', align: 'left', dx: numberColumn + 8, color: ink.muted },
          encoding: {
            x: { value: 'width' },
            y,
            text: { field: f.compact ? 'savedShort' : 'savedText', type: 'nominal' },
          },
        },
        {
          transform: [{ filter: 'isValid(datum.kernel)' }],
          mark: {
            type: 'point',
            shape: 'diamond',
            size: 110,
            opacity: 1,
            fill: ink.text,
            stroke: ink.background,
            strokeWidth: 1.5,
          },
          encoding: {
            x: { field: 'kernel', type: 'quantitative' },
            y,
            tooltip: [
              tooltip[0]!,
              { field: 'model', type: 'nominal', title: 'real kernel' },
              { field: 'kernel', type: 'quantitative', title: 'MiB', format: '.2f' },
              { field: 'kernelPages', type: 'quantitative', title: 'pages' },
              { field: 'source', type: 'nominal', title: 'source' },
            ],
          },
        },
      ],
    },
  } as TopLevelSpec;
}

// ----------------------------------------------------------------------------------------------------------- line charts

interface Line {
  panel: string;
  model: string;
  points: { x: number; y: number; extra?: object }[];
}

/** Where an axis from zero with about four ticks ends, as d3 rounds it: steps of 1, 2 or 5. */
function niceTop(highest: number): number {
  if (highest <= 0) return 0;
  const raw = highest / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const error = raw / power;
  const step = power * (error >= Math.sqrt(50) ? 10 : error >= Math.sqrt(10) ? 5 : error >= Math.sqrt(2) ? 2 : 1);
  return Math.ceil(highest / step) * step;
}

/** Ascending positions moved apart by at least `gap`, each cluster around the mean of its own, none above `top`. */
function spread(wanted: number[], gap: number, top: number): number[] {
  const clusters: { sum: number; count: number; low: number }[] = [];
  for (const y of wanted) {
    let next = { sum: y, count: 1, low: y };
    for (let last = clusters.at(-1); last && last.low + last.count * gap > next.low; last = clusters.at(-1)) {
      clusters.pop();
      const count = last.count + next.count;
      const sum = last.sum + next.sum;
      next = { sum, count, low: sum / count - ((count - 1) / 2) * gap };
    }
    next.low = Math.max(0, Math.min(next.low, top - (next.count - 1) * gap));
    clusters.push(next);
  }
  return clusters.flatMap((c) => Array.from({ length: c.count }, (_, i) => c.low + i * gap));
}

/**
 * The data of one line chart: the points, and one label at the end of each line, moved apart so that none covers another.
 * @param top the end of the y axis; null: the highest point of the panel
 */
function lineValues(all: Line[], models: string[], top: number | null, label: (line: Line) => string): object[] {
  const panels = new Map<string, Line[]>();
  for (const line of all) {
    const some = panels.get(line.panel);
    if (some) some.push(line);
    else panels.set(line.panel, [line]);
  }
  const firstSharing = models.find((m) => m !== BASELINE);
  const values: object[] = [];
  for (const [panel, some] of panels) {
    some.sort((a, b) => models.indexOf(a.model) - models.indexOf(b.model));
    let right = 0;
    let highest = top ?? 0;
    for (const line of some) {
      const thickness = line.model === firstSharing && models.length > 2 ? 5 : 2;
      for (const { x, y, extra } of line.points) {
        values.push({ panel, model: name(line.model), kind: 'point', thickness, x, y, ...extra });
        right = Math.max(right, x);
        if (top === null) highest = Math.max(highest, y);
      }
    }
    const axis = top ?? niceTop(highest);
    // Equal values keep the models' order from top to bottom.
    const ends = some.toReversed().sort((a, b) => a.points.at(-1)!.y - b.points.at(-1)!.y);
    const at = spread(
      ends.map((line) => line.points.at(-1)!.y),
      (axis * 14) / LINE_HEIGHT,
      axis,
    );
    ends.forEach((line, i) => {
      const value = label(line);
      const shown = { text: `${name(line.model)} ${value}`, shortText: name(line.model) };
      values.push({ panel, model: name(line.model), kind: 'label', x: right, y: at[i], ...shown });
    });
  }
  return values;
}

const IS_POINT = { filter: "datum.kind === 'point'" };
const IS_LABEL = { filter: "datum.kind === 'label'" };

/** Lines that coincide are all seen: the first model that shares is a wide band, the next lies on it, the others are dashed. */
function lineStyle(models: string[]) {
  const sharing = models.filter((m) => m !== BASELINE);
  const at = models.map((m) => sharing.indexOf(m));
  const domain = models.map(name);
  const dashes = at.map((i) => (i < 2 ? [1, 0] : i === 2 ? [6, 4] : [2, 2 + i - 3]));
  return {
    strokeWidth: { field: 'thickness', type: 'quantitative' as const, scale: null },
    strokeDash: { field: 'model', type: 'nominal' as const, scale: { domain, range: dashes }, legend: null },
  };
}

function endLabels(models: string[], f: Frame) {
  return {
    transform: [IS_LABEL],
    mark: { type: 'text' as const, align: 'left' as const, dx: 8, fontSize: 11, fontWeight: 600 as const },
    encoding: {
      x: { field: 'x', type: 'quantitative' as const },
      y: { field: 'y', type: 'quantitative' as const },
      text: { field: f.compact ? 'shortText' : 'text', type: 'nominal' as const },
      color: modelColor(models, f.theme, 'text'),
    },
  };
}

const MOST_POINTS = 240;

/** At most a few points per pixel column: the lowest and the highest of each slice of time, and both ends. */
function thin(points: { x: number; y: number }[]): { x: number; y: number }[] {
  if (points.length <= MOST_POINTS) return points;
  const first = points[0]!;
  const last = points.at(-1)!;
  const slice = (last.x - first.x) / (MOST_POINTS / 2) || 1;
  const out = [first];
  let at = 1;
  for (let end = first.x + slice; at < points.length - 1; end += slice) {
    let low = -1;
    let high = -1;
    for (; at < points.length - 1 && points[at]!.x <= end; at++) {
      if (low < 0 || points[at]!.y < points[low]!.y) low = at;
      if (high < 0 || points[at]!.y >= points[high]!.y) high = at;
    }
    if (low >= 0) out.push(points[Math.min(low, high)]!);
    if (high >= 0 && high !== low) out.push(points[Math.max(low, high)]!);
  }
  out.push(last);
  return out;
}

/** Resident memory over time: one panel per workload, one line per model. */
export function residencyChart(result: ReplayResult, layout: ChartLayout = {}): TopLevelSpec | null {
  const withSeries = result.rows.filter((r) => (r.series?.length ?? 0) > 1);
  const unlimited = withSeries.filter((r) => r.capacityPages === null);
  const rows = unlimited.length > 0 ? unlimited : withSeries;
  if (rows.length === 0) return null;
  // With unlimited memory all policies agree; else each memory size and policy is a panel.
  const keyOf = (r: ReplayRow) =>
    unlimited.length > 0 ? panelLabel(result, r) : `${panelLabel(result, r)}, ${r.policy}, ${r.memory}`;
  const panels = uniqueNames(rows.map(keyOf));
  const models = modelsOf(result).filter((m) => rows.some((r) => r.sharing === m));
  const f = frame('residency', layout, panels.size);
  const all: Line[] = [];
  const seen = new Set<string>();
  const end = new Map<string, number>();
  for (const row of rows) {
    const panel = panels.get(keyOf(row))!;
    const key = JSON.stringify([panel, row.sharing]);
    if (seen.has(key)) continue;
    seen.add(key);
    const points = thin(row.series!.map((p) => ({ x: p.timeNs / 1e9, y: mib(p.residentPages) })));
    end.set(panel, Math.max(end.get(panel) ?? 0, points.at(-1)!.x));
    all.push({ panel, model: row.sharing, points });
  }
  // What is cached stays cached: every line goes on to the end of its panel.
  for (const line of all) line.points = [...line.points, { x: end.get(line.panel)!, y: line.points.at(-1)!.y }];
  const label = (line: Line) => line.points.at(-1)!.y.toFixed(1);
  const memory = unlimited.length > 0 ? ', memory unlimited' : '';
  const sentences = [`MiB of regular-file data at each moment${memory}, by sharing model.`];
  if (rows.some((r) => !isResidency(result, r.from)))
    sentences.push('demand: only what programs touched, without readahead.');
  return {
    ...shell(f, `${heading(result)} over time, MiB`, sentences, layout),
    data: { name: 'residency', values: lineValues(all, models, null, label) },
    facet: panelFacet([...panels.values()]),
    resolve: { scale: { x: 'independent', y: 'independent' }, axis: { x: 'independent', y: 'independent' } },
    spec: {
      width: f.panelWidth,
      height: LINE_HEIGHT,
      resolve: { scale: { color: 'independent' } },
      layer: [
        {
          transform: [IS_POINT],
          mark: { type: 'line', interpolate: 'step-after', strokeJoin: 'round' },
          encoding: {
            x: {
              field: 'x',
              type: 'quantitative',
              title: 'seconds since the first access',
              scale: { zero: true, nice: false },
              axis: { grid: false, tickCount: f.compact ? 4 : 6 },
            },
            y: {
              field: 'y',
              type: 'quantitative',
              title: null,
              scale: { zero: true, nice: 4 },
              axis: {
                tickCount: 4,
                ticks: false,
                domain: false,
                labelExpr: "datum.index === 1 ? datum.label + ' MiB' : datum.label",
              },
            },
            color: modelColor(models, f.theme),
            ...lineStyle(models),
            tooltip: [
              { field: 'panel', type: 'nominal', title: 'workload' },
              { field: 'model', type: 'nominal', title: 'sharing' },
              { field: 'x', type: 'quantitative', title: 'seconds', format: '.3f' },
              { field: 'y', type: 'quantitative', title: 'MiB', format: '.2f' },
            ],
          },
        },
        endLabels(models, f),
      ],
    },
  } as TopLevelSpec;
}

/** Hit ratio against memory: one panel per workload and policy, one line per model. */
export function hitRatioChart(result: ReplayResult, layout: ChartLayout = {}): TopLevelSpec | null {
  const rows = limitedRows(result).filter((r) => r.references > 0 && r.capacityPages! > 0);
  if (rows.length === 0) return null;
  const policies = [...new Set(rows.map((r) => r.policy))];
  const several = policies.length > 1;
  const keyOf = (r: ReplayRow) => (several ? `${panelLabel(result, r)}, ${r.policy}` : panelLabel(result, r));
  const panels = uniqueNames(rows.map(keyOf));
  const models = modelsOf(result).filter((m) => rows.some((r) => r.sharing === m));
  const f = frame('hit-ratio', layout, panels.size, policies.length === 3 ? 3 : 2);
  const byLine = new Map<string, Line>();
  for (const row of rows) {
    const panel = panels.get(keyOf(row))!;
    const key = JSON.stringify([panel, row.sharing]);
    const line = byLine.get(key) ?? { panel, model: row.sharing, points: [] };
    byLine.set(key, line);
    const x = mib(row.capacityPages!);
    if (line.points.some((p) => p.x === x)) continue;
    line.points.push({
      x,
      y: row.hitRatio,
      extra: { memory: name(row.memory), policy: name(row.policy), refaults: row.refaults },
    });
  }
  const all = [...byLine.values()];
  for (const line of all) line.points.sort((a, b) => a.x - b.x);
  const sizes = [...new Set(all.flatMap((l) => l.points.map((p) => p.x)))].sort((a, b) => a - b);
  const span = all.reduce((n, l) => Math.max(n, l.points.at(-1)!.x / l.points[0]!.x), 1);
  const log = span >= 8;
  const label = (line: Line) => percent(line.points.at(-1)!.y);
  const policy = several ? '' : ` Policy: ${clean(policies[0]!)}.`;
  const sentences = [
    `Share of page references that found their page cached, by memory size${log ? ' (log scale)' : ''} and sharing model.${policy}`,
  ];
  return {
    ...shell(f, 'Hit ratio against memory, MiB', sentences, layout),
    data: { name: 'hit-ratio', values: lineValues(all, models, 1, label) },
    facet: panelFacet([...panels.values()]),
    resolve: { scale: { x: 'independent' }, axis: { x: 'independent', y: 'independent' } },
    spec: {
      width: f.panelWidth,
      height: LINE_HEIGHT,
      resolve: { scale: { color: 'independent' } },
      layer: [
        {
          transform: [IS_POINT],
          mark: { type: 'line', point: { size: 36 }, strokeJoin: 'round' },
          encoding: {
            x: {
              field: 'x',
              type: 'quantitative',
              title: 'MiB of page cache',
              scale: log ? { type: 'log', base: 2, nice: false } : { zero: true, nice: true },
              axis: { grid: false, format: '~r', ...(sizes.length <= 8 ? { values: sizes } : { tickCount: 6 }) },
            },
            y: {
              field: 'y',
              type: 'quantitative',
              title: null,
              scale: { domain: [0, 1] },
              axis: { format: '.0%', tickCount: 5, ticks: false, domain: false },
            },
            color: modelColor(models, f.theme),
            ...lineStyle(models),
            tooltip: [
              { field: 'panel', type: 'nominal', title: 'workload' },
              { field: 'policy', type: 'nominal', title: 'policy' },
              { field: 'model', type: 'nominal', title: 'sharing' },
              { field: 'memory', type: 'nominal', title: 'memory' },
              { field: 'y', type: 'quantitative', title: 'hit ratio', format: '.2%' },
              { field: 'refaults', type: 'quantitative', title: 'refaults' },
            ],
          },
        },
        endLabels(models, f),
      ],
    },
  } as TopLevelSpec;
}

// ------------------------------------------------------------------------------------------------------------------ all

/** What a page needs to lay a chart out again at another width: `panelWidth = (width − gap × (columns − 1)) / columns − side`. */
export const PANEL = { gap: PANEL_GAP, side: SIDE } as const;

const MAKERS: Record<ChartName, (result: ReplayResult, layout?: ChartLayout) => TopLevelSpec | null> = {
  memory: memoryChart,
  residency: residencyChart,
  'hit-ratio': hitRatioChart,
};

export function chart(chartName: ChartName, result: ReplayResult, layout: ChartLayout = {}): TopLevelSpec | null {
  return MAKERS[chartName](result, layout);
}

/** What a picture says, for those who don't see it. */
export function altText(chartName: ChartName, result: ReplayResult): string {
  if (chartName === 'memory') {
    const parts = groupsOf(result).map((g) => {
      const bars = [...g.rows.values()].map((r) => `${clean(r.sharing)} ${mib(r.residentPages).toFixed(1)}`);
      return `${name(g.label)}: ${bars.join(', ')}`;
    });
    return `Bar chart of resident page cache in MiB by sharing model. ${parts.join('. ')}.`;
  }
  if (chartName === 'residency')
    return 'Line chart of resident page cache in MiB over time, one line per sharing model, one panel per workload.';
  const rows = limitedRows(result);
  const high = rows.reduce((n, r) => Math.max(n, r.hitRatio), 0);
  const low = rows.reduce((n, r) => Math.min(n, r.hitRatio), 1);
  return `Line chart of hit ratio against memory in MiB by sharing model, from ${percent(low)} to ${percent(high)}.`;
}
