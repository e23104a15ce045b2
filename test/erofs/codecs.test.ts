import { describe, expect, test } from 'vitest';
import type { Extent } from '../../src/erofs/data.ts';
import { codecInput } from '../../src/erofs/wasm.ts';
import { CODECS, decoded } from './codecs.ts';
import { fixtureBytes, fixtures, openFixture } from './fixtures.ts';
import { random } from './random.ts';

// That codecs decode right is what fixtures.test.ts says, on pclusters of mkfs.erofs; here they get wrong ones.

/** Every pcluster of every fixture in one algorithm: encoded bytes, and how many they decode to. */
function pclusters(algorithm: (typeof CODECS)[number]): { src: Uint8Array; length: number; partial: boolean }[] {
  const out: { src: Uint8Array; length: number; partial: boolean }[] = [];
  for (const { name, device } of fixtures) {
    if (device) continue;
    const image = openFixture(name);
    if (image.superblock.metaboxNid >= 0 || !image.superblock.zeroPadding) continue;
    const bytes = fixtureBytes(`${name}.erofs`);
    for (const { inode } of image.walk()) {
      if (inode.type !== 'file') continue;
      for (const e of image.mapBlocks(inode)) {
        if (!e.encoded || e.algorithm !== algorithm) continue;
        const src = bytes.slice(e.pa, e.pa + e.plen);
        out.push({ src: src.slice(src.findIndex((b) => b !== 0)), ...shape(e) });
      }
    }
  }
  return out;
}

function shape(e: Extent): { length: number; partial: boolean } {
  return { length: e.llen, partial: e.partial };
}

describe.each(CODECS)('%s', (algorithm) => {
  const all = pclusters(algorithm);

  test('there are pclusters, some of them partial', () => {
    expect(all.length).toBeGreaterThan(8);
    expect(all.some((p) => p.partial)).toBe(true);
  });

  test('decodes any prefix', () => {
    for (const { src, length, partial } of all) {
      const whole = decoded(algorithm, src, length, partial)!;
      expect(whole).not.toBe(null);
      for (const n of [1, length >> 1, length - 1]) {
        if (n < 1) continue;
        const part = decoded(algorithm, src, n, true);
        expect(part !== null && Buffer.compare(part, whole.subarray(0, n)) === 0).toBe(true);
      }
    }
  });

  test('a length that is not that of the pcluster is refused', () => {
    for (const { src, length, partial } of all) {
      if (partial) continue;
      expect(decoded(algorithm, src, length - 1, false)).toBe(null);
      expect(decoded(algorithm, src, length + 1, false)).toBe(null);
    }
  });

  test('damaged or cut: an answer, soon, that depends on nothing decoded before, and no exception', () => {
    const next = random(algorithm.length * 7907);
    let wrong = 0;
    for (let i = 0; i < 1500; i++) {
      const { src, length } = all[next(all.length)]!;
      const bad = next(4) === 0 ? src.slice(0, next(src.length) + 1) : src.slice();
      for (let k = 1 + next(3); k > 0; k--) {
        bad[next(next(2) ? Math.min(24, bad.length) : bad.length)]! ^= 1 << next(8);
      }
      const partial = next(2) === 0;
      const positions: number[] = [];
      const answers: (Uint8Array | null)[] = [];
      for (const rubbish of [0x00, 0xff]) {
        // What an earlier pcluster may have left in the decoder's memory.
        codecInput(bad.length + length + 4096).fill(rubbish);
        const start = performance.now();
        answers.push(decoded(algorithm, bad.slice(), length, partial, (at) => positions.push(at)));
        expect(performance.now() - start).toBeLessThan(1000);
      }
      const [a, b] = answers as [Uint8Array | null, Uint8Array | null];
      expect(a === null).toBe(b === null);
      if (a !== null) expect(Buffer.compare(a, b!)).toBe(0);
      for (const at of positions) expect(Number.isInteger(at) && at >= 0 && at <= bad.length).toBe(true);
      if (positions.length > 0) wrong++;
    }
    expect(wrong).toBeGreaterThan(100);
  });
});
