import { type Naive, type Params, take } from './twin.ts';

/** The paper's figure 4, case by case. */
export function arc(c: number): Naive {
  const t1: number[] = [];
  const t2: number[] = [];
  const b1: number[] = [];
  const b2: number[] = [];
  let p = 0;

  function replace(inB2: boolean): number {
    const fromT1 = t1.length > 0 && (t1.length > p || (inB2 && t1.length === p));
    // When T2 is empty there is no choice; the paper's invariants don't exclude it with p at the whole cache.
    const [from, to] = fromT1 || t2.length === 0 ? [t1, b1] : [t2, b2];
    const victim = from.shift() as number;
    to.push(victim);
    return victim;
  }
  return {
    access(x) {
      if (take(t1, x) || take(t2, x)) {
        t2.push(x); // case I
        return null;
      }
      if (b1.includes(x)) {
        p = Math.min(c, p + Math.max(b2.length / b1.length, 1)); // case II
        take(b1, x);
        const victim = replace(false);
        t2.push(x);
        return [victim];
      }
      if (b2.includes(x)) {
        p = Math.max(0, p - Math.max(b1.length / b2.length, 1)); // case III
        take(b2, x);
        const victim = replace(true);
        t2.push(x);
        return [victim];
      }
      const victims: number[] = []; // case IV
      if (t1.length + b1.length === c) {
        if (t1.length < c) {
          b1.shift();
          if (t1.length + t2.length === c) victims.push(replace(false));
        } else victims.push(t1.shift() as number);
      } else if (t1.length + t2.length === c) {
        if (t1.length + t2.length + b1.length + b2.length === 2 * c) b2.shift();
        victims.push(replace(false));
      }
      t1.push(x);
      return victims;
    },
    resident: () => [...t1, ...t2],
  };
}

export const lirs = (frames: number, params: Params) => lirsTwin(frames, params, false);

/**
 * As libCacheSim: a hit on Q's only page demotes a LIR page all the same, which puts the page that is hit out of Q; S goes on holding it
 * as cached, beyond the frames.
 */
export const overfillingLirs = (frames: number, params: Params) => lirsTwin(frames, params, true);

function lirsTwin(frames: number, params: Params, overfills: boolean): Naive {
  const s: { page: number; lir: boolean; cached: boolean }[] = []; // bottom first
  const q: number[] = []; // next victim first
  const remembered: number[] = []; // longest evicted first
  const hirLimit = Math.max(1, Math.floor(frames * params.hir));
  const lirLimit = frames - hirLimit;
  let victims: number[] = [];
  const inS = (page: number) => s.find((entry) => entry.page === page);
  const lirPages = () => s.filter((entry) => entry.lir).length;

  /** Of S the front is never pruned. */
  function prune() {
    while (s.length > 1 && !s[0].lir) take(remembered, s.shift()!.page);
  }
  function evict() {
    const victim = q.shift() as number;
    const entry = inS(victim);
    if (entry) {
      entry.cached = false;
      remembered.push(victim);
    }
    victims.push(victim);
  }
  function demoteOldest() {
    prune();
    const { page } = s.shift() as (typeof s)[0];
    while (q.length >= hirLimit) evict();
    q.push(page);
    prune();
  }
  function toFront(entry: (typeof s)[0]) {
    take(s, entry);
    s.push(entry);
  }

  return {
    access(page) {
      const entry = inS(page);
      const hit = entry?.cached || q.includes(page);
      if (entry) toFront(entry);
      if (entry?.lir) prune();
      else if (entry) {
        if (entry.cached) take(q, page);
        if (lirPages() === lirLimit) demoteOldest();
        take(remembered, page);
        entry.lir = true;
        entry.cached = true;
      } else if (hit) {
        take(q, page);
        q.push(page);
        if (
          params.demote === 1 &&
          lirLimit > 0 &&
          lirPages() === lirLimit &&
          (q.length > 1 || hirLimit > 1 || overfills)
        ) {
          demoteOldest();
        }
        if (lirLimit > 0) s.push({ page, lir: false, cached: true });
      } else if (lirPages() < lirLimit) s.push({ page, lir: true, cached: true });
      else {
        if (q.length === hirLimit) evict();
        q.push(page);
        if (lirLimit > 0) s.push({ page, lir: false, cached: true });
      }
      while (s.length > 2 * frames && remembered.length > 0) take(s, inS(remembered.shift() as number)!);
      if (hit) return null;
      const reported = victims;
      victims = [];
      return reported;
    },
    resident: () => [...new Set([...s.filter((entry) => entry.cached).map((entry) => entry.page), ...q]), ...victims],
  };
}

/** The paper's figure 2, line by line; a clock's head is its first entry. */
export function car(c: number): Naive {
  type Page = { page: number; used: boolean };
  const t1: Page[] = [];
  const t2: Page[] = [];
  const b1: number[] = [];
  const b2: number[] = [];
  let p = 0;

  function replace(): number {
    for (;;) {
      const from = t1.length >= Math.max(1, p) ? t1 : t2;
      const head = from.shift() as Page;
      if (!head.used) {
        (from === t1 ? b1 : b2).push(head.page);
        return head.page;
      }
      t2.push({ page: head.page, used: false });
    }
  }
  return {
    access(x) {
      const found = [...t1, ...t2].find(({ page }) => page === x);
      if (found) {
        found.used = true;
        return null;
      }
      const victims: number[] = [];
      if (t1.length + t2.length === c) {
        victims.push(replace());
        if (!b1.includes(x) && !b2.includes(x)) {
          if (t1.length + b1.length === c) b1.shift();
          else if (t1.length + t2.length + b1.length + b2.length === 2 * c) b2.shift();
        }
      }
      if (b1.includes(x)) {
        p = Math.min(p + Math.max(1, b2.length / b1.length), c);
        take(b1, x);
        t2.push({ page: x, used: false });
      } else if (b2.includes(x)) {
        p = Math.max(p - Math.max(1, b1.length / b2.length), 0);
        take(b2, x);
        t2.push({ page: x, used: false });
      } else t1.push({ page: x, used: false });
      return victims;
    },
    resident: () => [...t1, ...t2].map(({ page }) => page),
  };
}
