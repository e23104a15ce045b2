import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { toHtml } from '../../../src/replay/report/html.ts';
import type { ReplayResult } from '../../../src/replay/result.ts';
import { hasTool, need } from '../../require.ts';
import { hostileResult, realisticResult, smallResult } from './fixture.ts';

/** The page without the libraries inlined in it. */
async function ownHtml(result: ReplayResult): Promise<string> {
  return (await toHtml(result)).replace(/<script>.*?<\/script>/gs, '');
}

describe('the HTML page', () => {
  it('asks for nothing: no address to load, and a policy that allows none', async () => {
    const page = await ownHtml(realisticResult());
    // Of matches, not of the page: a failure shouldn't print a megabyte.
    expect(page.match(/<(?:link|img|iframe|object|embed|base|form)\b/)).toBeNull();
    expect(page.match(/<script[^>]+src=|@import|url\((?!#)/)).toBeNull();
    expect(page.includes(`content="default-src 'none';`)).toBe(true);
    expect(page.includes('unsafe-eval')).toBe(false);
  });

  it('allows exactly the scripts it holds', async () => {
    const page = await toHtml(smallResult());
    const scripts = [...page.matchAll(/<script>(.*?)<\/script>/gs)].map((m) => m[1]!);
    const hashes = scripts.map((s) => createHash('sha256').update(s).digest('base64'));
    const allowed = /script-src ([^"]*)"/.exec(page)![1]!.split(' ');
    expect(allowed).toEqual(hashes.map((h) => `'sha256-${h}'`));
    expect(scripts).toHaveLength(4);
  });

  it('makes no element of a hostile name', async () => {
    const count = (page: string) => {
      const tags = new Map<string, number>();
      for (const [, tag] of page.matchAll(/<([a-z][\w-]*)/gi)) tags.set(tag!, (tags.get(tag!) ?? 0) + 1);
      return tags;
    };
    const tags = count(await ownHtml(hostileResult()));
    expect([...tags.keys()]).not.toContain('img');
    expect(tags.get('script')).toBe(1);
    const json = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(await toHtml(hostileResult()))![1]!;
    expect(json.match(/[<>&]/)).toBeNull();
    expect(() => JSON.parse(json)).not.toThrow();
  });

  it('has headings in order, captioned tables with scopes, and a description of each chart', async () => {
    const page = await ownHtml(realisticResult());
    expect(page.match(/<h1>/g)).toHaveLength(1);
    expect(page.indexOf('<h1>')).toBeLessThan(page.indexOf('<h2>'));
    const tables = page.match(/<table>/g)!.length;
    expect(page.match(/<caption>/g)).toHaveLength(tables);
    for (const scope of ['col', 'row']) expect(page.includes(`<th scope="${scope}"`)).toBe(true);
    expect(page.match(/class="chart" id="[\w-]+" role="img" aria-label="[^"]{20,}"/g)).toHaveLength(3);
    expect(page.includes('<html lang="en">')).toBe(true);
    expect(page.match(/<noscript>/g)).toHaveLength(3);
  });

  const chromium = need('chromium', hasTool('chromium'));

  it.skipIf(!chromium)(
    'draws every chart in a real browser and runs nothing of a hostile name',
    { timeout: 120_000 },
    async () => {
      const dir = mkdtempSync(join(tmpdir(), 'foliolab-html-'));
      try {
        for (const [result, charts] of [
          [realisticResult(), 3],
          [hostileResult(), 3],
          [smallResult(), 1],
        ] as const) {
          const path = join(dir, 'report.html');
          writeFileSync(path, await toHtml(result));
          const dom = execFileSync(
            'chromium',
            [
              '--headless',
              '--no-sandbox',
              '--disable-gpu',
              `--user-data-dir=${join(dir, 'profile')}`,
              '--virtual-time-budget=10000',
              '--dump-dom',
              `file://${path}`,
            ],
            { encoding: 'utf8', maxBuffer: 2 ** 26, stdio: ['ignore', 'pipe', 'ignore'] },
          );
          expect(/<html lang="en" data-charts="([^"]*)"/.exec(dom)?.[1]).toBe(String(charts));
          expect(dom.match(/<svg [^>]*class="marks"/g)?.length).toBeGreaterThanOrEqual(charts);
          expect(dom.includes('<title>owned</title>')).toBe(false);
        }
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    },
  );
});
