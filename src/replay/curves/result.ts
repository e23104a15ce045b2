import type { ReplayInput } from '../result.ts';
import type { RefaultBin } from './refault-distance.ts';
import type { WorkingSet } from './working-set.ts';

/** Miss-ratio curves, `foliolab.mrc/1`. All cells are plain numbers. */
export const MRC_SCHEMA = 'foliolab.mrc/1';

/**
 * How misses were counted. Exact: by running the policy, or for all sizes at once by stack distances. Estimated: from the stack distances of a sample,
 * or by running the policy in miniature.
 */
export type Method = 'simulation' | 'stack-distances' | 'shards' | 'miniature-simulation';

export interface MrcRow {
  policy: string;
  /** objects or pages */
  size: number;
  /** references counted */
  requests: number;
  /** of a sample an estimate */
  misses: number;
  missRatio: number;
  method: Method;
  /** null: all containers share the cache; else this one has it to itself */
  container: string | null;
  refaultDistances?: RefaultBin[];
}

/** A miss ratio at a size. */
export interface CurvePoint {
  size: number;
  missRatio: number;
}

/** How far estimated miss ratios are from exact ones. */
export interface SampleError {
  policy: string;
  meanAbsoluteError: number;
  maxAbsoluteError: number;
  /** how many sizes were compared; of lru and opt they divide the footprint evenly, of others they are the rows' */
  sizes: number;
}

export interface MrcResult {
  schema: typeof MRC_SCHEMA;
  title: string;
  command: string;
  versions: { foliolab: string; node: string };
  inputs: ReplayInput[];
  parameters: Record<string, unknown>;
  notes: string[];
  trace: {
    path: string;
    format: string;
    unit: 'objects' | 'pages';
    /** counted, after the warm-up */
    requests: number;
    /** distinct ones; of a sample an estimate */
    footprint: number;
    /** misses of a cache without limit; of a sample an estimate */
    coldMisses: number;
    containers: string[];
  };
  sample: {
    method: 'fixed-rate' | 'fixed-size';
    /** share of the ids that was sampled; of fixed size, the share at the end */
    rate: number;
    /** null: exact was too dear to be compared with */
    errors: SampleError[] | null;
  } | null;
  rows: MrcRow[];
  /** What no policy can be below: OPT, and of an unlimited cache the misses that remain. */
  bounds: { opt: CurvePoint[] | null; coldMissRatio: number };
  workingSet: WorkingSet | null;
}
