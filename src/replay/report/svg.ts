/** Charts as SVG, without a browser: vega-lite to vega to text. The same result gives the same bytes on every machine. */
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { ReplayResult } from '../result.ts';
import { altText, CHARTS, type ChartLayout, type ChartName, chart } from './charts.ts';
import { FONT } from './theme.ts';

/** Advances of Inter Regular, thousandths of an em, from the space to the tilde: vega has no fonts here to measure with. */
const ADVANCES =
  '281 288 466 633 642 982 644 300 365 365 501 662 288 460 288 360 631 407 610 618 646 593 620 566 619 620 288 302 662 662 662 ' +
  '511 966 690 654 730 722 601 590 746 743 269 571 672 565 903 753 765 639 765 644 642 646 744 690 985 682 679 629 365 360 365 ' +
  '471 456 323 562 612 571 612 583 370 613 591 242 242 549 242 876 591 600 612 612 376 528 327 591 562 818 546 562 552 426 333 ' +
  '426 662';
const advances = ADVANCES.split(' ').map(Number);

function textWidth(text: string, fontSize: number): number {
  let sum = 0;
  for (const c of text) {
    const code = c.codePointAt(0)!;
    sum += code < 0x2e80 ? (advances[code - 32] ?? 660) : 1000;
  }
  return (sum * fontSize) / 1000;
}

interface TextItem {
  fontSize?: number;
}

interface Internals {
  textMetrics: { width: (item: TextItem, text?: unknown) => number };
  resetSVGDefIds: () => void;
}
const { textMetrics, resetSVGDefIds } = vega as unknown as Internals;

// Attributes whose numbers are coordinates; names from the data may hold digits too and stay as they are.
const TAG = /<\w+(?:\s+[\w:-]+="[^"]*")*\s*\/?>/g;
const COORDINATES = /\s(?:d|transform|x|y|x1|x2|y1|y2|cx|cy|r|width|height|viewBox|points)="[^"]*"/g;
const DECIMAL = /-?\d*\.\d{3,}(?:e-?\d+)?/g;

function round(svg: string): string {
  const number = (text: string) => String(Math.round(Number(text) * 100) / 100 || 0);
  return svg.replace(TAG, (tag) => tag.replace(COORDINATES, (a) => a.replace(DECIMAL, number)));
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ENTITIES[c]!);
}

// Frames that paint nothing, and marks for pointers: a third of the bytes, none of the picture.
const UNPAINTED =
  /<path class="(?:background|foreground)"(?: aria-hidden="true")? d="[^"]*"(?: pointer-events="none")?(?: display="none")?\/>/g;
const POINTER =
  / (?:pointer-events="none"|aria-hidden="true"|role="graphics-(?:object|symbol)"|aria-roledescription="[\w ]+"|aria-label="[^"]*")/g;
const FAMILY = ` font-family="${escapeXml(FONT)}"`;

function slim(svg: string): string {
  return svg.replace(UNPAINTED, '').replace(TAG, (tag) => tag.replace(POINTER, '').replace(FAMILY, ''));
}

/**
 * @param alt becomes the description read by screen readers
 * @param id precedes the ids within, so that several charts can stand in one document
 */
export async function specToSvg(spec: TopLevelSpec, alt: string, id = 'chart'): Promise<string> {
  const before = textMetrics.width;
  textMetrics.width = (item, text) => textWidth(String(text ?? ''), item.fontSize ?? 11);
  try {
    resetSVGDefIds();
    const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' });
    const svg = slim(round(await view.toSVG()));
    view.finalize();
    const own = svg.replace(TAG, (tag) => tag.replace(/( id="|url\(#)(?=clip)/g, `$1${id}-`));
    const described = own
      .replace(/^<svg /, `<svg role="img"${FAMILY} `)
      .replace('>', `><title>${escapeXml(alt)}</title>`);
    return `${described}\n`;
  } finally {
    textMetrics.width = before;
  }
}

/** One chart; null when the result has no data for it. */
export async function chartToSvg(name: ChartName, result: ReplayResult, layout?: ChartLayout): Promise<string | null> {
  const spec = chart(name, result, layout);
  return spec === null ? null : specToSvg(spec, altText(name, result), name);
}

/** Every chart that has data, by file name. */
export async function toSvg(result: ReplayResult, names: readonly ChartName[] = CHARTS): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const name of names) {
    const svg = await chartToSvg(name, result);
    if (svg !== null) files.set(`${name}.svg`, svg);
  }
  return files;
}
