import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type BlockReader, FileReader, Image, type Inode, MemoryReader } from '../../src/erofs/index.ts';
import { fixtureBytes, fixtures } from './fixtures.ts';
import { withoutChecksum } from './hostile.ts';
import { random } from './random.ts';

// A sweep reads many pclusters at once and decodes them where they are; one file alone, each into a place of its own.

/** files that something was wrong with, of all images */
let wrong = 0;

const dir = mkdtempSync(join(tmpdir(), 'foliolab-sweep-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** The files of an image, by what a sweep says and by what verify does. */
function verdicts(image: Image): { swept: Set<number>; alone: Set<number>; files: number } {
  const files = new Map<number, Inode>();
  for (const { inode } of image.walk()) if (inode.type === 'file') files.set(inode.nid, inode);
  const sweep = image.sweep();
  for (const inode of files.values()) sweep.add(inode);
  sweep.flush();
  const alone = new Set<number>();
  for (const inode of files.values()) {
    try {
      image.verify(inode);
    } catch {
      alone.add(inode.nid);
    }
  }
  return { swept: sweep.failed, alone, files: files.size };
}

describe.each(fixtures.filter(({ device, refused }) => !device && !refused))('$name', ({ name }) => {
  test('a sweep fails for the files that verify fails for, in a file and in memory', () => {
    const sound = withoutChecksum(fixtureBytes(`${name}.erofs`));
    const image = Image.open(new MemoryReader(sound));
    const extents: [number, number][] = [];
    for (const { inode } of image.walk()) {
      if (inode.type !== 'file') continue;
      for (const e of image.mapBlocks(inode)) if (e.encoded && !e.meta) extents.push([e.pa, e.plen]);
    }
    const next = random(name.length * 104729 + name.charCodeAt(0));
    for (let round = 0; round < 6; round++) {
      const bytes = sound.slice();
      for (let i = 0; i < round && extents.length > 0; i++) {
        const [pa, plen] = extents[next(extents.length)]!;
        for (let k = 0; k < 8; k++) if (pa + plen <= bytes.length) bytes[pa + next(plen)]! ^= 1 << next(8);
      }
      const path = join(dir, `${name}-${round}.erofs`);
      writeFileSync(path, bytes);
      const readers: BlockReader[] = [new FileReader(path), new MemoryReader(bytes)];
      for (const reader of readers) {
        const { swept, alone, files } = verdicts(Image.open(reader));
        expect(files).toBeGreaterThan(0);
        expect(swept).toEqual(alone);
        wrong += alone.size;
        reader.close?.();
      }
    }
  });
});

test('there were hundreds of them', () => {
  expect(wrong).toBeGreaterThan(200);
});
