import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareNames, crc32c, nameBytes, nameString, s64, u64 } from '../../src/erofs/bytes.ts';

describe('names', () => {
  test('valid UTF-8 is what it says, other bytes are lone surrogates', () => {
    expect(nameString(Buffer.from('caf\u00e9 \u{1f4d6} \ufeff'))).toBe('caf\u00e9 \u{1f4d6} \ufeff');
    expect(nameString(Uint8Array.of(0x63, 0xe9, 0xff))).toBe('c\udce9\udcff');
    // an encoded surrogate and an overlong slash are not UTF-8
    expect(nameString(Uint8Array.of(0xed, 0xa0, 0x80, 0xc0, 0xaf))).toBe('\udced\udca0\udc80\udcc0\udcaf');
  });

  test('any bytes come back', () => {
    const byte = fc.oneof(fc.nat(255), fc.constantFrom(0xc3, 0xa9, 0xf0, 0x9f, 0x93, 0x96, 0xed, 0xb2, 0x80, 0xef));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 12 }), (bytes) => {
        expect([...nameBytes(nameString(Uint8Array.from(bytes)))]).toEqual(bytes);
      }),
      { seed: 1, numRuns: 3000 },
    );
  });

  test('compareNames orders by bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 5, min: 0x7a });
    const text = fc.string({ unit: 'binary', maxLength: 3 }).map((s) => new Uint8Array(Buffer.from(s)));
    fc.assert(
      fc.property(fc.oneof(bytes, text), fc.oneof(bytes, text), (a, b) => {
        expect(Math.sign(compareNames(nameString(a), nameString(b)))).toBe(Buffer.compare(a, b));
      }),
      { seed: 1, numRuns: 3000 },
    );
  });
});

test('crc32c gives the check value of RFC 3720, without the final inversion', () => {
  expect(~crc32c(0xffffffff, Buffer.from('123456789')) >>> 0).toBe(0xe3069283);
});

test('64-bit fields above 2^53 stay above it', () => {
  expect(u64(Uint8Array.of(255, 255, 255, 255, 255, 255, 31, 0), 0)).toBe(Number.MAX_SAFE_INTEGER);
  expect(Number.isSafeInteger(u64(Uint8Array.of(0, 0, 0, 0, 0, 0, 32, 0), 0))).toBe(false);
  expect(s64(new Uint8Array(8).fill(255), 0)).toBe(-1);
});
