/**
 * Logarithm, power and exponential variates from +, −, × and ÷ alone. JavaScript leaves the last bits of Math.pow and Math.log to the engine;
 * a seeded trace is to be the same bytes on every machine. Relative error below 2^-49 (test/replay/trace/synth.test.ts).
 */
import type { Random } from './random.ts';

// fdlibm's e_log.c: ln 2 in two parts, so that k × LN2_HIGH is exact
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** Natural logarithm of a number above 0. */
export function log(x: number): number {
  let exponent = 0;
  while (x >= 1.5) {
    x /= 2;
    exponent++;
  }
  while (x < 0.75) {
    x *= 2;
    exponent--;
  }
  // ln x = 2 artanh s, |s| ≤ 1/5
  const s = (x - 1) / (x + 1);
  const square = s * s;
  let sum = 0;
  for (let n = 25; n >= 3; n -= 2) sum = square * (1 / n + sum);
  return exponent * LN2_HIGH + (2 * s + (2 * s * sum + exponent * LN2_LOW));
}

/** e^x. */
export function exp(x: number): number {
  if (x < -745) return 0;
  const k = Math.round(x / (LN2_HIGH + LN2_LOW));
  const rest = x - k * LN2_HIGH - k * LN2_LOW;
  let sum = 1;
  for (let n = 18; n >= 1; n--) sum = 1 + (sum * rest) / n;
  for (let i = 0; i < k; i++) sum *= 2;
  for (let i = 0; i > k; i--) sum /= 2;
  return sum;
}

/** base^−alpha; exact for alpha 0 and 1. @param base from 1 */
export function inversePower(base: number, alpha: number): number {
  if (alpha === 0) return 1;
  return alpha === 1 ? 1 / base : exp(-alpha * log(base));
}

/**
 * An exponentially distributed number of mean 1, by comparisons alone: von Neumann, Various techniques used in connection with random
 * digits, 1951. u is accepted with probability e^−u, that a falling run which begins with it has an odd length.
 */
export function exponential(random: Random): number {
  for (let whole = 0; ; whole++) {
    const first = random.unit();
    let last = first;
    let length = 1;
    for (let next = random.unit(); next < last; next = random.unit()) {
      last = next;
      length++;
    }
    if (length % 2 === 1) return whole + first;
  }
}
