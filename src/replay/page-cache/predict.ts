import type { ImageIndex } from '../image-index/image-index.ts';
import type { PageSets } from '../page-sets.ts';
import type { TraceBinding } from '../references.ts';
import { PAGE_SIZE } from '../result.ts';
import type { TraceRow } from '../trace/row.ts';
import { CompressedExtents } from './compressed-extents.ts';
import { MappingPages } from './mapping-pages.ts';
import { type FileReadahead, MappingReadahead, openedFile, type ReadaheadLimits } from './readahead.ts';

/** Linux's default: VM_READAHEAD_PAGES, what a mount that lies on a file has. */
export const DEFAULT_WINDOW_PAGES = 32;

const SEGMENT_EXECUTABLE = 1;

/** What was taken for what the trace doesn't say: in a note each. */
export interface PredictionNotes {
  /** mounts of compressed images whose index has no layout: what EROFS decodes beside what was asked for is left out */
  readonly withoutLayout: Set<string>;
  /** rows without a task: all readers of a file are taken for one open file */
  rowsWithoutTask: number;
  /** reads that don't say how much was asked for: taken to end where the file does */
  readsWithoutSize: number;
  /** pages that the recorded kernel dropped, and the model dropped with it */
  droppedPages: number;
}

/** What a replay asks of a prediction. */
export interface PredictionOptions {
  /** whose page cache a row's file is in, where it isn't its mount's */
  readonly superblockOf?: (row: TraceRow) => string;
  /** told of pages of the row's file that it puts in */
  readonly filled?: (page: number, count: number) => void;
}

/** A file of a mount under the model. */
export interface PredictedFile {
  readonly mount: string;
  readonly image: ImageIndex;
  readonly ordinal: number;
  readonly pages: MappingPages;
}

interface ModelFile extends PredictedFile {
  readonly readahead: MappingReadahead;
  /** open files by task: a trace doesn't tell them apart further */
  readonly opened: Map<number, FileReadahead>;
  /** executable segments: first page, and the one behind the last */
  readonly executable: readonly (readonly [number, number])[];
}

/** What a task did last, if it was a fault that had to read. */
interface WaitingFault {
  file: ModelFile;
  page: number;
}

/**
 * The page cache of each file of a recording, from what was asked for alone: reads, faults and mapped windows of its rows go through
 * the model of readahead. What the recorded kernel dropped is dropped here too, for memory pressure is no part of it.
 */
export class Prediction {
  readonly notes: PredictionNotes = {
    withoutLayout: new Set(),
    rowsWithoutTask: 0,
    readsWithoutSize: 0,
    droppedPages: 0,
  };
  readonly #trace: TraceBinding;
  readonly #limits: (mount: string) => ReadaheadLimits;
  readonly #options: PredictionOptions;
  readonly #files = new Map<string, Map<number, ModelFile | null>>();
  readonly #waiting = new Map<number, WaitingFault>();

  constructor(trace: TraceBinding, limits: (mount: string) => ReadaheadLimits, options: PredictionOptions = {}) {
    this.#trace = trace;
    this.#limits = limits;
    this.#options = options;
  }

  /** Files that were touched, in the order in which they were. */
  *files(): Generator<PredictedFile> {
    for (const mount of this.#files.values()) for (const file of mount.values()) if (file !== null) yield file;
  }

  /** The pages predicted, under the keys of {@link PageSets}; files without any are left out. */
  pageSets(): PageSets['files'] {
    const sets: PageSets['files'] = new Map();
    for (const { mount, image, ordinal, pages } of this.files()) {
      if (pages.cached === 0) continue;
      const set = new Set<number>();
      for (let page = 0; page < pages.pages; page++) if (pages.has(page)) set.add(page);
      sets.set(`${mount} ${image.columns.nid[ordinal]}`, set);
    }
    return sets;
  }

  add(row: TraceRow): void {
    switch (row.op) {
      case 'read':
      case 'read+':
      case 'read0':
        this.#read(row);
        break;
      case 'fault':
      case 'fault+':
        this.#fault(row);
        break;
      case 'map':
      case 'mapr':
      case 'mapf': {
        const file = this.#file(row);
        file?.readahead.faultAround(this.#opened(file, row), row.pageIndex, row.pageCount);
        break;
      }
      case 'del': {
        const file = this.#file(row);
        if (file === null) break;
        const { cached } = file.pages;
        file.pages.drop(row.pageIndex, row.pageCount);
        this.notes.droppedPages += cached - file.pages.cached;
        break;
      }
      case 'add':
        if (row.before) this.#before(row);
    }
  }

  #read(row: TraceRow): void {
    const file = this.#file(row);
    if (file === null) return;
    if (row.bytes === 0) this.notes.readsWithoutSize++;
    const asked = row.bytes === 0 ? row.pageCount : Math.ceil(row.bytes / PAGE_SIZE);
    if (asked > 0) file.readahead.read(this.#opened(file, row), row.pageIndex, asked, row.op === 'read+');
    this.#waiting.delete(row.task);
  }

  #fault(row: TraceRow): void {
    const file = this.#file(row);
    if (file === null) return;
    const page = row.pageIndex;
    const waiting = this.#waiting.get(row.task);
    const tried = row.op === 'fault+' || (waiting?.file === file && waiting.page === page);
    if (tried || file.pages.has(page)) this.#waiting.delete(row.task);
    else this.#waiting.set(row.task, { file, page });
    const segment = file.executable.find(([from, end]) => from <= page && page < end);
    file.readahead.fault(this.#opened(file, row), page, { executableEnd: segment?.[1] ?? null, tried });
  }

  #before(row: TraceRow): void {
    const file = this.#file(row);
    if (file === null) return;
    for (let page = row.pageIndex; page < Math.min(row.pageIndex + row.pageCount, file.pages.pages); page++)
      if (!file.pages.has(page)) file.pages.add(page, 0, false, 'cached before the recording');
  }

  /** The file that a row is of; null for what is no regular file, such as a directory. */
  #file(row: TraceRow): ModelFile | null {
    const superblock = this.#options.superblockOf?.(row) ?? row.mount;
    let files = this.#files.get(superblock);
    if (files === undefined) {
      files = new Map();
      this.#files.set(superblock, files);
    }
    let file = files.get(row.nid);
    if (file === undefined) {
      file = this.#newFile(row);
      files.set(row.nid, file);
    }
    return file;
  }

  #newFile(row: TraceRow): ModelFile | null {
    const image = this.#trace.imageOf(row.mount, row);
    const ordinal = image.ordinalOf(row.nid);
    if (ordinal < 0 || !image.isFile(ordinal)) return null;
    const pages = new MappingPages(image.pagesOf(ordinal), this.#options.filled);
    if (!image.header.known.layout) this.notes.withoutLayout.add(row.mount);
    const compressed = image.header.known.layout && image.isCompressed(ordinal);
    const { segmentFlags, segmentOffset, segmentFileBytes } = image.columns;
    const executable = image
      .segmentsOf(ordinal)
      .filter((at) => segmentFlags[at]! & SEGMENT_EXECUTABLE)
      .map((at): [number, number] => [
        Math.floor(segmentOffset[at]! / PAGE_SIZE),
        Math.ceil((segmentOffset[at]! + segmentFileBytes[at]!) / PAGE_SIZE),
      ]);
    const further = compressed ? new CompressedExtents(image, ordinal) : null;
    const readahead = new MappingReadahead(pages, this.#limits(row.mount), further);
    return { mount: row.mount, image, ordinal, pages, readahead, opened: new Map(), executable };
  }

  #opened(file: ModelFile, { task }: TraceRow): FileReadahead {
    if (task === 0) this.notes.rowsWithoutTask++;
    let opened = file.opened.get(task);
    if (opened === undefined) {
      opened = openedFile();
      file.opened.set(task, opened);
    }
    return opened;
  }
}
