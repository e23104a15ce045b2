import { extname } from 'node:path';
import { DataError } from '../../error.ts';
import { IdInterner } from './intern.ts';
import { StackDistances } from './stack-distance.ts';
import { type FileFacts, TRACE_OP_NAMES, TRACE_OPS, type TraceFacts, type TraceOp, type TraceReader } from './trace.ts';

/** Pages that somebody asked for. */
export interface Footprint {
  name: string;
  /** page references, by demand */
  references: number;
  /** distinct pages of them */
  pages: number;
}

/** What is in a trace: `trace info`. */
export interface TraceInfo {
  schema: 'foliolab.trace.info/1';
  path: string;
  sha256: string;
  /** false: the recorder was killed, and what it had not written yet is missing */
  whole: boolean;
  /** events that the kernel lost; null if the trace doesn't say */
  lost: number | null;
  facts: TraceFacts;
  end: TraceFacts | null;
  events: number;
  ops: Partial<Record<TraceOp, { events: number; pages: number }>>;
  spanNs: number;
  references: number;
  distinctPages: number;
  files: number;
  mounts: { name: string; image: string | null; files: number }[];
  containers: Footprint[];
  /** by the ending of the path */
  types: Footprint[];
  /** of demand: distances in distinct pages, the page itself included; null if they weren't asked for */
  reuse: { coldShare: number; p10: number; p50: number; p90: number; p99: number; max: number } | null;
}

const DEMAND = TRACE_OP_NAMES.map((name) => TRACE_OPS[name] === 'demand');
const FAULT_AROUND = TRACE_OP_NAMES.indexOf('fault-around');
const MAX_RUN = 2 ** 24;

/**
 * Reads a whole trace. Memory is bounded by distinct pages, and what a container has touched of them.
 * A window whose page is unknown is no reference, as in a replay.
 *
 * @param reuse whether re-use distances are wanted, which take most of the time
 */
export async function traceInfo(reader: TraceReader, reuse: boolean): Promise<TraceInfo> {
  const ops: TraceInfo['ops'] = {};
  const pageIds = new IdInterner();
  const byContainer = new IdInterner();
  const containerRefs: number[] = [];
  const containerPages: number[] = [];
  const typeRefs = new Map<string, Footprint>();
  const typeOf: Footprint[] = [];
  const distances = reuse ? new StackDistances() : null;
  let histogram = new Float64Array(1024);
  let events = 0;
  let references = 0;
  let first = -1;
  let last = 0;
  const counts = TRACE_OP_NAMES.map(() => ({ events: 0, pages: 0 }));
  for await (const b of reader.batches()) {
    if (first < 0 && b.rows > 0) first = b.timeNs[0]!;
    if (b.rows > 0) last = b.timeNs[b.rows - 1]!;
    events += b.rows;
    while (typeOf.length < reader.files.length) typeOf.push(footprintOf(reader.files[typeOf.length]!, typeRefs));
    for (let i = 0; i < b.rows; i++) {
      const op = b.op[i]!;
      const count = counts[op]!;
      count.events++;
      count.pages += b.pages[i]!;
      if (DEMAND[op] !== true) continue;
      let page = b.page[i]!;
      let pages = b.pages[i]!;
      if (op === FAULT_AROUND) {
        if (b.touch[i]! < 0) continue;
        page += b.touch[i]!;
        pages = 1;
      }
      if (pages > MAX_RUN) throw new DataError(reader.path, `row ${b.firstRow + i}: is of ${pages} pages`);
      const file = b.file[i]!;
      const container = b.container[i]!;
      const high = b.pageHigh[i]!;
      const type = typeOf[file]!;
      // An object's id fills 64 bits; there is one file of them then. A page of a file is below 2^32.
      const space = high === 0 || reader.files.length > 1 ? file : high;
      if (high !== 0 && space !== high)
        throw new DataError(reader.path, `row ${b.firstRow + i}: page ${high * 2 ** 32 + page} is beyond 2^32`);
      for (let p = page; p < page + pages; p++) {
        const known = pageIds.size;
        const id = pageIds.intern(p, space);
        references++;
        type.references++;
        if (id === known) type.pages++;
        containerRefs[container] = (containerRefs[container] ?? 0) + 1;
        const had = byContainer.size;
        if (byContainer.intern(id, container) === had) containerPages[container] = (containerPages[container] ?? 0) + 1;
        if (distances === null) continue;
        const distance = distances.reference(id);
        if (distance >= histogram.length) {
          const grown = new Float64Array(Math.max(distance + 1, 2 * histogram.length));
          grown.set(histogram);
          histogram = grown;
        }
        histogram[distance]!++;
      }
    }
  }
  TRACE_OP_NAMES.forEach((name, op) => {
    if (counts[op]!.events > 0) ops[name] = counts[op]!;
  });
  const fileCounts = new Uint32Array(reader.mounts.length);
  for (const { mount } of reader.files) fileCounts[mount]!++;
  const { lost } = reader.endFacts ?? {};
  return {
    schema: 'foliolab.trace.info/1',
    path: reader.path,
    sha256: reader.sha256(),
    whole: reader.endFacts !== null,
    lost: typeof lost === 'number' ? lost : null,
    facts: reader.facts,
    end: reader.endFacts,
    events,
    ops,
    spanNs: Math.max(0, last - Math.max(first, 0)),
    references,
    distinctPages: pageIds.size,
    files: reader.files.length,
    mounts: reader.mounts.map(({ name, image }, i) => ({ name, image: image ?? null, files: fileCounts[i]! })),
    containers: reader.containers.map((name, i) => ({
      name,
      references: containerRefs[i] ?? 0,
      pages: containerPages[i] ?? 0,
    })),
    types: [...typeRefs.values()]
      .filter((type) => type.references > 0)
      .sort((a, b) => b.pages - a.pages || (a.name < b.name ? -1 : 1)),
    reuse: reuse && references > 0 ? summary(histogram, references) : null,
  };
}

/** The type of a file: by the ending of its name, versions of shared libraries put together. */
function footprintOf({ path, type }: FileFacts, known: Map<string, Footprint>): Footprint {
  const name =
    path === undefined
      ? 'unknown'
      : type === 'directory'
        ? 'directory'
        : /\.so(\.[\d.]+)?$/.test(path)
          ? '.so'
          : extname(path).slice(0, 16) || 'no ending';
  let footprint = known.get(name);
  if (footprint === undefined) {
    footprint = { name, references: 0, pages: 0 };
    known.set(name, footprint);
  }
  return footprint;
}

function summary(histogram: Float64Array, references: number): NonNullable<TraceInfo['reuse']> {
  const reused = references - histogram[0]!;
  const quantile = (share: number): number => {
    let below = 0;
    for (let d = 1; d < histogram.length; d++) {
      below += histogram[d]!;
      if (below > 0 && below >= share * reused) return d;
    }
    return 0;
  };
  let max = histogram.length - 1;
  while (max > 0 && histogram[max] === 0) max--;
  return {
    coldShare: histogram[0]! / references,
    p10: quantile(0.1),
    p50: quantile(0.5),
    p90: quantile(0.9),
    p99: quantile(0.99),
    max,
  };
}
