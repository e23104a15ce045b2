/** Charts as PNG, at twice their size, drawn from the SVG with the font that comes with the package. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Resvg } from '@resvg/resvg-js';
import type { ReplayResult } from '../result.ts';
import { CHARTS, type ChartName } from './charts.ts';
import { toSvg } from './svg.ts';

const FONT_PACKAGE = '@expo-google-fonts/inter';
const FONT_FILES = ['400Regular/Inter_400Regular.ttf', '600SemiBold/Inter_600SemiBold.ttf'];

/** Inter, regular and semibold, as TrueType files on this machine. */
export function fontFiles(): string[] {
  const { resolve } = createRequire(import.meta.url);
  const files: string[] = [];
  for (const file of FONT_FILES) {
    try {
      files.push(resolve(`${FONT_PACKAGE}/${file}`));
    } catch {
      throw new Error(`${FONT_PACKAGE} is not installed: a PNG would have no text; run npm ci, or use --format svg`);
    }
  }
  return files.filter((file) => existsSync(file));
}

// Latin, Greek, Cyrillic, punctuation and the few signs the charts use: what Inter has.
const IN_FONT = /^[\x00-\u052f\u1e00-\u1fff\u2000-\u206f\u20a0-\u20bf\u2190-\u2193\u2212\u2248\u2264\u2265\u25c6]*$/;

/** @param scale pixels per unit of the SVG */
export function svgToPng(svg: string, scale = 2): Uint8Array {
  const resvg = new Resvg(svg, {
    fitTo: { mode: 'zoom', value: scale },
    font: {
      fontFiles: fontFiles(),
      // Reading the machine's fonts is slow and makes the picture depend on the machine: only for scripts Inter lacks.
      loadSystemFonts: !IN_FONT.test(svg),
      defaultFontFamily: 'Inter',
      sansSerifFamily: 'Inter',
    },
  });
  return resvg.render().asPng();
}

/** Every chart that has data, by file name. */
export async function toPng(
  result: ReplayResult,
  names: readonly ChartName[] = CHARTS,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const [name, svg] of await toSvg(result, names)) files.set(name.replace(/svg$/, 'png'), svgToPng(svg));
  return files;
}
