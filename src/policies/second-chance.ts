/*
 * Second chance: CLOCK with one usage bit, which the fault itself sets.
 *
 * Mechanism   That of {@link Clock}; a page enters with its bit set, so every page survives the first time the hand comes by.
 * Paper       A. S. Tanenbaum and H. Bos, "Modern operating systems", 4th ed., section 3.4.4: the reference bit, which hardware sets with
 *             the access that faulted.
 * Checked     a naive twin. (libCacheSim's "second-chance" is another name of its Clock, where a page enters with the bit clear: here
 *             that is `clock`.)
 * Deviations  none.
 * Memory      1 byte a page, 4 bytes a frame.
 */
import { Clock } from './clock.ts';
import type { PolicyContext } from './policy.ts';

export class SecondChance extends Clock {
  constructor(context: PolicyContext) {
    super({ ...context, params: { bits: 1 } }, 1);
  }
}
