import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { nextUses } from '../../policies/index.ts';
import type { DenseTrace } from './dense.ts';
import { type Job, needsFuture, type Outcome, runJob } from './job.ts';
import type { WorkerSetup } from './worker.ts';

/** References × jobs from which on a second thread pays: starting a worker took 127 ms on a loaded machine, a million LRU references 30. */
const WORTH_A_WORKER = 4_000_000;

/** Workers run the compiled module; from the TypeScript sources, as in unit tests, everything stays in this thread. */
const COMPILED = import.meta.url.endsWith('.js');

export interface LaneOptions {
  /** threads at most; one a core by default */
  readonly workers?: number | undefined;
  /** told of each job as it is done */
  readonly done?: ((at: number, outcome: Outcome) => void) | undefined;
}

/**
 * Runs jobs over a trace in memory. The outcomes come in the jobs' order and are the same on any number of workers; a worker lives as long as
 * there are jobs, and shares the trace.
 */
export async function runJobs(
  trace: DenseTrace,
  jobs: readonly Job[],
  { workers = availableParallelism(), done }: LaneOptions = {},
): Promise<Outcome[]> {
  const next = jobs.some(needsFuture) ? nextUses(trace.ids!, trace.universe) : null;
  const outcomes = new Array<Outcome>(jobs.length);
  let at = 0;
  const put = (job: number, outcome: Outcome): void => {
    outcomes[job] = outcome;
    done?.(job, outcome);
  };
  const lanes = Math.min(workers, jobs.length);
  if (!COMPILED || lanes < 2 || trace.references * jobs.length < WORTH_A_WORKER) {
    for (; at < jobs.length; at++) put(at, runJob(jobs[at]!, trace, next));
    return outcomes;
  }
  const policies = [...new Set(jobs.flatMap((job) => (job.kind === 'policy' ? [job.policy] : [])))];
  const setup: WorkerSetup = { trace, next: next === null ? null : shared(next), policies };
  const lane = async (): Promise<void> => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: setup });
    try {
      await answer(worker);
      while (at < jobs.length) {
        const mine = at++;
        worker.postMessage(jobs[mine]!);
        put(mine, (await answer(worker))!);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return outcomes;
}

function answer(worker: Worker): Promise<Outcome | null> {
  return new Promise((resolve, reject) => {
    const ended = (code: number): void => reject(new Error(`a worker ended early with ${code}`));
    worker.once('error', reject);
    worker.once('exit', ended);
    worker.once('message', (outcome: Outcome | null) => {
      worker.off('error', reject);
      worker.off('exit', ended);
      resolve(outcome);
    });
  });
}

function shared(column: Uint32Array): Uint32Array {
  const copy = new Uint32Array(new SharedArrayBuffer(column.byteLength));
  copy.set(column);
  return copy;
}
