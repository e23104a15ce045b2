/**
 * Misses at every cache size, from the references by stack distance: a cache of that many pages hits (Mattson et al. 1970).
 */
export class Curve {
  /** hits at each size, from 0 */
  readonly #hits: Float64Array;
  /** references counted */
  readonly references: number;

  /** @param histogram references by distance from 1; those that hit at no size at 0 */
  constructor(histogram: Float64Array) {
    let references = 0;
    for (const count of histogram) references += count;
    let top = histogram.length - 1;
    while (top > 0 && histogram[top] === 0) top--;
    this.references = references;
    this.#hits = new Float64Array(top + 1);
    for (let d = 1; d <= top; d++) this.#hits[d] = this.#hits[d - 1]! + histogram[d]!;
  }

  /** The size from which on nothing changes any more. */
  get top(): number {
    return this.#hits.length - 1;
  }

  misses(size: number): number {
    return this.references - this.#hits[Math.min(size, this.#hits.length - 1)]!;
  }
}
