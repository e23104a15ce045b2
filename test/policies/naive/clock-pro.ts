import { type Naive, type Params, take } from './twin.ts';

interface Entry {
  readonly page: number;
  hot: boolean;
  cached: boolean;
  inTest: boolean;
  used: boolean;
}

/** The clock as a list that begins at the hot hand: the next place is the next entry, the list's head its end. */
export function clockPro(frames: number, { cold }: Params): Naive {
  const clock: Entry[] = [];
  let coldHand: Entry | null = null;
  let testHand: Entry | null = null;
  const clamp = (target: number) => Math.max(1, Math.min(frames, target));
  let coldTarget = clamp(Math.floor(frames * cold));
  const count = (what: (entry: Entry) => boolean) => clock.filter(what).length;
  const after = (entry: Entry): Entry => clock[(clock.indexOf(entry) + 1) % clock.length];

  function leave(entry: Entry) {
    const next = clock.length === 1 ? null : after(entry);
    if (coldHand === entry) coldHand = next;
    if (testHand === entry) testHand = next;
    take(clock, entry);
  }
  function toHead(entry: Entry) {
    leave(entry);
    clock.push(entry);
  }
  function failTest(entry: Entry) {
    if (!entry.inTest) return;
    coldTarget = clamp(coldTarget - 1);
    entry.inTest = false;
    if (!entry.cached) leave(entry);
  }
  function cool() {
    while (count((entry) => entry.hot) > frames - coldTarget) {
      let demoted = false;
      while (clock.some((entry) => entry.hot)) {
        const entry = clock[0];
        if (entry.hot && demoted) break;
        if (!entry.hot) failTest(entry);
        else if (entry.used) entry.used = false;
        else {
          entry.hot = false;
          demoted = true;
        }
        if (clock.includes(entry)) toHead(entry);
      }
    }
  }
  function evict(): number {
    for (;;) {
      let entry: Entry = coldHand ?? clock[0];
      while (entry.hot || !entry.cached) entry = after(entry);
      coldHand = entry;
      if (!entry.used) {
        entry.cached = false;
        if (!entry.inTest) leave(entry);
        else coldHand = after(entry);
        while (count(({ cached }) => !cached) > frames) {
          let failed: Entry = testHand ?? clock[0];
          while (!failed.inTest) failed = after(failed);
          testHand = after(failed);
          failTest(failed);
        }
        return entry.page;
      }
      entry.used = false;
      toHead(entry);
      if (entry.inTest) {
        entry.inTest = false;
        entry.hot = true;
        coldTarget = clamp(coldTarget + 1);
        cool();
      } else entry.inTest = true;
    }
  }

  return {
    access(page) {
      const cached = clock.find((entry) => entry.page === page && entry.cached);
      if (cached) {
        cached.used = true;
        return null;
      }
      const victims = count((entry) => entry.cached) === frames ? [evict()] : [];
      const remembered = clock.find((entry) => entry.page === page);
      if (remembered) {
        leave(remembered);
        coldTarget = clamp(coldTarget + 1);
      }
      clock.push({ page, hot: remembered !== undefined, cached: true, inTest: !remembered, used: false });
      cool();
      return victims;
    },
    resident: () => clock.filter((entry) => entry.cached).map(({ page }) => page),
  };
}
