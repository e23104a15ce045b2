/** A seeded source of random numbers: sfc32 (Chris Doty-Humphrey's PractRand), the same on every machine. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /**
   * @param seed a whole number below 2^53
   * @param stream of one seed: each has numbers of its own
   */
  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = (0x9e3779b9 + stream) | 0;
    for (let i = 0; i < 15; i++) this.u32();
  }

  /** a whole number below 2^32 */
  u32(): number {
    const t = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
    return t >>> 0;
  }

  /** in [0, 1), of 53 bits */
  unit(): number {
    return ((this.u32() >>> 5) * 2 ** 26 + (this.u32() >>> 6)) / 2 ** 53;
  }

  /** a whole number below `n`, each as likely; `n` at most 2^40 */
  below(n: number): number {
    return Math.floor(this.unit() * n);
  }

  /** 0 … n − 1 in random order */
  permutation(n: number): Uint32Array {
    const out = new Uint32Array(n);
    for (let i = 0; i < n; i++) out[i] = i;
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const other = out[j]!;
      out[j] = out[i]!;
      out[i] = other;
    }
    return out;
  }
}
