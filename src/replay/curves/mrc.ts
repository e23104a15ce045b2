import { UsageError } from '../../error.ts';
import { parsePolicy, policies } from '../../policies/index.ts';
import { loadPlugins } from '../../policies/plugin.ts';
import type { ReplayInput } from '../result.ts';
import { Curve } from './curve.ts';
import { type DenseTrace, loadDense, MOST_KEPT, onlyOf, type SampleRate } from './dense.ts';
import { FixedSizeShards } from './fixed-size.ts';
import type { IdSource } from './ids.ts';
import type { Job, Outcome } from './job.ts';
import { runJobs } from './lanes.ts';
import type { Method, MrcResult, MrcRow, SampleError } from './result.ts';
import { type CacheSize, logSizes, pagesOf } from './sizes.ts';
import { streamJobs } from './stream.ts';
import { workingSet } from './working-set.ts';

export interface MrcOptions {
  /** as {@link parsePolicy} reads them, and `opt` */
  policies: readonly string[];
  /** null: `points` of them from 1 to the footprint */
  sizes: readonly CacheSize[] | null;
  /** Infinity: every size, for the policies that have a curve of stack distances */
  points: number;
  /** share of the ids to sample, or how many of them at most; null: everything is counted */
  sample: SampleRate | { size: number } | null;
  /** compare a sample with the exact counts; undefined: where that costs little */
  checkError: boolean | undefined;
  warmup: number;
  seed: number;
  workers?: number | undefined;
  /** curves of each container with a cache of its own, too */
  perContainer: boolean;
  refaults: boolean;
  /** references in a window of the working set, 0 for a hundredth of the trace; null: no working set */
  window: number | null;
  /** add OPT as a bound where it wasn't asked for */
  bounds: boolean;
  /** don't keep the trace in memory */
  stream: boolean;
}

/** What was counted; the command line adds what it was asked for. */
export type Curves = Pick<MrcResult, 'inputs' | 'trace' | 'sample' | 'rows' | 'bounds' | 'workingSet' | 'notes'> & {
  policies: { name: string; params: Readonly<Record<string, number>> }[];
};

/** Sizes from which on a curve by stack distances takes less time than running the policy for each. */
const SIZES_WORTH_A_CURVE: Readonly<Record<'lru' | 'opt', number>> = { lru: 6, opt: 4 };
/** References × jobs up to which exact counts are made only to check a sample. */
const CHEAP = 2e8;
/** References up to which OPT is counted without being asked for. */
const CHEAP_BOUND = 2e7;
const CHECKED_SIZES = 1000;
/** Pages of a sample that a cache should hold: with one or two, chance decides. */
const LEAST_SAMPLED = 16;

/** Counts miss ratios. @throws DataError, UsageError */
export async function missRatioCurves(source: IdSource, options: MrcOptions): Promise<Curves> {
  await loadPlugins(options.policies);
  const plan = options.policies.map(policyOf);
  for (const policy of plan)
    if (options.points === Infinity && policy.curve === null && options.sizes === null)
      throw new UsageError(`${policy.label} can’t be counted at every size at once: --points takes a number for it`);
  const { sample } = options;
  if (sample !== null && 'size' in sample) return fixedSize(source, options, sample.size, plan);
  const wantsFuture = plan.some((policy) => policy.needsFuture);
  const { trace, inputs } = await loadDense(source, {
    warmup: options.warmup,
    sample,
    keep: options.stream ? 0 : MOST_KEPT,
    who: options.perContainer,
    objectIds: plan.some((policy) => policy.needsIds),
  });
  if (trace.ids === null) refuseStreaming(options, wantsFuture);
  const footprint = Math.round(trace.universe / trace.rate);
  const sizes = sizesOf(options, footprint, leastSize(trace.rate));
  const shared = await rowsOf(source, trace, plan, sizes, null, options);
  const rows = shared.rows;
  if (options.perContainer)
    for (const [at, name] of source.containers.entries()) {
      const own = onlyOf(trace, at);
      // The recorder itself is a container that asks for nothing.
      if (own.references > 0) rows.push(...(await rowsOf(source, own, plan, sizes, name, options)).rows);
    }
  const curves = shared.curves;
  let opt = curves.get('opt') ?? null;
  if (options.bounds && opt === null && trace.ids !== null && trace.references <= CHEAP_BOUND && trace.references > 0)
    opt = new Curve((await runJobs(trace, [{ kind: 'opt' }]))[0]!.histogram!);
  const coldMisses = Math.min(trace.counted, Math.round(trace.coldMisses / trace.rate));
  const notes: string[] = [];
  if (trace.counted === 0)
    notes.push(`${source.path} says of no ${source.unit === 'pages' ? 'page' : 'object'} that somebody asked for it`);
  let errors: SampleError[] | null = null;
  if (sample !== null && trace.counted > 0) {
    const cost = trace.counted * jobsOf(plan, sizes, options).length;
    if (options.checkError ?? cost <= CHEAP) errors = await errorsOf(source, plan, trace, sizes, rows, curves, options);
    if (trace.rate < 1 && sizes.some((size) => size < leastSize(trace.rate)))
      notes.push(
        `sizes below ${leastSize(trace.rate)} are less than ${LEAST_SAMPLED} ${source.unit} of the sample: their miss ratios say little`,
      );
  }
  return {
    inputs,
    notes,
    policies: plan.map(({ label, params }) => ({ name: label, params })),
    trace: traceFacts(source, trace.counted, footprint, coldMisses),
    sample: sample === null ? null : { method: 'fixed-rate', rate: trace.rate, errors },
    rows,
    bounds: {
      opt: opt === null ? null : sizes.map((size) => ({ size, missRatio: curveRatio(opt, trace, size) })),
      coldMissRatio: trace.counted === 0 ? 0 : coldMisses / trace.counted,
    },
    workingSet:
      options.window === null || trace.ids === null || trace.references === 0
        ? null
        : workingSet(trace.ids, trace.universe, options.window || Math.max(1, Math.ceil(trace.references / 100))),
  };
}

interface Planned {
  label: string;
  params: Readonly<Record<string, number>>;
  /** which stack distances it has */
  curve: 'lru' | 'opt' | null;
  /** whether it can be run */
  runs: boolean;
  needsFuture: boolean;
  needsIds: boolean;
}

function policyOf(spec: string): Planned {
  if (spec === 'opt' && !Object.hasOwn(policies, 'opt'))
    return { label: spec, params: {}, curve: 'opt', runs: false, needsFuture: true, needsIds: false };
  const { label, params, needsFuture, needsIds } = parsePolicy(spec);
  const curve = label === 'lru' || label === 'opt' ? label : null;
  return { label, params, curve, runs: true, needsFuture, needsIds };
}

function refuseStreaming(options: MrcOptions, wantsFuture: boolean): void {
  const wants = [
    ...(wantsFuture ? ['a policy that needs to know the future'] : []),
    ...(options.perContainer ? ['--per-container'] : []),
    ...(options.window !== null ? ['--working-set'] : []),
  ];
  if (wants.length === 0) return;
  const why = options.stream ? '--stream keeps no trace' : `only ${MOST_KEPT} references are kept`;
  throw new UsageError(`${wants.join(' and ')} needs the whole trace in memory, and ${why}`);
}

/** @param least the smallest size that a sample can tell something of */
function sizesOf({ sizes, points }: MrcOptions, footprint: number, least: number): number[] {
  if (sizes !== null) return sizes.map((size) => pagesOf(size, footprint));
  if (footprint === 0) return [];
  return points >= footprint
    ? Array.from({ length: footprint }, (_, i) => i + 1)
    : logSizes(points, Math.min(least, footprint), footprint);
}

/** What runs to count policies. A sample is always a curve where it can be one, which is compared with a curve. */
function jobsOf(plan: readonly Planned[], sizes: readonly number[], { seed, refaults, sample }: MrcOptions): Job[] {
  return plan.flatMap((policy): Job[] => {
    const { curve, runs } = policy;
    if (curve !== null && !(refaults && runs)) {
      if (!runs || sample !== null || sizes.length >= SIZES_WORTH_A_CURVE[curve]) return [{ kind: curve }];
    }
    return [...new Set(sizes)].map((capacity) => ({ kind: 'policy', policy: policy.label, capacity, seed, refaults }));
  });
}

/** The smallest size that a sample tells something of. */
function leastSize(rate: number): number {
  return rate === 1 ? 1 : Math.ceil(LEAST_SAMPLED / rate);
}

/** Sizes as they are in a sample, in which distances are shorter by the rate. */
function sampled(size: number, rate: number): number {
  return rate === 1 ? size : Math.max(1, Math.round(size * rate));
}

/** The miss ratio that a curve gives. A distance d of the sample stands for 1 + (d − 1) / rate: the page itself, and others it stands for. */
function curveRatio(curve: Curve, trace: DenseTrace, size: number): number {
  return ratio(curve.misses(trace.rate === 1 ? size : Math.floor(1 + (size - 1) * trace.rate)), trace);
}

/**
 * Misses of a sample over the references that should have been in it: were more or fewer, they are taken for hits, for it is hot pages that
 * make the difference (SHARDS-adj).
 */
function ratio(misses: number, trace: DenseTrace): number {
  return trace.counted === 0
    ? 0
    : Math.min(1, misses / (trace.rate === 1 ? trace.counted : trace.counted * trace.rate));
}

async function rowsOf(
  source: IdSource,
  trace: DenseTrace,
  plan: readonly Planned[],
  sizes: readonly number[],
  container: string | null,
  options: MrcOptions,
): Promise<{ rows: MrcRow[]; curves: Map<string, Curve> }> {
  const inSample = sizes.map((size) => sampled(size, trace.rate));
  const jobs = jobsOf(plan, inSample, options);
  const outcomes =
    trace.ids !== null
      ? await runJobs(trace, jobs, { workers: options.workers })
      : await streamJobs(source, trace, jobs);
  const found = new Map(jobs.map((job, at): [string, Outcome] => [keyOf(job), outcomes[at]!]));
  const curves = new Map<string, Curve>();
  const rows = plan.flatMap(({ label, curve: kind }): MrcRow[] => {
    const outcome = kind === null ? undefined : found.get(kind);
    const curve = outcome === undefined ? null : new Curve(outcome.histogram!);
    if (curve !== null) curves.set(label, curve);
    return sizes.map((size, at): MrcRow => {
      const one = curve === null ? found.get(`${label} ${inSample[at]}`)! : null;
      const missRatio = one === null ? curveRatio(curve!, trace, size) : ratio(one.misses, trace);
      const method: Method =
        trace.rate === 1
          ? one === null
            ? 'stack-distances'
            : 'simulation'
          : one === null
            ? 'shards'
            : 'miniature-simulation';
      return {
        policy: label,
        size,
        requests: trace.counted,
        misses: Math.round(missRatio * trace.counted),
        missRatio,
        method,
        container,
        ...(one?.refaults && { refaultDistances: one.refaults }),
      };
    });
  });
  return { rows, curves };
}

function keyOf(job: Job): string {
  return job.kind === 'policy' ? `${job.policy} ${job.capacity}` : job.kind;
}

/** Counts exactly what was estimated, and compares. */
async function errorsOf(
  source: IdSource,
  plan: readonly Planned[],
  sample: DenseTrace,
  sizes: readonly number[],
  rows: readonly MrcRow[],
  curves: ReadonlyMap<string, Curve>,
  options: MrcOptions,
): Promise<SampleError[]> {
  const exact = await exactCurves(source, plan, sizes, options);
  return plan.map(({ label }) => {
    const estimated = curves.get(label);
    const known = exact.curves.get(label);
    if (estimated !== undefined && known !== undefined)
      return compare(label, evenSizes(exact.footprint), known, exact.counted, (size) =>
        curveRatio(estimated, sample, size),
      );
    const mine = rows.filter((row) => row.policy === label && row.container === null);
    const differences = mine.map((row) => Math.abs(row.missRatio - exact.ratioOf(label, row.size)));
    return summary(label, differences);
  });
}

interface Exact {
  curves: ReadonlyMap<string, Curve>;
  footprint: number;
  counted: number;
  ratioOf(policy: string, size: number): number;
}

async function exactCurves(
  source: IdSource,
  plan: readonly Planned[],
  sizes: readonly number[],
  options: MrcOptions,
): Promise<Exact> {
  const { trace } = await loadDense(source, {
    warmup: options.warmup,
    sample: null,
    keep: options.stream ? 0 : MOST_KEPT,
    who: false,
    objectIds: plan.some((policy) => policy.needsIds),
  });
  const { rows, curves } = await rowsOf(source, trace, plan, sizes, null, { ...options, refaults: false });
  return {
    curves,
    footprint: trace.universe,
    counted: trace.counted,
    ratioOf: (policy, size) => rows.find((row) => row.policy === policy && row.size === size)!.missRatio,
  };
}

/** Sizes that divide the footprint evenly, as the errors of the paper are taken. */
function evenSizes(footprint: number): number[] {
  const sizes = new Set<number>();
  for (let i = 1; i <= CHECKED_SIZES; i++) sizes.add(Math.max(1, Math.round((i * footprint) / CHECKED_SIZES)));
  return [...sizes];
}

function compare(
  policy: string,
  sizes: readonly number[],
  exact: Curve,
  counted: number,
  estimate: (size: number) => number,
): SampleError {
  return summary(
    policy,
    sizes.map((size) => Math.abs(estimate(size) - exact.misses(size) / counted)),
  );
}

function summary(policy: string, differences: readonly number[]): SampleError {
  return {
    policy,
    meanAbsoluteError: differences.reduce((sum, difference) => sum + difference, 0) / Math.max(1, differences.length),
    maxAbsoluteError: differences.reduce((most, difference) => Math.max(most, difference), 0),
    sizes: differences.length,
  };
}

/** LRU by a sample of so many ids, in one pass whatever the trace. */
async function fixedSize(
  source: IdSource,
  options: MrcOptions,
  size: number,
  plan: readonly Planned[],
): Promise<Curves> {
  if (plan.some(({ label }) => label !== 'lru'))
    throw new UsageError('--sample-size is for lru: other policies are sampled at a rate, --sample 0.01');
  if (options.perContainer || options.refaults || options.window !== null)
    throw new UsageError('--sample-size gives a curve and nothing else: --sample takes a rate for more');
  const shards = new FixedSizeShards(size, options.warmup);
  let seen = 0;
  const inputs: ReplayInput[] = await source.read((block) => {
    shards.take(block);
    seen += block.count;
  });
  const counted = seen - options.warmup;
  if (options.warmup > 0 && counted <= 0)
    throw new UsageError(
      `--warmup ${options.warmup} leaves nothing to count of the ${seen} references of ${source.path}`,
    );
  const { footprint, coldMisses } = shards;
  const sizes = sizesOf(options, footprint, leastSize(shards.rate));
  const ratioAt = (at: number): number => (counted === 0 ? 0 : shards.misses(at) / counted);
  let errors: SampleError[] | null = null;
  if (counted > 0 && (options.checkError ?? counted <= CHEAP)) {
    const exact = await exactCurves(source, plan, evenSizes(footprint), options);
    errors = [compare('lru', evenSizes(exact.footprint), exact.curves.get('lru')!, counted, ratioAt)];
  }
  return {
    inputs,
    notes: [],
    policies: plan.map(({ label, params }) => ({ name: label, params })),
    trace: traceFacts(source, counted, footprint, coldMisses),
    sample: { method: 'fixed-size', rate: shards.rate, errors },
    rows: sizes.map((at): MrcRow => {
      const missRatio = ratioAt(at);
      return {
        policy: 'lru',
        size: at,
        requests: counted,
        misses: Math.round(missRatio * counted),
        missRatio,
        method: 'shards',
        container: null,
      };
    }),
    bounds: { opt: null, coldMissRatio: counted === 0 ? 0 : coldMisses / counted },
    workingSet: null,
  };
}

function traceFacts(source: IdSource, requests: number, footprint: number, coldMisses: number): MrcResult['trace'] {
  const { path, format, unit, containers } = source;
  return { path, format, unit, requests, footprint, coldMisses, containers: [...containers] };
}
