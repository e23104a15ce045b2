import { parentPort, workerData } from 'node:worker_threads';
import { loadPlugins } from '../policies/plugin.ts';
import { type CellInput, runCell } from './cell.ts';

/** The worker of one cell. */
const cell = workerData as CellInput;
await loadPlugins([cell.policy]);
parentPort?.postMessage(runCell(cell));
