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

interface Folio {
  readonly page: number;
  referenced: boolean;
  /** reads beyond the first, up to four */
  refs: number;
}

/** Generations by their number, the folio that is scanned first in front. */
export function mglru(frames: number, { batch, goal }: Params): Naive {
  const generations = new Map<number, Folio[]>([0, 1, 2, 3].map((seq) => [seq, []]));
  const shadows = new Map<number, { seq: number; tier: number; refs: number }>();
  let oldest = 0;
  let youngest = 3;
  const zero = () => [0, 0, 0, 0];
  let counts = { refaulted: zero(), evicted: zero(), kept: zero() };
  const average = { refaulted: zero(), total: zero() };
  const tierOf = (refs: number) => Math.ceil(Math.log2(refs + 1));
  const all = () => [...generations.values()].flat();
  const of = (seq: number) => generations.get(seq) as Folio[];

  function lastTier(): number {
    const refaulted = average.refaulted.map((value, tier) => value + counts.refaulted[tier]);
    const total = average.total.map((value, tier) => value + counts.evicted[tier] + counts.kept[tier]);
    const kept = [1, 2, 3].find((tier) => {
      const few = refaulted[tier] < batch;
      return !few && refaulted[tier] * (total[0] + batch) > (refaulted[0] + 1) * total[tier] * 2;
    });
    return (kept ?? 4) - 1;
  }
  function evictSome(): { victims: number[]; scanned: number } {
    const isolated: Folio[] = [];
    let scanned = 0;
    if (youngest - oldest >= 2) {
      const last = lastTier();
      while (of(oldest).length > 0 && scanned < 64 * batch && isolated.length < batch) {
        const folio = of(oldest).shift() as Folio;
        scanned++;
        if (tierOf(folio.refs) > last || folio.refs === 4) {
          counts.kept[tierOf(folio.refs)]++;
          folio.refs = 0;
          folio.referenced = false;
          of(oldest + 1).unshift(folio);
        } else isolated.push(folio);
      }
      if (isolated.length === 0 && scanned < 64 * batch) scanned = 0;
    }
    const before = oldest;
    while (oldest + 2 <= youngest && of(oldest).length === 0) generations.delete(oldest++);
    if (oldest > before) {
      average.refaulted = average.refaulted.map((value, tier) => Math.floor((value + counts.refaulted[tier]) / 2));
      average.total = average.total.map((value, tier) =>
        Math.floor((value + counts.evicted[tier] + counts.kept[tier]) / 2),
      );
      counts = { refaulted: zero(), evicted: zero(), kept: zero() };
      scanned++;
    }
    for (const { page, refs } of isolated) {
      counts.evicted[tierOf(refs)]++;
      shadows.set(page, { seq: oldest, tier: tierOf(refs), refs });
    }
    return { victims: isolated.map(({ page }) => page), scanned: youngest - oldest === 1 ? 0 : scanned };
  }
  function reclaim(): number[] {
    const victims: number[] = [];
    for (let priority = 12; priority >= 0 && victims.length < goal; priority--) {
      let scanned = 0;
      for (;;) {
        const total = all().length;
        const few = youngest - oldest < 2;
        const uneven = youngest - oldest === 2 && (of(youngest).length * 2 > total || of(oldest).length * 4 < total);
        if ((few || uneven) && priority < 12) {
          generations.set(++youngest, []);
          break;
        }
        const wanted = few ? 0 : total >> priority;
        if (wanted === 0) break;
        const one = evictSome();
        victims.push(...one.victims);
        scanned += one.scanned;
        if (one.scanned === 0 || scanned >= wanted) break;
      }
    }
    return victims;
  }

  return {
    access(page) {
      const found = all().find((folio) => folio.page === page);
      if (found) {
        if (found.referenced) found.refs = Math.min(4, found.refs + 1);
        found.referenced = true;
        return null;
      }
      const victims: number[] = [];
      while (all().length === frames) victims.push(...reclaim());
      const shadow = shadows.get(page);
      const folio = { page, referenced: true, refs: 0 };
      if (shadow?.seq === oldest) {
        counts.refaulted[shadow.tier]++;
        if (shadow.refs >= 3) folio.refs = 4;
      }
      of(oldest + (youngest - oldest <= 2 ? 0 : 1)).push(folio);
      return victims;
    },
    resident: () => all().map(({ page }) => page),
  };
}
