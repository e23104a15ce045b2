import { type EvictionPolicy, HIT } from '../../policies/index.ts';

/** A power of two and how many refaults had a distance from it to below its double. */
export interface RefaultBin {
  readonly from: number;
  readonly refaults: number;
}

/**
 * Replays like a replay loop, and measures refault distances as mm/workingset.c understands them: how many pages were evicted after a page
 * until it was missed again, itself included. A cache larger by that many pages would perhaps have kept it.
 */
export class RefaultMeter {
  readonly #policy: EvictionPolicy;
  /** evictions before a page's own, + 1; 0: never evicted */
  readonly #evictedAt: Float64Array;
  readonly #bins = new Float64Array(54);
  #evictions = 0;

  constructor(policy: EvictionPolicy, universe: number) {
    this.#policy = policy;
    this.#evictedAt = new Float64Array(universe);
  }

  /** @param counted from which position on refaults are counted. @returns the misses */
  replay(ids: Uint32Array, from: number, to: number, counted: boolean): number {
    const policy = this.#policy;
    const { victims } = policy;
    const evictedAt = this.#evictedAt;
    let evictions = this.#evictions;
    let misses = 0;
    for (let i = from; i < to; i++) {
      const id = ids[i]!;
      const evicted = policy.access(id);
      if (evicted === HIT) continue;
      misses++;
      if (counted && evictedAt[id]! > 0) {
        const distance = evictions - evictedAt[id]! + 1;
        this.#bins[Math.floor(Math.log2(distance))]!++;
      }
      for (let v = 0; v < evicted; v++) evictedAt[victims[v]!] = ++evictions;
    }
    this.#evictions = evictions;
    return misses;
  }

  bins(): RefaultBin[] {
    return [...this.#bins.entries()]
      .filter(([, refaults]) => refaults > 0)
      .map(([power, refaults]) => ({ from: 2 ** power, refaults }));
  }
}
