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
  /** continuation of the read before it, a read of nothing, and mappings that belong to a `fault`: not accesses of their own */
  'read+': 'skip',
  read0: 'skip',
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
  /** line or row in the (decompressed) file */
  line: number;
}

/** What a trace says of itself ahead of its rows. */
export interface TraceHeader {
  /** images by mount id: names of files beside the trace that may be its index or the image itself, and the hash of the image that ran */
  mounts: Map<string, { beside: readonly string[]; imageSha256: string | null; line: number }>;
}
