/** A result as JSON: keys in one order, a line per container and series point, a newline at the end. */
import type { ReplayResult } from '../result.ts';
import { CSV_COLUMNS } from './csv.ts';

/** What is listed comes first, in this order; what is not follows by name. */
const ORDER: readonly string[] = [
  'schema',
  'title',
  'command',
  'versions',
  'inputs',
  'parameters',
  'notes',
  'rows',
  'truth',
  'foliolab',
  'node',
  'path',
  'sha256',
  'kind',
  ...CSV_COLUMNS,
  'containers',
  'series',
  'name',
  'usedPages',
  'sharedPages',
  'chargedPages',
  'timeNs',
  'source',
  'trace',
  'sample',
  'size',
  'requests',
  'method',
  'container',
];
const rank = new Map(ORDER.map((key, i) => [key, i]));

function byOrder(a: string, b: string): number {
  const difference = (rank.get(a) ?? ORDER.length) - (rank.get(b) ?? ORDER.length);
  return difference || (a < b ? -1 : a > b ? 1 : 0);
}

const ONE_LINE = 160;

function print(value: unknown, indent: string, sort: (a: string, b: string) => number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const inner = `${indent}  `;
  const isArray = Array.isArray(value);
  const nested = isArray
    ? value.map((v) => print(v, inner, sort))
    : Object.entries(value)
        .filter(([, v]) => v !== undefined)
        .sort(([a], [b]) => sort(a, b))
        // Parameters are the tool's own: by name, whatever they are called.
        .map(([k, v]) => `${JSON.stringify(k)}: ${print(v, inner, k === 'parameters' ? byName : sort)}`);
  const [open, close] = isArray ? '[]' : '{}';
  const flat = open + nested.join(', ') + close;
  const simple = Object.values(value).every((v) => typeof v !== 'object' || v === null);
  if (nested.length === 0 || (simple && indent !== '' && flat.length <= ONE_LINE)) return flat;
  return `${open}\n${nested.map((n) => inner + n).join(',\n')}\n${indent}${close}`;
}

const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

export function toJson(result: ReplayResult): string {
  return documentJson(result);
}

/** Any result document. */
export function documentJson(document: object): string {
  return `${print(document, '', byOrder)}\n`;
}
