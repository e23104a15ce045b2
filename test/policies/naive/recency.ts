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

export function mru(capacityPages: number): Naive {
  const order: number[] = []; // most recent last
  return {
    access(page) {
      const hit = take(order, page);
      const victims = !hit && order.length === capacityPages ? [order.pop() as number] : [];
      order.push(page);
      return hit ? null : victims;
    },
    resident: () => [...order],
  };
}

/** Segments from the lowest, each with its oldest page first. */
export function slru(capacityPages: number, params: Params): Naive {
  const segments = Array.from({ length: Math.min(params.segments, capacityPages) }, (): number[] => []);
  const limit = Math.floor(capacityPages / segments.length);
  let victims: number[] = [];
  return {
    access(page) {
      const from = segments.findIndex((segment) => take(segment, page));
      if (from >= 0) {
        const to = Math.min(from + 1, segments.length - 1);
        segments[to].push(page);
        for (let i = to; i > 0; i--) {
          while (segments[i].length > limit) {
            segments[i - 1].push(segments[i].shift() as number);
            while (i === 1 && segments[0].length > limit) victims.push(segments[0].shift() as number);
          }
        }
        return null;
      }
      if (segments.flat().length === capacityPages) {
        victims.push((segments.find((segment) => segment.length > 0) as number[]).shift() as number);
      }
      (segments.find((segment) => segment.length < limit) ?? segments[0]).push(page);
      const reported = victims;
      victims = [];
      return reported;
    },
    resident: () => [...segments.flat(), ...victims],
  };
}
