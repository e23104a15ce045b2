/** The exporters: each reads a `ReplayResult` and nothing else. The heavy ones are loaded when they are used. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { DataError, located } from '../../error.ts';
import { writeFileAtomic } from '../io/output.ts';
import { REPLAY_SCHEMA, type ReplayResult } from '../result.ts';
import type { ChartName } from './charts.ts';
import { toCsv } from './csv.ts';
import { toJson } from './json.ts';
import { toMail } from './mail.ts';
import { toMarkdown } from './md.ts';

export type { ChartName } from './charts.ts';
export { containersCsv, toCsv } from './csv.ts';
export { finding } from './facts.ts';
export { toJson } from './json.ts';
export { toMail } from './mail.ts';
export { toMarkdown } from './md.ts';
export { containersTable, headlineTable, hitRatioTable, toTable, wantsColor } from './table.ts';

/** File name to content. */
export type Files = Map<string, string | Uint8Array>;

export interface ExportOptions {
  /** Charts to make, of those that have data; all by default. Only svg and png take it. */
  charts?: readonly ChartName[];
}

export type Exporter = (result: ReplayResult, options?: ExportOptions) => Promise<Files>;

export const exporters = {
  mail: async (result) => new Map([['report.txt', toMail(result)]]),
  html: async (result) => new Map([['report.html', await (await import('./html.ts')).toHtml(result)]]),
  md: async (result) => new Map([['report.md', toMarkdown(result)]]),
  csv: async (result) => new Map([['results.csv', toCsv(result)]]),
  json: async (result) => new Map([['results.json', toJson(result)]]),
  svg: async (result, options) => (await import('./svg.ts')).toSvg(result, options?.charts),
  png: async (result, options) => (await import('./png.ts')).toPng(result, options?.charts),
} satisfies Record<string, Exporter>;

export type Format = keyof typeof exporters;
export const FORMATS = Object.keys(exporters) as Format[];

// --------------------------------------------------------------------------------------------------------------- reading

const count = z.number().int().min(0);

// Fields of later versions pass through; what is here must be what it says.
const resultSchema = z.looseObject({
  schema: z.literal(REPLAY_SCHEMA),
  title: z.string(),
  command: z.string(),
  versions: z.looseObject({ foliolab: z.string(), node: z.string() }),
  inputs: z.array(
    z.looseObject({
      path: z.string(),
      sha256: z.string(),
      kind: z.enum(['trace', 'image', 'index', 'domains', 'truth']),
    }),
  ),
  parameters: z.record(z.string(), z.unknown()),
  notes: z.array(z.string()),
  rows: z.array(
    z.looseObject({
      workload: z.string(),
      from: z.enum(['demand', 'fills']),
      sharing: z.string(),
      policy: z.string(),
      capacityPages: count.nullable(),
      memory: z.string(),
      references: count,
      hits: count,
      misses: count,
      coldMisses: count,
      refaults: count,
      evictions: count,
      footprintPages: count,
      peakPages: count,
      residentPages: count,
      missRatio: z.number(),
      hitRatio: z.number(),
      bytesSavedVsPerInode: z.number(),
      mounts: count,
      containers: z.array(
        z.looseObject({
          name: z.string(),
          references: count,
          misses: count,
          usedPages: count,
          sharedPages: count,
          chargedPages: count,
        }),
      ),
      series: z.array(z.looseObject({ timeNs: z.number(), residentPages: count })).optional(),
    }),
  ),
  truth: z
    .array(z.looseObject({ workload: z.string(), sharing: z.string(), residentPages: count, source: z.string() }))
    .optional(),
});

type Issue = z.core.$ZodIssue;

function where(path: Issue['path']): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else text += `${text === '' ? '' : '.'}${String(key)}`;
  }
  return text === '' ? 'the document' : text;
}

function what(issue: Issue): string {
  if (issue.code === 'invalid_type') return `expected ${issue.expected}`;
  if (issue.code === 'invalid_value') return `expected ${issue.values.map((v) => JSON.stringify(v)).join(' or ')}`;
  if (issue.code === 'too_small') return `expected at least ${issue.minimum}`;
  return issue.message;
}

/** A results file, checked; every fault is one line that says where. */
export async function readResult(path: string): Promise<ReplayResult> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw located(path, error);
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    const message = (error as Error).message.replace(/\s+/g, ' ').slice(0, 120);
    throw new DataError(path, `is not JSON: ${message}`, { cause: error });
  }
  const schema = (document as { schema?: unknown } | null)?.schema;
  if (typeof schema === 'string' && schema !== REPLAY_SCHEMA) {
    throw new DataError(
      path,
      `schema is ${JSON.stringify(schema.slice(0, 60))}, this version renders ${REPLAY_SCHEMA} only`,
    );
  }
  const parsed = resultSchema.safeParse(document);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new DataError(path, `${where(issue.path)}: ${what(issue)}`);
  }
  return parsed.data as ReplayResult;
}

// --------------------------------------------------------------------------------------------------------------- writing

/**
 * Writes all files or says which failed. Each appears under its name complete, by renaming; a reader never sees half of one.
 * @returns the paths written
 */
export async function writeFiles(dir: string, files: ReadonlyMap<string, string | Uint8Array>): Promise<string[]> {
  const written: string[] = [];
  for (const [name, content] of files) {
    const path = join(dir, name);
    await writeFileAtomic(path, content);
    written.push(path);
  }
  return written;
}
