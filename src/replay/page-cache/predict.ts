import { DataError } from '../../error.ts';
import type { ImageIndex } from '../image-index/image-index.ts';
import type { TraceBinding } from '../references.ts';
import { PAGE_SIZE } from '../result.ts';
import { otherImage, type TraceRow } from '../trace/row.ts';
import { CompressedExtents } from './compressed-extents.ts';
import { FILL, MappingPages } from './mapping-pages.ts';
import { type FileReadahead, MappingReadahead, openedFile } from './readahead.ts';

/** Linux's default: VM_READAHEAD_PAGES, what a mount that lies on a file has. */
const DEFAULT_WINDOW_PAGES = 32;
/** pages that a window may have */
export const MAX_WINDOW_PAGES = 2 ** 15;

/** Pages of all files touched, of which each takes two bytes. */
const MAX_PAGES = 2 ** 29;
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
  /** pages that were cached before */
  pagesBefore: number;
  /** mounts whose window nobody says */
  readonly defaultWindow: Set<string>;
}

/** What a replay asks of a prediction. */
export interface PredictionOptions {
  /** whose page cache the row's file is in, where it isn't its mount's */
  readonly superblockOf?: () => string;
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
  /** the one used last */
  lastTask: number;
  lastOpened: FileReadahead | null;
  /** executable segments: first page and the one behind the last, again and again */
  readonly executable: readonly number[];
}

/** The files of a mount that were touched; null: no regular file. */
type MountFiles = Map<number, ModelFile | null>;

/** The fault that a task waits for a page in, if it had to read; it is taken out of use when the task goes on. */
interface WaitingFault {
  file: ModelFile | null;
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
    pagesBefore: 0,
    defaultWindow: new Set(),
  };
  readonly #trace: TraceBinding;
  readonly #windowPages: number | null;
  readonly #options: PredictionOptions;
  readonly #mounts = new Map<string, MountFiles>();
  readonly #waiting = new Map<number, WaitingFault>();
  #pages = 0;
  // Of the row before: the next is of the same more often than not.
  #lastMount = '';
  #lastFiles: MountFiles | null = null;
  #lastNid = Number.NaN;
  #lastFile: ModelFile | null = null;

  /** @param windowPages pages that mounts read ahead at once; null: as the trace says, else Linux's default */
  constructor(trace: TraceBinding, windowPages: number | null, options: PredictionOptions = {}) {
    this.#trace = trace;
    this.#windowPages = windowPages;
    this.#options = options;
  }

  /** Files that were touched, in the order in which they were. */
  *files(): Generator<PredictedFile> {
    for (const files of this.#mounts.values()) for (const file of files.values()) if (file !== null) yield file;
  }

  /** The notes, a sentence each. */
  noteSentences(): string[] {
    const out: string[] = [];
    const { withoutLayout, rowsWithoutTask, readsWithoutSize, droppedPages, pagesBefore, defaultWindow } = this.notes;
    if (pagesBefore > 0)
      out.push(`${pagesBefore} pages were cached before the recording began: nothing is predicted of them`);
    if (droppedPages > 0) out.push(`${droppedPages} pages dropped as the recorded kernel dropped them`);
    if (withoutLayout.size > 0)
      out.push(
        `the index of ${[...withoutLayout].join(', ')} has no layout: if its files are compressed, what EROFS decodes beside what was asked for is missing`,
      );
    if (defaultWindow.size > 0)
      out.push(
        `nobody says how far ${[...defaultWindow].join(', ')} read ahead: taken for 128 KiB, see --read-ahead-kb`,
      );
    if (readsWithoutSize > 0) out.push(`${readsWithoutSize} reads don’t say how much they asked for: taken as clipped`);
    if (rowsWithoutTask > 0) out.push(`${rowsWithoutTask} accesses don’t say by which task: taken for one open file`);
    return out;
  }

  /** @throws DataError for a row that isn't of the image which its mount is bound to */
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
        const opened = file?.opened.get(row.task);
        if (opened !== undefined) file!.readahead.faultAround(opened, row.pageIndex, row.pageCount);
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

  #windowOf(mount: string): number {
    const recorded = this.#windowPages ?? this.#trace.windowPagesOf?.(mount) ?? null;
    if (recorded === null) this.notes.defaultWindow.add(mount);
    const pages = recorded ?? DEFAULT_WINDOW_PAGES;
    if (pages <= MAX_WINDOW_PAGES) return pages;
    const what = `mount '${mount}' reads ahead ${pages} pages, more than the ${MAX_WINDOW_PAGES} that are modelled`;
    throw new DataError(this.#trace.path, what);
  }

  #read(row: TraceRow): void {
    const file = this.#file(row);
    if (file === null) return;
    if (row.bytes === 0) this.notes.readsWithoutSize++;
    const asked = row.bytes === 0 ? row.pageCount : Math.ceil(row.bytes / PAGE_SIZE);
    if (asked > 0) file.readahead.read(this.#opened(file, row), row.pageIndex, asked, row.op === 'read+');
    const waiting = this.#waiting.get(row.task);
    if (waiting !== undefined) waiting.file = null;
  }

  #fault(row: TraceRow): void {
    const file = this.#file(row);
    if (file === null) return;
    const page = row.pageIndex;
    let waiting = this.#waiting.get(row.task);
    if (waiting === undefined) {
      waiting = { file: null, page: 0 };
      this.#waiting.set(row.task, waiting);
    }
    const tried = row.op === 'fault+' || (waiting.file === file && waiting.page === page);
    waiting.file = tried || file.pages.has(page) ? null : file;
    waiting.page = page;
    const { executable } = file;
    let at = 0;
    while (at < executable.length && !(executable[at]! <= page && page < executable[at + 1]!)) at += 2;
    const executableEnd = at < executable.length ? executable[at + 1]! : -1;
    file.readahead.fault(this.#opened(file, row), page, executableEnd, tried);
  }

  #before(row: TraceRow): void {
    const file = this.#file(row);
    if (file === null) return;
    const { cached } = file.pages;
    for (let page = row.pageIndex; page < row.pageIndex + row.pageCount; page++)
      if (!file.pages.has(page)) file.pages.add(page, 0, false, FILL.before);
    this.notes.pagesBefore += file.pages.cached - cached;
  }

  /** The file that a row is of; null for what is no regular file, such as a directory. */
  #file(row: TraceRow): ModelFile | null {
    const superblock = this.#options.superblockOf?.() ?? row.mount;
    if (this.#lastFiles === null || superblock !== this.#lastMount) {
      let files = this.#mounts.get(superblock);
      if (files === undefined) {
        files = new Map();
        this.#mounts.set(superblock, files);
      }
      this.#lastMount = superblock;
      this.#lastFiles = files;
      this.#lastNid = Number.NaN;
    }
    if (row.nid !== this.#lastNid) {
      let file = this.#lastFiles.get(row.nid);
      if (file === undefined) {
        file = this.#newFile(row);
        this.#lastFiles.set(row.nid, file);
      }
      this.#lastNid = row.nid;
      this.#lastFile = file;
    }
    const file = this.#lastFile;
    if (file !== null && row.pageIndex + row.pageCount > file.pages.pages) this.#pastEnd(row, file);
    return file;
  }

  /** @throws DataError unless a program may ask for what isn't there: a fault gets SIGBUS then, a read of unclipped ones less */
  #pastEnd(row: TraceRow, { image, ordinal, pages }: ModelFile): void {
    if (row.op === 'fault' || row.op === 'read0') return;
    if (row.op.startsWith('read') && this.#trace.readsClipped === false) return;
    const last = row.pageIndex + row.pageCount - 1;
    throw otherImage(
      this.#trace,
      row,
      `page ${last} is past the end of ${image.pathOf(ordinal)}, which has ${pages.pages} pages in ${image.path}`,
    );
  }

  #newFile(row: TraceRow): ModelFile | null {
    const image = this.#trace.imageOf(row.mount, row);
    const ordinal = image.ordinalOf(row.nid);
    // Inode 0 is the managed cache, or a file-backed mount's metadata.
    if (ordinal < 0 && row.nid !== 0)
      throw otherImage(this.#trace, row, `image ${image.path} has no inode with nid ${row.nid}`);
    if (ordinal < 0 || !image.isFile(ordinal)) return null;
    this.#pages += image.pagesOf(ordinal);
    if (this.#pages > MAX_PAGES)
      throw new DataError(
        this.#trace.path,
        `${this.#trace.unit} ${row.line}: the files touched have more than ${MAX_PAGES} pages together`,
      );
    const pages = new MappingPages(image.pagesOf(ordinal), this.#options.filled);
    if (!image.header.known.layout) this.notes.withoutLayout.add(row.mount);
    const compressed = image.header.known.layout && image.isCompressed(ordinal);
    const { segmentFlags, segmentOffset, segmentFileBytes } = image.columns;
    const executable = image
      .segmentsOf(ordinal)
      .filter((at) => segmentFlags[at]! & SEGMENT_EXECUTABLE)
      .flatMap((at) => [
        Math.floor(segmentOffset[at]! / PAGE_SIZE),
        Math.ceil((segmentOffset[at]! + segmentFileBytes[at]!) / PAGE_SIZE),
      ]);
    const further = compressed ? new CompressedExtents(image, ordinal) : null;
    const readahead = new MappingReadahead(pages, { windowPages: this.#windowOf(row.mount), ioPages: 0 }, further);
    return {
      mount: row.mount,
      image,
      ordinal,
      pages,
      readahead,
      opened: new Map(),
      lastTask: -1,
      lastOpened: null,
      executable,
    };
  }

  #opened(file: ModelFile, { task }: TraceRow): FileReadahead {
    if (task === 0) this.notes.rowsWithoutTask++;
    if (task === file.lastTask && file.lastOpened !== null) return file.lastOpened;
    let opened = file.opened.get(task);
    if (opened === undefined) {
      opened = openedFile();
      file.opened.set(task, opened);
    }
    file.lastTask = task;
    file.lastOpened = opened;
    return opened;
  }
}
