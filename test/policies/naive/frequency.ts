import xxhash from 'xxhash-wasm';
import { randomSource } from '../golden-traces.ts';
import { type Naive, type Params, take } from './twin.ts';

const { h64Raw } = await xxhash();

interface Entry {
  page: number;
  count: number;
  key: number;
  /** Times of the references, the last one first. */
  uses: number[];
}

/** Of the cached pages the one that no other comes before. */
function ranked(
  capacityPages: number,
  use: (entry: Entry) => void,
  before: (a: Entry, b: Entry) => boolean,
  evicted: (entry: Entry) => void = () => {},
): Naive {
  const known = new Map<number, Entry>();
  const cached: Entry[] = [];
  let now = 0;
  return {
    access(page) {
      now++;
      const entry = known.get(page) ?? { page, count: 0, key: 0, uses: [] };
      known.set(page, entry);
      const hit = cached.includes(entry);
      const victims: number[] = [];
      if (!hit) {
        entry.count = 0;
        if (cached.length === capacityPages) {
          const victim = cached.reduce((a, b) => (before(b, a) ? b : a));
          take(cached, victim);
          evicted(victim);
          victims.push(victim.page);
        }
        cached.push(entry);
      }
      entry.count++;
      entry.uses.unshift(now);
      use(entry);
      return hit ? null : victims;
    },
    resident: () => cached.map((entry) => entry.page),
  };
}

export function lfu(capacityPages: number): Naive {
  const before = (a: Entry, b: Entry) => a.count < b.count || (a.count === b.count && a.uses[0] < b.uses[0]);
  return ranked(capacityPages, () => {}, before);
}

export function lfuda(capacityPages: number): Naive {
  let age = 0;
  return ranked(
    capacityPages,
    (entry) => {
      entry.key = entry.count + age;
    },
    (a, b) => a.key < b.key || (a.key === b.key && a.uses[0] < b.uses[0]),
    (victim) => {
      age = victim.key;
    },
  );
}

export function lruK(capacityPages: number, { k }: Params): Naive {
  const kth = (entry: Entry) => entry.uses[k - 1] ?? Number.NEGATIVE_INFINITY;
  return ranked(
    capacityPages,
    () => {},
    (a, b) => kth(a) < kth(b) || (kth(a) === kth(b) && a.uses[0] < b.uses[0]),
  );
}

/** Pages as in frames: a new one takes its victim's place, so that both implementations draw from the same order. */
export function hyperbolic(capacityPages: number, params: Params, _: readonly number[], seed: number): Naive {
  const frames: { page: number; uses: number; since: number }[] = [];
  const { random32 } = randomSource(seed);
  let now = 0;
  return {
    access(page) {
      now++;
      const found = frames.find((frame) => frame.page === page);
      if (found) {
        found.uses++;
        return null;
      }
      const entry = { page, uses: 1, since: now };
      if (frames.length < capacityPages) {
        frames.push(entry);
        return [];
      }
      const worth = (at: number) => frames[at].uses / (now - frames[at].since);
      const drawn = Array.from({ length: params.sample }, () => Math.floor((random32() / 2 ** 32) * capacityPages));
      return [
        frames.splice(
          drawn.reduce((a, b) => (worth(b) < worth(a) ? b : a)),
          1,
          entry,
        )[0].page,
      ];
    },
    resident: () => frames.map((frame) => frame.page),
  };
}

export function leCaR(capacityPages: number, params: Params, _: readonly number[], seed: number): Naive {
  const cached: { page: number; uses: number }[] = []; // by last use
  const history: { page: number; expert: string; at: number }[] = [];
  const weights: Record<string, number> = { lru: 0.5, lfu: 0.5 };
  const { random32 } = randomSource(seed);
  let now = 0;
  return {
    access(page) {
      now++;
      const found = cached.find((entry) => entry.page === page);
      if (found) {
        take(cached, found);
        cached.push({ page, uses: found.uses + 1 });
        return null;
      }
      const remembered = history.find((entry) => entry.page === page);
      if (remembered) {
        take(history, remembered);
        const d = (params.discount ** (1 / capacityPages)) ** (now - remembered.at);
        weights[remembered.expert] *= Math.exp(-params.rate * d);
        const [lru, lfu] = [weights.lru + 1e-10, weights.lfu + 1e-10];
        weights.lru = lru / (lru + lfu);
        weights.lfu = lfu / (lru + lfu);
      }
      const victims: number[] = [];
      if (cached.length === capacityPages) {
        const lru = cached[0];
        const lfu = cached.reduce((a, b) => (b.uses < a.uses ? b : a));
        let victim = lru;
        if (lru !== lfu) {
          const expert = Math.floor((random32() / 2 ** 32) * 100) / 100 < weights.lru ? 'lru' : 'lfu';
          if (expert === 'lfu') victim = lfu;
          history.push({ page: victim.page, expert, at: now });
          const own = history.filter((entry) => entry.expert === expert);
          if (own.length > Math.floor(capacityPages / 2)) take(history, own[0]);
        }
        take(cached, victim);
        victims.push(victim.page);
      }
      cached.push({ page, uses: 1 });
      return victims;
    },
    resident: () => cached.map((entry) => entry.page),
  };
}

export function wTinyLfu(capacityPages: number, params: Params): Naive {
  const windowLimit = Math.max(1, Math.floor(capacityPages * params.window));
  const mainLimit = capacityPages - windowLimit;
  const probationLimit = Math.max(1, Math.floor((1 / (1 + params.ratio)) * mainLimit));
  const protectedLimit = Math.min(
    Math.floor((params.ratio / (1 + params.ratio)) * mainLimit),
    Math.max(0, mainLimit - probationLimit),
  );
  // Oldest first.
  const window: number[] = [];
  const probation: number[] = [];
  const protectedPages: number[] = [];
  const wanted = Math.ceil((-Math.log(0.001) / 0.480453013918201) * mainLimit);
  const counters = new Array(wanted < 10 ? 20 : wanted).fill(0);
  let hits = 0;
  let victims: number[] = [];

  function cells(page: number): number[] {
    const bytes = new Uint8Array(new BigUint64Array([BigInt(page)]).buffer);
    const [a, b] = [0x12345678n, 0x12344321n].map((seed) => h64Raw(bytes, seed) & 0xffffffffn);
    return Array.from({ length: 10 }, (_, i) => Number(((a + BigInt(i) * b) & 0xffffffffn) % BigInt(counters.length)));
  }
  const count = (page: number) => {
    for (const cell of cells(page)) counters[cell]++;
  };
  const estimate = (page: number) => Math.min(...cells(page).map((cell) => counters[cell]));

  function evictFromMain() {
    victims.push((probation.length > 0 ? probation : protectedPages).shift() as number);
  }
  function evict() {
    while (window.length > 0) {
      const page = window.shift() as number;
      let admitted = true;
      if (probation.length + protectedPages.length === mainLimit) {
        const next = [...probation, ...protectedPages][0];
        admitted = next !== undefined && estimate(page) > estimate(next);
        if (admitted) evictFromMain();
      }
      count(page);
      if (!admitted) {
        victims.push(page);
        return;
      }
      if (probation.length < probationLimit || protectedPages.length >= protectedLimit) probation.push(page);
      else protectedPages.push(page);
    }
    evictFromMain();
  }

  return {
    access(page) {
      if (take(window, page)) {
        window.push(page);
        return null;
      }
      const probed = take(probation, page);
      if (probed || take(protectedPages, page)) {
        protectedPages.push(page);
        if (protectedPages.length > protectedLimit) {
          probation.push(protectedPages.shift() as number);
          while (probation.length > probationLimit) evictFromMain();
        }
        count(page);
        if (++hits >= 32 * mainLimit) {
          hits = 0;
          counters.forEach((value, cell) => {
            counters[cell] = Math.floor(value / 2);
          });
        }
        return null;
      }
      if (window.length + probation.length + protectedPages.length === capacityPages) evict();
      window.push(page);
      count(page);
      const reported = victims;
      victims = [];
      return reported;
    },
    resident: () => [...window, ...probation, ...protectedPages, ...victims],
  };
}
