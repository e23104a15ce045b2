/*
 * The policies once more, written for the eye: arrays and Maps, linear searches, no shared code with src/policies. An access answers
 * null on a hit, else the evicted pages. One file a family; a queue's oldest page is always first.
 */
import type { policies } from '../../src/policies/index.ts';
import { arc } from './naive/adaptive.ts';
import { clock, fifo, s3Fifo, sieve, twoQ } from './naive/queues.ts';
import { lru, opt } from './naive/recency.ts';
import type { MakeNaive } from './naive/twin.ts';

/** One for every line of the registry. */
export const naive = {
  '2q': twoQ,
  arc,
  clock,
  fifo,
  lru,
  opt,
  's3-fifo': s3Fifo,
  sieve,
} satisfies Record<keyof typeof policies, MakeNaive>;

/** Settings to test besides each policy's defaults. */
export const variants: readonly string[] = [
  '2q:in=0.5',
  '2q:in=1:out=2',
  '2q:in=0:out=0',
  'clock:bits=2',
  'clock:bits=3',
  'clock:bits=7',
  's3-fifo:threshold=1',
  's3-fifo:small=0.5:ghost=0',
  's3-fifo:small=0:ghost=2:threshold=4',
];
