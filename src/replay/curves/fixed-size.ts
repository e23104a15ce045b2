import { grown, IdInterner } from '../trace/intern.ts';
import { StackDistances } from '../trace/stack-distance.ts';
import { type IdBlock, spatialHash } from './ids.ts';

/** Bins to a doubling of the distance: below 1 % each. */
const BINS = 128;

/**
 * LRU's curve from a sample of at most so many ids: fixed-size SHARDS (Waldspurger et al., FAST '15, section 3.2). The sampled ids are those of the
 * lowest hashes; when they become too many, the highest leave, and the rate is lower from then on. A reference counts for 1/rate of them, which
 * is what scaling the histogram down at each change of the rate comes to. The difference to the references there really were goes to the
 * smallest distance (SHARDS-adj).
 *
 * Memory: of each sampled id some 60 bytes, whatever the trace.
 */
export class FixedSizeShards {
  readonly #size: number;
  readonly #distances = new StackDistances();
  readonly #interner: IdInterner;
  /** of each id numbered */
  #hash = new Uint32Array(1024);
  /** heap of the ids in the sample, the highest hash first */
  readonly #heap: number[] = [];
  #below = 2 ** 32;
  readonly #bins = new Float64Array(54 * BINS);
  #cold = 0;
  #seen = 0;
  readonly #warmup: number;

  /** @param warmup references that aren't counted */
  constructor(size: number, warmup: number) {
    this.#size = size;
    this.#warmup = warmup;
    this.#interner = new IdInterner(2 * size);
  }

  /** The rate that the sample ended with. */
  get rate(): number {
    return this.#below / 2 ** 32;
  }

  /** Distinct ids, estimated. */
  get footprint(): number {
    return Math.max(1, Math.round(this.#heap.length / this.rate));
  }

  /** First references among those counted, estimated. */
  get coldMisses(): number {
    return Math.round(Math.min(this.#cold, Math.max(0, this.#seen - this.#warmup)));
  }

  take({ low, high, count }: IdBlock): void {
    for (let i = 0; i < count; i++) {
      const position = this.#seen++;
      const hash = spatialHash(low[i]!, high[i]!);
      if (hash >= this.#below) continue;
      const id = this.#interner.intern(low[i]!, high[i]!);
      const distance = this.#distances.reference(id);
      if (position >= this.#warmup) {
        const weight = 2 ** 32 / this.#below;
        if (distance === 0) this.#cold += weight;
        else this.#bins[binOf(1 + (distance - 1) * weight)]! += weight;
      }
      if (distance === 0) this.#enter(id, hash);
    }
  }

  /** Misses at a size, of the references counted. */
  misses(size: number): number {
    const references = Math.max(0, this.#seen - this.#warmup);
    let weighed = this.#cold;
    let hits = 0;
    const last = binOf(size);
    for (let bin = 0; bin < this.#bins.length; bin++) {
      weighed += this.#bins[bin]!;
      if (bin <= last) hits += this.#bins[bin]!;
    }
    return Math.min(references, Math.max(0, references - hits - (references - weighed)));
  }

  #enter(id: number, hash: number): void {
    this.#hash = grown(this.#hash, id);
    this.#hash[id] = hash;
    this.#push(id);
    if (this.#heap.length <= this.#size) return;
    this.#below = this.#hash[this.#heap[0]!]!;
    while (this.#heap.length > 0 && this.#hash[this.#heap[0]!]! >= this.#below) this.#distances.forget(this.#pop());
  }

  #push(id: number): void {
    const heap = this.#heap;
    const hash = this.#hash;
    let at = heap.push(id) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (hash[heap[parent]!]! >= hash[id]!) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = id;
  }

  #pop(): number {
    const heap = this.#heap;
    const hash = this.#hash;
    const top = heap[0]!;
    const id = heap.pop()!;
    if (heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && hash[heap[child + 1]!]! > hash[heap[child]!]!) child++;
      if (hash[heap[child]!]! <= hash[id]!) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = id;
    return top;
  }
}

function binOf(distance: number): number {
  return Math.floor(Math.log2(distance) * BINS);
}
