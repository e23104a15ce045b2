/*
 * W-TinyLFU: a window of new pages, whose leavers have to be more frequent, by a sketch, than what they would push out of main.
 *
 * Mechanism   New pages enter the window, an LRU list. When the cache is full, the window's oldest page moves to main while main has room;
 *             else it is compared with main's next victim by the estimates of a counting Bloom filter: if it is the more frequent, main
 *             evicts its victim and takes it, and the next page of the window is asked; if not, it leaves. Main is a segmented LRU: a
 *             hit in probation promotes, and what the protected segment has too much goes back to probation. The filter counts pages as
 *             they come in, are hit in main and are weighed, and is halved now and then.
 * Paper       G. Einziger, R. Friedman and B. Manes, "TinyLFU: a highly efficient cache admission policy", ACM Transactions on Storage
 *             13(4), 2017, sections 3 and 4.
 * Checked     libCacheSim aa0fc40, WTinyLFU.c, SLRU.c and minimalIncrementCBF.c: equal miss counts, test/policies/golden.test.ts, on
 *             traces whose objects are numbered from 0, and test/replay/curves/command.test.ts on others: its filter hashes the object's
 *             id, and so does ours where the trace has ids; pages of recordings have none, and their numbers are hashed.
 * Deviations  As libCacheSim, and unlike the paper and Caffeine: the window is only looked at when the whole cache is full; an admitted
 *             page doesn't end the eviction, which goes on until a page of the window is refused, so one miss may evict several; hits
 *             in the window aren't counted; the filter has 14.4 counters for each page of main, of which an insertion
 *             raises all ten, and is halved after 32 hits a frame of main; a hit in probation may evict when both segments are full.
 *             Unlike libCacheSim: caches of under 100 frames work (there a window without a frame admits nothing).
 * Parameters  window=0.01  the window's share of the frames, at least one; ratio=4  frames of the protected segment for one of
 *             probation.
 * Memory      17 bytes a page, 21 bytes a frame.
 */
import { frameCount } from './frames.ts';
import { FrequencySketch } from './frequency-sketch.ts';
import { checkList, PageLists } from './lists.ts';
import { numberParam } from './params.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

/** State of a page: the list it is in, 0 for none. */
const WINDOW = 1;
const PROBATION = 2;
const PROTECTED = 3;

export class WTinyLfu implements EvictionPolicy {
  readonly victims: Uint32Array;
  private readonly frames: number;
  private readonly mainLimit: number;
  private readonly probationLimit: number;
  private readonly protectedLimit: number;
  private readonly lists: PageLists;
  private readonly state: Uint8Array;
  private readonly sketch: FrequencySketch;
  private readonly window: number;
  private readonly probation: number;
  private readonly protectedList: number;
  private windowPages = 0;
  private probationPages = 0;
  private protectedPages = 0;
  /** Hits in main since the sketch was halved. */
  private hits = 0;
  private readonly halveAfter: number;
  /** Victims not reported yet. */
  private pending = 0;

  constructor(context: PolicyContext) {
    const { universe, capacityPages } = context;
    this.frames = frameCount(context);
    this.mainLimit = capacityPages - Math.max(1, Math.trunc(capacityPages * numberParam(context, 'window', 0, 1)));
    const ratio = numberParam(context, 'ratio', 0, 1e6);
    this.probationLimit = Math.max(1, Math.trunc((1 / (1 + ratio)) * this.mainLimit));
    this.protectedLimit = Math.min(
      Math.trunc((ratio / (1 + ratio)) * this.mainLimit),
      Math.max(0, this.mainLimit - this.probationLimit),
    );
    this.halveAfter = 32 * this.mainLimit;
    // Where everything fits, no page is ever weighed.
    this.sketch = new FrequencySketch(universe, capacityPages < universe ? this.mainLimit : 0, context.ids);
    this.victims = new Uint32Array(this.frames);
    this.lists = new PageLists(universe, 3);
    this.state = new Uint8Array(universe);
    this.window = universe;
    this.probation = universe + 1;
    this.protectedList = universe + 2;
  }

  get residentPages(): number {
    return this.windowPages + this.probationPages + this.protectedPages + this.pending;
  }

  access(page: number): number {
    const { lists, sketch, state } = this;
    const was = state[page];
    if (was === WINDOW) {
      lists.moveToFront(this.window, page);
      return HIT;
    }
    if (was !== 0) {
      if (was === PROTECTED) lists.moveToFront(this.protectedList, page);
      else this.promote(page);
      sketch.add(page);
      if (++this.hits >= this.halveAfter) {
        this.hits = 0;
        sketch.halve();
      }
      return HIT;
    }

    if (this.windowPages + this.probationPages + this.protectedPages === this.frames) this.evict();
    state[page] = WINDOW;
    lists.pushFront(this.window, page);
    this.windowPages++;
    sketch.add(page);
    const reported = this.pending;
    this.pending = 0;
    return reported;
  }

  /** A hit in probation. */
  private promote(page: number): void {
    const { lists, state } = this;
    state[page] = PROTECTED;
    lists.moveToFront(this.protectedList, page);
    this.probationPages--;
    this.protectedPages++;
    if (this.protectedPages <= this.protectedLimit) return;
    const demoted = lists.back(this.protectedList);
    state[demoted] = PROBATION;
    lists.moveToFront(this.probation, demoted);
    this.protectedPages--;
    this.probationPages++;
    while (this.probationPages > this.probationLimit) this.evictFromMain();
  }

  /** Asks the window's pages, oldest first, until one of them leaves. */
  private evict(): void {
    const { lists, sketch, state, window, mainLimit } = this;
    while (this.windowPages > 0) {
      const candidate = lists.back(window);
      lists.remove(candidate);
      this.windowPages--;
      let admitted = this.probationPages + this.protectedPages < mainLimit;
      if (!admitted && mainLimit > 0 && sketch.estimate(candidate) > sketch.estimate(this.nextOfMain())) {
        this.evictFromMain();
        admitted = true;
      }
      sketch.add(candidate);
      if (!admitted) {
        state[candidate] = 0;
        this.victims[this.pending++] = candidate;
        return;
      }
      if (this.probationPages >= this.probationLimit && this.protectedPages < this.protectedLimit) {
        state[candidate] = PROTECTED;
        lists.pushFront(this.protectedList, candidate);
        this.protectedPages++;
      } else {
        state[candidate] = PROBATION;
        lists.pushFront(this.probation, candidate);
        this.probationPages++;
      }
    }
    this.evictFromMain();
  }

  private nextOfMain(): number {
    return this.lists.back(this.probationPages > 0 ? this.probation : this.protectedList);
  }

  private evictFromMain(): void {
    const victim = this.nextOfMain();
    this.lists.remove(victim);
    if (this.state[victim] === PROBATION) this.probationPages--;
    else this.protectedPages--;
    this.state[victim] = 0;
    this.victims[this.pending++] = victim;
  }

  check(): void {
    const { frames, lists, state, windowPages, probationPages, protectedPages } = this;
    if (this.residentPages > frames) throw new Error(`w-tinylfu: ${this.residentPages} pages in ${frames} frames`);
    if (probationPages + protectedPages > this.mainLimit) throw new Error('w-tinylfu: main is over its share');
    if (protectedPages > this.protectedLimit) throw new Error('w-tinylfu: the protected segment is over its share');
    checkList('w-tinylfu', lists, this.window, windowPages, (page) => state[page] === WINDOW);
    checkList('w-tinylfu', lists, this.probation, probationPages, (page) => state[page] === PROBATION);
    checkList('w-tinylfu', lists, this.protectedList, protectedPages, (page) => state[page] === PROTECTED);
    const cached = state.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (cached !== windowPages + probationPages + protectedPages)
      throw new Error(`w-tinylfu: ${cached} pages have a state`);
  }
}
