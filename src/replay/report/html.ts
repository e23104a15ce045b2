/**
 * A result as one page that works offline: vega, vega-lite and vega-embed are inside, and the content policy forbids every request.
 * Expressions are interpreted, so that no text of the data is ever run as code.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { ReplayResult, ReplayRow } from '../result.ts';
import { altText, CHARTS, type ChartName, chart, name as chartName, PANEL } from './charts.ts';
import {
  BASELINE,
  ceilingShare,
  finding,
  fromMeaning,
  groupsOf,
  hitLines,
  limitedRows,
  mib,
  modelsOf,
  panelLabel,
  parameterLines,
  savedShare,
} from './facts.ts';
import { PAGE_CODE, PAGE_STYLE } from './page.ts';
import { chartToSvg } from './svg.ts';
import { clean, percent } from './text.ts';
import { modelInks } from './theme.ts';

function esc(text: string): string {
  return clean(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** The files meant for browsers lie beside each package's entry, which is all that `exports` names. */
async function libraries(): Promise<string[]> {
  const { resolve } = createRequire(import.meta.url);
  const files = ['vega', 'vega-lite', 'vega-embed'].map((p) => join(dirname(resolve(p)), `${p}.min.js`));
  const sources = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  return sources.map((s) => s.replace(/^\/\/# sourceMappingURL=.*$/gm, '').replace(/<\/(?=script)/gi, '<\\/'));
}

/** Widths at which a chart changes its shape: two columns, one column, one column with short labels. */
const SHAPES = { wide: 1120, single: 700, narrow: 340 } as const;

function payload(result: ReplayResult): object {
  const charts: object[] = [];
  for (const name of CHARTS) {
    const specs: Record<string, Record<string, unknown>> = {};
    let values: unknown;
    for (const theme of ['light', 'dark'] as const) {
      specs[theme] = {};
      for (const [shape, width] of Object.entries(SHAPES)) {
        const spec = chart(name, result, { theme, width }) as Record<string, unknown> | null;
        if (spec === null) continue;
        // The page has the title as text, and the same rows serve every shape.
        const { title: _, data, ...rest } = spec;
        values = (data as { values: unknown }).values;
        specs[theme][shape] = {
          ...rest,
          data: { name },
          padding: { left: 0, right: 0, top: 0, bottom: 8 },
          background: 'transparent',
        };
      }
    }
    if (values !== undefined) charts.push({ name, values, specs, side: PANEL.side[name] });
  }
  // As the charts' rows carry them, in the order of the check boxes.
  const models = modelsOf(result).map(chartName);
  return { charts, models, gap: PANEL.gap, shapes: SHAPES };
}

/** JSON that no HTML parser takes for markup. */
function inert(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

// ---------------------------------------------------------------------------------------------------------------- tables

function table(caption: string, head: string[], rows: string[][], left: number): string {
  const headCells = head.map((h, i) => `<th scope="col"${i < left ? '' : ' class="n"'}>${h}</th>`).join('');
  const body = rows.map((cells) => {
    const inner = cells.map((c, i) =>
      i === 0 ? `<th scope="row">${c}</th>` : `<td${i < left ? '' : ' class="n"'}>${c}</td>`,
    );
    return `<tr>${inner.join('')}</tr>`;
  });
  return (
    `<div class="scroll" role="region" tabindex="0" aria-label="${caption}"><table><caption><span>${caption}</span></caption>` +
    `<thead><tr>${headCells}</tr></thead><tbody>\n${body.join('\n')}\n</tbody></table></div>`
  );
}

function memoryCell(row: ReplayRow | undefined): string {
  if (!row) return '<span class="none">—</span>';
  const size = mib(row.residentPages).toFixed(1);
  return row.sharing === BASELINE ? size : `${size} <span class="saved">${percent(savedShare(row))}</span>`;
}

function memoryTable(result: ReplayResult): string {
  const groups = groupsOf(result);
  if (groups.length === 0) return '';
  const models = modelsOf(result).filter((m) => groups.some((g) => g.rows.has(m)));
  const rows = groups.map((g) => [
    esc(g.workload),
    g.from,
    ...models.map((m) => memoryCell(g.rows.get(m))),
    percent(ceilingShare(g.mounts)),
    g.truth
      .map((t) => `${mib(t.residentPages).toFixed(1)} <span class="saved">${esc(t.sharing)}</span>`)
      .join('<br>') || '<span class="none">—</span>',
  ]);
  const caption = `Resident page cache in MiB and share saved against ${BASELINE}, memory unlimited`;
  return table(caption, ['workload', 'from', ...models.map(esc), 'ceiling', 'real kernel'], rows, 2);
}

function hitRatioTable(result: ReplayResult): string {
  const rows = limitedRows(result);
  if (rows.length === 0) return '';
  const models = modelsOf(result).filter((m) => rows.some((r) => r.sharing === m));
  const body = hitLines(result).map((l) => [
    ...[l.label, l.policy, l.memory].map(esc),
    ...models.map((m) => percent(l.rows.get(m)?.hitRatio ?? null)),
  ]);
  return table(
    'Hit ratio by memory, policy and sharing model',
    ['workload', 'policy', 'memory', ...models.map(esc)],
    body,
    2,
  );
}

function containersTable(result: ReplayResult): string {
  const body: string[][] = [];
  for (const row of result.rows) {
    if (row.capacityPages !== null) continue;
    for (const c of row.containers) {
      const sizes = [c.usedPages, c.sharedPages, c.chargedPages].map((pages) => mib(pages).toFixed(1));
      body.push([esc(panelLabel(result, row)), esc(row.sharing), esc(c.name), ...sizes]);
    }
  }
  if (body.length === 0) return '';
  const caption = 'Per container in MiB, memory unlimited';
  const head = ['workload', 'sharing', 'container', 'uses', 'shares', 'is charged'];
  return (
    `<details><summary>What each container uses, shares and is charged</summary>\n` +
    `<p class="lede">Uses: distinct pages it referenced. Shares: those another container referenced too. ` +
    `Is charged: pages it touched first and that are still cached.</p>\n${table(caption, head, body, 3)}</details>`
  );
}

// ------------------------------------------------------------------------------------------------------------------ page

async function figure(name: ChartName, result: ReplayResult): Promise<string> {
  const spec = chart(name, result);
  if (spec === null) return '';
  const { text, subtitle } = spec.title as { text: string[]; subtitle: string[] };
  const still = await chartToSvg(name, result);
  return (
    `<figure class="card">\n<figcaption><h2>${esc(text.join(' '))}</h2>` +
    `<p class="lede">${esc(subtitle.join(' '))}</p></figcaption>\n` +
    `<div class="chart" id="chart-${name}" role="img" aria-label="${esc(altText(name, result))}"></div>\n` +
    `<noscript><div class="still">${still}</div></noscript>\n</figure>`
  );
}

function filter(result: ReplayResult): string {
  const models = modelsOf(result);
  if (models.length < 2) return '';
  const light = modelInks(models, 'light');
  const dark = modelInks(models, 'dark');
  const boxes = models.map(
    (m, i) =>
      `<label><input type="checkbox" checked value="${i}"><span class="swatch" ` +
      `style="--light:${light[i]!.fill};--dark:${dark[i]!.fill}"></span>${esc(m)}</label>`,
  );
  return `<fieldset id="models"><legend>Sharing models shown in the charts</legend>${boxes.join('\n')}</fieldset>`;
}

export async function toHtml(result: ReplayResult): Promise<string> {
  const scripts = [...(await libraries()), PAGE_CODE];
  const hashes = scripts.map((s) => `'sha256-${createHash('sha256').update(s).digest('base64')}'`);
  const policy = `default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; script-src ${hashes.join(' ')}`;
  const figures = (await Promise.all(CHARTS.map((name) => figure(name, result)))).filter((f) => f !== '');
  const froms = (['demand', 'fills'] as const).filter((from) => result.rows.some((r) => r.from === from));
  const facts = [...froms.map((from) => `from ${from}: ${fromMeaning(result, from)}`), ...parameterLines(result)];
  const list = (items: string[]) => `<ul>\n${items.map((i) => `<li>${esc(i)}</li>`).join('\n')}\n</ul>`;
  const inputs = result.inputs.map((i) => [
    `<span class="path">${esc(i.path)}</span>`,
    i.kind,
    `<code>${esc(i.sha256)}</code>`,
  ]);
  const tables = [memoryTable(result), hitRatioTable(result), containersTable(result)].filter((t) => t !== '');
  const section = (title: string, body: string) => `<section class="card">\n<h2>${title}</h2>\n${body}\n</section>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="foliolab ${esc(result.versions.foliolab)}">
<title>${esc(result.title)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<main>
<header>
<h1>${esc(result.title)}</h1>
<p class="finding">${esc(finding(result).join(' '))}</p>
</header>
${figures.length > 0 ? filter(result) : ''}
${figures.join('\n')}
${tables.length > 0 ? section('The numbers', tables.join('\n')) : ''}
${result.notes.length > 0 ? section('To know when reading them', list(result.notes)) : ''}
${section('How it was made', `${list(facts)}\n<h3>Command</h3>\n<pre tabindex="0"><code>${esc(result.command)}</code></pre>`)}
${result.inputs.length > 0 ? section('Inputs', table('Input files and their sha256', ['file', 'kind', 'sha256'], inputs, 3)) : ''}
</main>
<footer>foliolab ${esc(result.versions.foliolab)}, Node.js ${esc(result.versions.node)}</footer>
<script type="application/json" id="data">${inert(payload(result))}</script>
${scripts.map((s) => `<script>${s}</script>`).join('\n')}
</body>
</html>
`;
}
