import { randomSource } from '../golden-traces.ts';
import { type Naive, type Params, take } from './twin.ts';

/** Oldest page first. */
export function fifo(capacityPages: number): Naive {
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

/** Oldest page first; a page with uses left pays one and goes to the back. */
export function clock(capacityPages: number, { bits, entryUses = 0 }: Params): Naive {
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
      queue.push({ page, uses: entryUses });
      return victims;
    },
    resident: () => queue.map((entry) => entry.page),
  };
}

/** Oldest page first; `hand` is an index into the queue, at its length it starts over. */
export function sieve(capacityPages: number): Naive {
  const queue: { page: number; visited: boolean }[] = [];
  let hand = 0;
  return {
    access(page) {
      const found = queue.find((entry) => entry.page === page);
      if (found) {
        found.visited = true;
        return null;
      }
      const victims: number[] = [];
      if (queue.length === capacityPages) {
        for (;;) {
          if (hand === queue.length) hand = 0;
          if (!queue[hand].visited) break;
          queue[hand++].visited = false;
        }
        victims.push(queue.splice(hand, 1)[0].page);
        // Removal put the next newer page under the hand. When there is none the next eviction starts at the oldest page, not at the
        // page that comes in now.
        if (hand === queue.length) hand = 0;
      }
      queue.push({ page, visited: false });
      return victims;
    },
    resident: () => queue.map((entry) => entry.page),
  };
}

export function s3Fifo(capacityPages: number, params: Params): Naive {
  let small: { page: number; uses: number }[] = [];
  let main: { page: number; uses: number }[] = [];
  const ghost: number[] = [];
  const mainLimit = capacityPages - Math.floor(capacityPages * params.small);
  const ghostLimit = Math.floor(capacityPages * params.ghost);

  function evictFromMain(): number {
    for (;;) {
      const [oldest, ...rest] = main;
      if (oldest.uses === 0) {
        main = rest;
        return oldest.page;
      }
      main = [...rest, { page: oldest.page, uses: Math.min(oldest.uses, 3) - 1 }];
    }
  }
  /** May move all of small to main and evict nothing. */
  function evictFromSmall(): number | null {
    while (small.length > 0) {
      const [oldest, ...rest] = small;
      small = rest;
      if (oldest.uses < params.threshold) {
        ghost.push(oldest.page);
        while (ghost.length > ghostLimit) ghost.shift();
        return oldest.page;
      }
      main.push({ page: oldest.page, uses: 0 });
    }
    return null;
  }
  return {
    access(page) {
      const found = [...small, ...main].find((entry) => entry.page === page);
      if (found) {
        found.uses++;
        return null;
      }
      const remembered = take(ghost, page);
      const victims: number[] = [];
      while (small.length + main.length === capacityPages) {
        const victim = main.length > mainLimit || small.length === 0 ? evictFromMain() : evictFromSmall();
        if (victim !== null) victims.push(victim);
      }
      (remembered ? main : small).push({ page, uses: 0 });
      return victims;
    },
    resident: () => [...small, ...main].map((entry) => entry.page),
  };
}

export function twoQ(capacityPages: number, params: Params): Naive {
  const a1in: number[] = [];
  const a1out: number[] = [];
  const am: number[] = [];
  const inLimit = Math.min(Math.floor(capacityPages * params.in), capacityPages - 1);
  const outLimit = Math.floor(capacityPages * params.out);
  return {
    access(page) {
      if (a1in.includes(page)) return null;
      if (take(am, page)) {
        am.push(page);
        return null;
      }
      const remembered = take(a1out, page);
      const victims: number[] = [];
      if (a1in.length + am.length === capacityPages) {
        if (a1in.length > inLimit) {
          victims.push(a1in.shift() as number);
          a1out.push(victims[0]);
          while (a1out.length > outLimit) a1out.shift();
        } else victims.push(am.shift() as number);
      }
      (remembered ? am : a1in).push(page);
      return victims;
    },
    resident: () => [...a1in, ...am],
  };
}

export const secondChance = (capacityPages: number) => clock(capacityPages, { bits: 1, entryUses: 1 });

/** A page takes the frame of its victim. */
export function random(capacityPages: number, _: Params, __: readonly number[], seed: number): Naive {
  const frames: number[] = [];
  const { random32 } = randomSource(seed);
  return {
    access(page) {
      if (frames.includes(page)) return null;
      if (frames.length < capacityPages) {
        frames.push(page);
        return [];
      }
      return frames.splice(Math.floor((random32() / 2 ** 32) * capacityPages), 1, page);
    },
    resident: () => [...frames],
  };
}

export function twoQSimple(capacityPages: number, params: Params): Naive {
  const a1: number[] = [];
  const am: number[] = [];
  const limit = Math.min(Math.floor(capacityPages * params.in), capacityPages - 1);
  return {
    access(page) {
      if (take(am, page) || take(a1, page)) {
        am.push(page);
        return null;
      }
      const full = a1.length + am.length === capacityPages;
      const victims = full ? [(a1.length > limit ? a1 : am).shift() as number] : [];
      a1.push(page);
      return victims;
    },
    resident: () => [...a1, ...am],
  };
}

/** Main is a clock of two bits with a limit of its own. */
export function qdLpFifo(capacityPages: number, params: Params): Naive {
  const small: { page: number; uses: number }[] = [];
  const main: { page: number; uses: number }[] = [];
  const ghost: number[] = [];
  const mainLimit = Math.max(1, capacityPages - Math.floor(capacityPages * params.small));
  const ghostLimit = Math.floor(capacityPages * params.ghost);

  function evictFromMain(): number[] {
    for (;;) {
      const oldest = main.shift() as (typeof main)[0];
      if (oldest.uses === 0) return [oldest.page];
      main.push({ page: oldest.page, uses: oldest.uses - 1 });
    }
  }
  function enterMain(page: number): number[] {
    const victims = main.length === mainLimit ? evictFromMain() : [];
    main.push({ page, uses: 0 });
    return victims;
  }
  function makeRoom(): number[] {
    const oldest = small.shift();
    if (oldest === undefined) return evictFromMain();
    if (oldest.uses >= params.threshold) return enterMain(oldest.page);
    ghost.push(oldest.page);
    while (ghost.length > ghostLimit) ghost.shift();
    return [oldest.page];
  }
  return {
    access(page) {
      const inSmall = small.find((entry) => entry.page === page);
      const inMain = main.find((entry) => entry.page === page);
      if (inSmall) inSmall.uses++;
      if (inMain) inMain.uses = Math.min(inMain.uses + 1, 3);
      if (inSmall || inMain) return null;
      const remembered = take(ghost, page);
      const victims: number[] = [];
      while (small.length + main.length === capacityPages) victims.push(...makeRoom());
      if (remembered) victims.push(...enterMain(page));
      else small.push({ page, uses: 0 });
      return victims;
    },
    resident: () => [...small, ...main].map((entry) => entry.page),
  };
}

export function s3FifoCaffeine(capacityPages: number, params: Params): Naive {
  const small: { page: number; uses: number }[] = [];
  const main: { page: number; uses: number }[] = [];
  const ghost: number[] = [];
  const smallLimit = Math.max(1, Math.floor(capacityPages * params.small));
  const ghostLimit = Math.floor(capacityPages * params.ghost);
  let victims: number[] = [];

  function evictFromMain() {
    while (main[0].uses > 0) {
      const { page, uses } = main.shift() as (typeof main)[0];
      main.push({ page, uses: uses - 1 });
    }
    victims.push((main.shift() as (typeof main)[0]).page);
  }
  function evictFromSmall() {
    for (let oldest = small.shift(); oldest !== undefined; oldest = small.shift()) {
      if (oldest.uses <= params.threshold) {
        ghost.push(oldest.page);
        while (ghost.length > ghostLimit) ghost.shift();
        victims.push(oldest.page);
        return;
      }
      main.push({ page: oldest.page, uses: 0 });
      if (main.length > capacityPages - smallLimit) evictFromMain();
    }
  }
  return {
    access(page) {
      const found = [...small, ...main].find((entry) => entry.page === page);
      if (found) {
        found.uses = Math.min(found.uses + 1, params.max);
        return null;
      }
      victims = [];
      while (small.length + main.length === capacityPages) {
        if (small.length >= smallLimit || main.length === 0) evictFromSmall();
        else evictFromMain();
      }
      (take(ghost, page) ? main : small).push({ page, uses: 0 });
      return victims;
    },
    resident: () => [...small, ...main].map((entry) => entry.page),
  };
}
