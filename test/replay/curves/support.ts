import { BLOCK, blankBlock, type IdBlock, type IdSource } from '../../../src/replay/curves/ids.ts';

/** References that are in memory, as a source. */
export function sourceOf(
  ids: readonly number[] | Uint32Array,
  who: readonly number[] = [],
  containers = ['?'],
): IdSource {
  return {
    path: 'memory',
    unit: 'pages',
    format: 'test',
    containers,
    expected: async () => ({ distinct: 0, references: 0 }),
    read: async (take: (block: IdBlock) => void) => {
      const block = blankBlock();
      for (let at = 0; at < ids.length; at += block.count) {
        block.count = Math.min(BLOCK, ids.length - at);
        for (let i = 0; i < block.count; i++) {
          block.low[i] = ids[at + i]!;
          block.who[i] = who[at + i] ?? 0;
        }
        take(block);
      }
      return [];
    },
    objectIds: (ids) => ids,
  };
}

/** LRU by a list, the page used last in front. @returns the misses from `warmup` on */
export function naiveLru(pages: readonly number[], size: number, warmup = 0): number {
  const list: number[] = [];
  let misses = 0;
  pages.forEach((page, i) => {
    const at = list.indexOf(page);
    if (at >= 0) list.splice(at, 1);
    else if (i >= warmup) misses++;
    list.unshift(page);
    if (list.length > size) list.pop();
  });
  return misses;
}

/** Belady's MIN: evicts the page that is needed last, by looking ahead. @returns the misses from `warmup` on */
export function naiveOpt(pages: readonly number[], size: number, warmup = 0): number {
  const cache: number[] = [];
  let misses = 0;
  pages.forEach((page, i) => {
    if (cache.includes(page)) return;
    if (i >= warmup) misses++;
    if (cache.length === size) {
      const next = (one: number): number => {
        const at = pages.indexOf(one, i + 1);
        return at < 0 ? Infinity : at;
      };
      const victim = cache.reduce((last, one) => (next(one) > next(last) ? one : last));
      cache.splice(cache.indexOf(victim), 1);
    }
    cache.push(page);
  });
  return misses;
}
