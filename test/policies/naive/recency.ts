import { type Naive, type Params, take } from './twin.ts';

/** Least recently used page first: a Map iterates in insertion order. */
export function lru(capacityPages: number): Naive {
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

/** Looks through the references to come; of pages never used again the one used last leaves first. */
export function opt(capacityPages: number, _: Params, pages: readonly number[]): Naive {
  const order: number[] = [];
  let position = 0;
  return {
    access(page) {
      const future = pages.slice(++position);
      const hit = take(order, page);
      const victims: number[] = [];
      if (!hit && order.length === capacityPages) {
        const nextUse = (cached: number) =>
          future.includes(cached) ? future.indexOf(cached) : Number.POSITIVE_INFINITY;
        const farthest = Math.max(...order.map(nextUse));
        const victim = order.findLast((cached) => nextUse(cached) === farthest) as number;
        take(order, victim);
        victims.push(victim);
      }
      order.push(page);
      return hit ? null : victims;
    },
    resident: () => [...order],
  };
}
