import { Resvg } from '@resvg/resvg-js';
import { describe, expect, it } from 'vitest';
import { CHARTS, chart, hitRatioChart, memoryChart, residencyChart } from '../../../src/replay/report/charts.ts';
import { fontFiles, svgToPng, toPng } from '../../../src/replay/report/png.ts';
import { chartToSvg, specToSvg, toSvg } from '../../../src/replay/report/svg.ts';
import type { ReplayResult } from '../../../src/replay/result.ts';
import { need } from '../../require.ts';
import { hostileResult, realisticResult, smallResult } from './fixture.ts';

interface Spec {
  data: { values: Record<string, unknown>[] };
}
const valuesOf = (spec: unknown) => (spec as Spec).data.values;

function limited(): ReplayResult {
  const result = realisticResult();
  const keep = (r: ReplayResult['rows'][number]) =>
    r.workload === 'redis a1+b1+a2' && r.policy === 'lru' && /^(per-inode|fingerprint)$/.test(r.sharing);
  return { ...result, rows: result.rows.filter((r) => r.capacityPages !== null && keep(r)) };
}

describe('charts', () => {
  it('without data are not made', () => {
    const small = smallResult();
    expect(memoryChart(small)).not.toBeNull();
    expect(residencyChart(small)).toBeNull();
    expect(hitRatioChart(small)).toBeNull();
    expect(memoryChart(limited())).toBeNull();
    for (const name of CHARTS) expect(chart(name, { ...small, rows: [] })).toBeNull();
  });

  it('are the same rows at every width and in both themes', () => {
    for (const name of CHARTS) {
      const wide = valuesOf(chart(name, realisticResult(), { theme: 'light', width: 1120 }));
      expect(valuesOf(chart(name, realisticResult(), { theme: 'dark', width: 340 }))).toEqual(wide);
    }
  });

  it('put the ceiling of two mounts at half of what per-inode keeps, of three at a third', () => {
    const values = valuesOf(memoryChart(realisticResult()));
    const ceiling = (panel: string) => values.find((v) => v.panel === panel)!.ceiling;
    // 7334 and 10985 pages of 4 KiB
    expect(ceiling('redis a1+b1')).toBeCloseTo(7334 / 2 / 256, 9);
    expect(ceiling('redis a1+b1+a2')).toBeCloseTo(10985 / 3 / 256, 9);
  });

  it('mark what the kernel had in the row of the design it ran', () => {
    const values = valuesOf(memoryChart(realisticResult())).filter((v) => v.kernel !== null);
    expect(values.map((v) => v.model)).toEqual(Array(5).fill('hardlink'));
    expect(values[3]).toMatchObject({ panel: 'tfjs a1+b1+a2', kernelPages: 33485 });
  });

  it('show a kernel measurement of a design that was not replayed', () => {
    const truth = [{ workload: 'redis a1+b1', sharing: 'hardlink', residentPages: 5591, source: 'mincore' }];
    const values = valuesOf(memoryChart({ ...smallResult(), truth }));
    expect(values.find((v) => v.model === 'hardlink')).toMatchObject({ mib: null, kernelPages: 5591 });
  });

  it('thin a long series but keep its ends and its peak', () => {
    const result = smallResult();
    const peak = { timeNs: 5_000_321, residentPages: 999_999 };
    const series = Array.from({ length: 10_000 }, (_, i) => ({ timeNs: i * 1000, residentPages: i }));
    series.splice(5001, 0, peak);
    const rows = [{ ...result.rows[0]!, series }];
    const points = valuesOf(residencyChart({ ...result, rows })).filter((v) => v.kind === 'point');
    expect(points.length).toBeLessThan(300);
    expect(points[0]).toMatchObject({ x: 0, y: 0 });
    expect(Math.max(...points.map((p) => p.y as number))).toBe(999_999 / 256);
    expect(points.at(-1)).toMatchObject({ x: 9_999_000 / 1e9, y: 9999 / 256 });
  });

  it('keep the labels of coinciding lines apart and inside the axis', () => {
    for (const [name, top] of [
      ['hit-ratio', 1],
      ['residency', 400],
    ] as const) {
      const labels = valuesOf(chart(name, realisticResult())).filter((v) => v.kind === 'label');
      for (const panel of new Set(labels.map((l) => l.panel))) {
        const y = labels.filter((l) => l.panel === panel).map((l) => l.y as number);
        const peak = name === 'hit-ratio' ? 1 : Math.max(...y);
        y.sort((a, b) => a - b);
        for (let i = 1; i < y.length; i++) expect(y[i]! - y[i - 1]!).toBeGreaterThan(0.06 * peak);
        expect(y.at(-1)).toBeLessThanOrEqual(top);
        expect(y[0]).toBeGreaterThanOrEqual(0);
      }
    }
  });
});

describe('SVG', () => {
  it('has at most two decimals in its coordinates, the text of the bars and a description', async () => {
    for (const svg of (await toSvg(realisticResult())).values()) {
      expect(svg.match(/ (?:d|transform|x|y|x1|x2|y1|y2|width|height)="[^"]*\.\d{3}/)).toBeNull();
      expect(svg).toMatch(/^<svg role="img" [^>]*><title>[^<]+<\/title>/);
      expect(svg.endsWith('</svg>\n')).toBe(true);
    }
    const svg = (await chartToSvg('memory', realisticResult()))!;
    for (const text of ['Resident page cache, MiB', '50% ceiling', '66.7% ceiling', '21.8 MiB', '49.2% saved', '◆'])
      expect(svg).toContain(text);
  });

  it('is the same bytes every time', async () => {
    const first = await toSvg(realisticResult());
    await toSvg(hostileResult());
    expect(await toSvg(realisticResult())).toEqual(first);
  });

  it('is as it always was', async () => {
    await expect(await chartToSvg('memory', smallResult())).toMatchFileSnapshot('snapshots/memory.svg');
    await expect(await chartToSvg('hit-ratio', limited())).toMatchFileSnapshot('snapshots/hit-ratio.svg');
  });

  it('of hostile names is well-formed, keeps every panel and no digit of a name is rounded', async () => {
    const result = hostileResult();
    const workloads = new Set(result.rows.map((r) => r.workload)).size;
    const svg = (await chartToSvg('memory', result))!;
    expect(svg.match(/% ceiling</g)).toHaveLength(workloads);
    expect(svg).not.toMatch(/<script|<img/);
    const named = {
      ...smallResult(),
      rows: smallResult().rows.map((r) => ({ ...r, workload: 'v1.23456 d="9.87654321"' })),
    };
    expect((await chartToSvg('memory', named))!).toContain('v1.23456 d="9.87654321"');
    for (const some of (await toSvg(result)).values()) expect(new Resvg(some).width).toBeGreaterThan(300);
  });

  it('keeps panels apart that are called like members of an object', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const rows = names.flatMap((workload) => smallResult().rows.map((r) => ({ ...r, workload })));
    const svg = (await chartToSvg('memory', { ...smallResult(), rows }))!;
    expect(svg.match(/50% ceiling</g)).toHaveLength(4);
    expect(svg.match(/21\.8 MiB</g)).toHaveLength(4);
  });

  it('leaves the measuring of text as it found it', async () => {
    const { textMetrics } = (await import('vega')) as unknown as { textMetrics: { width: unknown } };
    const before = textMetrics.width;
    await specToSvg(memoryChart(smallResult())!, 'x');
    expect(textMetrics.width).toBe(before);
  });
});

function hasFont(): boolean {
  try {
    return fontFiles().length === 2;
  } catch {
    return false;
  }
}

describe('PNG', () => {
  const font = need('@expo-google-fonts/inter', hasFont());

  it.skipIf(!font)('has text though no font of the machine is read', async () => {
    const svg = (await chartToSvg('memory', smallResult()))!;
    const bare = svg.replace(/<text[^>]*>[^<]*<\/text>/g, '');
    const dark = (some: string) => {
      const { pixels } = new Resvg(some, {
        font: { fontFiles: fontFiles(), loadSystemFonts: false, defaultFontFamily: 'Inter' },
      }).render();
      let count = 0;
      for (let i = 0; i < pixels.length; i += 4) if (pixels[i]! < 128) count++;
      return count;
    };
    expect(dark(svg)).toBeGreaterThan(dark(bare) + 1000);
    expect(Buffer.from(svgToPng(svg)).equals(Buffer.from(svgToPng(bare)))).toBe(false);
  });

  it.skipIf(!font)('is twice the size of the SVG and the same bytes every time', async () => {
    const files = await toPng(smallResult());
    expect([...files.keys()]).toEqual(['memory.png']);
    const png = Buffer.from(files.get('memory.png')!);
    expect(png.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
    const svg = (await chartToSvg('memory', smallResult()))!;
    expect(png.readUInt32BE(16)).toBe(2 * Number(/ width="(\d+)"/.exec(svg)![1]));
    expect(Buffer.from((await toPng(smallResult())).get('memory.png')!).equals(png)).toBe(true);
  });
});
