import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { Check, type CheckFault, type CheckResult } from './check.ts';
import { Image, type OpenOptions } from './image.ts';

/** The files of an image, shared by the threads (lanes) that decode them. */
export interface CheckJob {
  readonly image: string;
  readonly options: OpenOptions & { readonly devices?: readonly string[] };
  readonly nids: Float64Array;
  /** places in `nids`, the largest file first, so that the lanes end together */
  readonly order: Uint32Array;
  /** a byte a file: 1 when it was decoded without a fault */
  readonly sound: Uint8Array;
  /** one number: where in `order` the next file is */
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

/** Workers run the compiled module; from the TypeScript sources, as in unit tests, everything stays in this thread. */
const COMPILED = import.meta.url.endsWith('.js');

/** As {@link checkImage}, with the files divided over several threads. The result doesn't tell how many. */
export async function checkImageFile(path: string, options: CheckOptions = {}): Promise<CheckResult> {
  const { jobs, onFault = () => {}, ...open } = options;
  const image = Image.open(path, open);
  const lanes = jobs ?? Math.min(availableParallelism(), 1 + Math.floor(image.size / WORTH_A_WORKER));
  const workers = Array.from(
    { length: COMPILED ? Math.min(lanes, MAX_LANES) - 1 : 0 },
    () => new Worker(new URL('./check-worker.js', import.meta.url)),
  );
  // A lane that fails leaves its files to be decoded again by this thread, which says why.
  const ends = workers.map((worker) => new Promise((resolve) => worker.on('error', () => {}).once('exit', resolve)));
  try {
    const check = new Check(image, onFault);
    check.metadata();
    // What may be beyond the bound is decoded by one, in order, so that the same is left out every time.
    const claimed = check.files.reduce((sum, { inode }) => sum + inode.size, 0);
    if (workers.length === 0 || claimed > image.maxData) return check.data(() => false);
    const job = checkJob(path, open, check);
    for (const worker of workers) worker.postMessage(job);
    runLane(job, image);
    await Promise.all(ends);
    return check.data((file) => job.sound[file] === 1);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
    image.close();
  }
}

function checkJob(image: string, options: CheckJob['options'], { files }: Check): CheckJob {
  const nids = new Float64Array(new SharedArrayBuffer(files.length * 8));
  nids.set(files.map(({ inode }) => inode.nid));
  const order = new Uint32Array(new SharedArrayBuffer(files.length * 4));
  order.set(files.map((_, at) => at).sort((a, b) => files[b]!.inode.size - files[a]!.inode.size || a - b));
  const sound = new Uint8Array(new SharedArrayBuffer(files.length));
  return { image, options, nids, order, sound, next: new Int32Array(new SharedArrayBuffer(4)) };
}

/** Takes file after file until none is left, and marks those that are sound. */
export function runLane({ nids, order, sound, next }: CheckJob, image: Image): void {
  for (;;) {
    const at = Atomics.add(next, 0, 1);
    if (at >= order.length) return;
    const file = order[at]!;
    try {
      image.verify(image.inode(nids[file]!));
      sound[file] = 1;
    } catch {
      // Check.data() meets it again.
    }
  }
}
