/**
 * libCacheSim's draws: D. Knuth's MMIX generator, x' = 6364136223846793005 x + 1442695040888963407 modulo 2^64, from 0, as
 * profiler/simulator.c seeds it for each of several caches. To be put in the place of a policy's own.
 */
export class KnuthSource {
  private high = 0;
  private low = 0;

  /** As there: the 64-bit number modulo the bound, which has to be below 2^26 here. */
  below(bound: number): number {
    const [low, high] = [this.low, this.high];
    const [l0, l1] = [low & 0xffff, low >>> 16];
    // 0x5851f42d4c957f2d; the product's halves by 16-bit digits of its low factor, 0x4c957f2d.
    const p00 = l0 * 0x7f2d;
    const middle = l1 * 0x7f2d + (p00 >>> 16);
    const carried = l0 * 0x4c95 + (middle % 0x10000);
    const carry = l1 * 0x4c95 + Math.floor(middle / 0x10000) + Math.floor(carried / 0x10000);
    const sum = (Math.imul(low, 0x4c957f2d) >>> 0) + 0xf767814f;
    this.low = sum >>> 0;
    this.high =
      (carry + Math.imul(high, 0x4c957f2d) + Math.imul(low, 0x5851f42d) + 0x14057b7e + (sum > 0xffffffff ? 1 : 0)) >>>
      0;
    return ((this.high % bound) * (2 ** 32 % bound) + this.low) % bound;
  }
}
