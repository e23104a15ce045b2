/**
 * The result of a replay, `foliolab.replay/1`. Every exporter in report/ reads this and nothing else, so any result can be
 * rendered again from its JSON. All cells are plain numbers; pages are 4 KiB pages of regular-file data.
 */
export const REPLAY_SCHEMA = 'foliolab.replay/1';

export const PAGE_SIZE = 4096;

export interface ReplayInput {
  /** As it was given on the command line. */
  path: string;
  sha256: string;
  /** What the file is: a trace, an image, an index of an image, a domains file. */
  kind: 'trace' | 'image' | 'index' | 'domains' | 'truth';
}

export interface ContainerRow {
  name: string;
  /** Page accesses (from=demand) or pages filled (from=fills) by this container. */
  references: number;
  misses: number;
  /** Distinct pages (identities) the container referenced during the run. */
  usedPages: number;
  /** Those of usedPages that at least one other container referenced too. */
  sharedPages: number;
  /** Pages resident at the end whose first toucher was this container: what memcg charges to it. */
  chargedPages: number;
}

export interface SeriesPoint {
  timeNs: number;
  residentPages: number;
}

export interface ReplayRow {
  /** Which set of containers was replayed, e.g. `redis a1+b1`; one value per replay. */
  workload: string;
  /** demand: what programs asked for. fills: what the recorded kernel put into the cache. */
  from: 'demand' | 'fills';
  sharing: string;
  policy: string;
  /** null: unlimited memory. */
  capacityPages: number | null;
  /** The memory size as it was asked for: `unlimited`, `64MiB`, `0.1`. */
  memory: string;
  references: number;
  hits: number;
  misses: number;
  /** Misses on pages never cached before. */
  coldMisses: number;
  /** Misses on pages that had been cached and evicted. */
  refaults: number;
  evictions: number;
  /** Distinct pages over the whole run, whatever the capacity. */
  footprintPages: number;
  peakPages: number;
  /** Cached at the end. */
  residentPages: number;
  missRatio: number;
  hitRatio: number;
  /** (per-inode residentPages at the end − residentPages) × 4096, same workload, policy and capacity; 0 where both fill a limited memory. */
  bytesSavedVsPerInode: number;
  /** Mounts (separate superblocks) in the workload: sharing between them saves at most 1 − 1/mounts. */
  mounts: number;
  containers: ContainerRow[];
  series?: SeriesPoint[];
}

/** What the real kernel had cached, for comparison: read from a recorded page set (mincore), never computed. */
export interface TruthRow {
  workload: string;
  /** The sharing design the kernel ran, e.g. `hardlink` for one merged image. */
  sharing: string;
  residentPages: number;
  /** Where the figure comes from. */
  source: string;
}

export interface ReplayResult {
  schema: typeof REPLAY_SCHEMA;
  title: string;
  /** The command line that makes this result again. */
  command: string;
  versions: { foliolab: string; node: string };
  inputs: ReplayInput[];
  parameters: Record<string, unknown>;
  /** Sentences a reader must know: fingerprints computed, rows skipped, designs left out and why. */
  notes: string[];
  rows: ReplayRow[];
  truth?: TruthRow[];
}
