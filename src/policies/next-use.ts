/** In an array of next uses: the page is not referenced again. */
export const NEVER = 0xffffffff;

/**
 * For each reference the index of the next reference to the same page, or {@link NEVER}; in one backward pass.
 * @param ids dense ids, one a reference, each below `universe`; fewer than 2³² − 1 of them
 */
export function nextUses(ids: Uint32Array, universe: number): Uint32Array {
  const next = new Uint32Array(ids.length);
  const seenAt = new Uint32Array(universe).fill(NEVER);
  for (let i = ids.length - 1; i >= 0; i--) {
    const id = ids[i];
    next[i] = seenAt[id];
    seenAt[id] = i;
  }
  return next;
}
