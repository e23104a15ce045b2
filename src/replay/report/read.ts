/** Reading results back. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { DataError, located } from '../../error.ts';
import { MRC_SCHEMA, type MrcResult } from '../curves/result.ts';
import { REPLAY_SCHEMA, type ReplayResult } from '../result.ts';
import { SWEEP_SCHEMA, type SweepResult } from '../sweep/result.ts';

/** Told apart by `schema`. */
export type AnyResult = ReplayResult | MrcResult | SweepResult;

const count = z.number().int().min(0);

// Fields of later versions pass through; what is here must be what it says.
const head = {
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
};

const replaySchema = z.looseObject({
  schema: z.literal(REPLAY_SCHEMA),
  ...head,
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

const mrcSchema = z.looseObject({
  schema: z.literal(MRC_SCHEMA),
  ...head,
  trace: z.looseObject({
    path: z.string(),
    format: z.string(),
    unit: z.enum(['objects', 'pages']),
    requests: count,
    footprint: count,
    coldMisses: count,
    containers: z.array(z.string()),
  }),
  sample: z
    .looseObject({
      method: z.enum(['fixed-rate', 'fixed-size']),
      rate: z.number(),
      errors: z
        .array(
          z.looseObject({
            policy: z.string(),
            meanAbsoluteError: z.number(),
            maxAbsoluteError: z.number(),
            sizes: count,
          }),
        )
        .nullable(),
    })
    .nullable(),
  rows: z.array(
    z.looseObject({
      policy: z.string(),
      size: count,
      requests: count,
      misses: count,
      missRatio: z.number(),
      method: z.string(),
      container: z.string().nullable(),
      refaultDistances: z.array(z.looseObject({ from: count, refaults: count })).optional(),
    }),
  ),
  bounds: z.looseObject({
    opt: z.array(z.looseObject({ size: count, missRatio: z.number() })).nullable(),
    coldMissRatio: z.number(),
  }),
  workingSet: z
    .looseObject({
      windowReferences: count,
      windows: z.array(z.looseObject({ end: count, pages: count, newPages: count })),
    })
    .nullable(),
});

const sweepSchema = z.looseObject({
  schema: z.literal(SWEEP_SCHEMA),
  ...head,
  rows: z.array(
    z.looseObject({
      trace: z.string(),
      mounts: z.string(),
      sharing: z.string(),
      policy: z.string(),
      memory: z.string(),
      capacityPages: count.nullable(),
      seed: count,
      references: count,
      misses: count,
      coldMisses: count,
      refaults: count,
      missRatio: z.number(),
      footprintPages: count,
    }),
  ),
  relative: z
    .looseObject({
      baseline: z.string(),
      resamples: count,
      seed: count,
      rows: z.array(
        z.looseObject({
          mounts: z.string(),
          sharing: z.string(),
          policy: z.string(),
          memory: z.string(),
          reduction: z.number(),
          low: z.number().nullable(),
          high: z.number().nullable(),
          traces: count,
          cells: count,
        }),
      ),
    })
    .nullable(),
});

const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  [REPLAY_SCHEMA]: replaySchema,
  [MRC_SCHEMA]: mrcSchema,
  [SWEEP_SCHEMA]: sweepSchema,
};

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
export async function readResult(path: string): Promise<AnyResult> {
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
  const { schema } = checked(path, z.looseObject({ schema: z.string() }), document);
  if (!Object.hasOwn(SCHEMAS, schema))
    throw new DataError(
      path,
      `schema is ${JSON.stringify(schema.slice(0, 60))}, this version renders ${Object.keys(SCHEMAS).join(', ')} only`,
    );
  return checked(path, SCHEMAS[schema]!, document) as AnyResult;
}

function checked<T>(path: string, schema: z.ZodType<T>, document: unknown): T {
  const parsed = schema.safeParse(document);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new DataError(path, `${where(issue.path)}: ${what(issue)}`);
}
