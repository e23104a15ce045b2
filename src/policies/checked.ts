import { type EvictionPolicy, HIT, type PolicyContext } from './policy.ts';

/** A policy did what none may. */
export class PolicyFault extends Error {
  override readonly name = 'PolicyFault';
}

/**
 * A policy of somebody else's, held to its contract at every access: what it answers, that victims were cached and go once, that no more
 * pages are cached than there are frames. Whatever it does wrong, or throws, is a {@link PolicyFault} that names it.
 */
export class Checked implements EvictionPolicy {
  readonly #policy: EvictionPolicy;
  readonly #name: string;
  readonly #capacity: number;
  readonly #cached: Uint8Array;
  #resident = 0;
  #accesses = 0;

  constructor(policy: EvictionPolicy, name: string, { capacityPages, universe }: PolicyContext) {
    this.#policy = policy;
    this.#name = name;
    this.#capacity = capacityPages;
    this.#cached = new Uint8Array(universe);
  }

  get victims(): Uint32Array {
    return this.#policy.victims;
  }

  get residentPages(): number {
    return this.#policy.residentPages;
  }

  access(page: number): number {
    this.#accesses++;
    let outcome: number;
    try {
      outcome = this.#policy.access(page);
    } catch (error) {
      return this.#fail(`throws: ${(error as Error)?.message ?? error}`);
    }
    const { victims } = this.#policy;
    if (outcome === HIT) {
      if (this.#cached[page] === 0) this.#fail(`answers that page ${page} is cached, which it isn't`);
      return HIT;
    }
    if (!Number.isInteger(outcome) || outcome < 0 || outcome > victims.length)
      this.#fail(`answers ${outcome}, which is neither ${HIT} nor a number of victims from 0 to ${victims.length}`);
    if (this.#cached[page] !== 0) this.#fail(`answers that page ${page} isn't cached, which it is`);
    this.#cached[page] = 1;
    this.#resident += 1 - outcome;
    for (let i = 0; i < outcome; i++) {
      const victim = victims[i]!;
      if (victim === page || this.#cached[victim] !== 1) this.#fail(`evicts page ${victim}, which isn't there to go`);
      this.#cached[victim] = 0;
    }
    if (this.#resident > this.#capacity) this.#fail(`keeps ${this.#resident} pages in ${this.#capacity} frames`);
    return outcome;
  }

  check(): void {
    this.#policy.check();
  }

  #fail(what: string): never {
    throw new PolicyFault(`policy '${this.#name}': at its access ${this.#accesses} it ${what}`);
  }
}
