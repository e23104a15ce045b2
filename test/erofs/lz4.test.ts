import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decoded } from './codecs.ts';
import { encode, naiveDecode } from './lz4-naive.ts';

function decode(block: Uint8Array, size: number, partial: boolean): number[] | null {
  const bytes = decoded('lz4', block, size, partial);
  return bytes && [...bytes];
}

function naive(block: Uint8Array, size: number, partial: boolean): number[] | null {
  try {
    return naiveDecode(block, size, partial);
  } catch {
    return null;
  }
}

const bytes = (max: number) => fc.uint8Array({ maxLength: max });
const offset = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 65535 }));
const match = fc.oneof(fc.integer({ min: 4, max: 20 }), fc.integer({ min: 4, max: 700 }));
const literals = fc.oneof(bytes(20), bytes(300));
const block = fc
  .tuple(
    fc.array(fc.record({ literals, offset, match }), { maxLength: 30 }),
    fc.uint8Array({ minLength: 12, maxLength: 40 }),
  )
  .map(([sequences, tail]) => encode(sequences, tail));

describe('lz4', () => {
  test('decodes a block worked by hand', () => {
    // "abcd", 12 more from 4 back, then 5 literals
    const b = Uint8Array.of(0x48, 97, 98, 99, 100, 4, 0, 0x50, 49, 50, 51, 52, 53);
    expect(Buffer.from(decode(b, 21, false)!).toString()).toBe('abcdabcdabcdabcd12345');
    expect(Buffer.from(decode(b, 10, true)!).toString()).toBe('abcdabcdab');
  });

  test('equals the naive decoder on valid blocks, whole and partial', () => {
    fc.assert(
      fc.property(block, fc.nat(), ({ block, size }, cut) => {
        const whole = decode(block, size, false);
        expect(whole).toEqual(naive(block, size, false));
        expect(whole).not.toBe(null);
        const part = 1 + (cut % size);
        expect(decode(block, part, true)).toEqual(whole!.slice(0, part));
      }),
      { seed: 1, numRuns: 1000 },
    );
  });

  test('accepts and refuses what the naive decoder does on damaged blocks', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
    fc.assert(
      fc.property(
        block,
        damage,
        fc.nat(),
        fc.integer({ min: -20, max: 20 }),
        fc.boolean(),
        (b, flips, cut, more, partial) => {
          const bad = b.block.slice(0, cut % 3 === 0 ? cut % (b.block.length + 1) : b.block.length);
          for (const [at, value] of flips) if (bad.length > 0) bad[at % bad.length] = value;
          const size = Math.max(1, b.size + more);
          expect(decode(bad, size, partial)).toEqual(naive(bad, size, partial));
        },
      ),
      { seed: 2, numRuns: 3000 },
    );
  });

  test('random bytes are refused or decoded as the naive decoder does', () => {
    fc.assert(
      fc.property(bytes(200), fc.integer({ min: 1, max: 400 }), fc.boolean(), (b, size, partial) => {
        expect(decode(b, size, partial)).toEqual(naive(b, size, partial));
      }),
      { seed: 3, numRuns: 3000 },
    );
  });
});
