/** Returned by {@link EvictionPolicy.access} when the page was cached. */
export const HIT = -1;

/**
 * An eviction policy over dense page ids. Capacity is counted in frames (4 KiB each).
 * A miss always inserts the page, so an access answers either {@link HIT} or how many pages had to leave.
 */
export interface EvictionPolicy {
  /**
   * Scratch: the first `access()` entries are the pages just evicted. Valid until the next access.
   * A policy that evicts on a hit, too (LIRS, SLRU, W-TinyLFU), reports those pages with the next miss: its own page may be one of them.
   */
  readonly victims: Uint32Array;
  /**
   * @param page dense id, 0 ≤ page < universe
   * @returns {@link HIT}, or the number of victims written to {@link victims} (0 while the cache is filling)
   */
  access(page: number): number;
  /** A page that isn't cached comes in by readahead; {@link access} is asked where a policy makes no difference and lacks this. */
  readAhead?(page: number): number;
  /** Pages cached now, and those gone whose eviction is not reported yet. */
  readonly residentPages: number;
  /** Verifies every internal invariant in O(capacity + universe) and throws when one is broken. For tests. */
  check(): void;
}

export interface PolicyContext {
  /** Frames, ≥ 1. */
  readonly capacityPages: number;
  /** Number of dense ids: every id is below it. */
  readonly universe: number;
  /** Seed of any random choice. */
  readonly seed: number;
  /** Effective parameters, defaults included (`name:param=value`). */
  readonly params: Readonly<Record<string, number>>;
  /**
   * For a policy that needs the future: of each reference to come, the index of the next reference to the same page, or 0xffffffff for
   * never. The policy counts its own position. See `nextUses`.
   */
  readonly nextUse?: Uint32Array;
  /**
   * For a policy that hashes pages: the 64-bit ids that the trace has for them, low and high half of each in turn. Left out where a page has
   * no other id than its number.
   */
  readonly ids?: Uint32Array;
}

/** A registry line: how to build the policy and what its parameters default to. */
export interface PolicyEntry {
  readonly create: (context: PolicyContext) => EvictionPolicy;
  readonly defaults: Readonly<Record<string, number>>;
  /** The policy can't be built without {@link PolicyContext.nextUse}. */
  readonly needsFuture?: boolean;
  /** The policy counts otherwise with other {@link PolicyContext.ids}. */
  readonly needsIds?: boolean;
}
