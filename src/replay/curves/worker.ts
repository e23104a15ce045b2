import { parentPort, workerData } from 'node:worker_threads';
import { loadPlugins } from '../../policies/plugin.ts';
import type { DenseTrace } from './dense.ts';
import { type Job, runJob } from './job.ts';

/** What a worker is started with: one trace, of which it is then sent jobs. */
export interface WorkerSetup {
  trace: DenseTrace;
  next: Uint32Array | null;
  policies: readonly string[];
}

const { trace, next, policies } = workerData as WorkerSetup;
await loadPlugins(policies);
parentPort!.on('message', (job: Job) => parentPort!.postMessage(runJob(job, trace, next)));
parentPort!.postMessage(null);
