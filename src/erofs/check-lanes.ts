import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { Check, type CheckFault, type CheckResult } from './check.ts';
import { Image, type OpenOptions } from './image.ts';

/** The files of an image, shared by the threads (lanes) that decode them. */
export interface CheckJob {
  readonly image: string;
  readonly options: OpenOptions & { readonly devices?: readonly string[] };
  /** of the files, in about the order of the inodes on disk */
  readonly nids: Float64Array;
  /** where in `nids` the shares begin that lanes take, and where the last one ends */
  readonly shares: Uint32Array;
  /** places in `shares`, the largest first, so that the lanes end together */
  readonly order: Uint32Array;
  /** a byte a file: 1 when it was decoded without a fault */
  readonly sound: Uint8Array;
  /** one number: where in `order` the next share is */
  readonly next: Int32Array;
}

/** What {@link checkImageFile} takes beside the image. */
export interface CheckOptions extends OpenOptions {
  readonly devices?: readonly string[];
  /** threads; by default one a core, and no more than the image is worth */
  readonly jobs?: number;
  /** told of each fault as it is found */
  readonly onFault?: (fault: CheckFault) => void;
}

/** Bytes of an image for each worker that is started unasked: starting one takes as long as decoding some of it. */
const WORTH_A_WORKER = 2 ** 26;
const MAX_LANES = 64;
/** What the files are divided into for each lane. A share has files that are neighbours, and a large file is one alone. */
const SHARES = 16;
/** bytes that could be decoded while a file is opened */
const FILE_WORK = 4096;

/** Workers run the compiled module; from the TypeScript sources, as in unit tests, everything stays in this thread. */
const COMPILED = import.meta.url.endsWith('.js');

/** As {@link checkImage}, with the files divided over several threads. The result doesn't tell how many. */
export async function checkImageFile(path: string, options: CheckOptions = {}): Promise<CheckResult> {
  const { jobs, onFault = () => {}, ...open } = options;
  const image = Image.open(path, open);
  const lanes = jobs ?? Math.min(availableParallelism(), 1 + Math.floor(image.size / WORTH_A_WORKER));
  const workers = await startWorkers(COMPILED ? Math.min(lanes, MAX_LANES) - 1 : 0);
  // A lane that fails leaves its files to be decoded again by this thread, which says why.
  const ends = workers.map((worker) => new Promise((resolve) => worker.on('error', () => {}).once('exit', resolve)));
  try {
    const check = new Check(image, onFault, workers.length === 0);
    check.metadata();
    if (workers.length === 0 || !check.bounded) return check.data();
    const job = checkJob(path, open, check, SHARES * (workers.length + 1));
    for (const worker of workers) worker.postMessage(job);
    runLane(job, image);
    await Promise.all(ends);
    return check.data((file) => job.sound[file] === 1);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
    image.close();
  }
}

async function startWorkers(count: number): Promise<Worker[]> {
  if (count <= 0) return [];
  const { Worker } = await import('node:worker_threads');
  return Array.from({ length: count }, () => new Worker(new URL('./check-worker.js', import.meta.url)));
}

function checkJob(image: string, options: CheckJob['options'], { files }: Check, count: number): CheckJob {
  const nids = new Float64Array(new SharedArrayBuffer(files.length * 8));
  nids.set(files.map(({ nid }) => nid));
  const work = files.reduce((sum, file) => sum + file.size + FILE_WORK, 0) / count;
  const starts = [0];
  const sizes: number[] = [];
  let size = 0;
  for (const [at, file] of files.entries()) {
    size += file.size + FILE_WORK;
    if (size < work && at + 1 < files.length) continue;
    starts.push(at + 1);
    sizes.push(size);
    size = 0;
  }
  const shares = new Uint32Array(new SharedArrayBuffer(starts.length * 4));
  shares.set(starts);
  const order = new Uint32Array(new SharedArrayBuffer(sizes.length * 4));
  order.set(sizes.map((_, share) => share).sort((a, b) => sizes[b]! - sizes[a]! || a - b));
  const sound = new Uint8Array(new SharedArrayBuffer(files.length));
  return { image, options, nids, shares, order, sound, next: new Int32Array(new SharedArrayBuffer(4)) };
}

/** Takes share after share until none is left, and marks the files that are sound. */
export function runLane({ nids, shares, order, sound, next }: CheckJob, image: Image): void {
  for (;;) {
    const at = Atomics.add(next, 0, 1);
    // What is left then is checked within a budget: Check.data() says so.
    if (at >= order.length || image.decodedBytes > image.maxData) return;
    const from = shares[order[at]!]!;
    try {
      const files = Array.from(nids.subarray(from, shares[order[at]! + 1]), (nid) => image.inode(nid));
      const sweep = image.sweep();
      for (const inode of files) sweep.add(inode);
      sweep.flush();
      for (const [i, inode] of files.entries()) sound[from + i] = sweep.failed.has(inode.nid) ? 0 : 1;
    } catch {
      // Check.data() meets it again.
    }
  }
}
