import { DataError, UsageError } from '../error.ts';
import { type ImageIndex, TYPE_DIRECTORY } from './image-index/image-index.ts';
import type { MountMode } from './mount-mode.ts';
import { Prediction } from './page-cache/predict.ts';
import {
  KIND_ADD,
  KIND_DELETE,
  KIND_READAHEAD,
  KIND_REFERENCE,
  ReferenceLog,
  type SharedLog,
} from './reference-log.ts';
import { mergeByTime, type RowSource } from './trace/merge.ts';
import { OPS, otherImage, type TraceRow } from './trace/row.ts';

export { MOUNT_MODES, type MountMode } from './mount-mode.ts';

/** Backing of a mount: a regular file (fs/erofs/fileio.c) or a block device. Decides which address-space operations plain inodes get. */
export const BACKINGS = ['file', 'block'] as const;
export type Backing = (typeof BACKINGS)[number];

/** A mounted image: the thing that has inodes, each with a mapping (struct address_space) of its own. */
export interface Superblock {
  /** mount id, image name or container, by the mount mode */
  name: string;
  image: ImageIndex;
  backing: Backing;
  /** inode_share's trust domain; equal strings share, the empty one is a mount without inode_share */
  domain: string;
  /** the container that has it to itself, under --mounts per-container */
  container: string | null;
}

/**
 * The page cache of one inode, as one recorded mount showed it. Its pages are the logical pages base … base + pages − 1. Several mappings
 * have one superblock where recorded mounts are folded into one (--mounts per-image).
 */
export interface Mapping {
  superblock: number;
  /** position of the inode in the image's columns */
  ordinal: number;
  base: number;
  pages: number;
}

/** What the rows said that isn't a reference to a page of a regular file. Each is shown, none is guessed at. */
export interface SkippedRows {
  /** `map` rows whose touched page nobody knows: counted as no reference, so that no page is invented */
  unknownTouch: number;
  /** faults past the end of the file (SIGBUS) */
  pastEnd: number;
  /** pages of directories, symlinks and special files (from=fills: pages added) */
  directoryPages: number;
  otherPages: number;
  /** pages of inode 0 of a mount: the managed cache of compressed data, or metadata of a file-backed mount */
  managedPages: number;
}

/** The references of one or more traces, bound to images: dense logical pages, and the log of who touched them when. */
export interface ReferenceSet {
  from: 'demand' | 'fills';
  /** of demand: whether the log has what is read ahead of it */
  readahead: boolean;
  /** what was taken for what the traces don't say of that, sentences */
  readaheadNotes: string[];
  mounts: MountMode;
  log: SharedLog;
  superblocks: Superblock[];
  mappings: Mapping[];
  containers: string[];
  /** Logical pages in the order of their first reference. */
  touched: Uint32Array;
  /** All ids are below it: the pages of every mapping, touched or not. */
  logicalPages: number;
  /** Page references (or pages added and deleted) in the log. */
  references: number;
  endNs: number;
  skipped: SkippedRows;
}

export interface TraceBinding extends RowSource {
  path: string;
  /** what its rows are counted in */
  readonly unit: 'line' | 'row';
  /** false: reads may reach past the end of the file, where they ended; known once the first row has been read */
  readonly readsClipped?: boolean;
  /** The image behind a mount id. @throws when it is bound to none */
  imageOf(mount: string, row: TraceRow): ImageIndex;
  backingOf(mount: string): Backing;
  /** Pages that the recorded mount read ahead, where the trace says so; known once its first row has been read. */
  windowPagesOf?(mount: string): number | null;
}

export interface ReferenceOptions {
  from: 'demand' | 'fills';
  mounts: MountMode;
  /** Only these containers' rows; empty: all. */
  containers?: readonly string[];
  /** Domain of a superblock: by container, mount id and image. */
  domainOf?: (container: string, mount: string, image: ImageIndex) => string;
  /** Of demand: whether what Linux reads ahead of it comes in, too; see src/replay/page-cache. */
  readahead?: boolean;
  /** pages that mounts read ahead at once; null: as the trace says, else Linux's default */
  windowPages?: number | null;
}

/** The domain of everything where none is given. */
export const ONE_DOMAIN = 'one';

const MAX_CONTAINERS = 65_535;
const MAX_LOGICAL_PAGES = 2 ** 32 - 2;

/**
 * Streams traces, merged by time, into a {@link ReferenceSet}. Memory is bounded by the pages of the files they touch.
 * @throws DataError with trace and line when a row can't be about the image its mount is bound to
 */
export async function loadReferences(
  traces: readonly TraceBinding[],
  options: ReferenceOptions,
  watch?: (row: TraceRow) => void,
): Promise<ReferenceSet> {
  return (await loadReferenceSets(traces, [options], watch))[0]!;
}

/**
 * The same for several selections of the same traces at once, which are read a single time.
 * @param watch told of every row, before the selections are
 */
export async function loadReferenceSets(
  traces: readonly TraceBinding[],
  selections: readonly ReferenceOptions[],
  watch: (row: TraceRow) => void = () => {},
): Promise<ReferenceSet[]> {
  const sets = selections.map((options) => new ReferenceSetBuilder(traces, options));
  for await (const { source, rows } of mergeByTime(traces)) {
    for (const row of rows) watch(row);
    for (const set of sets) for (const row of rows) set.add(source, row);
  }
  return sets.map((set) => set.finish());
}

/** Where the rows of one container on one mount go. */
interface Route {
  superblock: number;
  /** one recorded mount as one superblock sees it: has mappings of its own */
  view: number;
  /** names the two */
  pageCache: string;
}

class ReferenceSetBuilder {
  readonly #traces: readonly TraceBinding[];
  readonly #options: ReferenceOptions;
  readonly #wanted: ReadonlySet<string> | null;
  /** containers the traces name, where only some are wanted */
  readonly #named = new Set<string>();
  readonly #fills: boolean;
  readonly #log = new ReferenceLog();
  readonly #superblocks: Superblock[] = [];
  readonly #superblockByName = new Map<string, number>();
  /** (trace, mount, container) → superblock and view, the look-up of every row */
  readonly #routes = new Map<string, Route>();
  /** (trace, mount, superblock) → view */
  readonly #views = new Map<string, number>();
  readonly #mappings: Mapping[] = [];
  /** view × 2^27 + inode ordinal → mapping */
  readonly #mappingOf = new Map<number, Mapping>();
  /** recorded mounts that one container has to itself, under --mounts per-container */
  readonly #split = new Set<string>();
  readonly #containers: string[] = [];
  readonly #containerIds = new Map<string, number>();
  readonly #skipped: SkippedRows = { unknownTouch: 0, pastEnd: 0, directoryPages: 0, otherPages: 0, managedPages: 0 };
  /** by trace; null without readahead */
  #predictions: Prediction[] | null = null;
  /** what a prediction put in for the row at hand, and into whose page cache */
  readonly #filled: [number, number][] = [];
  #pageCache = '';
  #seen = new Uint8Array(1 << 16);
  #touched = new Uint32Array(1 << 14);
  #touchedCount = 0;
  #logicalPages = 0;
  #references = 0;
  #endNs = 0;

  constructor(traces: readonly TraceBinding[], options: ReferenceOptions) {
    this.#traces = traces;
    this.#options = options;
    this.#wanted = options.containers && options.containers.length > 0 ? new Set(options.containers) : null;
    this.#fills = options.from === 'fills';
    if (options.readahead) {
      this.#predictions = traces.map((trace) => {
        return new Prediction(trace, options.windowPages ?? null, {
          superblockOf: () => this.#pageCache,
          filled: (page, count) => this.#filled.push([page, count]),
        });
      });
    }
  }

  add(source: number, row: TraceRow): void {
    const kind = OPS[row.op];
    const counts = kind === (this.#fills ? 'fill' : 'demand');
    const reads = this.#predictions !== null && kind !== 'fill';
    if (!counts && !reads) return;
    const who = this.#traces.length > 1 ? `${source + 1}:${row.container}` : row.container;
    if (this.#wanted !== null) {
      this.#named.add(who);
      if (!this.#wanted.has(who)) return;
    }
    const route = this.#routeOf(source, row, who);
    if (counts) this.#reference(source, row, who, route);
    if (reads) this.#readAhead(source, row, who, route);
  }

  /** Pages of the row's file that Linux reads beside what was asked for. What the log has already it need not say again. */
  #readAhead(source: number, row: TraceRow, who: string, route: Route): void {
    const { image } = this.#superblocks[route.superblock]!;
    const ordinal = image.ordinalOf(row.nid);
    if (ordinal < 0 || !image.isFile(ordinal)) return;
    this.#filled.length = 0;
    this.#pageCache = route.pageCache;
    this.#predictions![source]!.add(row);
    if (this.#filled.length === 0) return;
    const { base } = this.#mapping(route, ordinal, image.pagesOf(ordinal));
    const container = this.#container(source, row, who);
    for (const [first, count] of this.#filled) {
      for (let page = base + first; page < base + first + count; ) {
        let end = page;
        while (end < base + first + count && this.#seen[end] === 0) end++;
        if (end > page) {
          this.#touch(page, end - page);
          this.#log.append(row.timeNs, page, end - page, container, KIND_READAHEAD);
        }
        page = end + 1;
      }
    }
  }

  #reference(source: number, row: TraceRow, who: string, route: Route): void {
    if (row.timeNs > this.#endNs) this.#endNs = row.timeNs;
    const { image } = this.#superblocks[route.superblock]!;
    const ordinal = image.ordinalOf(row.nid);
    if (ordinal < 0) {
      const own = image.header.known.nid === false ? ' (its inodes are numbered by foliolab: see docs/oci.md)' : '';
      if (row.nid !== 0)
        throw otherImage(this.#traces[source]!, row, `image ${image.path} has no inode with nid ${row.nid}${own}`);
      if (row.op !== 'del') this.#skipped.managedPages += row.pageCount;
      return;
    }
    if (!image.isFile(ordinal)) {
      const directory = image.columns.type[ordinal] === TYPE_DIRECTORY;
      if (row.op !== 'del') this.#skipped[directory ? 'directoryPages' : 'otherPages'] += row.pageCount;
      return;
    }
    let first = row.pageIndex;
    let count = row.pageCount;
    if (row.op === 'map') {
      if (row.touch < 0) {
        this.#skipped.unknownTouch++;
        return;
      }
      if (row.touch < first || row.touch >= first + count)
        throw new DataError(
          this.#traces[source]!.path,
          `${this.#traces[source]!.unit} ${row.line}: touch ${row.touch} is outside its window, pages ${first} to ${first + count - 1}`,
        );
      first = row.touch;
      count = 1;
    }
    if (count === 0) return;
    const pages = image.pagesOf(ordinal);
    if (row.op === 'read' && this.#traces[source]!.readsClipped === false) {
      count = Math.min(count, pages - first);
      if (count <= 0) return;
    }
    if (first + count > pages) {
      if (row.op === 'fault') {
        this.#skipped.pastEnd++;
        return;
      }
      const last = first + count - 1;
      throw otherImage(
        this.#traces[source]!,
        row,
        `page ${last} is past the end of ${image.pathOf(ordinal)}, which has ${pages} pages in ${image.path}`,
      );
    }
    const mapping = this.#mapping(route, ordinal, pages);
    const page = mapping.base + first;
    if (row.op !== 'del') this.#touch(page, count);
    this.#references += count;
    const kind = row.op === 'add' ? KIND_ADD : row.op === 'del' ? KIND_DELETE : KIND_REFERENCE;
    this.#log.append(row.timeNs, page, count, this.#container(source, row, who), kind);
  }

  finish(): ReferenceSet {
    for (const name of this.#wanted ?? [])
      if (!this.#named.has(name))
        throw new UsageError(`no trace has a container '${name}'; there are ${[...this.#named].join(', ')}`);
    return {
      from: this.#options.from,
      readahead: this.#predictions !== null,
      readaheadNotes: (this.#predictions ?? []).flatMap((prediction) => prediction.noteSentences()),
      mounts: this.#options.mounts,
      log: this.#log.finish(),
      superblocks: this.#superblocks,
      mappings: this.#mappings,
      containers: this.#containers,
      touched: this.#touched.subarray(0, this.#touchedCount),
      logicalPages: this.#logicalPages,
      references: this.#references,
      endNs: this.#endNs,
      skipped: this.#skipped,
    };
  }

  #routeOf(source: number, row: TraceRow, who: string): Route {
    const key = `${source}\0${row.mount}\0${who}`;
    const known = this.#routes.get(key);
    if (known !== undefined) return known;
    const trace = this.#traces[source]!;
    const image = trace.imageOf(row.mount, row);
    const mountId = this.#traces.length > 1 ? `${source + 1}:${row.mount}` : row.mount;
    const mode = this.#options.mounts;
    const imageName = image.header.image.sha256 ?? image.fileSha256;
    const name = mode === 'per-image' ? imageName : mode === 'per-container' ? `${who}\0${imageName}` : mountId;
    const domain = this.#options.domainOf?.(who, row.mount, image) ?? ONE_DOMAIN;
    const backing = trace.backingOf(row.mount);
    let sb = this.#superblockByName.get(name);
    if (sb === undefined) {
      const label = mode === 'per-image' ? image.header.image.name : mode === 'per-container' ? who : mountId;
      sb =
        this.#superblocks.push({
          name: label,
          image,
          backing,
          domain,
          container: mode === 'per-container' ? who : null,
        }) - 1;
      this.#superblockByName.set(name, sb);
    } else if (this.#superblocks[sb]!.domain !== domain) {
      throw new UsageError(
        `a mount has one domain, but '${this.#superblocks[sb]!.name}' is used from '${this.#superblocks[sb]!.domain}' and '${domain}': give each container its own mount with --mounts per-container`,
      );
    } else if (this.#superblocks[sb]!.backing !== backing) {
      throw new UsageError(`mount '${this.#superblocks[sb]!.name}' can't be both file-backed and on a block device`);
    }
    const view = this.#viewOf(source, row, sb);
    const route = { superblock: sb, view, pageCache: `${sb} ${view}` };
    this.#routes.set(key, route);
    return route;
  }

  /** What one recorded mount cached for one superblock. */
  #viewOf(source: number, row: TraceRow, superblock: number): number {
    const mount = `${source}\0${row.mount}`;
    const key = `${mount}\0${superblock}`;
    const known = this.#views.get(key);
    if (known !== undefined) return known;
    if (this.#fills && this.#options.mounts === 'per-container') {
      if (this.#split.has(mount))
        throw new UsageError(
          `--from fills: mount '${row.mount}' was shared by several containers when it was recorded, and what it cached can't be split: --mounts per-container takes --from demand`,
        );
      this.#split.add(mount);
    }
    this.#views.set(key, this.#views.size);
    return this.#views.size - 1;
  }

  #mapping({ superblock, view }: Route, ordinal: number, pages: number): Mapping {
    const key = view * 2 ** 27 + ordinal;
    const known = this.#mappingOf.get(key);
    if (known !== undefined) return known;
    const base = this.#logicalPages;
    if (base + pages > MAX_LOGICAL_PAGES)
      throw new UsageError(`the files touched have more than ${MAX_LOGICAL_PAGES} pages together`);
    this.#logicalPages += pages;
    const mapping = { superblock, ordinal, base, pages };
    this.#mappings.push(mapping);
    this.#mappingOf.set(key, mapping);
    if (this.#logicalPages > this.#seen.length) {
      const grown = new Uint8Array(Math.max(this.#logicalPages, this.#seen.length * 2));
      grown.set(this.#seen);
      this.#seen = grown;
    }
    return mapping;
  }

  #touch(page: number, count: number): void {
    const seen = this.#seen;
    for (let p = page; p < page + count; p++) {
      if (seen[p] !== 0) continue;
      seen[p] = 1;
      if (this.#touchedCount === this.#touched.length) {
        const grown = new Uint32Array(this.#touched.length * 2);
        grown.set(this.#touched);
        this.#touched = grown;
      }
      this.#touched[this.#touchedCount++] = p;
    }
  }

  #container(source: number, row: TraceRow, name: string): number {
    const known = this.#containerIds.get(name);
    if (known !== undefined) return known;
    const id = this.#containers.push(name) - 1;
    if (id >= MAX_CONTAINERS)
      throw new DataError(
        this.#traces[source]!.path,
        `${this.#traces[source]!.unit} ${row.line}: container '${name}' is one more than the ${MAX_CONTAINERS} that a replay takes`,
      );
    this.#containerIds.set(name, id);
    return id;
  }
}
