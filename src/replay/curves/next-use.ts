/** No next reference. */
export const NEVER = 0xffffffff;

/** Where each reference's page is referenced next, {@link NEVER} if nowhere. In shared memory. */
export function nextUses(ids: Uint32Array, universe: number): Uint32Array {
  const next = new Uint32Array(new SharedArrayBuffer(4 * ids.length));
  const last = new Uint32Array(universe).fill(NEVER);
  for (let i = ids.length - 1; i >= 0; i--) {
    const id = ids[i]!;
    next[i] = last[id]!;
    last[id] = i;
  }
  return next;
}
