const MAX_ID = 2n ** 64n - 1n;

/** A number of 64 bits: its halves. */
export interface Id {
  low: number;
  high: number;
}

/** @returns whether the text is a number below 2^64, whose halves `id` has then */
export function readId(text: string, id: Id): boolean {
  const length = text.length;
  if (length > 20) return false;
  let value = 0;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return false;
    value = value * 10 + digit;
  }
  if (length > 15) {
    const whole = BigInt(text);
    if (whole > MAX_ID) return false;
    id.high = Number(whole >> 32n);
    id.low = Number(whole & 0xffffffffn);
    return true;
  }
  id.high = Math.floor(value / 2 ** 32);
  id.low = value >>> 0;
  return length > 0;
}

/** The number whose halves these are, as a text. */
export function idText(low: number, high: number): string {
  return high < 2 ** 21 ? String(high * 2 ** 32 + low) : String((BigInt(high) << 32n) | BigInt(low));
}
