/** Three charts as vega-lite specs: pure functions of the result. A chart that has no data is null. */
import type { TopLevelSpec } from 'vega-lite';
import type { ReplayResult, ReplayRow } from '../result.ts';
import {
  BASELINE,
  ceilingShare,
  groupsOf,
  headlineModel,
  limitedRows,
  mib,
  modelsOf,
  panelLabel,
  savedShare,
  savingsOf,
  shareRange,
} from './facts.ts';
import { chartConfig, INKS, modelInks, type ThemeName } from './theme.ts';
import { clean, clip, percent } from './text.ts';

export const CHARTS = ['memory', 'residency', 'hit-ratio'] as const;
export type ChartName = (typeof CHARTS)[number];

export interface ChartLayout {
  theme?: ThemeName;
  /** Pixels for the whole picture, margins aside. */
  width?: number;
}

/** Pixels beside the plot of one panel: what the labels left and right of it take. */
const SIDE: Record<ChartName, number> = { memory: 250, residency: 180, 'hit-ratio': 180 };
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
  const side = SIDE[chart] - (compact ? 40 : 0);
  const each = Math.floor((total - PANEL_GAP * (columns - 1)) / columns) - side;
  return { theme: layout.theme ?? 'light', compact, columns, panelWidth: Math.max(90, Math.min(each, 640)) };
}

const name = (text: string) => clip(clean(text), 44);

/** Names cut to fit may collide; what a panel is keyed by may not. */
function uniqueNames(keys: Iterable<string>): Map<string, string> {
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
function lines(sentences: string[], width: number): string[] {
  const most = Math.max(30, Math.floor(width / 6.3));
  const out: string[] = [''];
  for (const word of sentences.join(' ').split(' ')) {
    if (out.at(-1)!.length + 1 + word.length > most && out.at(-1) !== '') out.push(word);
    else out[out.length - 1] += out.at(-1) === '' ? word : ` ${word}`;
  }
  return out;
}

function modelColor(models: string[], theme: ThemeName, ink: 'fill' | 'text') {
  const range = modelInks(models, theme).map((i) => i[ink]);
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

// ---------------------------------------------------------------------------------------------------------------- memory

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
        sizeText: row ? `${mib(row.residentPages).toFixed(1)}${f.compact ? '' : ' MiB'}` : 'not replayed',
        savedText: !row || isBase ? '' : f.compact ? `−${percent(saved)}`.replace('−-', '+') : `${percent(saved)} saved`,
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
  const finding = savings.length > 0 ? `: ${clean(model!)} saves ${shareRange(savings)}` : '';
  const sentences = [`MiB of regular-file data cached at the end of the replay, memory unlimited, by sharing model.`];
  if (groups.some((g) => g.mounts > 1))
    sentences.push('Dashed: the ceiling of sharing whole images, per-inode divided by the number of mounts.');
  if (measured.length > 0) sentences.push('◆ what the real kernel had cached.');

  const y = { field: 'model', type: 'nominal' as const, sort: models.map(name), title: null };
  const numberColumn = f.compact ? 36 : 62;
  const tooltip = [
    { field: 'panel', type: 'nominal' as const, title: 'workload' },
    { field: 'model', type: 'nominal' as const, title: 'sharing' },
    { field: 'mib', type: 'quantitative' as const, title: 'MiB', format: '.2f' },
    { field: 'pages', type: 'quantitative' as const, title: 'pages' },
    { field: 'saved', type: 'quantitative' as const, title: 'saved', format: '.2%' },
  ];
  return {
    ...shell(f, `Resident page cache, MiB${finding}`, sentences, layout),
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
              scale: { zero: true, nice: true },
              axis: {
                tickCount: f.panelWidth < 200 ? 3 : 5,
                ticks: false,
                domain: false,
                labelPadding: 6,
                labelFlush: false,
                // The unit once, on the last tick.
                labelExpr: "datum.index === 1 ? datum.label + ' MiB' : datum.label",
              },
            },
            y: { ...y, axis: { ticks: false, domain: false, labelPadding: 8, labelColor: ink.text, labelFontSize: 11.5 } },
            color: modelColor(models, f.theme, 'fill'),
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
          encoding: { x: { value: f.panelWidth }, y, text: { field: 'sizeText', type: 'nominal' } },
        },
        {
          mark: { type: 'text', align: 'left', dx: numberColumn + 8, color: ink.muted },
          encoding: { x: { value: f.panelWidth }, y, text: { field: 'savedText', type: 'nominal' } },
        },
        {
          transform: [{ filter: 'isValid(datum.kernel)' }],
          mark: { type: 'point', shape: 'diamond', size: 85, fill: ink.text, stroke: ink.background, strokeWidth: 1.5 },
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

// ------------------------------------------------------------------------------------------------------------- line charts

interface Line {
  panel: string;
  model: string;
  points: { x: number; y: number; extra?: object }[];
}

/** Rows of one line chart: the points, and one label per line moved apart so that none covers another. */
function lineValues(all: Line[], models: string[], yDomain: number | null, compact: boolean, digits: (y: number) => string) {
  const values: object[] = [];
  const byPanel = Map.groupBy ? Map.groupBy(all, (l) => l.panel) : groupByPanel(all);
  for (const [panel, some] of byPanel) {
    const top = yDomain ?? Math.max(...some.flatMap((l) => l.points.map((p) => p.y)), 0);
    const gap = (top * 13) / LINE_HEIGHT;
    const labels = some.map((line) => ({ line, last: line.points.at(-1)!, at: line.points.at(-1)!.y }));
    labels.sort((a, b) => a.at - b.at || models.indexOf(b.line.model) - models.indexOf(a.line.model));
    for (let i = 1; i < labels.length; i++) labels[i]!.at = Math.max(labels[i]!.at, labels[i - 1]!.at + gap);
    // What was pushed out above comes back down, and pushes in turn.
    let most = top + gap / 2;
    for (let i = labels.length - 1; i >= 0; i--) {
      labels[i]!.at = Math.min(labels[i]!.at, most);
      most = labels[i]!.at - gap;
    }
    for (const line of some)
      for (const p of line.points) values.push({ panel, model: name(line.model), kind: 'point', x: p.x, y: p.y, ...p.extra });
    const right = Math.max(...some.flatMap((l) => l.points.map((p) => p.x)));
    for (const { line, last, at } of labels) {
      const text = compact ? name(line.model) : `${name(line.model)} ${digits(last.y)}`;
      values.push({ panel, model: name(line.model), kind: 'label', x: right, y: at, text });
    }
  }
  return values;
}

function groupByPanel(all: Line[]): Map<string, Line[]> {
  const map = new Map<string, Line[]>();
  for (const line of all) map.set(line.panel, [...(map.get(line.panel) ?? []), line]);
  return map;
}
