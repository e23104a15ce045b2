/** libCacheSim's LFUDA.c with its faults, as src/policies/lfuda.ts lists them. Answers whether the page was cached. */
export function faultyLfuda(capacity: number): (page: number) => boolean {
  const keyOf = new Map<number, number>();
  /** Pages of a key in the order in which they reached it; empty ones are dropped. */
  const pagesOf = new Map<number, Set<number>>();
  let least = 0;
  let greatest = 0;

  function put(page: number, key: number) {
    keyOf.set(page, key);
    const pages = pagesOf.get(key) ?? new Set();
    pagesOf.set(key, pages.add(page));
  }
  /** Takes the page out and, if it was the last of the least key, looks for the next one up to the greatest that a hit has set. */
  function take(page: number, key: number) {
    const pages = pagesOf.get(key) as Set<number>;
    pages.delete(page);
    if (pages.size > 0) return;
    pagesOf.delete(key);
    if (key !== least) return;
    let next = Number.POSITIVE_INFINITY;
    for (const other of pagesOf.keys()) if (other > least && other <= greatest && other < next) next = other;
    if (next !== Number.POSITIVE_INFINITY) least = next;
  }
  return (page) => {
    const key = keyOf.get(page);
    if (key !== undefined) {
      const raised = key + least;
      if (!Number.isSafeInteger(raised)) throw new Error('faultyLfuda: a key is too large');
      greatest = Math.max(greatest, raised);
      take(page, key);
      put(page, raised);
      return true;
    }
    if (keyOf.size === capacity) {
      least = Math.max(least, 1);
      const [victim] = pagesOf.get(least) as Set<number>;
      keyOf.delete(victim);
      take(victim, least);
    }
    put(page, least + 1);
    return false;
  };
}
