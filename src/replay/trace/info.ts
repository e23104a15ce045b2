import { extname } from 'node:path';
import { DataError } from '../../error.ts';
import type { TraceBudget } from './budget.ts';
import { grown, IdInterner } from './intern.ts';
import { StackDistances } from './stack-distance.ts';
import {
  type FileFacts,
  type MountFacts,
  OP,
  TRACE_OP_NAMES,
  TRACE_OPS,
  type TraceEvent,
  type TraceFacts,
  type TraceOp,
  type TraceSink,
} from './trace.ts';

/** Pages that somebody asked for. */
export interface Footprint {
  name: string;
  /** page references, by demand */
  references: number;
  /** distinct pages of them */
  pages: number;
}

/** Of demand: distances in distinct pages, the page itself included, so that LRU of that many frames hits. */
export interface ReuseSummary {
  /** share of the references that are a page's first */
  coldShare: number;
  /** of the other references: that share has at most this distance */
  p10: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
  /** references of distance `from` … 2 × from − 1 */
  histogram: { from: number; references: number }[];
}

/** What is in a trace: `trace info`. */
export interface TraceInfo {
  schema: 'foliolab.trace.info/1';
  path: string;
  /** of the file as it lies there */
  sha256: string;
  /** name of its format */
  format: string;
  /** false: its recorder was killed or what it was made of ends too early; null: its format can't say */
  whole: boolean | null;
  /** events that the kernel lost; null if the trace doesn't say */
  lost: number | null;
  /** records that can't be read, left out under --skip-bad */
  skippedRecords: number;
  facts: TraceFacts;
  end: TraceFacts | null;
  events: number;
  ops: Partial<Record<TraceOp, { events: number; pages: number }>>;
  spanNs: number;
  references: number;
  distinctPages: number;
  files: number;
  mounts: {
    name: string;
    /** what its files are named by, and what is counted as pages: objects may be of any size */
    ids: NonNullable<MountFacts['ids']>;
    image: string | null;
    imageSha256: string | null;
    files: number;
  }[];
  containers: Footprint[];
  /** by the ending of the path */
  types: Footprint[];
  /** null if they weren't asked for, or there is no reference */
  reuse: ReuseSummary | null;
}

const DEMAND = TRACE_OP_NAMES.map((name) => TRACE_OPS[name] === 'demand');
/** Pages of a container's bitmap that are kept together, as a power of two. */
const BLOCK_BITS = 8;
const BLOCK_WORDS = (1 << BLOCK_BITS) / 32;
/** beyond the numbers of files */
const WIDE = 2 ** 31;

/**
 * Adds up a trace. Memory: of each distinct page some 60 bytes, 100 with distances; of each page of each container a bit to 100 bytes,
 * as they lie together or not; and the tables. A window whose page is unknown is no reference, as in a replay.
 */
export class TraceSummary implements TraceSink {
  readonly #budget: TraceBudget;
  readonly #distances: StackDistances | null;
  readonly #counts = TRACE_OP_NAMES.map(() => ({ events: 0, pages: 0 }));
  readonly #pages = new IdInterner();
  /** files whose page numbers are beyond 2^32, by the high half: each a number space of its own */
  readonly #wide = new IdInterner();
  readonly #blocks = new IdInterner();
  #bitmap = new Uint32Array(64 * BLOCK_WORDS);
  #histogram = new Float64Array(1024);
  #facts: TraceFacts = {};
  readonly #containers: Footprint[] = [];
  readonly #mounts: MountFacts[] = [];
  #mountFiles: number[] = [];
  readonly #types = new Map<string, Footprint>();
  /** by file */
  readonly #typeOf: Footprint[] = [];
  #events = 0;
  #references = 0;
  #firstNs = -1;
  #lastNs = 0;

  /** @param reuse whether re-use distances are wanted, which take half of the time */
  constructor(budget: TraceBudget, reuse: boolean) {
    this.#budget = budget;
    this.#distances = reuse ? new StackDistances() : null;
  }

  facts(facts: TraceFacts): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  container(name: string): number {
    return this.#containers.push({ name, references: 0, pages: 0 }) - 1;
  }

  mount(mount: MountFacts): number {
    this.#mountFiles.push(0);
    return this.#mounts.push(mount) - 1;
  }

  file(file: FileFacts): number {
    this.#mountFiles[file.mount]!++;
    return this.#typeOf.push(typeOf(file, this.#types)) - 1;
  }

  event(e: TraceEvent): void {
    if (this.#firstNs < 0) this.#firstNs = e.timeNs;
    this.#lastNs = e.timeNs;
    const count = this.#counts[e.op]!;
    count.events++;
    count.pages += e.pages;
    this.#events++;
    if (!DEMAND[e.op]) return;
    if (e.op !== OP['fault-around']) this.#run(e, e.page, e.pages);
    else if (e.touch >= 0) this.#run(e, e.page + e.touch, 1);
  }

  async end(_facts: TraceFacts): Promise<void> {}

  async abort(): Promise<void> {}

  /** @param of what its reader knows */
  result(of: {
    format: string;
    sha256: string;
    end: TraceFacts | null | undefined;
    skippedRecords: number;
  }): TraceInfo {
    const counts = this.#counts;
    const ops: TraceInfo['ops'] = {};
    TRACE_OP_NAMES.forEach((name, op) => {
      if (counts[op]!.events > 0) ops[name] = counts[op]!;
    });
    const end = of.end ?? null;
    return {
      schema: 'foliolab.trace.info/1',
      path: this.#budget.path,
      sha256: of.sha256,
      format: of.format,
      whole: of.end === undefined ? null : end !== null && end.incomplete !== true,
      lost: typeof end?.lost === 'number' ? end.lost : null,
      skippedRecords: of.skippedRecords,
      facts: this.#facts,
      end,
      events: this.#events,
      ops,
      spanNs: this.#lastNs - Math.max(this.#firstNs, 0),
      references: this.#references,
      distinctPages: this.#pages.size,
      files: this.#typeOf.length,
      mounts: this.#mounts.map(({ name, ids, image, imageSha256 }, i) => ({
        name,
        ids: ids ?? 'inode',
        image: image ?? null,
        imageSha256: imageSha256 ?? null,
        files: this.#mountFiles[i]!,
      })),
      containers: this.#containers,
      types: [...this.#types.values()]
        .filter((type) => type.references > 0)
        .sort((a, b) => b.pages - a.pages || b.references - a.references || (a.name < b.name ? -1 : 1)),
      reuse: this.#distances !== null && this.#references > 0 ? reuseOf(this.#histogram, this.#references) : null,
    };
  }

  /** A run of references. */
  #run(e: TraceEvent, first: number, pages: number): void {
    this.#budget.take(pages, this.#events - 1);
    this.#references += pages;
    this.#containers[e.container]!.references += pages;
    const type = this.#typeOf[e.file]!;
    type.references += pages;
    let high = e.pageHigh;
    let low = first;
    for (let left = pages; left > 0; ) {
      if (low >= 2 ** 32) {
        low -= 2 ** 32;
        high++;
      }
      if (high >= 2 ** 32)
        throw new DataError(this.#budget.path, `event ${this.#events - 1}: its pages run beyond 2^64`);
      const here = Math.min(left, 2 ** 32 - low);
      const known = this.#pages.size;
      this.#pagesOf(e.container, high === 0 ? e.file : WIDE + this.#wide.intern(e.file, high), low, low + here);
      type.pages += this.#pages.size - known;
      this.#budget.distinct(this.#pages.size, this.#events - 1);
      low += here;
      left -= here;
    }
  }

  #pagesOf(container: number, space: number, first: number, end: number): void {
    const ids = this.#pages;
    const distances = this.#distances;
    const footprint = this.#containers[container]!;
    let blockAt = -1;
    let at = 0;
    for (let page = first; page < end; page++) {
      const id = ids.intern(page, space);
      if (id >>> BLOCK_BITS !== blockAt) {
        blockAt = id >>> BLOCK_BITS;
        at = this.#blocks.intern(blockAt, container) * BLOCK_WORDS;
        if (at >= this.#bitmap.length) this.#bitmap = grown(this.#bitmap, at + BLOCK_WORDS - 1);
      }
      const word = at + ((id >>> 5) % BLOCK_WORDS);
      const bit = 1 << (id & 31);
      if ((this.#bitmap[word]! & bit) === 0) {
        this.#bitmap[word]! |= bit;
        footprint.pages++;
      }
      if (distances === null) continue;
      const distance = distances.reference(id);
      if (distance >= this.#histogram.length) this.#histogram = grown(this.#histogram, distance);
      this.#histogram[distance]!++;
    }
  }
}

/** The type of a file: by the ending of its name, versions of shared libraries put together. */
function typeOf({ path, type }: FileFacts, known: Map<string, Footprint>): Footprint {
  const name = type === 'directory' ? 'directory' : path === undefined ? 'unknown' : ending(path);
  let footprint = known.get(name);
  if (footprint === undefined) {
    footprint = { name, references: 0, pages: 0 };
    known.set(name, footprint);
  }
  return footprint;
}

function ending(path: string): string {
  if (/\.so(\.[\d.]+)?$/.test(path)) return '.so';
  const end = extname(path);
  return end.length > 1 && end.length <= 16 ? end : 'no ending';
}

/** @param histogram references by distance, the first ones at 0 */
function reuseOf(histogram: Float64Array, references: number): ReuseSummary {
  const again = references - histogram[0]!;
  const quantile = (share: number): number => {
    let below = 0;
    for (let d = 1; d < histogram.length; d++) {
      below += histogram[d]!;
      if (below > 0 && below >= share * again) return d;
    }
    return 0;
  };
  let max = histogram.length - 1;
  while (max > 0 && histogram[max] === 0) max--;
  const powers: ReuseSummary['histogram'] = [];
  for (let from = 1; from <= max; from *= 2) {
    let sum = 0;
    for (let d = from; d < Math.min(2 * from, max + 1); d++) sum += histogram[d]!;
    powers.push({ from, references: sum });
  }
  return {
    coldShare: histogram[0]! / references,
    p10: quantile(0.1),
    p50: quantile(0.5),
    p90: quantile(0.9),
    p99: quantile(0.99),
    max,
    histogram: powers,
  };
}
