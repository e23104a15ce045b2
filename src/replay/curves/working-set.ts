/** Denning's working set (CACM 11(5), 1968) over a trace cut into windows of equally many references. */
export interface WorkingSet {
  /** references in a window; the last one may have fewer */
  windowReferences: number;
  windows: {
    /** references before its end */
    end: number;
    /** distinct pages in the window, and of those the ones that no window before it had */
    pages: number;
    newPages: number;
  }[];
}

/** @param window references */
export function workingSet(ids: Uint32Array, universe: number, window: number): WorkingSet {
  // the window that a page was last seen in, from 1
  const seen = new Uint32Array(universe);
  const windows: WorkingSet['windows'] = [];
  for (let from = 0; from < ids.length; from += window) {
    const end = Math.min(ids.length, from + window);
    const number = windows.length + 1;
    let pages = 0;
    let newPages = 0;
    for (let i = from; i < end; i++) {
      const before = seen[ids[i]!]!;
      if (before === number) continue;
      seen[ids[i]!] = number;
      pages++;
      if (before === 0) newPages++;
    }
    windows.push({ end, pages, newPages });
  }
  return { windowReferences: window, windows };
}
