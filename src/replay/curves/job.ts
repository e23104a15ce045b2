import { nextUses, parsePolicy } from '../../policies/index.ts';
import { StackDistances } from '../trace/stack-distance.ts';
import type { DenseTrace } from './dense.ts';
import { OptDistances } from './opt-distance.ts';
import { type RefaultBin, RefaultMeter } from './refault-distance.ts';
import { replayLoop } from './replay-loop.ts';

/** One thing to count over a trace. Can be sent to a worker. */
export type Job = CurveJob | PolicyJob;

/** All sizes at once, by stack distances. */
export interface CurveJob {
  readonly kind: 'lru' | 'opt';
}

/** One policy with one size. */
export interface PolicyJob {
  readonly kind: 'policy';
  /** as {@link parsePolicy} reads it */
  readonly policy: string;
  /** pages */
  readonly capacity: number;
  readonly seed: number;
  readonly refaults: boolean;
}

/** What was counted, of the references after the warm-up. */
export interface Outcome {
  /** of a policy */
  misses: number;
  /** references by stack distance, those that hit at no size at 0; of a policy null */
  histogram: Float64Array | null;
  refaults: RefaultBin[] | null;
}

/** Counts one job over a trace that comes in pieces. */
export interface Meter {
  /** @param ids the next references, from 0 to `count` */
  take(ids: Uint32Array, count: number): void;
  finish(): Outcome;
}

/** What a meter has to know of a trace before it has seen it. */
export type TraceFacts = Pick<DenseTrace, 'universe' | 'objectIds' | 'warmup'>;

/** @param next next uses, for what needs to know the future; then the trace comes in one piece */
export function meterOf(job: Job, facts: TraceFacts, next: Uint32Array | null): Meter {
  if (job.kind === 'policy') return new PolicyMeter(job, facts, next);
  return job.kind === 'lru' ? new LruMeter(facts) : new OptMeter(facts, next!);
}

/** Whether a job needs next uses, and with them the whole trace in memory. */
export function needsFuture(job: Job): boolean {
  return job.kind === 'opt' || (job.kind === 'policy' && parsePolicy(job.policy).needsFuture);
}

/** Runs a job over a trace that is in memory. */
export function runJob(job: Job, trace: DenseTrace, next?: Uint32Array | null): Outcome {
  const ids = trace.ids!;
  const future = needsFuture(job) ? (next ?? nextUses(ids, trace.universe)) : null;
  const meter = meterOf(job, trace, future);
  meter.take(ids, ids.length);
  return meter.finish();
}

class LruMeter implements Meter {
  readonly #distances = new StackDistances();
  readonly #histogram: Float64Array;
  #uncounted: number;

  constructor({ universe, warmup }: TraceFacts) {
    this.#histogram = new Float64Array(universe + 1);
    this.#uncounted = warmup;
  }

  take(ids: Uint32Array, count: number): void {
    const distances = this.#distances;
    const warm = Math.min(count, this.#uncounted);
    this.#uncounted -= warm;
    for (let i = 0; i < warm; i++) distances.reference(ids[i]!);
    const histogram = this.#histogram;
    for (let i = warm; i < count; i++) histogram[distances.reference(ids[i]!)]!++;
  }

  finish(): Outcome {
    return { misses: 0, histogram: this.#histogram, refaults: null };
  }
}

class OptMeter implements Meter {
  readonly #distances: OptDistances;
  readonly #histogram: Float64Array;
  readonly #next: Uint32Array;
  readonly #warmup: number;

  constructor({ universe, warmup }: TraceFacts, next: Uint32Array) {
    this.#distances = new OptDistances(universe);
    this.#histogram = new Float64Array(universe + 1);
    this.#next = next;
    this.#warmup = warmup;
  }

  take(ids: Uint32Array, count: number): void {
    const distances = this.#distances;
    const histogram = this.#histogram;
    const next = this.#next;
    const warmup = this.#warmup;
    for (let i = 0; i < count; i++) {
      const distance = distances.reference(ids[i]!, next[i]!);
      if (i >= warmup) histogram[distance]!++;
    }
  }

  finish(): Outcome {
    return { misses: 0, histogram: this.#histogram, refaults: null };
  }
}

class PolicyMeter implements Meter {
  readonly #replay: (ids: Uint32Array, from: number, to: number, counted: boolean) => number;
  readonly #refaults: RefaultMeter | null;
  #uncounted: number;
  #misses = 0;

  constructor(job: PolicyJob, { universe, objectIds, warmup }: TraceFacts, next: Uint32Array | null) {
    const policy = parsePolicy(job.policy).create(
      job.capacity,
      Math.max(1, universe),
      job.seed,
      next ?? undefined,
      objectIds ?? undefined,
    );
    this.#refaults = job.refaults ? new RefaultMeter(policy, universe) : null;
    const loop = replayLoop(policy);
    const meter = this.#refaults;
    this.#replay =
      meter === null
        ? (ids, from, to) => loop(policy, ids, from, to)
        : (ids, from, to, counted) => meter.replay(ids, from, to, counted);
    this.#uncounted = warmup;
  }

  take(ids: Uint32Array, count: number): void {
    const warm = Math.min(count, this.#uncounted);
    this.#uncounted -= warm;
    if (warm > 0) this.#replay(ids, 0, warm, false);
    this.#misses += this.#replay(ids, warm, count, true);
  }

  finish(): Outcome {
    return { misses: this.#misses, histogram: null, refaults: this.#refaults?.bins() ?? null };
  }
}
