/** What makes the report page look and act: inlined by html.ts. */

import { FONT } from './theme.ts';

export const PAGE_STYLE = `
:root { color-scheme: light dark; --bg: #f5f6f8; --card: #fff; --text: #1b1f24; --muted: #59636e; --line: #dfe3e8; --accent: #00609a; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #0c0f13; --card: #12161c; --text: #e6eaef; --muted: #9da7b3; --line: #2a313a; --accent: #6fbdf0; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text); font: 15px/1.55 ${FONT}; }
main { max-width: 1200px; margin: 0 auto; padding: 40px 20px 8px; }
header { padding: 0 4px 20px; }
h1 { margin: 0 0 8px; font-size: clamp(24px, 4vw, 34px); line-height: 1.2; letter-spacing: -0.02em; overflow-wrap: anywhere; }
h2 { margin: 0 0 4px; font-size: 19px; line-height: 1.3; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h3 { margin: 20px 0 6px; font-size: 15px; }
.finding { margin: 0; max-width: 76ch; font-size: 17px; overflow-wrap: anywhere; }
.lede { margin: 0 0 18px; max-width: 115ch; color: var(--muted); font-size: 14px; overflow-wrap: anywhere; }
.card > figcaption { padding-right: 40px; }
.card { position: relative; margin: 0 0 20px; padding: 22px 24px; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.chart { overflow-x: auto; overflow-y: hidden; min-height: 120px; }
.chart.vega-embed { display: block; padding: 0; position: static; }
.chart.vega-embed.has-actions { padding-right: 0; }
.chart.vega-embed summary { top: 18px; right: 18px; opacity: .5; }
.chart.vega-embed .vega-actions { top: 50px; right: 12px; background: var(--card); border-color: var(--line); }
.still { overflow-x: auto; background: #fff; border-radius: 8px; }
fieldset { position: sticky; top: 0; z-index: 2; display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 20px; padding: 10px 16px; border: 1px solid var(--line); border-radius: 12px; background: var(--card); }
legend { float: left; width: 100%; padding: 0; color: var(--muted); font-size: 13px; }
label { display: inline-flex; align-items: center; gap: 7px; min-height: 28px; cursor: pointer; overflow-wrap: anywhere; }
input { accent-color: var(--accent); margin: 0; }
.swatch { flex: none; width: 12px; height: 12px; border-radius: 3px; background: var(--light); }
@media (prefers-color-scheme: dark) { .swatch { background: var(--dark); } }
.scroll { overflow-x: auto; margin: 14px 0 8px; }
table { width: 100%; border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
caption { padding: 0 0 8px; text-align: left; color: var(--muted); font-size: 13px; }
caption span { display: inline-block; max-width: calc(100vw - 56px); white-space: normal; }
th, td { padding: 7px 10px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; white-space: nowrap; }
th[scope=row] { min-width: 130px; max-width: 30ch; font-weight: 500; white-space: normal; overflow-wrap: anywhere; }
thead th { font-size: 12.5px; color: var(--muted); font-weight: 600; vertical-align: bottom; }
.n { text-align: right; }
tbody tr:last-child > * { border-bottom: 0; }
.saved, .none { color: var(--muted); }
.saved { display: inline-block; min-width: 3.6em; }
.path { overflow-wrap: anywhere; }
ul { margin: 8px 0; padding-left: 20px; overflow-wrap: anywhere; }
code { font: 13px/1.6 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { margin: 0; padding: 12px 14px; border: 1px solid var(--line); border-radius: 8px; background: var(--bg); white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; }
details > summary { margin-top: 16px; color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
footer { max-width: 1200px; margin: 0 auto; padding: 0 24px 40px; color: var(--muted); font-size: 13px; }
@media (max-width: 520px) { main { padding: 24px 12px 4px; } .card { padding: 16px 14px; } fieldset { position: static; } .finding { font-size: 16px; } }
@media print { body { background: #fff; } .card { break-inside: avoid; border: 0; padding: 8px 0; } fieldset, .vega-embed summary { display: none; } }
`;

/** Draws the charts at the width and in the colours the reader has, and again when either changes. */
export const PAGE_CODE = `'use strict';
(function () {
  var data = JSON.parse(document.getElementById('data').textContent);
  var dark = matchMedia('(prefers-color-scheme: dark)');
  var hidden = [];
  var drawn = {};

  function shapeOf(width) {
    return width >= 820 ? 'wide' : width >= 520 ? 'single' : 'narrow';
  }

  // The labels beside a plot are as wide as the reader's font makes them: measure, then give the plot what is left.
  function fit(host, state) {
    var svg = host.querySelector('svg.marks');
    var spare = host.clientWidth - svg.getBoundingClientRect().width;
    var step = spare < 0 ? Math.ceil(-spare / state.columns) * -1 : Math.floor(spare / state.columns);
    if (step === 0 || (step > 0 && state.width >= 640)) return;
    state.width = Math.max(60, Math.min(640, state.width + step));
    return state.view.signal('child_width', state.width).resize().runAsync();
  }

  function draw(chart) {
    var host = document.getElementById('chart-' + chart.name);
    var width = host.clientWidth;
    var theme = dark.matches ? 'dark' : 'light';
    var shape = shapeOf(width);
    var state = drawn[chart.name];
    if (state && state.theme === theme && state.shape === shape) return fit(host, state);
    var spec = JSON.parse(JSON.stringify(chart.specs[theme][shape]));
    spec.data.values = chart.values;
    spec.params[0].value = hidden;
    var each = Math.floor((width - data.gap * (spec.columns - 1)) / spec.columns) - chart.side + (shape === 'narrow' ? 45 : 0);
    spec.spec.width = Math.max(90, Math.min(640, each));
    if (state && state.view) state.view.finalize();
    state = drawn[chart.name] = { theme: theme, shape: shape, columns: spec.columns, width: spec.spec.width };
    return vegaEmbed(host, spec, {
      mode: 'vega-lite',
      renderer: 'svg',
      ast: true,
      logLevel: 1,
      downloadFileName: chart.name,
      tooltip: { theme: theme },
      actions: { export: true, source: false, compiled: false, editor: false },
    }).then(function (embedded) {
      state.view = embedded.view;
      return fit(host, state);
    });
  }

  var running = Promise.resolve();
  function drawAll() {
    running = running.then(function () {
      return data.charts.reduce(function (before, chart) {
        return before.then(function () { return draw(chart); });
      }, Promise.resolve());
    });
    return running;
  }

  var boxes = document.querySelectorAll('#models input');
  boxes.forEach(function (box) {
    box.checked = true;
    box.addEventListener('change', function () {
      hidden = [];
      boxes.forEach(function (b) { if (!b.checked) hidden.push(data.models[Number(b.value)]); });
      Object.keys(drawn).forEach(function (name) {
        if (drawn[name].view) drawn[name].view.signal('hidden', hidden).resize().runAsync();
      });
    });
  });

  var timer = 0;
  var last = innerWidth;
  addEventListener('resize', function () {
    if (innerWidth === last) return;
    last = innerWidth;
    clearTimeout(timer);
    timer = setTimeout(drawAll, 120);
  });
  dark.addEventListener('change', drawAll);
  drawAll().then(
    function () { document.documentElement.dataset.charts = String(data.charts.length); },
    function (error) { document.documentElement.dataset.charts = 'failed: ' + error.message; },
  );
})();
`;
