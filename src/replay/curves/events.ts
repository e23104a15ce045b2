import type { ReplayInput } from '../result.ts';
import { TraceBudget } from '../trace/budget.ts';
import { IdInterner } from '../trace/intern.ts';
import { ARROW, type ReadTraceOptions, readTrace } from '../trace/open.ts';
import {
  type FileFacts,
  type MountFacts,
  OP,
  TRACE_OP_NAMES,
  TRACE_OPS,
  type TraceEvent,
  type TraceSink,
} from '../trace/trace.ts';
import { BLOCK, blankBlock, type IdBlock, type IdSource } from './ids.ts';

const DEMAND = TRACE_OP_NAMES.map((name) => TRACE_OPS[name] === 'demand');
/** beyond the numbers of files */
const WIDE = 2 ** 31;

export interface EventSourceOptions extends ReadTraceOptions {
  readonly maxReferences?: number | undefined;
}

/** The references by demand of a trace in any format: a page is its file in the trace's own table and its number there. */
export class EventSource implements IdSource {
  readonly path: string;
  readonly containers: string[] = [];
  unit: 'objects' | 'pages' = 'pages';
  format = '';
  readonly #options: EventSourceOptions;
  /** of the objects' ids, by what {@link read} has made of it; null unless all are objects */
  #high: ((made: number) => number) | null = null;

  constructor(path: string, options: EventSourceOptions) {
    this.path = path;
    this.#options = options;
  }

  async expected(): Promise<{ distinct: number; references: number }> {
    return { distinct: 0, references: 0 };
  }

  async read(take: (block: IdBlock) => void): Promise<ReplayInput[]> {
    this.containers.length = 0;
    const sink = new DemandSink(this.containers, new TraceBudget(this.path, this.#options.maxReferences), take);
    const { sha256, format } = await readTrace(this.path, sink, this.#options);
    sink.flush();
    this.unit = sink.objects ? 'objects' : 'pages';
    this.#high = sink.objects ? sink.highHalves() : null;
    this.format = format?.name ?? ARROW;
    return [{ path: this.path, sha256, kind: 'trace' }];
  }

  objectIds(ids: Uint32Array): Uint32Array | null {
    if (this.#high === null) return null;
    for (let at = 1; at < ids.length; at += 2) ids[at] = this.#high(ids[at]!);
    return ids;
  }
}

class DemandSink implements TraceSink {
  readonly #containers: string[];
  readonly #budget: TraceBudget;
  readonly #take: (block: IdBlock) => void;
  readonly #block = blankBlock();
  /** files whose page numbers are beyond 2^32, by the high half: each a number space of its own */
  readonly #wide = new IdInterner();
  #mounts = 0;
  #files = 0;
  #events = 0;
  /** whether all mounts are of objects */
  objects = false;

  constructor(containers: string[], budget: TraceBudget, take: (block: IdBlock) => void) {
    this.#containers = containers;
    this.#budget = budget;
    this.#take = take;
  }

  facts(): void {}

  container(name: string): number {
    return this.#containers.push(name) - 1;
  }

  mount(mount: MountFacts): number {
    this.objects = mount.ids === 'object' && (this.#mounts === 0 || this.objects);
    return this.#mounts++;
  }

  file(_file: FileFacts): number {
    return this.#files++;
  }

  event(e: TraceEvent): void {
    const event = this.#events++;
    if (!DEMAND[e.op]) return;
    let first = e.page;
    let pages = e.pages;
    if (e.op === OP['fault-around']) {
      if (e.touch < 0) return;
      first += e.touch;
      pages = 1;
    }
    this.#budget.take(pages, event);
    const block = this.#block;
    for (let i = 0; i < pages; i++) {
      const low = first + i;
      const high = e.pageHigh + (low >= 2 ** 32 ? 1 : 0);
      block.low[block.count] = low;
      block.high[block.count] = high === 0 ? e.file : WIDE + this.#wide.intern(e.file, high);
      block.who[block.count] = e.container;
      if (++block.count === BLOCK) this.flush();
    }
  }

  async end(): Promise<void> {}

  async abort(): Promise<void> {}

  /** What was the high half of an id. */
  highHalves(): (made: number) => number {
    const wide = this.#wide.ids();
    return (made) => (made < WIDE ? 0 : wide[2 * (made - WIDE) + 1]!);
  }

  flush(): void {
    if (this.#block.count > 0) this.#take(this.#block);
    this.#block.count = 0;
  }
}
