import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { DigestJob } from './digest.ts';

/**
 * Bytes of an image for each worker that is started unasked. One costs 100 ms before it does anything, and 100 ms of compiling what the other
 * threads compile too: an image of 37 MiB (plain) or 21 MiB (LZ4) took 143 and 292 ms with it, 124 and 263 ms without (medians of 9 on a
 * loaded 2-core machine); one of 704 MiB (plain) 1.7 s against 2.7 s (one run each).
 */
const WORTH_A_WORKER = 2 ** 26;

const MAX_LANES = 64;

/** Workers run the compiled module; from the TypeScript sources, as in unit tests, everything stays in this thread. */
const COMPILED = import.meta.url.endsWith('.js');

/** Lanes besides this thread's. They start at once, so that they are there when what there is to do is known. */
export class DigestPool {
  readonly #workers: Worker[];
  readonly #ends: Promise<unknown>[];

  /**
   * @param jobs threads, this one included; unless it is said, as many as the image is worth, one a core at most
   * @param sizeBytes of the image
   */
  constructor(jobs: number | undefined, sizeBytes: number) {
    const count = jobs ?? Math.min(availableParallelism(), 1 + Math.floor(sizeBytes / WORTH_A_WORKER));
    this.#workers = Array.from(
      { length: COMPILED ? Math.min(count, MAX_LANES) - 1 : 0 },
      () => new Worker(new URL('./digest-worker.js', import.meta.url)),
    );
    // What a worker fails with is found again by this thread, see finish().
    this.#ends = this.#workers.map(
      (worker) => new Promise((resolve) => worker.on('error', () => {}).once('exit', resolve)),
    );
  }

  begin(job: DigestJob): void {
    for (const worker of this.#workers) worker.postMessage(job);
  }

  async ended(): Promise<void> {
    await Promise.all(this.#ends);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}
