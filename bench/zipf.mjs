/**
 * The Zipf trace of the golden tests, as dense ids: Zipf(1.0) over 200,000 objects, 2,000,000 requests, seed 42.
 * Kept apart from test/policies/golden-traces.ts because a benchmark runs on dist/, without a TypeScript loader; that both make the
 * same requests is what the miss counts, stated by every benchmark, verify.
 */
export const ZIPF = { seed: 42, requests: 2_000_000, universe: 200_000 };

export function zipfIds({ seed, requests, universe } = ZIPF) {
  let state = seed;
  function random32() {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }
  const cumulative = new Float64Array(universe);
  let sum = 0;
  for (let rank = 0; rank < universe; rank++) {
    sum += 1 / (rank + 1);
    cumulative[rank] = sum;
  }
  const ids = new Uint32Array(requests);
  for (let i = 0; i < requests; i++) {
    const high = random32() >>> 5;
    const x = ((high * 67108864 + (random32() >>> 6)) / 9007199254740992) * sum;
    let low = 0;
    let last = universe - 1;
    while (low < last) {
      const middle = (low + last) >>> 1;
      if (cumulative[middle] > x) last = middle;
      else low = middle + 1;
    }
    ids[i] = (low * 1000003) % universe;
  }
  return ids;
}
