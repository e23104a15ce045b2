import { randomSource } from '../golden-traces.ts';
import { type Naive, type Params, take } from './twin.ts';

const single = Math.fround;

/** Counts by class and age in Maps: what was never counted is zero, and a density that was never reckoned the first one. */
export function lhd(frames: number, { sample, admitted, ages, every }: Params, _: unknown, seed: number): Naive {
  type Tag = { page: number; at: number; last: number; before: number; explorer: boolean };
  const { random32 } = randomSource(seed);
  const below = (bound: number) => Math.floor((random32() / 2 ** 32) * bound);
  const tags: Tag[] = [];
  const recent: number[] = [];
  let admissions = 0;
  let now = 0;
  let shift = 10;
  let rounds = 0;
  let budget = Math.trunc(single(frames * single(0.01)));
  let victimDensity = 0;
  let meanPages = 0;
  let meanWeight = 0;
  const classes = Array.from({ length: 16 }, () => ({
    hits: new Map<number, number>(),
    evictions: new Map<number, number>(),
    densities: null as number[] | null,
  }));
  const get = (counts: Map<number, number>, age: number) => counts.get(age) ?? 0;
  const ageOf = ({ at }: Tag) => Math.min(ages - 1, Math.floor((now - at) / 2 ** shift));
  function classOf({ last, before }: Tag): number {
    if (last + before === 0) return 15;
    for (let log = 0; ; log++) if (log === 15 || (last + before) * 2 ** log >= ages) return log;
  }
  function densityOf(tag: Tag): number {
    const age = ageOf(tag);
    if (age === ages - 1) return -3.4028234663852886e38;
    const group = classOf(tag);
    const density = classes[group].densities?.[age] ?? single((17 + group) / (age + 1));
    return tag.explorer ? single(density + 1) : density;
  }
  function touch(tag: Tag): boolean {
    tag.at = now;
    const drawn = below(32) === 0;
    tag.explorer = drawn && budget > 0 && rounds < 50;
    if (tag.explorer) budget--;
    return drawn;
  }
  function evict(): number {
    const candidates = Array.from(
      { length: rounds > 50 ? sample : Math.min(8, sample) },
      () => tags[below(tags.length)],
    );
    for (const page of recent) candidates.push(...tags.filter((tag) => tag.page === page));
    const densities = candidates.map(densityOf);
    const least = Math.min(...densities);
    const victim = candidates[densities.indexOf(least)];
    victimDensity = single(single(single(0.9) * victimDensity) + single(single(1 - single(0.9)) * least));
    const { evictions } = classes[classOf(victim)];
    evictions.set(ageOf(victim), get(evictions, ageOf(victim)) + 1);
    if (victim.explorer) budget++;
    const place = tags.indexOf(victim);
    const last = tags.pop() as Tag;
    if (last !== victim) tags[place] = last;
    return victim.page;
  }
  function rescale(counts: Map<number, number>, change: number): Map<number, number> {
    const rescaled = new Map<number, number>();
    if (change > 0) {
      const end = ages >> change;
      for (let age = 0; age < end; age++) {
        let sum = get(counts, age << change);
        for (let i = 1; i < 1 << change; i++) sum = single(sum + get(counts, (age << change) + i));
        rescaled.set(age, sum);
      }
      // The last age stays what it was, unless it was written over.
      if (end < ages) rescaled.set(ages - 1, get(counts, ages - 1));
      return rescaled;
    }
    let last = get(counts, ages - 1);
    for (let age = ages >> -change; age < ages - 1; age++) last = single(last + get(counts, age));
    for (let age = 0; age < ages - 1; age++) rescaled.set(age, single(get(counts, age >> -change) / (1 << -change)));
    return rescaled.set(ages - 1, last);
  }
  function reconfigure() {
    for (const group of classes)
      for (const counts of [group.hits, group.evictions])
        for (const [age, count] of counts) counts.set(age, single(count * single(0.9)));
    meanPages = single(single(meanPages * single(0.9)) + tags.length);
    meanWeight = single(single(meanWeight * single(0.9)) + 1);
    if (rounds === 5 || rounds === 25) {
      const wanted = single(single(meanPages / meanWeight) / single(single(0.01) * ages));
      const fitting = Math.max(1, Math.ceil(Math.log2(wanted)));
      for (const group of classes) {
        if (fitting === shift) continue;
        group.hits = rescale(group.hits, fitting - shift);
        group.evictions = rescale(group.evictions, fitting - shift);
      }
      shift = fitting;
      meanPages *= 8;
      meanWeight *= 8;
    }
    for (const [number, group] of classes.entries()) {
      const densities = group.densities ?? Array.from({ length: ages }, (_, age) => single((17 + number) / (age + 1)));
      let hits = get(group.hits, ages - 1);
      let events = single(hits + get(group.evictions, ages - 1));
      let lifetime = events;
      for (let age = ages - 2; age >= 0; age--) {
        hits = single(hits + get(group.hits, age));
        events = single(events + single(get(group.hits, age) + get(group.evictions, age)));
        lifetime = single(lifetime + events);
        densities[age] = events > 1e-5 ? single(hits / lifetime) : 0;
      }
      group.densities = densities;
    }
    rounds++;
  }
  function tick() {
    if (++now % every === 0) reconfigure();
  }
  return {
    access(page) {
      const found = tags.find((tag) => tag.page === page);
      if (found) {
        const age = ageOf(found);
        const { hits } = classes[classOf(found)];
        hits.set(age, get(hits, age) + 1);
        if (found.explorer) budget++;
        found.before = found.last;
        found.last = age;
        touch(found);
        tick();
        return null;
      }
      const victims = tags.length === frames ? [evict()] : [];
      const tag = { page, at: now, last: 0, before: ages, explorer: false };
      tags.push(tag);
      const drawn = touch(tag);
      if (!drawn && admitted > 0 && densityOf(tag) < victimDensity) recent[admissions++ % admitted] = page;
      tick();
      return victims;
    },
    resident: () => tags.map(({ page }) => page),
  };
}

/** After the authors' code, https://github.com/sylab/cacheus, function by function. */
export function cacheus(frames: number, _params: Params, _pages: unknown, seed: number): Naive {
  type Entry = { page: number; freq: number; time: number; isNew: boolean; demoted: boolean };
  const { random32 } = randomSource(seed);
  const s: Entry[] = [];
  const q: Entry[] = [];
  const lruHistory: Entry[] = [];
  const lfuHistory: Entry[] = [];
  let weights = [0.5, 0.5];
  let qLimit = Math.max(1, Math.floor(0.01 * frames + 0.5));
  let sLimit = frames - qLimit;
  let time = 0;
  let hits = 0;
  const round = (value: number) => Math.round(value * 1000) / 1000;
  const initial = Math.sqrt((2 * Math.log(2)) / frames);
  const rate = { now: initial, before: 0, hitRatio: 0, zero: 0, negative: 0 };
  const demotedCount = () => q.filter((entry) => entry.demoted).length;
  const newCount = () => lruHistory.filter((entry) => entry.isNew).length;

  function updateRate() {
    const { now } = rate;
    const hitRatio = round(hits / frames);
    const difference = round(hitRatio - rate.hitRatio);
    const change = round(now) - round(rate.before);
    const reset = Math.min(Math.max(initial, 0.001), 1);
    if (change * difference > 0) rate.now = Math.min(now + Math.abs(now * change), 1);
    if (change * difference < 0) rate.now = Math.max(now - Math.abs(now * change), 0.001);
    if (change * difference !== 0) rate.zero = rate.negative = 0;
    else if (difference <= 0) {
      if (hitRatio <= 0 && difference === 0) rate.zero++;
      if (difference < 0) {
        rate.negative++;
        rate.zero++;
      }
      if (rate.zero >= 10) {
        rate.now = reset;
        rate.zero = 0;
      } else if (difference < 0 && rate.negative >= 10) {
        rate.now = reset;
        rate.negative = 0;
      } else if (difference < 0) {
        if (now >= 1) rate.now = 0.9;
        else if (now <= 0.001) rate.now = 0.005;
        else rate.now = random32() < 2 ** 31 ? Math.min(now * 1.25, 1) : Math.max(now * 0.75, 0.001);
      }
    }
    rate.before = now;
    rate.hitRatio = hitRatio;
    hits = 0;
  }
  function demote() {
    const entry = s.shift() as Entry;
    entry.demoted = true;
    q.push(entry);
  }
  function limitStack() {
    while (s.length > 0 && s.length >= sLimit) demote();
  }
  function adjustWeights(erred: number) {
    weights = weights.map((weight, expert) => weight * (expert === erred ? Math.exp(-rate.now) : 1));
    const sum = weights[0] + weights[1];
    weights = weights.map((weight) => Math.max(0.01, Math.min(0.99, weight / sum)));
  }
  function evict(): number {
    const lru = q.length > 0 ? q[0] : s[0];
    const lfu = [...s, ...q].sort((a, b) => a.freq - b.freq || b.time - a.time)[0];
    const expert = random32() / 2 ** 32 < weights[0] ? 0 : 1;
    const evicted = [lru, lfu][expert];
    take(s, evicted);
    take(q, evicted);
    evicted.demoted = false;
    if (lru !== lfu && frames > 1) {
      const history = [lruHistory, lfuHistory][expert];
      if (history.length === Math.floor(frames / 2)) history.shift();
      history.push(evicted);
    }
    return evicted.page;
  }
  const full = () => s.length + q.length === frames;

  return {
    access(page) {
      time++;
      if (time % frames === 0) updateRate();
      const inS = s.find((entry) => entry.page === page);
      const inQ = q.find((entry) => entry.page === page);
      const hit = inS ?? inQ;
      if (hit) {
        hits++;
        hit.freq++;
        hit.time = time;
        if (inQ?.demoted) {
          sLimit = Math.min(
            frames - 1,
            sLimit + Math.max(1, Math.floor(newCount() / Math.max(1, demotedCount()) + 0.5)),
          );
          qLimit = frames - sLimit;
          inQ.demoted = false;
        }
        take(s, hit);
        take(q, hit);
        if (inQ && s.length >= sLimit && s.length > 0) demote();
        s.push(hit);
        return null;
      }
      for (const [expert, history] of [lruHistory, lfuHistory].entries()) {
        const entry = history.find((one) => one.page === page);
        if (!entry) continue;
        take(history, entry);
        if (expert === 0 && entry.isNew) {
          qLimit = Math.min(
            frames - 1,
            qLimit + Math.max(1, Math.floor(demotedCount() / Math.max(1, newCount()) + 0.5)),
          );
          sLimit = frames - qLimit;
        }
        adjustWeights(expert);
        const victims = full() ? [evict()] : [];
        s.push({ page, freq: entry.freq, time, isNew: false, demoted: false });
        limitStack();
        return victims;
      }
      const entry = { page, freq: 1, time, isNew: false, demoted: false };
      if (s.length < sLimit && q.length === 0) s.push(entry);
      else if (!full() && q.length < qLimit) q.push(entry);
      else {
        const victims = full() ? [evict()] : [];
        q.push({ ...entry, isNew: true });
        limitStack();
        return victims;
      }
      return [];
    },
    resident: () => [...s, ...q].map(({ page }) => page),
  };
}
