import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { DataBudget, type Image, type Inode } from '../../erofs/index.ts';
import { located } from '../../error.ts';
import { PAGE_SIZE } from '../result.ts';
import { FileDigest } from './file-digest.ts';

/**
 * What is to be digested of one image, and the digests: shared by the threads that do it (lanes). A unit is a file as it is on disk (the image
 * itself, its devices) or a file in the image. Each has its own place in the results, so which lane did it leaves no trace in them.
 */
export interface DigestJob {
  readonly image: string;
  readonly devices: readonly string[];
  /** files as they are on disk: the units before those of `nids` */
  readonly paths: readonly string[];
  /** files in the image, one unit each */
  readonly nids: Float64Array;
  /** units, the largest first, so that the lanes end together */
  readonly order: Uint32Array;
  /** 32 bytes a unit */
  readonly sha256: Uint8Array;
  /** first page of each file in `pages`; one value more than there are files */
  readonly firstPage: Uint32Array;
  /** 8 bytes a page: the first 8 of the SHA-256 of the page padded with zeroes */
  readonly pages: Uint8Array;
  /** FRESH, DONE or ELF, a byte a unit */
  readonly state: Uint8Array;
  readonly control: Int32Array;
}

// DigestJob.state
const FRESH = 0;
const DONE = 1;
/** done, and its content begins like an ELF file */
const ELF = 2;

// DigestJob.control: where in `order` the next unit is, and the lowest unit that failed.
const NEXT = 0;
const FAILED = 1;

const READ_BYTES = 1 << 20;

/** @param paths files to hash as they are; @param files in the image, those that they are */
export function digestJob(
  image: string,
  devices: readonly string[],
  paths: readonly { path: string; size: number }[],
  files: readonly Inode[],
): DigestJob {
  const sizes = [...paths.map(({ size }) => size), ...files.map(({ size }) => size)];
  const order = new Uint32Array(shared(sizes.length * 4));
  order.set(sizes.map((_, unit) => unit).sort((a, b) => sizes[b]! - sizes[a]! || a - b));
  const nids = new Float64Array(shared(files.length * 8));
  nids.set(files.map(({ nid }) => nid));
  const firstPage = new Uint32Array(shared((files.length + 1) * 4));
  files.forEach(({ size }, at) => {
    firstPage[at + 1] = firstPage[at]! + Math.ceil(size / PAGE_SIZE);
  });
  const control = new Int32Array(shared(8));
  control[FAILED] = 2 ** 31 - 1;
  return {
    image,
    devices,
    paths: paths.map(({ path }) => path),
    nids,
    order,
    firstPage,
    sha256: new Uint8Array(shared(sizes.length * 32)),
    pages: new Uint8Array(shared(firstPage[files.length]! * 8)),
    state: new Uint8Array(shared(sizes.length)),
    control,
  };
}

/** Takes unit after unit until none is left. One that fails is left undone, and so are those behind it: {@link finish} throws its error. */
export function runLane(job: DigestJob, image: Image): void {
  const { order, control } = job;
  const budget = new DataBudget(image);
  for (;;) {
    const at = Atomics.add(control, NEXT, 1);
    if (at >= order.length) return;
    const unit = order[at]!;
    if (unit > Atomics.load(control, FAILED)) continue;
    try {
      digestUnit(job, image, unit, budget);
    } catch {
      lower(control, unit);
    }
  }
}

/**
 * Does what the lanes left undone, in order: the first unit that failed fails again here, so that the error is the same, and of the same
 * class, whatever the number of lanes. A lane that came to grief by itself costs only time.
 */
export function finish(job: DigestJob, image: Image): void {
  const budget = new DataBudget(image);
  for (let unit = 0; unit < job.state.length; unit++)
    if (job.state[unit] === FRESH) digestUnit(job, image, unit, budget);
}

export function sha256Of(job: DigestJob, unit: number): Uint8Array {
  return job.sha256.subarray(unit * 32, (unit + 1) * 32);
}

/** Digests of the pages of the `file`th of the files. */
export function pagesOf({ firstPage, pages }: DigestJob, file: number): Uint8Array {
  return pages.subarray(firstPage[file]! * 8, firstPage[file + 1]! * 8);
}

/** Whether the `file`th of the files begins like an ELF file. */
export function isElf({ state, paths }: DigestJob, file: number): boolean {
  return state[paths.length + file] === ELF;
}

/** @param budget of what a lane decodes: the sizes of the files are known to be within it, but not the pclusters of their fragments */
function digestUnit(job: DigestJob, image: Image, unit: number, budget: DataBudget): void {
  const { paths, nids, state } = job;
  if (unit < paths.length) {
    job.sha256.set(hashFileSync(paths[unit]!), unit * 32);
    state[unit] = DONE;
    return;
  }
  const file = unit - paths.length;
  budget.take(nids[file]!, 0);
  const { sha256, elf } = digestFile(image, image.inode(nids[file]!), pagesOf(job, file));
  job.sha256.set(sha256, unit * 32);
  state[unit] = elf ? ELF : DONE;
}

/** Decodes a file once, for its SHA-256 and those of its pages, of which `pages` takes 8 bytes each. */
function digestFile(image: Image, inode: Inode, pages: Uint8Array): { sha256: Uint8Array; elf: boolean } {
  const digest = new FileDigest(pages);
  for (const chunk of image.stream(inode)) digest.update(chunk);
  const sha256 = digest.end();
  return { sha256, elf: digest.elf };
}

function hashFileSync(path: string): Uint8Array {
  const sum = createHash('sha256');
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  try {
    const fd = openSync(path, 'r');
    try {
      for (;;) {
        const length = readSync(fd, buffer, 0, buffer.length, null);
        if (length === 0) return sum.digest();
        sum.update(buffer.subarray(0, length));
      }
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw located(path, error);
  }
}

function lower(control: Int32Array, unit: number): void {
  for (let known = Atomics.load(control, FAILED); unit < known; ) {
    const before = Atomics.compareExchange(control, FAILED, known, unit);
    if (before === known) return;
    known = before;
  }
}

function shared(bytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(bytes);
}
