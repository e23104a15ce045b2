import { type Naive, type Params, take } from './twin.ts';

/** Lists with the page that reclaim looks at first in front. */
export function linuxLru(frames: number, { batch }: Params): Naive {
  const inactive: number[] = [];
  const active: number[] = [];
  const referenced = new Set<number>();
  const shadows = new Map<number, number>();
  let nonresidentAge = 0;
  let activated = 0;
  let snapshot = 0;

  function reclaim(): number[] {
    const reclaimed: number[] = [];
    for (let priority = 12; priority >= 0; priority--) {
      const gigabytes = Math.floor((inactive.length + active.length) / 2 ** 18);
      const ratio = gigabytes === 0 ? 1 : Math.floor(Math.sqrt(10 * gigabytes));
      const mayDeactivate = activated !== snapshot || inactive.length * ratio < active.length;
      const scan = { inactive: inactive.length >> priority, active: active.length >> priority };
      while (scan.inactive + scan.active > 0 && reclaimed.length < batch) {
        for (let n = Math.min(scan.inactive, batch); n > 0; n--, scan.inactive--) {
          const page = inactive.shift();
          if (page === undefined) continue;
          shadows.set(page, nonresidentAge++);
          referenced.delete(page);
          reclaimed.push(page);
        }
        for (let n = Math.min(scan.active, batch); n > 0; n--, scan.active--) {
          if (mayDeactivate && active.length > 0) inactive.push(active.shift() as number);
        }
      }
      if (reclaimed.length >= batch) break;
    }
    snapshot = activated;
    return reclaimed;
  }

  return {
    access(page) {
      if (inactive.includes(page) || active.includes(page)) {
        if (!referenced.has(page)) referenced.add(page);
        else if (take(inactive, page)) {
          active.push(page);
          referenced.delete(page);
          nonresidentAge++;
        }
        return null;
      }
      const victims: number[] = [];
      while (inactive.length + active.length === frames) victims.push(...reclaim());
      const age = shadows.get(page);
      if (age !== undefined && nonresidentAge - age <= active.length) {
        active.push(page);
        nonresidentAge++;
        activated++;
      } else inactive.push(page);
      referenced.add(page);
      return victims;
    },
    resident: () => [...inactive, ...active],
  };
}
