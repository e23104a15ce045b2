/*
 * LHD: evict, of a random sample, the page of which the fewest hits are to be expected for the frame-time it will take.
 *
 * Mechanism   References are counted by the age at which they hit, evictions by the age at which they came, in 16 classes of pages by the
 *             sum of their last two ages at a hit. From these every `every` references, all counts being decayed to nine tenths, the hit
 *             density of each class and age follows: hits to come over frame-time to come. The victim has the least of `sample` pages
 *             drawn with replacement, and of the pages that came in lately and looked worse than recent victims. One page in 32 is an
 *             explorer in the beginning, which is spared, for at most 1 % of the frames.
 * Paper       N. Beckmann, H. Chen and A. Cidon, "LHD: improving cache hit rate by maximizing hit density", NSDI 2018, sections 4 and 5.
 * Checked     libCacheSim aa0fc40, LHD/lhd.cpp, which is the authors': equal miss counts where we draw its numbers,
 *             test/policies/golden.test.ts. A naive twin.
 * Deviations  As there: until the first 50 reckonings, 8 pages are drawn instead of `sample`; ages are coarsened, by 1,024 references at first,
 *             and by what fits the number of pages after the 6th and the 26th reckoning; until the first, densities fall with the age and
 *             rise with the class, whatever the trace. With the default `every` a trace below a million references is judged by these.
 * Parameters  sample=32; admitted=8  pages remembered as candidates since they came in; ages=20000  distinct ages; every=1048576.
 * Memory      18 bytes a page, 4 bytes a frame, 192 bytes an age.
 */
import { frameCount } from './frames.ts';
import { integerParam } from './params.ts';
import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';
import { RandomSource } from './random-source.ts';

const CLASSES = 16;
/** Densities begin as those of the reference's second application: its classes are numbered from here. */
const FIRST_CLASS = 16;
const DECAY = Math.fround(0.9);
const REST = Math.fround(1 - DECAY);
const EXPLORERS = 32;
const EXPLORER_SHARE = Math.fround(0.01);
const EARLY_SAMPLE = 8;
/** Reckonings until which it explores and draws less. */
const EARLY = 50;
/** Reckonings before those that fit the coarseness of ages, and what share of the ages an error may be. */
const COARSENINGS = [5, 25];
const TOLERANCE = Math.fround(0.01);
const LOWEST = -3.4028234663852886e38;

export class Lhd implements EvictionPolicy {
  readonly victims = new Uint32Array(1);
  residentPages = 0;
  private readonly sample: number;
  private readonly ages: number;
  private readonly every: number;
  /** Page held by each frame; frames below `residentPages` are in use. */
  private readonly pages: Int32Array;
  /** A page's frame plus one, 0 when it is not cached. */
  private readonly frame: Int32Array;
  /** When a page was used last, its age at the last hit, and its class, by that and the age at the hit before. */
  private readonly usedAt: Float64Array;
  private readonly lastAge: Int32Array;
  private readonly group: Uint8Array;
  private readonly explores: Uint8Array;
  /** By class and age. Single precision, as in the reference: sums are rounded after each addition. */
  private readonly hits: Float32Array;
  private readonly evictions: Float32Array;
  private readonly densities: Float32Array;
  /** Pages that came in lately, −1 for none. */
  private readonly admitted: Int32Array;
  private admissions = 0;
  private readonly random: RandomSource;
  private now = 0;
  private reckonings = 0;
  private explorerBudget: number;
  private victimDensity = 0;
  /** Ages are divided by its power of two. */
  private coarseness = 10;
  private ageUnit = 2 ** -10;
  /** Decayed sums of the number of pages, and of one. */
  private pageSum = 0;
  private weightSum = 0;

  constructor(context: PolicyContext) {
    const { universe, capacityPages, seed } = context;
    this.pages = new Int32Array(frameCount(context));
    this.sample = integerParam(context, 'sample', 1, 1024);
    this.ages = integerParam(context, 'ages', 2, 1 << 20);
    this.every = integerParam(context, 'every', 1, 2 ** 40);
    this.admitted = new Int32Array(integerParam(context, 'admitted', 0, 1024)).fill(-1);
    this.frame = new Int32Array(universe);
    this.usedAt = new Float64Array(universe);
    this.lastAge = new Int32Array(universe);
    this.group = new Uint8Array(universe);
    this.explores = new Uint8Array(universe);
    this.hits = new Float32Array(CLASSES * this.ages);
    this.evictions = new Float32Array(CLASSES * this.ages);
    this.densities = new Float32Array(CLASSES * this.ages);
    for (let at = 0, group = 0; group < CLASSES; group++)
      for (let age = 0; age < this.ages; age++) this.densities[at++] = (FIRST_CLASS + group + 1) / (age + 1);
    this.explorerBudget = Math.trunc(Math.fround(Math.fround(capacityPages) * EXPLORER_SHARE));
    this.random = new RandomSource(seed);
  }

  access(page: number): number {
    const { frame, pages } = this;
    if (frame[page] !== 0) {
      const age = this.ageOf(page);
      this.hits[this.group[page] * this.ages + age]++;
      if (this.explores[page] !== 0) this.explorerBudget++;
      this.group[page] = this.classOf(age + this.lastAge[page]);
      this.lastAge[page] = age;
      this.usedAt[page] = this.now;
      this.explore(page);
      this.tick();
      return HIT;
    }
    let evicted = 0;
    if (this.residentPages === pages.length) {
      this.evict();
      evicted = 1;
    }
    pages[this.residentPages++] = page;
    frame[page] = this.residentPages;
    this.group[page] = this.classOf(this.ages);
    this.lastAge[page] = 0;
    this.usedAt[page] = this.now;
    const drawn = this.explore(page);
    if (!drawn && this.admitted.length > 0 && this.density(page) < this.victimDensity)
      this.admitted[this.admissions++ % this.admitted.length] = page;
    this.tick();
    return evicted;
  }

  /** @returns whether the page was drawn for an explorer, which it is if there is a frame for it */
  private explore(page: number): boolean {
    const drawn = this.random.below(EXPLORERS) === 0;
    const explores = drawn && this.explorerBudget > 0 && this.reckonings < EARLY;
    if (explores) this.explorerBudget--;
    this.explores[page] = explores ? 1 : 0;
    return drawn;
  }

  private ageOf(page: number): number {
    return Math.min(this.ages - 1, Math.floor((this.now - this.usedAt[page]) * this.ageUnit));
  }

  /** By how many doublings two ages are below the greatest. */
  private classOf(ages: number): number {
    if (ages === 0) return CLASSES - 1;
    let doublings = 0;
    for (let age = ages; age < this.ages && doublings < CLASSES - 1; age *= 2) doublings++;
    return doublings;
  }

  private density(page: number): number {
    const age = this.ageOf(page);
    if (age === this.ages - 1) return LOWEST;
    const density = this.densities[this.group[page] * this.ages + age];
    return this.explores[page] !== 0 ? Math.fround(density + 1) : density;
  }

  private evict(): void {
    const { pages, frame, admitted, random, residentPages } = this;
    let victim = -1;
    let least = Number.POSITIVE_INFINITY;
    const draws = this.reckonings > EARLY ? this.sample : Math.min(this.sample, EARLY_SAMPLE);
    for (let i = 0; i < draws; i++) {
      const page = pages[random.below(residentPages)];
      const density = this.density(page);
      if (density < least) {
        least = density;
        victim = page;
      }
    }
    for (let i = 0; i < admitted.length; i++) {
      const page = admitted[i];
      if (page < 0 || frame[page] === 0) continue;
      const density = this.density(page);
      if (density < least) {
        least = density;
        victim = page;
      }
    }
    this.victimDensity = Math.fround(Math.fround(DECAY * this.victimDensity) + Math.fround(REST * least));
    this.evictions[this.group[victim] * this.ages + this.ageOf(victim)]++;
    if (this.explores[victim] !== 0) this.explorerBudget++;
    const last = pages[--this.residentPages];
    pages[frame[victim] - 1] = last;
    frame[last] = frame[victim];
    frame[victim] = 0;
    this.victims[0] = victim;
  }

  private tick(): void {
    this.now++;
    if (this.now % this.every !== 0) return;
    const { hits, evictions } = this;
    for (let at = 0; at < hits.length; at++) {
      hits[at] *= DECAY;
      evictions[at] *= DECAY;
    }
    this.coarsen();
    this.reckon();
    this.reckonings++;
  }

  /** Densities from the counts: from the greatest age down, hits and frame-time of all that come to this age. */
  private reckon(): void {
    const { hits, evictions, densities, ages } = this;
    const { fround } = Math;
    for (let group = 0; group < CLASSES; group++) {
      const last = group * ages + ages - 1;
      let hitsToCome = hits[last];
      let events = fround(hitsToCome + evictions[last]);
      let frameTime = events;
      for (let at = last - 1; at >= group * ages; at--) {
        hitsToCome = fround(hitsToCome + hits[at]);
        events = fround(events + fround(hits[at] + evictions[at]));
        frameTime = fround(frameTime + events);
        densities[at] = events > 1e-5 ? hitsToCome / frameTime : 0;
      }
    }
  }

  /** Twice in its life it fits the coarseness of ages to the number of pages. */
  private coarsen(): void {
    const { fround } = Math;
    this.pageSum = fround(fround(this.pageSum * DECAY) + this.residentPages);
    this.weightSum = fround(fround(this.weightSum * DECAY) + 1);
    if (!COARSENINGS.includes(this.reckonings)) return;
    const pages = fround(this.pageSum / this.weightSum);
    const wanted = fround(pages / fround(TOLERANCE * fround(this.ages)));
    let coarseness = 1;
    while (2 ** coarseness < wanted) coarseness++;
    const change = coarseness - this.coarseness;
    this.coarseness = coarseness;
    this.ageUnit = 2 ** -coarseness;
    this.pageSum = fround(this.pageSum * 8);
    this.weightSum = fround(this.weightSum * 8);
    for (const counts of [this.hits, this.evictions])
      for (let group = 0; group < CLASSES; group++) {
        const own = counts.subarray(group * this.ages, (group + 1) * this.ages);
        if (change < 0) stretch(own, -change);
        else if (change > 0) compress(own, change);
      }
  }

  check(): void {
    const { pages, frame, residentPages } = this;
    for (let at = 0; at < residentPages; at++)
      if (frame[pages[at]] !== at + 1) throw new Error(`lhd: page ${pages[at]} does not know its frame ${at}`);
    const cached = frame.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (cached !== residentPages) throw new Error(`lhd: ${cached} pages have a frame, ${residentPages} counted`);
    const explorers = this.explores.reduce((sum, value, page) => sum + (frame[page] === 0 ? 0 : value), 0);
    if (this.explorerBudget < 0 || explorers > residentPages) throw new Error('lhd: too many explorers');
  }
}

/** Ages become finer: counts are spread, those that pass the greatest age are counted there. */
function stretch(counts: Float32Array, shift: number): void {
  const last = counts.length - 1;
  for (let age = counts.length >> shift; age < last; age++) counts[last] += counts[age];
  for (let age = last - 1; age >= 0; age--) counts[age] = counts[age >> shift] / (1 << shift);
}

/** Ages become coarser: counts are summed up. */
function compress(counts: Float32Array, shift: number): void {
  const end = counts.length >> shift;
  for (let age = 0; age < end; age++) {
    counts[age] = counts[age << shift];
    for (let i = 1; i < 1 << shift; i++) counts[age] += counts[(age << shift) + i];
  }
  for (let age = end; age < counts.length - 1; age++) counts[age] = 0;
}
