import { PAGE_SIZE } from '../../result.ts';
import { OP } from '../trace.ts';
import { PageSet } from './page-set.ts';

/** What the kernel's events say of a file's pages, before it is known what was an access. */
export interface Access {
  timeNs: number;
  op: number;
  container: string;
  mount: number;
  ino: number;
  page: number;
  pages: number;
  /** read: bytes from its first page to the end of the last that was asked for; else 0 */
  bytes: number;
  /** offset in the run, −1 unknown */
  touch: number;
  task: number;
  /** fault-around: what its address tells, null if that is unknown */
  window: Window | null;
}

/** What the address of a page fault tells of a window. */
interface Window {
  /** how the mapping lies if the window is aligned, which page of it was wanted then, and whether that can be */
  readonly mapping: Mapping;
  readonly touch: number;
  readonly possible: boolean;
}

/** The pages of a file that are cached. */
export interface Cached {
  has(page: number): boolean;
}

/** Fault-around windows whose touched page was worked out, and how. */
export interface TouchCounts {
  /** from a fault of the same mapping whose page the kernel named */
  exact: number;
  /** windows that begin at different pages agree on how the mapping lies */
  agreed: number;
  unknown: number;
}

/** What is known of where a file, or a part of it, is mapped: address page − file page. */
interface Mapping {
  readonly shift: number;
  /** that have been mapped so, if it lies so */
  readonly pages: PageSet;
  /** the kernel named the page of one of its faults */
  exact: boolean;
  /** AGREEING windows that begin at different pages would lie so */
  agreed: boolean;
  /** where those windows begin, until they are enough */
  windows: number[];
}

interface FileState {
  readonly mappings: Map<number, Mapping>;
  /** whatever the container: pages that were filled and not read since, which may be on their way in, or have the readahead's mark */
  readonly fresh: PageSet;
}

interface TaskState {
  /** page number of its last page fault, −1 none since its last read */
  address: number;
  /** its last buffered read: file, first page, last page asked for, and from where on the kernel may have taken it up again */
  readFile: FileState | null;
  readFirst: number;
  readLast: number;
  restFrom: number;
  /** its last window since the page fault */
  window: Access | null;
  /** its last filemap_fault() since the page fault */
  faultFile: FileState | null;
  faultPage: number;
  /** where page faults are unknown: whether it may come again, for its page wasn't cached; whether a window that was its own has come */
  faultCold: boolean;
  faultMapped: boolean;
}

/** of a column of a trace */
const MAX_BYTES = 2 ** 32 - 1;
/** pages of a fault-around window that is aligned in the address space: fault_around_bytes is 64 KiB unless debugfs says otherwise */
export const FAULT_AROUND_PAGES = 16;
/**
 * Windows that begin at different pages and agree. Two may be the starts of two mappings that lie as many pages behind a boundary of 64 KiB,
 * as parts of a library do: 4 of 831 were, of redis, Python and Node.js.
 */
const AGREEING = 3;
/** of a file in a container that are remembered: address spaces come and go */
const MAX_MAPPINGS = 64;
/** folios that filemap_get_pages() takes at once (PAGEVEC_SIZE), and the most pages that they can have, of 2 MiB each */
const BATCH_FOLIOS = 31;
const BATCH_PAGES = BATCH_FOLIOS * 512;

/**
 * Makes accesses of events in the order of time. Rules, each measured on Linux 6.18 (mm/filemap.c, mm/memory.c):
 *
 * - mm_filemap_get_pages comes again for the rest of one read(): same last page, later first one. The kernel has taken what it found in a
 *   row, up to a page that isn't cached, one that is still on its way in or has the readahead's mark, or 31 folios. Where there was no such
 *   page, a program reads on from within a page that it has read: reads of 1,000 bytes look like that.
 * - its range isn't clipped to the end of file.
 * - one page fault can first map the window around the page (mm_filemap_map_pages), find the page itself not mappable, and then call
 *   filemap_fault (mm_filemap_fault). That lets go of its lock to read (VM_FAULT_RETRY), and all of it comes again: one access, the fault's.
 *   A cold write to a private mapping is one such. What comes after another page fault is another access, also of the same page; where page
 *   faults are unknown, what comes once more after a page that wasn't cached is the same.
 * - a window says not which of its pages was wanted. do_fault_around() aligns it to 64 KiB of addresses, so that the address of the page fault
 *   does, but at the start of a mapping, where the window begins with that. So the mapping must be known to lie as the window would have it:
 *   from a fault in it, or from other windows; those that begin at the same page, as at the start of a mapping, say the same wrong thing. Or
 *   a mapping that is known has pages of the window, and the window begins with it. Parts of a library are mapped side by side, and lie
 *   differently: one says nothing of another.
 */
export class Accesses {
  readonly touches: TouchCounts = { exact: 0, agreed: 0, unknown: 0 };
  readonly #files = new Map<string, FileState>();
  readonly #freshPages = new Map<string, PageSet>();
  readonly #tasks = new Map<number, TaskState>();
  readonly #cached: (mount: number, ino: number) => Cached | undefined;
  readonly #windowPages: number;
  #held: Access[] = [];

  /**
   * @param cached the pages of a file that are cached at the time of the event
   * @param windowPages a power of two
   */
  constructor(cached: (mount: number, ino: number) => Cached | undefined, windowPages = FAULT_AROUND_PAGES) {
    this.#cached = cached;
    this.#windowPages = windowPages;
  }

  pageFault(task: number, address: number): void {
    const state = this.#task(task);
    state.address = address;
    state.window = null;
    state.faultFile = null;
  }

  exit(task: number): void {
    this.#tasks.delete(task);
  }

  /** @param filePages pages the file has, −1 unknown */
  read(access: Access, last: number, filePages: number): void {
    const state = this.#task(access.task);
    const file = this.#file(access);
    const { readFile, readFirst, readLast } = state;
    const rest = readFile === file && readLast === last && access.page > readFirst && access.page >= state.restFrom;
    // What was read has come in, and has lost its mark.
    readFile?.fresh.delete(readFirst, Math.min((rest ? access.page : readLast + 1) - readFirst, BATCH_PAGES));
    if (state.address < 0) state.faultFile = null;
    state.address = -1;
    state.readFile = file;
    state.readFirst = access.page;
    state.readLast = last;
    state.restFrom = this.#batchEnd(access, last, file.fresh);
    access.op = rest ? OP['read-rest'] : OP.read;
    access.bytes = Math.min(PAGE_SIZE * Math.max(0, last - access.page + 1), MAX_BYTES);
    access.pages = Math.max(0, (filePages < 0 ? last : Math.min(last, Math.max(filePages, 1) - 1)) - access.page + 1);
    if (access.pages === 0) access.op = OP['read-nothing'];
    this.#held.push(access);
  }

  fault(access: Access): void {
    const state = this.#task(access.task);
    const file = this.#file(access);
    access.pages = 1;
    const same = state.faultFile === file && state.faultPage === access.page;
    if (same && (state.address >= 0 || (state.faultCold && this.#isCached(access, access.page)))) {
      access.op = OP['fault-again'];
      state.faultCold = false;
      this.#held.push(access);
      return;
    }
    access.op = OP.fault;
    const { window } = state;
    if (window !== null && this.#file(window) === file && within(window, access.page)) {
      window.op = OP['map-before-fault'];
      state.window = null;
    }
    answered(state);
    if (state.address >= 0) {
      const mapping = mappingOf(file, state.address - access.page);
      mapping.exact = true;
      mapping.pages.add(access.page, 1);
    }
    state.faultFile = file;
    state.faultPage = access.page;
    state.faultCold = !this.#isCached(access, access.page);
    state.faultMapped = false;
    this.#held.push(access);
  }

  faultAround(access: Access): void {
    const state = this.#task(access.task);
    const file = this.#file(access);
    if (state.faultFile === file && within(access, state.faultPage) && (state.address >= 0 || !state.faultMapped)) {
      access.op = OP['map-after-fault'];
      state.faultMapped = true;
    } else {
      access.op = OP['fault-around'];
      answered(state);
      state.window = access;
      if (state.address >= 0 && access.pages <= this.#windowPages) {
        const touch = state.address % this.#windowPages;
        const possible = touch < access.pages && this.#isCached(access, access.page + touch);
        const mapping = mappingOf(file, state.address - touch - access.page);
        mapping.pages.add(access.page, access.pages);
        if (possible) agree(mapping, access.page);
        access.window = { mapping, touch, possible };
      }
    }
    this.#held.push(access);
  }

  /** Pages that went in or out. */
  effect(access: Access): void {
    if (access.op === OP.fill) this.#fresh(access).add(access.page, access.pages);
    else if (access.op === OP.drop) this.#fresh(access).delete(access.page, access.pages);
    this.#held.push(access);
  }

  /** Accesses up to a time, in order, `most` of them: what is known by now of those windows is all that will be. */
  *release(untilNs: number, most = Number.POSITIVE_INFINITY): Generator<Access> {
    let n = 0;
    while (n < this.#held.length && n < most && this.#held[n]!.timeNs <= untilNs) n++;
    const out = this.#held.slice(0, n);
    this.#held = this.#held.slice(n);
    for (const access of out) {
      if (access.op === OP['fault-around']) this.#locate(access);
      yield access;
    }
  }

  get held(): number {
    return this.#held.length;
  }

  /** Tells which page of a window was wanted, if only one way in which its mapping may lie is known to be one. */
  #locate(access: Access): void {
    const { window } = access;
    const found: Mapping[] = [];
    if (window !== null) {
      const { mapping, touch, possible } = window;
      if (possible && isKnown(mapping)) found.push(mapping);
      const { mappings } = this.#file(access);
      for (let shift = mapping.shift + 1; shift <= mapping.shift + touch; shift++) {
        const other = mappings.get(shift);
        if (other !== undefined && isKnown(other) && goesOn(access, other)) found.push(other);
      }
    }
    const [one] = found;
    if (window === null || one === undefined || found.length > 1) {
      this.touches.unknown++;
      return;
    }
    access.touch = window.touch - (one.shift - window.mapping.shift);
    if (one.exact) this.touches.exact++;
    else this.touches.agreed++;
  }

  /** From which page on the rest of a read may come by itself. */
  #batchEnd(access: Access, last: number, fresh: PageSet): number {
    const cached = this.#cached(access.mount, access.ino);
    const full = access.page + BATCH_FOLIOS;
    for (let page = access.page; page <= last && page < full; page++) {
      if (!cached?.has(page)) return page;
      if (fresh.has(page)) return page + 1;
    }
    return full;
  }

  #isCached({ mount, ino }: Access, page: number): boolean {
    return this.#cached(mount, ino)?.has(page) === true;
  }

  #file(access: Access): FileState {
    const key = `${access.mount} ${access.ino} ${access.container}`;
    let state = this.#files.get(key);
    if (state === undefined) {
      state = { mappings: new Map(), fresh: this.#fresh(access) };
      this.#files.set(key, state);
    }
    return state;
  }

  #fresh({ mount, ino }: Access): PageSet {
    const key = `${mount} ${ino}`;
    let pages = this.#freshPages.get(key);
    if (pages === undefined) {
      pages = new PageSet();
      this.#freshPages.set(key, pages);
    }
    return pages;
  }

  #task(task: number): TaskState {
    let state = this.#tasks.get(task);
    if (state === undefined) {
      state = {
        address: -1,
        readFile: null,
        readFirst: 0,
        readLast: 0,
        restFrom: 0,
        window: null,
        faultFile: null,
        faultPage: 0,
        faultCold: false,
        faultMapped: false,
      };
      this.#tasks.set(task, state);
    }
    return state;
  }
}

function within(access: Access, page: number): boolean {
  return page >= access.page && page < access.page + access.pages;
}

/** The address of a page fault that something else came of is not that of what comes now: mmap(2) with MAP_POPULATE has no page faults. */
function answered(state: TaskState): void {
  if (state.window !== null || state.faultFile !== null) state.address = -1;
}

function mappingOf({ mappings }: FileState, shift: number): Mapping {
  const mapping = mappings.get(shift) ?? { shift, pages: new PageSet(), exact: false, agreed: false, windows: [] };
  // The newest stay: a map's keys are in the order of their coming.
  mappings.delete(shift);
  mappings.set(shift, mapping);
  if (mappings.size > MAX_MAPPINGS) mappings.delete(mappings.keys().next().value!);
  return mapping;
}

function isKnown({ exact, agreed }: Mapping): boolean {
  return exact || agreed;
}

/** Whether a window can begin a mapping: that has pages of it, but for the first, which may be the last one of the mapping before, too. */
function goesOn({ page, pages }: Access, mapping: Mapping): boolean {
  for (let behind = page + 1; behind < page + pages; behind++) if (mapping.pages.has(behind)) return true;
  return false;
}

function agree(mapping: Mapping, first: number): void {
  if (mapping.agreed || mapping.windows.includes(first)) return;
  mapping.windows.push(first);
  mapping.agreed = mapping.windows.length === AGREEING;
}
