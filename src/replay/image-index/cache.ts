import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { DataError } from '../../error.ts';
import { writeFileAtomic } from '../io/output.ts';
import { packColumns } from './columns.ts';
import { INDEX_SCHEMA, INDEX_TOOL } from './format.ts';
import { ImageIndex } from './image-index.ts';

/** Bytes of entries that are kept, those used last. */
export const CACHE_BYTES = 2 ** 29;

const ENTRY = /^[0-9a-f]{64}\.fidx$/;

/**
 * Indexes of images that were given themselves, by the image's hash, in a folder: `$FOLIOLAB_CACHE`, else `$XDG_CACHE_HOME/foliolab`, else
 * `~/.cache/foliolab`. An empty FOLIOLAB_CACHE is none.
 *
 * An entry is an index like any other, its checksum verified whenever it is read. One that is damaged, or was made by another version, is
 * made anew. Whatever goes wrong with the cache costs time and a note, never the answer.
 */
export class IndexCache {
  readonly folder: string;
  readonly #note: (sentence: string) => void;
  readonly #maxBytes: number;

  /** @param note takes sentences for the user */
  constructor(folder: string, note: (sentence: string) => void = () => {}, maxBytes = CACHE_BYTES) {
    this.folder = folder;
    this.#note = note;
    this.#maxBytes = maxBytes;
  }

  /** The user's cache, or null where it is switched off. */
  static ofUser(note: (sentence: string) => void, env: NodeJS.ProcessEnv = process.env): IndexCache | null {
    const { FOLIOLAB_CACHE: own, XDG_CACHE_HOME: xdg } = env;
    if (own === '') return null;
    // A relative XDG_CACHE_HOME is to be ignored, says the XDG base directory specification.
    const home = xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.cache');
    return new IndexCache(own ?? join(home, 'foliolab'), note);
  }

  /**
   * The index of an image, or null where there is none.
   * @param path the image, as the user named it: the names in the index are its
   * @param name the image's name in the index
   */
  async read(path: string, name: string, sha256: string): Promise<ImageIndex | null> {
    const entry = this.#entry(sha256);
    let index: ImageIndex;
    try {
      index = ImageIndex.parse(path, await readFile(entry), 'image');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      const why = error instanceof DataError ? 'is damaged' : `can't be read: ${(error as Error).message}`;
      this.#note(`${entry}: ${why}: ${path} is indexed anew`);
      return null;
    }
    const { header, columns } = index;
    const { schema, tool, source, image } = header;
    if (schema !== INDEX_SCHEMA || tool !== INDEX_TOOL || source.kind !== 'image' || image.sha256 !== sha256)
      return null;
    const now = new Date();
    await utimes(entry, now, now).catch(() => {});
    const renamed = { ...header, source: { ...source, name }, image: { ...image, name } };
    return new ImageIndex(path, sha256, 'image', renamed, columns);
  }

  async write(index: ImageIndex): Promise<void> {
    const entry = this.#entry(index.header.source.sha256);
    try {
      // Level 1: 73 ms where 6 takes 167, for 1.5 % more bytes (an LZ4 image of 341 MiB).
      await writeFileAtomic(entry, packColumns(index.header, { ...index.columns }, 1));
      await this.#evict(entry);
    } catch (error) {
      this.#note(`the index of ${index.path} can't be kept: ${(error as Error).message}`);
    }
  }

  /** Removes the entries that were not used for longest. */
  async #evict(latest: string): Promise<void> {
    const names = (await readdir(this.folder)).filter((name) => ENTRY.test(name));
    const entries = [];
    for (const name of names) {
      const path = join(this.folder, name);
      // Another process may remove it at any time.
      const found = await stat(path).catch(() => null);
      if (found !== null && path !== latest) entries.push({ path, usedMs: found.mtimeMs, bytes: found.size });
    }
    entries.sort((a, b) => b.usedMs - a.usedMs);
    let total = (await stat(latest)).size;
    for (const { path, bytes } of entries) {
      total += bytes;
      if (total > this.#maxBytes) await rm(path, { force: true });
    }
  }

  #entry(sha256: string): string {
    return join(this.folder, `${sha256}.fidx`);
  }
}
