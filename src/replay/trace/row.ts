import { DataError } from '../../error.ts';
import { TRACE_OP_NAMES, type TraceOp } from './trace.ts';

/** Demand operations: what a program asked for. Fill operations: what the kernel did to the page cache. */
export const OPS = {
  /** buffered read, clipped to the end of file */
  read: 'demand',
  /** a page touched by a fault that filemap_fault() handled */
  fault: 'demand',
  /** a fault-around window mapped from the cache; `touch` is the page that was wanted, when it is known */
  map: 'demand',
  add: 'fill',
  del: 'fill',
  /** continuation of the read before it, a read of nothing, a `fault` taken up again, and mappings that belong to one: not accesses of their own */
  'read+': 'skip',
  read0: 'skip',
  'fault+': 'skip',
  mapr: 'skip',
  mapf: 'skip',
  /** readahead requests and windows, EROFS fills: diagnostics of the recorded kernel */
  ra_s: 'skip',
  ra_a: 'skip',
  ra_o: 'skip',
  ra_u: 'skip',
  ero: 'skip',
  erf: 'skip',
} as const;

export type Op = keyof typeof OPS;

/** What an operation is to a replay. What was cached when the recording began was put in before. */
const OPS_OF: Readonly<Record<TraceOp, Op | null>> = {
  read: 'read',
  fault: 'fault',
  'fault-around': 'map',
  write: 'read',
  fill: 'add',
  drop: 'del',
  'cached-before': 'add',
  'cached-after': null,
  'read-rest': 'read+',
  'read-nothing': 'read0',
  'fault-again': 'fault+',
  'map-after-fault': 'mapr',
  'map-before-fault': 'mapf',
  'readahead-sync': 'ra_s',
  'readahead-async': 'ra_a',
  'readahead-window': 'ra_o',
  'readahead-unbounded': 'ra_u',
  'erofs-readahead': 'ero',
  'erofs-read-folio': 'erf',
};
/** By number; null: it is no row. */
export const ROW_OPS: readonly (Op | null)[] = TRACE_OP_NAMES.map((name) => OPS_OF[name]);

/** One row of a trace: a run of pages of one file. */
export interface TraceRow {
  timeNs: number;
  container: string;
  /** mount id, the trace's own name for a superblock */
  mount: string;
  /** EROFS nid, as the kernel reports it in i_ino; −1 where the trace names files by path */
  nid: number;
  /** path in the image, where there is no nid */
  filePath?: string;
  op: Op;
  pageIndex: number;
  pageCount: number;
  /** page index touched within the run, −1 when unknown or not applicable */
  touch: number;
  /** bytes that were asked for, 0 unknown */
  bytes: number;
  /** id of the thread, 0 unknown */
  task: number;
  /** `add`: the pages were there when the recording began */
  before: boolean;
  /** line or row in the (decompressed) file */
  line: number;
}

/** What a trace says of itself ahead of its rows. */
export interface TraceHeader {
  /** images by mount id: names of files beside the trace that may be its index or the image itself, and the hash of the image that ran */
  mounts: Map<
    string,
    { beside: readonly string[]; imageSha256: string | null; readAheadKb: number | null; line: number }
  >;
  /** false: reads are as they were asked for, and may reach past the end of the file */
  readsClipped?: boolean;
}

/** A row that can't be about the image its mount is bound to. */
export function otherImage(
  { path, unit }: { readonly path: string; readonly unit: string },
  { line, mount }: TraceRow,
  what: string,
): DataError {
  return new DataError(path, `${unit} ${line}: ${what}: mount '${mount}' did not run this image`);
}
