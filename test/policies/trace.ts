import { type EvictionPolicy, HIT } from '../../src/policies/index.ts';

/**
 * Replays pages and writes what happened, one word a reference: `.` a hit, `+` a miss that found a free frame, else the evicted pages.
 */
export function narrate(policy: EvictionPolicy, pages: readonly number[]): string {
  return pages
    .map((page) => {
      const evicted = policy.access(page);
      policy.check();
      if (evicted === HIT) return '.';
      return evicted === 0 ? '+' : policy.victims.subarray(0, evicted).join(',');
    })
    .join(' ');
}

export function countMisses(policy: EvictionPolicy, pages: readonly number[]): number {
  return pages.filter((page) => policy.access(page) !== HIT).length;
}

/** Belady, Nelson and Shedler 1969: the references on which FIFO misses more often with four frames than with three. */
export const ANOMALY = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5];

/** Silberschatz, Galvin and Gagne, "Operating System Concepts", chapter on virtual memory: the reference string of its figures. */
export const TEXTBOOK = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1];

/** Reaches a private field, to break it. */
export function internals(policy: EvictionPolicy): Record<string, Int32Array & number> {
  return policy as unknown as Record<string, Int32Array & number>;
}
