import { UsageError } from '../../error.ts';
import type { ReplayInput } from '../result.ts';
import { grown, IdInterner } from '../trace/intern.ts';
import { BLOCK, type IdBlock, type IdSource, spatialHash } from './ids.ts';

/** References as numbers from 0 in the order of their pages' first appearance. */
export interface DenseTrace {
  /** In shared memory; null if they are too many to keep, or aren't to be kept: then the source is read again. */
  readonly ids: Uint32Array | null;
  /** the container of each, if that was asked for */
  readonly who: Uint32Array | null;
  /** distinct pages */
  readonly universe: number;
  /** Ids of the pages, low and high half of each in turn, in shared memory; null if they weren't asked for, or have none. */
  readonly objectIds: Uint32Array | null;
  /** how many there are */
  readonly references: number;
  /** how many of them come before counting begins */
  readonly warmup: number;
  /** first references to their page among the counted ones: the misses of a cache without limit */
  readonly coldMisses: number;
  /** Of the whole trace, where this is a sample of it: the share that is here, and how many references are counted there. */
  readonly rate: number;
  readonly counted: number;
}

export interface LoadOptions {
  /** references of the whole trace that come before counting begins */
  readonly warmup: number;
  readonly sample: SampleRate | null;
  /** references kept in memory at most, 4 bytes each */
  readonly keep: number;
  /** keep the containers too */
  readonly who: boolean;
  /** the pages' ids, too */
  readonly objectIds: boolean;
}

/** The share of the ids that is kept, chosen by their hash, and how many there shall be at least, for which the share may be larger. */
export interface SampleRate {
  readonly rate: number;
  readonly atLeast: number;
}

/** 1 GiB of references. */
export const MOST_KEPT = 2 ** 28;
const ALL = 2 ** 32;

/** Reads a trace. @throws DataError, UsageError */
export async function loadDense(
  source: IdSource,
  options: LoadOptions,
): Promise<{ trace: DenseTrace; inputs: ReplayInput[] }> {
  const collector = await collectorOf(source, options);
  const inputs = await source.read((block) => collector.take(block));
  const objectIds = options.objectIds ? source.objectIds(collector.numbering.ids()) : null;
  return { trace: { ...collector.finish(source.path), objectIds }, inputs };
}

async function collectorOf(source: IdSource, options: LoadOptions): Promise<Collector> {
  if (options.sample !== null) return new SampleCollector(options, options.sample);
  const { distinct, references } = await source.expected();
  return new Collector(options, new Numbering(distinct), references <= options.keep ? references : 0);
}

/** The hashes below which ids are in a sample. */
export function threshold(rate: number): number {
  return Math.max(1, Math.min(ALL, Math.round(rate * ALL)));
}

/** Numbers the ids of blocks. */
export class Numbering {
  readonly #interner: IdInterner;
  /** of the references taken last */
  readonly numbers = new Uint32Array(BLOCK);
  readonly who = new Uint32Array(BLOCK);

  constructor(expected: number) {
    this.#interner = new IdInterner(expected);
  }

  get size(): number {
    return this.#interner.size;
  }

  /** See {@link IdInterner.ids}. */
  ids(): Uint32Array {
    return this.#interner.ids();
  }

  /** @param first position in the block to begin at. @returns how many are in `numbers` and `who` */
  take({ low, high, who }: IdBlock, first: number, end: number): number {
    this.#interner.internAll(low.subarray(first, end), high.subarray(first, end), end - first, this.numbers);
    this.who.set(who.subarray(first, end));
    return end - first;
  }
}

/** Numbers those ids of blocks whose hash is low. */
class SampleNumbering {
  #interner = new IdInterner();
  #lowOf = new Uint32Array(1024);
  #highOf = new Uint32Array(1024);
  readonly numbers = new Uint32Array(BLOCK);
  readonly who = new Uint32Array(BLOCK);
  below = ALL;

  get size(): number {
    return this.#interner.size;
  }

  ids(): Uint32Array {
    return this.#interner.ids();
  }

  take({ low, high, who }: IdBlock, first: number, end: number): number {
    const { numbers, who: keptWho, below } = this;
    let kept = 0;
    for (let i = first; i < end; i++) {
      if (spatialHash(low[i]!, high[i]!) >= below) continue;
      const number = this.#intern(low[i]!, high[i]!);
      numbers[kept] = number;
      keptWho[kept++] = who[i]!;
    }
    return kept;
  }

  #intern(low: number, high: number): number {
    const known = this.#interner.size;
    const number = this.#interner.intern(low, high);
    if (number === known) {
      this.#lowOf = grown(this.#lowOf, number);
      this.#highOf = grown(this.#highOf, number);
      this.#lowOf[number] = low;
      this.#highOf[number] = high;
    }
    return number;
  }

  /** Leaves out ids. @returns the new number of each, {@link GONE} for those left out */
  lower(below: number): Uint32Array {
    const size = this.#interner.size;
    const [lowOf, highOf] = [this.#lowOf, this.#highOf];
    const renumbered = new Uint32Array(size).fill(GONE);
    this.below = below;
    this.#interner = new IdInterner(size);
    this.#lowOf = new Uint32Array(1024);
    this.#highOf = new Uint32Array(1024);
    for (let id = 0; id < size; id++)
      if (spatialHash(lowOf[id]!, highOf[id]!) < below) renumbered[id] = this.#intern(lowOf[id]!, highOf[id]!);
    return renumbered;
  }
}

const GONE = 0xffffffff;

class Collector {
  readonly #options: LoadOptions;
  readonly numbering: Numbering | SampleNumbering;
  ids: Column | null;
  who: Column | null;
  /** references of the whole trace */
  #seen = 0;
  references = 0;
  /** references and pages ahead of the counted ones */
  warmup = 0;
  warmPages = 0;

  /** @param most references there can be, 0 if unknown */
  constructor(options: LoadOptions, numbering: Numbering | SampleNumbering, most = 0) {
    this.#options = options;
    this.numbering = numbering;
    this.ids = options.keep > 0 ? new Column(most) : null;
    this.who = options.who ? new Column(most) : null;
  }

  take(block: IdBlock): void {
    const cold = Math.min(block.count, Math.max(0, this.#options.warmup - this.#seen));
    if (cold > 0) {
      this.#add(block, 0, cold);
      this.warmup = this.references;
      this.warmPages = this.numbering.size;
    }
    if (cold < block.count) this.#add(block, cold, block.count);
    this.#seen += block.count;
  }

  #add(block: IdBlock, first: number, end: number): void {
    const kept = this.numbering.take(block, first, end);
    this.references += kept;
    if (this.references > this.#options.keep) this.ids = null;
    this.ids?.add(this.numbering.numbers, kept);
    this.who?.add(this.numbering.who, kept);
  }

  finish(path: string): Omit<DenseTrace, 'objectIds'> {
    const { warmup } = this.#options;
    if (warmup > 0 && warmup >= this.#seen)
      throw new UsageError(`--warmup ${warmup} leaves nothing to count of the ${this.#seen} references of ${path}`);
    const { size } = this.numbering;
    return {
      ids: this.ids?.shared() ?? null,
      who: this.who?.shared() ?? null,
      universe: size,
      references: this.references,
      warmup: this.warmup,
      coldMisses: size - this.warmPages,
      rate: this.numbering instanceof SampleNumbering ? this.numbering.below / ALL : 1,
      counted: this.#seen - warmup,
    };
  }
}

/**
 * Begins with all ids and halves their share whenever there are twice as many as there shall be, down to the rate that is wanted: what is there in
 * the end is as if it had been sampled at the last rate from the beginning.
 */
class SampleCollector extends Collector {
  readonly #least: number;
  readonly #atLeast: number;
  readonly #sample: SampleNumbering;

  constructor(options: LoadOptions, { rate, atLeast }: SampleRate) {
    const numbering = new SampleNumbering();
    super({ ...options, keep: MOST_KEPT }, numbering);
    this.#sample = numbering;
    this.#least = threshold(rate);
    this.#atLeast = atLeast;
    if (atLeast === 0) numbering.below = this.#least;
  }

  override take(block: IdBlock): void {
    super.take(block);
    while (this.#sample.below > this.#least && this.numbering.size > 2 * this.#atLeast) this.#lower();
  }

  #lower(): void {
    const pages = this.#sample.size;
    const renumbered = this.#sample.lower(Math.max(this.#least, Math.ceil(this.#sample.below / 2)));
    const ids = this.ids!;
    const who = this.who;
    this.ids = new Column();
    this.who = who === null ? null : new Column();
    let at = 0;
    let warmup = 0;
    for (const [chunk, owner] of ids.chunks(who)) {
      let kept = 0;
      for (let i = 0; i < chunk.length; i++) {
        const id = renumbered[chunk[i]!]!;
        if (id === GONE) continue;
        if (at + i < this.warmup) warmup++;
        chunk[kept] = id;
        if (owner !== null) owner[kept] = owner[i]!;
        kept++;
      }
      at += chunk.length;
      this.ids.add(chunk, kept);
      if (owner !== null) this.who!.add(owner, kept);
    }
    let warmPages = 0;
    for (let id = 0; id < Math.min(pages, this.warmPages); id++) if (renumbered[id] !== GONE) warmPages++;
    this.references = this.ids.length;
    this.warmup = warmup;
    this.warmPages = warmPages;
  }
}

const CHUNK = 1 << 20;

/** A column of 32-bit numbers that grows without being copied, until it is whole; not even then where its length is known. */
class Column {
  readonly #chunks: Uint32Array[] = [];
  #filled = CHUNK;
  readonly #whole: Uint32Array | null;
  #wholeFilled = 0;

  /** @param most entries there can be, 0 if unknown */
  constructor(most = 0) {
    this.#whole = most > 0 ? new Uint32Array(new SharedArrayBuffer(4 * most)) : null;
  }

  add(values: Uint32Array, count: number): void {
    if (this.#whole !== null) {
      this.#whole.set(values.subarray(0, count), this.#wholeFilled);
      this.#wholeFilled += count;
      return;
    }
    for (let at = 0; at < count; ) {
      if (this.#filled === CHUNK) {
        this.#chunks.push(new Uint32Array(CHUNK));
        this.#filled = 0;
      }
      const part = Math.min(count - at, CHUNK - this.#filled);
      this.#chunks.at(-1)!.set(values.subarray(at, at + part), this.#filled);
      this.#filled += part;
      at += part;
    }
  }

  get length(): number {
    return this.#chunks.length === 0 ? 0 : (this.#chunks.length - 1) * CHUNK + this.#filled;
  }

  /** The column in pieces, each beside that of another column of the same length. */
  *chunks(other: Column | null): Generator<[Uint32Array, Uint32Array | null]> {
    for (const [i, chunk] of this.#chunks.entries()) {
      const length = i === this.#chunks.length - 1 ? this.#filled : CHUNK;
      yield [chunk.subarray(0, length), other === null ? null : other.#chunks[i]!.subarray(0, length)];
    }
  }

  /** The column in shared memory; it is empty afterwards. */
  shared(): Uint32Array {
    if (this.#whole !== null) return this.#whole.subarray(0, this.#wholeFilled);
    const { length } = this;
    const whole = new Uint32Array(new SharedArrayBuffer(4 * length));
    for (let i = 0; i < this.#chunks.length; i++) {
      const at = i * CHUNK;
      whole.set(this.#chunks[i]!.subarray(0, Math.min(CHUNK, length - at)), at);
      this.#chunks[i] = this.#chunks[i]!.subarray(0, 0);
    }
    return whole;
  }
}

/** What one container asked for, as a trace of its own. @param warmup references of it before counting begins */
export function onlyOf(trace: DenseTrace, container: number): DenseTrace {
  const { ids, who } = trace;
  let references = 0;
  for (let i = 0; i < who!.length; i++) if (who![i] === container) references++;
  const own = new Uint32Array(new SharedArrayBuffer(4 * references));
  const number = new Uint32Array(trace.universe);
  const objectIds = trace.objectIds === null ? null : new Uint32Array(new SharedArrayBuffer(8 * trace.universe));
  let universe = 0;
  let warmup = 0;
  let warmPages = 0;
  let at = 0;
  for (let i = 0; i < who!.length; i++) {
    if (i === trace.warmup) {
      warmup = at;
      warmPages = universe;
    }
    if (who![i] !== container) continue;
    const id = ids![i]!;
    if (number[id] === 0) {
      if (objectIds !== null) {
        objectIds[2 * universe] = trace.objectIds![2 * id]!;
        objectIds[2 * universe + 1] = trace.objectIds![2 * id + 1]!;
      }
      number[id] = ++universe;
    }
    own[at++] = number[id]! - 1;
  }
  return {
    ids: own,
    who: null,
    universe,
    objectIds,
    references,
    warmup,
    coldMisses: universe - warmPages,
    rate: 1,
    counted: references - warmup,
  };
}
