import { DataError } from '../error.ts';
import { readWhole } from './io/input.ts';
import { tableRecords } from './io/table.ts';
import { KIND_ADD, readLog, type SharedLog } from './reference-log.ts';
import type { Mapping, Superblock } from './references.ts';

/** Pages that a kernel had cached, by mount id and nid: the page sets that mincore(2) showed at the end of a recording. */
export interface PageSets {
  path: string;
  sha256: string;
  /** `mount nid` → page indexes */
  files: Map<string, Set<number>>;
}

/**
 * Reads a page set: CSV with the columns dev (mount id), ino (nid), page_index, nr_pages; plain, `.zst` or `.gz`.
 * @param fault says what is wrong with a run of pages, given the one behind its last, of an inode; null when nothing is
 * @throws DataError with the line at fault
 */
export async function readPageSets(
  path: string,
  fault: (mount: string, nid: number, end: number) => string | null = () => null,
): Promise<PageSets> {
  const { bytes, sha256 } = await readWhole(path);
  const rows = tableRecords(path, bytes, { bom: true, quote: false });
  const header = rows[0] ?? [];
  const at = ['dev', 'ino', 'page_index', 'nr_pages'].map((name) => header.indexOf(name));
  if (at.some((column) => column < 0))
    throw new DataError(path, "line 1: is not the header 'dev,ino,page_index,nr_pages'");
  const files = new Map<string, Set<number>>();
  let total = 0;
  for (let i = 1; i < rows.length; i++) {
    const [mount, nid, first, count] = at.map((column) => rows[i]![column]) as [string, string, string, string];
    if (![nid, first, count].every((text) => /^\d{1,15}$/.test(text)))
      throw new DataError(path, `line ${i + 1}: is not a run of pages`);
    const end = Number(first) + Number(count);
    const wrong = fault(mount, Number(nid), end);
    if (wrong !== null) throw new DataError(path, `line ${i + 1}: ${wrong}`);
    total += Number(count);
    if (total > MAX_PAGES) throw new DataError(path, `line ${i + 1}: makes it more than ${MAX_PAGES} pages together`);
    const key = `${mount} ${Number(nid)}`;
    let pages = files.get(key);
    if (!pages) {
      pages = new Set();
      files.set(key, pages);
    }
    for (let p = Number(first); p < end; p++) pages.add(p);
  }
  return { path, sha256, files };
}

/** Of all files: 64 GiB, and what a Set holds. */
const MAX_PAGES = 2 ** 24;

/** Pages in a page set, of some mounts or of all. */
export function countPages(sets: PageSets, mounts?: readonly string[]): number {
  let pages = 0;
  for (const [key, set] of sets.files)
    if (!mounts || mounts.includes(key.slice(0, key.lastIndexOf(' ')))) pages += set.size;
  return pages;
}

/** The pages that a log of fills leaves in each mapping, under the keys of {@link PageSets}. */
export function pagesLeftByFills(set: {
  log: SharedLog;
  superblocks: readonly Superblock[];
  mappings: readonly Mapping[];
  logicalPages: number;
}): Map<string, Set<number>> {
  const cached = new Uint8Array(set.logicalPages);
  for (const { rows, page, count, kind } of readLog(set.log))
    for (let row = 0; row < rows; row++)
      cached.fill(kind[row] === KIND_ADD ? 1 : 0, page[row]!, page[row]! + count[row]!);
  const files = new Map<string, Set<number>>();
  for (const { superblock, ordinal, base, pages } of set.mappings) {
    const { name, image } = set.superblocks[superblock]!;
    const left = new Set<number>();
    for (let p = 0; p < pages; p++) if (cached[base + p] !== 0) left.add(p);
    if (left.size > 0) files.set(`${name} ${image.columns.nid[ordinal]}`, left);
  }
  return files;
}
