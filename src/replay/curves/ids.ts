import type { ReplayInput } from '../result.ts';

/** References as they are read: 64-bit ids in halves, and who asked. The arrays are good until the next block. */
export interface IdBlock {
  readonly count: number;
  readonly low: Uint32Array;
  readonly high: Uint32Array;
  /** number of the container */
  readonly who: Uint32Array;
}

/** Where references come from. It can be read more than once. */
export interface IdSource {
  /** for errors, and to name a result after */
  readonly path: string;
  /** Known once it has been read, as the two below. */
  readonly unit: 'objects' | 'pages';
  readonly containers: readonly string[];
  readonly format: string;
  /** How large tables should be: distinct ids, a guess, and references at most; 0 where nobody can say cheaply. */
  expected(): Promise<{ distinct: number; references: number }>;
  /** @returns the files read. @throws DataError, or whatever `take` throws */
  read(take: (block: IdBlock) => void): Promise<ReplayInput[]>;
  /**
   * The ids that objects have in the trace, of which {@link read} may make others so that no two are alike. The argument is used up.
   * @param ids low and high half of each, as they were read
   * @returns null if what was read are pages of files, which have none
   */
  objectIds(ids: Uint32Array): Uint32Array | null;
}

/** References in a block. */
export const BLOCK = 1 << 16;

/** A block to be filled. */
export function blankBlock(): { count: number; low: Uint32Array; high: Uint32Array; who: Uint32Array } {
  return { count: 0, low: new Uint32Array(BLOCK), high: new Uint32Array(BLOCK), who: new Uint32Array(BLOCK) };
}

/** 32 bits that are spread evenly whatever the ids: MurmurHash3's finalizer over both halves. Sampling compares it with a threshold. */
export function spatialHash(low: number, high: number): number {
  let h = low ^ Math.imul(high ^ (high >>> 16), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
