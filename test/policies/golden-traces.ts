/*
 * The two synthetic traces on which the miss counts of libcachesim.csv were taken. Integer and IEEE-double arithmetic only (no pow,
 * no log), so every machine generates the same bytes; golden.test.ts verifies their SHA-256.
 *
 *   zipf   2,000,000 requests, Zipf(1.0) over 200,000 objects; 158,559 distinct
 *   mixed  2,000,000 requests in bursts of 64: 20% fresh sequential scan, 30% loop over 30,000 objects, 50% Zipf(1.0) over 100,000
 *          objects; 510,986 distinct
 */

export interface GoldenTrace {
  /** Object of each request, below `universe`. */
  readonly ids: Uint32Array;
  readonly universe: number;
}

export const goldenTraces = {
  zipf: () => zipfTrace(42, 2_000_000, 200_000),
  mixed: () => mixedTrace(43, 2_000_000, 100_000),
} satisfies Record<string, () => GoldenTrace>;

/** mulberry32. */
export function randomSource(seed: number) {
  let state = seed | 0;
  function random32(): number {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }
  function random53(): number {
    const high = random32() >>> 5;
    const low = random32() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }
  return { random32, random53 };
}

/** Draws object `k` with probability proportional to 1 / (rank + 1), ranks scattered over the ids by a prime. */
function zipfDraw(objects: number, random53: () => number): () => number {
  const cumulative = new Float64Array(objects);
  let sum = 0;
  for (let rank = 0; rank < objects; rank++) {
    sum += 1 / (rank + 1);
    cumulative[rank] = sum;
  }
  return () => {
    const x = random53() * sum;
    let low = 0;
    let high = objects - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (cumulative[middle] > x) high = middle;
      else low = middle + 1;
    }
    return (low * 1000003) % objects;
  };
}

function zipfTrace(seed: number, requests: number, objects: number): GoldenTrace {
  const draw = zipfDraw(objects, randomSource(seed).random53);
  const ids = new Uint32Array(requests);
  for (let i = 0; i < requests; i++) ids[i] = draw();
  return { ids, universe: objects };
}

function mixedTrace(seed: number, requests: number, objects: number): GoldenTrace {
  const { random32, random53 } = randomSource(seed);
  const draw = zipfDraw(objects, random53);
  const loopLength = Math.floor(objects * 0.3);
  const ids = new Uint32Array(requests);
  let loop = 0;
  let scan = objects + loopLength;
  for (let i = 0; i < requests; ) {
    const kind = random32() % 100;
    for (let j = 0; j < 64 && i < requests; j++, i++) {
      if (kind < 20) ids[i] = scan++;
      else if (kind < 50) {
        ids[i] = objects + loop;
        if (++loop === loopLength) loop = 0;
      } else ids[i] = draw();
    }
  }
  return { ids, universe: scan };
}

/** murmur3's fmix32, a bijection. */
function scramble(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * The trace as libCacheSim read it.
 * oracleGeneral, 24 bytes a request: timestamp u32 @0, object id u64 @4, size u32 @12, index of the object's next request i64 @16
 * (−1: none).
 */
export function oracleGeneral({ ids, universe }: GoldenTrace): Uint8Array {
  const bytes = new Uint8Array(ids.length * 24);
  const view = new DataView(bytes.buffer);
  const next = new Int32Array(universe).fill(-1);
  for (let i = ids.length - 1; i >= 0; i--) {
    const id = ids[i];
    const offset = i * 24;
    view.setUint32(offset, Math.floor(i / 100000) + 1, true);
    view.setUint32(offset + 4, scramble(id), true);
    view.setUint32(offset + 8, scramble(id ^ 0x5bd1e995) & 0x7fffffff, true);
    view.setUint32(offset + 12, 1, true);
    view.setInt32(offset + 16, next[id], true);
    view.setInt32(offset + 20, next[id] < 0 ? -1 : 0, true);
    next[id] = i;
  }
  return bytes;
}
