import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type CellInput, type CellResult, runCell } from './cell.ts';

/**
 * A cell of fewer references than this is replayed in this thread: starting a worker took 127 ms where a million LRU references took 105
 * (medians of 9 on a loaded 2-core machine).
 */
const WORTH_A_WORKER = 1_000_000;

/** Workers run the compiled module; from the TypeScript sources, as in unit tests, everything stays in this thread. */
const COMPILED = import.meta.url.endsWith('.js');

/**
 * Runs every cell and returns the results in the cells' order, whatever the number of workers. A worker runs one cell and ends, so that the
 * call site of `access()` in its replay loop only ever sees one policy class: the loop is monomorphic.
 */
export async function runCells(
  cells: readonly CellInput[],
  references: number,
  workers = availableParallelism(),
): Promise<CellResult[]> {
  if (!COMPILED || workers <= 1 || cells.length < 2 || references < WORTH_A_WORKER) return cells.map(runCell);
  const results = new Array<CellResult>(cells.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < cells.length; at = next++) results[at] = await runInWorker(cells[at]!);
  };
  await Promise.all(Array.from({ length: Math.min(workers, cells.length) }, lane));
  return results;
}

function runInWorker(cell: CellInput): Promise<CellResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: cell });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`a replay worker ended early with ${code}`)));
  });
}
