import { type DenseTrace, Numbering } from './dense.ts';
import type { IdSource } from './ids.ts';
import { type Job, type Meter, meterOf, type Outcome } from './job.ts';

/**
 * Runs jobs over a trace that isn't kept: its source is read again, and every job counts each block in turn. Memory is bounded by distinct
 * pages. None of the jobs may need to know the future.
 */
export async function streamJobs(source: IdSource, trace: DenseTrace, jobs: readonly Job[]): Promise<Outcome[]> {
  const meters: Meter[] = jobs.map((job) => meterOf(job, trace, null));
  const numbering = new Numbering(trace.universe);
  await source.read((block) => {
    const kept = numbering.take(block, 0, block.count);
    for (const meter of meters) meter.take(numbering.numbers, kept);
  });
  return meters.map((meter) => meter.finish());
}
