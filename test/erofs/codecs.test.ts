import { describe, expect, test } from 'vitest';
import type { Extent } from '../../src/erofs/data.ts';
import { CODECS } from '../../src/erofs/decompress.ts';
import { fixtureBytes, fixtures, openFixture } from './fixtures.ts';
import { random } from './random.ts';

// That codecs decode right is what fixtures.test.ts says, on pclusters of mkfs.erofs; here they get wrong ones.

/** Every pcluster of every fixture in one algorithm: encoded bytes, and how many they decode to. */
function pclusters(algorithm: keyof typeof CODECS): { src: Uint8Array; length: number; partial: boolean }[] {
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

describe.each(Object.keys(CODECS) as (keyof typeof CODECS)[])('%s', (algorithm) => {
  const codec = CODECS[algorithm];
  const all = pclusters(algorithm);

  test('there are pclusters, some of them partial', () => {
    expect(all.length).toBeGreaterThan(8);
    expect(all.some((p) => p.partial)).toBe(true);
  });

  test('decodes any prefix, and with partial no byte past it', () => {
    for (const { src, length, partial } of all) {
      const whole = new Uint8Array(length);
      expect(codec(src, 0, src.length, whole, 0, length, partial)).toBe(-1);
      for (const n of [1, length >> 1, length - 1]) {
        if (n < 1) continue;
        const dst = new Uint8Array(n + 2).fill(0xa5);
        expect(codec(src, 0, src.length, dst, 1, n + 1, true)).toBe(-1);
        expect(Buffer.compare(dst.subarray(1, n + 1), whole.subarray(0, n))).toBe(0);
        expect([dst[0], dst[n + 1]]).toEqual([0xa5, 0xa5]);
      }
    }
  });

  test('a length that is not that of the pcluster is refused', () => {
    for (const { src, length, partial } of all) {
      if (!partial) expect(codec(src, 0, src.length, new Uint8Array(length - 1), 0, length - 1, false)).not.toBe(-1);
      // What LZMA has no end for goes on as noise; the others know.
      const more = new Uint8Array(length + 1);
      if (!partial) expect(codec(src, 0, src.length, more, 0, length + 1, false)).not.toBe(-1);
    }
  });

  test('damaged or cut: an answer within bounds, soon, and no exception', () => {
    const next = random(algorithm.length * 7907);
    let wrong = 0;
    for (let i = 0; i < 1500; i++) {
      const { src, length } = all[next(all.length)]!;
      const bad = next(4) === 0 ? src.slice(0, next(src.length) + 1) : src.slice();
      for (let k = 1 + next(3); k > 0; k--) {
        bad[next(next(2) ? Math.min(24, bad.length) : bad.length)]! ^= 1 << next(8);
      }
      const dst = new Uint8Array(length + 2).fill(0xa5);
      const start = performance.now();
      const at = codec(bad, 0, bad.length, dst, 1, length + 1, next(2) === 0);
      expect(performance.now() - start).toBeLessThan(1000);
      expect([dst[0], dst[length + 1]]).toEqual([0xa5, 0xa5]);
      expect(Number.isInteger(at) && at >= -1 && at <= bad.length).toBe(true);
      if (at >= 0) wrong++;
    }
    expect(wrong).toBeGreaterThan(100);
  });
});
