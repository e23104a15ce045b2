import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DataError } from '../error.ts';
import type { IndexCache } from './image-index/cache.ts';
import type { ImageIndex } from './image-index/image-index.ts';
import { openImageIndex } from './image-index/open.ts';
import type { Backing, TraceBinding } from './references.ts';
import { PAGE_SIZE, type ReplayInput } from './result.ts';
import type { TraceRow } from './trace/row.ts';
import { openTraceRows, type RowTrace } from './trace/rows.ts';

export interface BindingOptions {
  traces: readonly string[];
  /** mount id → image or index; with several traces also `N:id`, N counting them from 1 */
  mounts: ReadonlyMap<string, string>;
  /** mount id → backing; '' is every other mount's */
  backings?: ReadonlyMap<string, Backing>;
  /** where indexes of images are kept for the next time; nowhere by default */
  cache?: IndexCache | null;
}

/** Traces bound to their images, each image opened once however many mounts show it. */
export class Bindings {
  readonly traces: readonly TraceBinding[];
  readonly #images: ImageShelf;
  readonly #opened: RowTrace[];
  readonly #bound: BoundTrace[];
  readonly #options: BindingOptions;

  private constructor(opened: RowTrace[], images: ImageShelf, options: BindingOptions) {
    this.#opened = opened;
    this.#images = images;
    this.#options = options;
    this.#bound = opened.map((trace, at) => new BoundTrace(trace, at, images, options));
    this.traces = this.#bound;
  }

  /** Ids of --mount and --backing that no trace knows, sentences for the user; complete once the traces have been read. */
  unknownIds(): string[] {
    const seen = [...new Set(this.#bound.flatMap((trace) => [...trace.mountsSeen]))];
    const known = (id: string): boolean =>
      id === '' ||
      seen.includes(id) ||
      this.#bound.some(
        (trace, at) => id.startsWith(`${at + 1}:`) && trace.mountsSeen.has(id.slice(id.indexOf(':') + 1)),
      );
    const there = `no trace has this mount; there ${seen.length === 1 ? 'is' : 'are'} ${seen.join(', ')}`;
    const ids = { '--mount': this.#options.mounts.keys(), '--backing': this.#options.backings?.keys() ?? [] };
    return Object.entries(ids).flatMap(([option, keys]) =>
      [...keys].filter((id) => !known(id)).map((id) => `${option} ${id}: ${there}`),
    );
  }

  static async open(options: BindingOptions): Promise<Bindings> {
    const images = new ImageShelf(options.cache);
    for (const path of options.mounts.values()) await images.open(path);
    const opened: RowTrace[] = [];
    for (const path of options.traces) opened.push(await openTraceRows(path));
    return new Bindings(opened, images, options);
  }

  /** Every file that was read, with its hash. Complete once the traces have been replayed. */
  inputs(): ReplayInput[] {
    return [
      ...this.#opened.map((trace): ReplayInput => ({ path: trace.path, sha256: trace.sha256(), kind: 'trace' })),
      ...this.#images.inputs(new Set(this.#bound.flatMap((trace) => [...trace.imagesUsed]))),
    ];
  }
}

/** The images opened so far, by path. */
export class ImageShelf {
  readonly #images = new Map<string, ImageIndex>();
  readonly #cache: IndexCache | null;

  constructor(cache: IndexCache | null = null) {
    this.#cache = cache;
  }

  async open(path: string): Promise<ImageIndex> {
    const known = this.#images.get(path);
    if (known) return known;
    const image = await openImageIndex(path, { cache: this.#cache });
    this.#images.set(path, image);
    return image;
  }

  get(path: string): ImageIndex | undefined {
    return this.#images.get(path);
  }

  inputs(used: ReadonlySet<ImageIndex>): ReplayInput[] {
    return [...this.#images]
      .filter(([, image]) => used.has(image))
      .map(([path, { fileSha256, kind }]) => ({ path, sha256: fileSha256, kind }));
  }
}

class BoundTrace implements TraceBinding {
  readonly path: string;
  readonly unit: 'line' | 'row';
  readonly #trace: RowTrace;
  readonly #number: number;
  readonly #shelf: ImageShelf;
  readonly #options: BindingOptions;
  readonly #byMount = new Map<string, ImageIndex>();
  /** the file beside the trace that a mount's header names, where it isn't there */
  readonly #lacking = new Map<string, string>();
  /** every mount id of the rows read so far */
  readonly mountsSeen = new Set<string>();
  readonly imagesUsed = new Set<ImageIndex>();
  /** inodes by path, of images whose files the trace names so */
  readonly #paths = new Map<ImageIndex, Map<string, number>>();

  constructor(trace: RowTrace, number: number, shelf: ImageShelf, options: BindingOptions) {
    this.path = trace.path;
    this.unit = trace.unit;
    this.#trace = trace;
    this.#number = number;
    this.#shelf = shelf;
    this.#options = options;
  }

  get readsClipped(): boolean {
    return this.#trace.header.readsClipped !== false;
  }

  /** The trace's rows. What its header says of its images is settled before the first of them. */
  async *batches(): AsyncGenerator<TraceRow[]> {
    let bound = false;
    for await (const batch of this.#trace.batches()) {
      if (!bound) await this.#bind();
      bound = true;
      let last = '';
      for (const row of batch) {
        if (row.filePath !== undefined) row.nid = this.#nidOf(row, row.filePath);
        if (row.mount === last) continue;
        last = row.mount;
        this.mountsSeen.add(row.mount);
      }
      yield batch;
    }
  }

  imageOf(mount: string, row: TraceRow): ImageIndex {
    const image = this.#byMount.get(mount) ?? this.#given(mount);
    if (image) {
      this.imagesUsed.add(image);
      return image;
    }
    const lacking = this.#lacking.get(mount);
    const why = lacking === undefined ? '' : `${lacking} isn’t there: `;
    throw new DataError(
      this.path,
      `${this.unit} ${row.line}: mount '${mount}' is bound to no image: ${why}add --mount ${mount}=IMAGE`,
    );
  }

  backingOf(mount: string): Backing {
    const { backings } = this.#options;
    return backings?.get(`${this.#number + 1}:${mount}`) ?? backings?.get(mount) ?? backings?.get('') ?? 'file';
  }

  windowPagesOf(mount: string): number | null {
    const kb = this.#trace.header.mounts.get(mount)?.readAheadKb ?? null;
    return kb === null ? null : Math.floor((kb * 1024) / PAGE_SIZE);
  }

  /** The inode that a row names by its path. */
  #nidOf(row: TraceRow, path: string): number {
    const image = this.imageOf(row.mount, row);
    let paths = this.#paths.get(image);
    if (paths === undefined) {
      const { nid } = image.columns;
      paths = new Map();
      for (const { path, ordinal } of image.entries()) paths.set(path, nid[ordinal]!);
      this.#paths.set(image, paths);
    }
    const nid = paths.get(path);
    if (nid === undefined)
      throw new DataError(this.path, `${this.unit} ${row.line}: image ${image.path} has no file '${path}'`);
    return nid;
  }

  #given(mount: string): ImageIndex | undefined {
    const { mounts } = this.#options;
    const path = mounts.get(`${this.#number + 1}:${mount}`) ?? mounts.get(mount);
    return path === undefined ? undefined : this.#shelf.get(path);
  }

  async #bind(): Promise<void> {
    for (const [mount, { beside, imageSha256, line }] of this.#trace.header.mounts) {
      let image = this.#given(mount);
      if (!image) {
        const files = beside.map((name) => join(dirname(this.path), name));
        const file = files.find((file) => existsSync(file));
        if (file === undefined) {
          if (files.length > 0) this.#lacking.set(mount, files[0]!);
          continue;
        }
        image = await this.#shelf.open(file);
      }
      const actual = image.header.image.sha256;
      if (imageSha256 !== null && actual !== imageSha256)
        throw new DataError(
          this.path,
          `${this.unit} ${line}: mount '${mount}' ran the image with sha256 ${imageSha256}, but ${image.path} is ${actual === null ? 'of an image whose hash is unknown' : `that of ${actual}`}`,
        );
      this.#byMount.set(mount, image);
    }
  }
}
