/*
 * The policies once more, written for the eye: arrays and Maps, linear searches, no shared code with src/policies. An access answers
 * null on a hit, else the evicted pages.
 */
import type { policies } from '../../src/policies/index.ts';

export interface Naive {
  access(page: number): number[] | null;
  resident(): number[];
}

type Params = Readonly<Record<string, number>>;

/** Oldest page first. */
function fifo(capacityPages: number): Naive {
  const queue: number[] = [];
  return {
    access(page) {
      if (queue.includes(page)) return null;
      const victims = queue.length === capacityPages ? [queue.shift() as number] : [];
      queue.push(page);
      return victims;
    },
    resident: () => [...queue],
  };
}

/** Least recently used page first: a Map iterates in insertion order. */
function lru(capacityPages: number): Naive {
  const order = new Map<number, true>();
  return {
    access(page) {
      const hit = order.delete(page);
      const victims: number[] = [];
      if (!hit && order.size === capacityPages) {
        const [oldest] = order.keys();
        order.delete(oldest);
        victims.push(oldest);
      }
      order.set(page, true);
      return hit ? null : victims;
    },
    resident: () => [...order.keys()],
  };
}

/** Oldest page first; a page with uses left pays one and goes to the back. */
function clock(capacityPages: number, { bits }: Params): Naive {
  const queue: { page: number; uses: number }[] = [];
  return {
    access(page) {
      const found = queue.find((entry) => entry.page === page);
      if (found) {
        found.uses = Math.min(found.uses + 1, 2 ** bits - 1);
        return null;
      }
      const victims: number[] = [];
      while (queue.length === capacityPages && victims.length === 0) {
        const oldest = queue.shift() as (typeof queue)[0];
        if (oldest.uses > 0) queue.push({ page: oldest.page, uses: oldest.uses - 1 });
        else victims.push(oldest.page);
      }
      queue.push({ page, uses: 0 });
      return victims;
    },
    resident: () => queue.map((entry) => entry.page),
  };
}

/** One for every line of the registry. */
export const naive = { clock, fifo, lru } satisfies Record<
  keyof typeof policies,
  (capacityPages: number, params: Params) => Naive
>;

/** Settings to test besides each policy's defaults. */
export const variants: readonly string[] = ['clock:bits=2', 'clock:bits=3', 'clock:bits=7'];
