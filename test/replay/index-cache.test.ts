import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { IndexCache } from '../../src/replay/image-index/cache.ts';
import { packColumns } from '../../src/replay/image-index/columns.ts';
import { indexImage } from '../../src/replay/image-index/from-image.ts';
import { ImageIndex } from '../../src/replay/image-index/image-index.ts';
import { openImageIndex } from '../../src/replay/image-index/open.ts';
import { fixtureBytes } from '../erofs/fixtures.ts';
import { temporaryFile, temporaryFolder } from './support.ts';

/** A cache in a folder of its own that remembers what it noted. */
function temporaryCache(maxBytes?: number): { cache: IndexCache; notes: string[] } {
  const notes: string[] = [];
  return { cache: new IndexCache(join(temporaryFolder(), 'a/b'), (note) => notes.push(note), maxBytes), notes };
}

const lz4 = (name = 'lz4.erofs') => temporaryFile(name, fixtureBytes('lz4.erofs'));
const only = ({ folder }: IndexCache): string => {
  const names = readdirSync(folder);
  expect(names).toHaveLength(1);
  return join(folder, names[0]!);
};

describe('the cache of indexes', () => {
  it('gives back the same index, by content: another name of the image is the name in it', async () => {
    const { cache, notes } = temporaryCache();
    const made = await openImageIndex(lz4(), { cache });
    const path = lz4('renamed.erofs');
    const kept = await openImageIndex(path, { cache });
    const fresh = await indexImage(path);
    expect({ ...kept }).toEqual({ ...fresh });
    expect(kept.columns).toEqual(made.columns);
    expect([made.header.image.name, kept.header.image.name]).toEqual(['lz4.erofs', 'renamed.erofs']);
    expect(only(cache)).toBe(join(cache.folder, `${fresh.header.image.sha256}.fidx`));
    expect(notes).toEqual([]);
  });

  it('is what answers: an entry of other content would be believed', async () => {
    const { cache } = temporaryCache();
    const path = lz4();
    const { header, columns } = await openImageIndex(path, { cache });
    const mode = columns.mode.map(() => 0o100400);
    writeFileSync(only(cache), packColumns(header, { ...columns, mode }));
    expect((await openImageIndex(path, { cache })).columns.mode[0]).toBe(0o100400);
  });

  it.each<[string, (entry: Buffer) => Buffer]>([
    ['a flipped bit', (entry) => Buffer.from(entry.map((byte, at) => (at === 5000 ? byte ^ 1 : byte)))],
    ['its end missing', (entry) => entry.subarray(0, -1)],
    ['nothing in it', () => Buffer.alloc(0)],
  ])('makes an entry with %s anew, and notes it', async (_what, damage) => {
    const { cache, notes } = temporaryCache();
    const path = lz4();
    const { columns } = await openImageIndex(path, { cache });
    const entry = only(cache);
    const sound = readFileSync(entry);
    writeFileSync(entry, damage(sound));
    expect((await openImageIndex(path, { cache })).columns).toEqual(columns);
    expect(notes).toEqual([`${entry}: is damaged: ${path} is indexed anew`]);
    expect(readFileSync(entry).equals(sound)).toBe(true);
  });

  it('does not believe an entry by another version, of another image or of another schema', async () => {
    const { cache, notes } = temporaryCache();
    const path = lz4();
    const { header, columns } = await openImageIndex(path, { cache });
    const entry = only(cache);
    const wrong = columns.mode.map(() => 0);
    const { extentCodec: _, ...older } = columns;
    for (const stale of [
      packColumns({ ...header, tool: 'foliolab 0.0.1' }, { ...columns, mode: wrong }),
      packColumns({ ...header, image: { ...header.image, sha256: 'ab'.repeat(32) } }, { ...columns, mode: wrong }),
      packColumns({ ...header, schema: 'foliolab.index/1' }, { ...older, mode: wrong }),
    ]) {
      writeFileSync(entry, stale);
      expect((await openImageIndex(path, { cache })).columns.mode).toEqual(columns.mode);
      expect(ImageIndex.parse(entry, readFileSync(entry)).columns.mode).toEqual(columns.mode);
    }
    expect(notes).toEqual([]);
  });

  it('that can’t be written costs a note, never the answer', async () => {
    const notes: string[] = [];
    const cache = new IndexCache(join(temporaryFile('a-file', ''), 'cache'), (note) => notes.push(note));
    const path = lz4();
    expect((await openImageIndex(path, { cache })).header.inodes).toBeGreaterThan(0);
    expect(notes).toHaveLength(2);
    expect(notes[0]).toContain("can't be read");
    expect(notes[1]).toContain(`the index of ${path} can't be kept`);
  });

  it('keeps what was used last within its bound, and nothing else’s files', async () => {
    const names = ['lz4', 'zstd', 'chunk-map', 'inline'];
    const images = names.map((name) => temporaryFile(`${name}.erofs`, fixtureBytes(`${name}.erofs`)));
    const sizes = await Promise.all(
      images.map(async (path) => {
        const { cache } = temporaryCache();
        await openImageIndex(path, { cache });
        return statSync(only(cache)).size;
      }),
    );
    const { cache } = temporaryCache(sizes[0]! + sizes[1]! + sizes[2]!);
    mkdirSync(cache.folder, { recursive: true });
    writeFileSync(join(cache.folder, 'foreign.fidx'), Buffer.alloc(1 << 20));
    const entries: string[] = [];
    for (const [at, path] of images.slice(0, 3).entries()) {
      const { header } = await openImageIndex(path, { cache });
      entries.push(`${header.image.sha256}.fidx`);
      utimesSync(join(cache.folder, entries[at]!), 1000 + at, 1000 + at);
    }
    await openImageIndex(images[0]!, { cache }); // used again: the second is the oldest now
    const { header } = await openImageIndex(images[3]!, { cache });
    expect(readdirSync(cache.folder).sort()).toEqual(
      [
        'foreign.fidx',
        entries[0],
        ...(sizes[3]! <= sizes[1]! ? [entries[2]] : []),
        `${header.image.sha256}.fidx`,
      ].sort(),
    );
  });

  it('is where the environment says', () => {
    const folder = (env: NodeJS.ProcessEnv) => IndexCache.ofUser(() => {}, env)?.folder;
    expect(folder({ FOLIOLAB_CACHE: '/x', XDG_CACHE_HOME: '/y' })).toBe('/x');
    expect(folder({ XDG_CACHE_HOME: '/y' })).toBe('/y/foliolab');
    expect(folder({ XDG_CACHE_HOME: 'relative' })).toBe(join(homedir(), '.cache/foliolab'));
    expect(folder({})).toBe(join(homedir(), '.cache/foliolab'));
    expect(folder({ FOLIOLAB_CACHE: '' })).toBeUndefined();
  });
});
