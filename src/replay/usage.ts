import { KIND_DELETE, readLog, type SharedLog } from './reference-log.ts';

/** Who uses and who shares, whatever the memory size: distinct pages by container, under one sharing model. */
export interface Usage {
  /** distinct pages the container referenced */
  usedPages: Float64Array;
  /** those of them that at least one other container referenced too */
  sharedPages: Float64Array;
}

/** Counts usage in one pass; memory is one bit a page and container, and two bytes a page. */
export function usageByContainer(log: SharedLog, ids: Uint32Array, universe: number, containers: number): Usage {
  const words = Math.ceil(universe / 32);
  const used = Array.from({ length: containers }, () => new Uint32Array(words));
  const users = new Uint16Array(universe);
  for (const { rows, page, count, container, kind } of readLog(log)) {
    for (let row = 0; row < rows; row++) {
      if (kind[row] === KIND_DELETE) continue;
      const mine = used[container[row]!]!;
      const end = page[row]! + count[row]!;
      for (let logical = page[row]!; logical < end; logical++) {
        const id = ids[logical]!;
        const word = id >>> 5;
        const bit = 1 << (id & 31);
        if ((mine[word]! & bit) !== 0) continue;
        mine[word]! |= bit;
        users[id]!++;
      }
    }
  }
  const usedPages = new Float64Array(containers);
  const sharedPages = new Float64Array(containers);
  for (let c = 0; c < containers; c++) {
    const mine = used[c]!;
    for (let id = 0; id < universe; id++) {
      if ((mine[id >>> 5]! & (1 << (id & 31))) === 0) continue;
      usedPages[c]!++;
      if (users[id]! > 1) sharedPages[c]!++;
    }
  }
  return { usedPages, sharedPages };
}
