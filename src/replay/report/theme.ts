/** Colours and type of the charts: Okabe and Ito's palette, told apart by colour-blind readers, on light and on dark. */
import type { Config } from 'vega-lite';

export type ThemeName = 'light' | 'dark';

export const FONT = 'Inter, "Helvetica Neue", Arial, "Liberation Sans", "DejaVu Sans", sans-serif';

interface Ink {
  background: string;
  text: string;
  muted: string;
  grid: string;
  ceiling: string;
  /** Area of a model, and its name where that is written in colour: darker, so that it can be read. */
  models: Readonly<Record<string, { fill: string; text: string }>>;
  /** For models not named above, in order. */
  others: readonly { fill: string; text: string }[];
}

export const INKS: Readonly<Record<ThemeName, Ink>> = {
  light: {
    background: '#ffffff',
    text: '#1b1f24',
    muted: '#59636e',
    grid: '#e7eaee',
    ceiling: '#a8350a',
    models: {
      'per-inode': { fill: '#9aa3ad', text: '#59636e' },
      hardlink: { fill: '#e69f00', text: '#8f6200' },
      fingerprint: { fill: '#0072b2', text: '#00609a' },
      'backing-file': { fill: '#d55e00', text: '#a84a00' },
      'physical-index': { fill: '#009e73', text: '#00724f' },
      'page-content': { fill: '#cc79a7', text: '#a04a7b' },
    },
    others: [
      { fill: '#56b4e9', text: '#1f6f9f' },
      { fill: '#8c6d31', text: '#745a28' },
      { fill: '#7a5195', text: '#7a5195' },
    ],
  },
  dark: {
    background: '#12161c',
    text: '#e6eaef',
    muted: '#9da7b3',
    grid: '#2a313a',
    ceiling: '#ff9d70',
    models: {
      'per-inode': { fill: '#7d8794', text: '#aab3be' },
      hardlink: { fill: '#e69f00', text: '#f0b429' },
      fingerprint: { fill: '#3b9fe0', text: '#6fbdf0' },
      'backing-file': { fill: '#e8743b', text: '#f59465' },
      'physical-index': { fill: '#1fb58f', text: '#45d3ae' },
      'page-content': { fill: '#d98cb8', text: '#ecaad0' },
    },
    others: [
      { fill: '#8ed0f5', text: '#8ed0f5' },
      { fill: '#c2a15a', text: '#d3b675' },
      { fill: '#b08fd0', text: '#c7aee0' },
    ],
  },
};

/** Okabe and Ito's colours, then others that are told apart from them; black and grey are for the bounds. */
export const LINE_COLOURS = [
  '#0072b2',
  '#e69f00',
  '#009e73',
  '#cc79a7',
  '#d55e00',
  '#56b4e9',
  '#7a5195',
  '#8c6d31',
  '#1b9e9e',
  '#a6761d',
  '#e7298a',
  '#666600',
];

/** One ink per model, in the order of `models`. */
export function modelInks(models: readonly string[], theme: ThemeName): { fill: string; text: string }[] {
  const ink = INKS[theme];
  let next = 0;
  return models.map((m) => (Object.hasOwn(ink.models, m) ? ink.models[m]! : ink.others[next++ % ink.others.length]!));
}

export function chartConfig(theme: ThemeName): Config {
  const ink = INKS[theme];
  return {
    background: ink.background,
    font: FONT,
    padding: 20,
    // Marks would each carry their data as a label; the picture as a whole is described instead.
    aria: false,
    view: { stroke: null },
    title: {
      anchor: 'start',
      frame: 'bounds',
      fontSize: 18,
      fontWeight: 600,
      color: ink.text,
      offset: 18,
      subtitleColor: ink.muted,
      subtitleFontSize: 12.5,
      subtitleLineHeight: 18,
      subtitlePadding: 8,
      limit: 0,
    },
    header: { labelFontSize: 13, labelFontWeight: 600, labelColor: ink.text, labelLimit: 0, labelPadding: 8 },
    axis: {
      labelColor: ink.muted,
      labelFontSize: 11,
      labelLimit: 0,
      labelFlush: false,
      titleColor: ink.muted,
      titleFontSize: 11,
      titleFontWeight: 'normal',
      gridColor: ink.grid,
      domainColor: ink.grid,
      tickColor: ink.grid,
    },
    text: { fontSize: 11, color: ink.text },
    point: { filled: true },
  };
}
