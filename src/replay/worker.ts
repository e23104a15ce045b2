import { parentPort, workerData } from 'node:worker_threads';
import { type CellInput, runCell } from './cell.ts';

/** The worker of one cell. */
parentPort?.postMessage(runCell(workerData as CellInput));
