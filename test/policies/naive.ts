/*
 * The policies once more, written for the eye: arrays and Maps, linear searches, no shared code with src/policies. An access answers
 * null on a hit, else the evicted pages. One file a family; a queue's oldest page is always first.
 */
import type { policies } from '../../src/policies/index.ts';
import { arc, car, lirs } from './naive/adaptive.ts';
import { clockPro } from './naive/clock-pro.ts';
import { hyperbolic, leCaR, lfu, lfuda, lruK, wTinyLfu } from './naive/frequency.ts';
import { linuxLru, mglru } from './naive/kernel.ts';
import { cacheus, lhd } from './naive/learning.ts';
import {
  clock,
  fifo,
  qdLpFifo,
  random,
  s3Fifo,
  s3FifoCaffeine,
  secondChance,
  sieve,
  twoQ,
  twoQSimple,
} from './naive/queues.ts';
import { lru, mru, opt, slru } from './naive/recency.ts';
import type { MakeNaive } from './naive/twin.ts';

/** One for every line of the registry. */
export const naive = {
  '2q': twoQ,
  '2q-simple': twoQSimple,
  arc,
  cacheus,
  car,
  clock,
  'clock-pro': clockPro,
  fifo,
  gdsf: lfuda,
  hyperbolic,
  lecar: leCaR,
  lfu,
  lfuda,
  lhd,
  'linux-lru': linuxLru,
  lirs,
  lru,
  'lru-k': lruK,
  mglru,
  mru,
  opt,
  'qd-lp-fifo': qdLpFifo,
  random,
  's3-fifo': s3Fifo,
  's3-fifo-caffeine': s3FifoCaffeine,
  'second-chance': secondChance,
  sieve,
  slru,
  'w-tinylfu': wTinyLfu,
} satisfies Record<keyof typeof policies, MakeNaive>;

/** Settings to test besides each policy's defaults. */
export const variants: readonly string[] = [
  '2q:in=0.5',
  '2q:in=1:out=2',
  '2q:in=0:out=0',
  '2q-simple:in=1',
  'clock:bits=2',
  'clock:bits=3',
  'clock:bits=7',
  'clock-pro:cold=0.5',
  'hyperbolic:sample=1',
  'hyperbolic:sample=3',
  'lhd:ages=64:every=8',
  'lhd:ages=1000:every=5:admitted=0',
  'lhd:ages=3:every=20:sample=3',
  'linux-lru:batch=1',
  'linux-lru:batch=4',
  'lirs:demote=0',
  'lirs:hir=0.3',
  'lirs:hir=1',
  'lru-k:k=1',
  'lru-k:k=3',
  'mglru:batch=1:goal=1',
  'mglru:batch=2:goal=3',
  'qd-lp-fifo:small=0.5:threshold=2',
  'qd-lp-fifo:small=0:ghost=0',
  's3-fifo:threshold=1',
  's3-fifo:small=0.5:ghost=0',
  's3-fifo:small=0:ghost=2:threshold=4',
  's3-fifo-caffeine:small=0.4',
  's3-fifo-caffeine:small=0:ghost=2:threshold=0:max=1',
  'slru:segments=2',
  'slru:segments=1',
  'w-tinylfu:window=0.3',
  'w-tinylfu:window=1',
  'w-tinylfu:ratio=1',
];
