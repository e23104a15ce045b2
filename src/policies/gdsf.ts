/*
 * GDSF, greedy dual size frequency, over pages: all of one size, which makes it LFU with dynamic aging.
 *
 * Mechanism   A page's worth is the age of the cache when it was used last, plus its uses times its cost over its size; the age is the
 *             worth of the page evicted last. Cost and size being the same for every page, that is {@link Lfuda} to the letter. The name
 *             is kept for tables that compare with other simulators.
 * Paper       L. Cherkasova, "Improving WWW proxies performance with greedy-dual-size-frequency caching policy", HP Labs HPL-98-69R1,
 *             1998.
 * Checked     libCacheSim aa0fc40, GDSF.cpp: equal miss counts, test/policies/golden.test.ts.
 * Deviations  none at one size.
 * Memory      12 bytes a page, 20 bytes a frame.
 */
import { Lfuda } from './lfuda.ts';

export class Gdsf extends Lfuda {}
