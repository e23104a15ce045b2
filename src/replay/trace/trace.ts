/**
 * What a trace holds, whatever its format: events, and the tables of containers, mounts and files that events name by number.
 * A format's reader pushes it into a {@link TraceSink}; a format's writer is one. traces/FORMAT.md describes it to users.
 */
export const TRACE_SCHEMA = 'foliolab.trace/1';

/**
 * Operations, as they are named in a trace. Demand: what a program asked for. Fill: what the kernel did to its page cache. Aside: parts of
 * another event and diagnostics, which count as nothing.
 */
export const TRACE_OPS = {
  /** buffered read, clipped to the end of file */
  read: 'demand',
  /** a page touched by a fault that filemap_fault() handled */
  fault: 'demand',
  /** a fault-around window mapped from the cache; `touch` is the page that was wanted, when it is known */
  'fault-around': 'demand',
  write: 'demand',
  /** pages put into the page cache, and taken out of it */
  fill: 'fill',
  drop: 'fill',
  /** pages that were cached when the recording began, and when it ended, as mincore(2) or cachestat(2) showed them */
  'cached-before': 'state',
  'cached-after': 'state',
  /** the rest of the read before it, a read past the end of file, a `fault` that the kernel took up again, mappings that belong to one */
  'read-rest': 'aside',
  'read-nothing': 'aside',
  'fault-again': 'aside',
  'map-after-fault': 'aside',
  'map-before-fault': 'aside',
  /** readahead that was asked for, synchronously or not, and issued, with or without a window; what EROFS read */
  'readahead-sync': 'aside',
  'readahead-async': 'aside',
  'readahead-window': 'aside',
  'readahead-unbounded': 'aside',
  'erofs-readahead': 'aside',
  'erofs-read-folio': 'aside',
} as const;

export type TraceOp = keyof typeof TRACE_OPS;

/** By number, as events have it. */
export const TRACE_OP_NAMES = Object.keys(TRACE_OPS) as readonly TraceOp[];

/** The number of an operation. */
export const OP = Object.fromEntries(TRACE_OP_NAMES.map((name, number) => [name, number])) as Readonly<
  Record<TraceOp, number>
>;

/** A mounted filesystem, or what stands for one in another format: a volume, an image, a name space of objects. */
export interface MountFacts {
  /** the trace's own name for it */
  readonly name: string;
  /** how the numbers of its files are to be understood; `inode` unless said */
  readonly ids?: 'inode' | 'path' | 'object' | 'block';
  /** file name of the image, without folder, and its SHA-256 */
  readonly image?: string;
  readonly imageSha256?: string;
  /** file name of its index, beside the trace */
  readonly index?: string;
  readonly fstype?: string;
  /** the superblock's options, as /proc/self/mountinfo has them */
  readonly options?: string;
  /** what it lies on: a regular file, or a block device */
  readonly backing?: 'file' | 'block';
  readonly readAheadKb?: number;
}

/** A file of a mount. What a format doesn't know is left out. */
export interface FileFacts {
  /** number in the trace's table of mounts */
  readonly mount: number;
  /** inode number as the kernel shows it; EROFS: the nid */
  readonly ino?: number;
  readonly path?: string;
  readonly sizeBytes?: number;
  readonly type?: 'file' | 'directory' | 'symlink' | 'other';
}

/** What a recording says of itself and of the machine. */
export type TraceFacts = Readonly<Record<string, unknown>>;

/** One event: a run of pages of one file. */
export interface TraceEvent {
  /** nanoseconds since the trace's beginning, below 2^53 */
  timeNs: number;
  /** see {@link OP} */
  op: number;
  /** numbers in the trace's tables */
  container: number;
  file: number;
  /** first page (file offset >> 12), or an object's id: the low and the high 32 bits */
  page: number;
  pageHigh: number;
  /** pages in the run */
  pages: number;
  /** fault-around: which page of the run was wanted, from 0; −1 if unknown or not applicable */
  touch: number;
  /** bytes asked for, or an object's size; 0 if unknown */
  bytes: number;
  /** id of the thread, 0 if unknown */
  task: number;
}

/** An event of nothing, to be filled in and pushed again and again. */
export function blankEvent(): TraceEvent {
  return {
    timeNs: 0,
    op: 0,
    container: 0,
    file: 0,
    page: 0,
    pageHigh: 0,
    pages: 1,
    touch: -1,
    bytes: 0,
    task: 0,
  };
}

/** Where a trace goes. Calls come in the trace's order: facts, then tables' entries ahead of the events that name them, then the end. */
export interface TraceSink {
  /** Of the trace: its source, the machine. Before the first event. */
  facts(facts: TraceFacts): void;
  /** @returns the number of the container */
  container(name: string): number;
  /** @returns the number of the mount */
  mount(mount: MountFacts): number;
  /** @returns the number of the file */
  file(file: FileFacts): number;
  /** The event is copied. Times don't decrease. @throws DataError where the sink's format can't say it */
  event(event: TraceEvent): void;
  /** The trace is whole. @param facts what is known only now: loss, counts */
  end(facts: TraceFacts): Promise<void>;
  /** The trace isn't: leaves nothing behind, unless what is there is worth having. */
  abort(): Promise<void>;
}

/** The number of a 64-bit page or object id, where it can be one. */
export function wholePage(event: TraceEvent): number {
  return event.pageHigh * 2 ** 32 + event.page;
}

/** Events as columns. All arrays have `rows` entries, and perhaps more behind them, and are good until the next batch is asked for. */
export interface TraceBatch {
  /** number of its first event's row in the trace, for errors */
  readonly firstRow: number;
  readonly rows: number;
  readonly timeNs: Float64Array;
  readonly op: Uint8Array;
  readonly container: Uint32Array;
  readonly file: Uint32Array;
  readonly page: Uint32Array;
  readonly pageHigh: Uint32Array;
  readonly pages: Uint32Array;
  readonly touch: Int32Array;
  readonly bytes: Uint32Array;
  readonly task: Int32Array;
}

/** A trace in its own format. The tables grow while it is read, ahead of the events that name their entries. */
export interface TraceReader {
  readonly path: string;
  readonly containers: readonly string[];
  readonly mounts: readonly MountFacts[];
  readonly files: readonly FileFacts[];
  readonly facts: TraceFacts;
  /** what the end of the trace says; null as long as it isn't reached, or if there is none: the recorder was killed */
  readonly endFacts: TraceFacts | null;
  /** Events in order. */
  batches(): AsyncGenerator<TraceBatch>;
  /** SHA-256 of the file, once every batch has been read. */
  sha256(): string;
}
