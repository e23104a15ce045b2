/** MRU: evicts the page that was used last. A policy of one's own: `npx foliolab mrc --trace T --policy ./examples/mru.ts,lru` */
import type { PolicyEntry } from 'foliolab/policies';

export default {
  defaults: {},
  create({ capacityPages, universe }) {
    const cached = new Uint8Array(universe);
    const victims = new Uint32Array(1);
    let last = 0;
    let residentPages = 0;
    return {
      victims,
      get residentPages() {
        return residentPages;
      },
      access(page) {
        const evicts = cached[page] === 0 && residentPages === capacityPages;
        if (evicts) {
          victims[0] = last;
          cached[last] = 0;
        }
        last = page;
        if (cached[page] === 1) return -1; // a hit
        cached[page] = 1;
        if (!evicts) residentPages++;
        return evicts ? 1 : 0; // pages evicted
      },
      check() {}, // throws when something inside is wrong; for tests
    };
  },
} satisfies PolicyEntry;
