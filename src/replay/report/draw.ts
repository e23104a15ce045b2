import type { TopLevelSpec } from 'vega-lite';
import { svgToPng } from './png.ts';
import { specToSvg } from './svg.ts';

/** By name; null where there is no data for it. The title describes the picture to those who don't see it. */
export type Specs = Readonly<Record<string, TopLevelSpec | null>>;

/** Every chart that has data, by file name. */
export async function draw(
  specs: Specs,
  formats: readonly ('svg' | 'png')[] = ['svg', 'png'],
  names: readonly string[] = Object.keys(specs),
): Promise<Map<string, string | Uint8Array>> {
  const files = new Map<string, string | Uint8Array>();
  for (const [name, spec] of Object.entries(specs)) {
    if (spec === null || !names.includes(name)) continue;
    const svg = await specToSvg(spec, (spec.title as { text: string }).text, name);
    if (formats.includes('svg')) files.set(`${name}.svg`, svg);
    if (formats.includes('png')) files.set(`${name}.png`, svgToPng(svg));
  }
  return files;
}
