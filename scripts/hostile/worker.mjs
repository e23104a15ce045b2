// One lane of a campaign: images FROM, FROM + STEP, … below TO.
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { gunzipSync } from 'node:zlib';
import { Image, MemoryReader } from '../../dist/erofs/index.js';
import { exercise, MAX_BYTES } from './exercise.mjs';
import { random, regionsOf, Victim } from './mutate.mjs';

const { folder, bases, seed, from, to, step, current, slowMs } = workerData;
const load = (file) => new Uint8Array(gunzipSync(readFileSync(`${folder}/${file}.gz`)));

const victims = bases.map(({ name, device }) => {
  const bytes = load(`${name}.erofs`);
  const blob = device ? load(`${name}.blob`) : null;
  const regions = regionsOf(Image.open(new MemoryReader(bytes), { devices: blob ? [new MemoryReader(blob)] : [] }));
  bytes[1024 + 8] &= ~1; // no checksum, which would catch what the damage is for
  return { victim: new Victim(name, bytes, regions), blob };
});

// Every buffer that is made is seen here: what the decoder makes and how large.
let largest = 0;
const seen = (length) => {
  if (typeof length === 'number' && length > largest) largest = length;
};
globalThis.Uint8Array = new Proxy(Uint8Array, {
  construct(target, args) {
    seen(args[0]);
    return Reflect.construct(target, args);
  },
});
const { allocUnsafeSlow } = Buffer;
Buffer.allocUnsafeSlow = (length) => {
  seen(length);
  return allocUnsafeSlow(length);
};

const outcomes = {};
let slowest = { ms: 0, image: -1 };
const run = (n) => {
  const { victim, blob } = victims[n % victims.length];
  const next = random(
    Math.imul(seed, 0x85ebca6b) ^ Math.floor(n / victims.length) ^ Math.imul(n % victims.length, 0xc2b2ae35),
  );
  const { paths, length } = victim.damage(next);
  try {
    return exercise(length === victim.bytes.length ? victim.bytes : victim.bytes.slice(0, length), blob, paths, next);
  } finally {
    victim.mend();
  }
};
try {
  for (let n = from; n < to; n += step) {
    current[0] = n;
    largest = 0;
    const start = performance.now();
    const outcome = run(n);
    let ms = performance.now() - start;
    if (ms > slowMs) {
      // Once more: the machine may have been busy.
      const again = performance.now();
      run(n);
      ms = Math.min(ms, performance.now() - again);
      if (ms > slowMs) throw new Error(`took ${ms.toFixed(0)} ms`);
    }
    // The copy of a truncated image is this file's; the decoder's own bound is MAX_BYTES.
    if (largest > Math.max(MAX_BYTES, 12 << 20)) throw new Error(`a buffer of ${largest} bytes`);
    if (ms > slowest.ms) slowest = { ms, image: n };
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    current[1]++;
  }
  parentPort.postMessage({ outcomes, slowest });
} catch (error) {
  const { name } = victims[current[0] % victims.length].victim;
  parentPort.postMessage({ failure: `image ${current[0]} (of ${name}, seed ${seed}): ${error.stack ?? error}` });
}
