import type { PolicyContext } from './policy.ts';

/** Page ids stay below 2³⁰, so that `page << 1` in interleaved arrays stays a positive 32-bit integer (4 TiB of pages). */
export const MAX_UNIVERSE = 2 ** 30 - 1;

/**
 * How many frames a policy has to allocate: a cache larger than the universe never fills, so its arrays stop at the universe.
 * @throws RangeError when the context cannot describe a cache
 */
export function frameCount({ capacityPages, universe }: PolicyContext): number {
  if (!Number.isInteger(capacityPages) || capacityPages < 1) {
    throw new RangeError(`capacityPages must be an integer of at least 1, not ${capacityPages}`);
  }
  if (!Number.isInteger(universe) || universe < 0 || universe > MAX_UNIVERSE) {
    throw new RangeError(`universe must be an integer from 0 to ${MAX_UNIVERSE}, not ${universe}`);
  }
  return Math.min(capacityPages, universe);
}
