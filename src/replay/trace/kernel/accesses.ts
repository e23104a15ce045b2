import { OP } from '../trace.ts';

/** What the kernel's events say of a file's pages, before it is known what was an access. */
export interface Access {
  timeNs: number;
  op: number;
  container: string;
  mount: number;
  ino: number;
  page: number;
  pages: number;
  /** offset in the run, −1 unknown */
  touch: number;
  task: number;
  /** page number of the address whose fault this was, −1 unknown */
  address: number;
}

/** The pages of a file that are cached. */
export interface Cached {
  has(page: number): boolean;
}

/** Fault-around windows whose touched page was worked out, and how. */
export interface TouchCounts {
  /** from a fault of the same mapping whose page the kernel named */
  exact: number;
  /** two windows or more agree on where the mapping lies */
  agreed: number;
  unknown: number;
}

interface FileState {
  /** address page − file page of its mappings, with how often each was seen; an exact one counts for EXACT */
  readonly mappings: Map<number, number>;
}

interface TaskState {
  /** page number of its last page fault, −1 none since the last access by system call */
  address: number;
  /** its last buffered read: file, first page, last page asked for */
  readFile: FileState | null;
  readFirst: number;
  readLast: number;
  /** its last window since the page fault */
  window: Access | null;
  /** its last filemap_fault() */
  faultFile: FileState | null;
  faultPage: number;
}

const EXACT = 1000;
/** pages of a fault-around window that is aligned in the address space: fault_around_bytes is 64 KiB unless debugfs says otherwise */
const WINDOW = 16;
/** of a file in a container that are remembered: address spaces come and go */
const MAX_MAPPINGS = 64;

/**
 * Makes accesses of events in the order of time. Rules, each measured on Linux 6.18 (mm/filemap.c, mm/memory.c):
 *
 * - mm_filemap_get_pages comes again for the rest of one read(): same last page, later first one.
 * - its range isn't clipped to the end of file.
 * - one page fault can first map the window around the page (mm_filemap_map_pages), find the page itself not mappable, and then call
 *   filemap_fault (mm_filemap_fault), and map around again when it is retried: one access, the fault's.
 * - a window says not which of its pages was wanted. The address of the page fault does, where it is known how far the mapping is shifted
 *   against the file: from a fault in it, or from two windows that agree. do_fault_around() aligns a window to 64 KiB of addresses, but
 *   at the start of a mapping.
 */
export class Accesses {
  readonly touches: TouchCounts = { exact: 0, agreed: 0, unknown: 0 };
  readonly #files = new Map<string, FileState>();
  readonly #tasks = new Map<number, TaskState>();
  readonly #cached: (mount: number, ino: number) => Cached | undefined;
  #held: Access[] = [];

  /** @param cached the pages of a file that are cached at the time of the event */
  constructor(cached: (mount: number, ino: number) => Cached | undefined) {
    this.#cached = cached;
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
    const rest = state.readFile === file && state.readLast === last && state.readFirst < access.page;
    access.op = rest ? OP['read-rest'] : OP.read;
    state.readFile = file;
    state.readFirst = access.page;
    state.readLast = last;
    access.pages = Math.max(0, (filePages < 0 ? last : Math.min(last, Math.max(filePages, 1) - 1)) - access.page + 1);
    if (access.pages === 0) access.op = OP['read-nothing'];
    this.#held.push(access);
  }

  fault(access: Access): void {
    const state = this.#task(access.task);
    const file = this.#file(access);
    access.op = OP.fault;
    access.pages = 1;
    access.address = state.address;
    if (state.address >= 0) learn(file, state.address - access.page, EXACT);
    const { window } = state;
    if (window !== null && this.#file(window) === file && within(window, access.page)) {
      window.op = OP['map-before-fault'];
      state.window = null;
    }
    state.faultFile = file;
    state.faultPage = access.page;
    this.#held.push(access);
  }

  faultAround(access: Access): void {
    const state = this.#task(access.task);
    const file = this.#file(access);
    access.address = state.address;
    if (state.faultFile === file && within(access, state.faultPage)) {
      access.op = OP['map-after-fault'];
      state.faultFile = null;
    } else {
      access.op = OP['fault-around'];
      state.window = access;
      const aligned = access.page + (state.address & (WINDOW - 1));
      if (state.address >= 0 && within(access, aligned) && this.#cached(access.mount, access.ino)?.has(aligned))
        learn(file, state.address - aligned, 1);
    }
    this.#held.push(access);
  }

  /** Pages that went in or out. */
  effect(access: Access): void {
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

  #locate(access: Access): void {
    let best = 0;
    if (access.address >= 0) {
      for (const [shift, weight] of this.#file(access).mappings) {
        const page = access.address - shift;
        if (weight <= best || !within(access, page)) continue;
        best = weight;
        access.touch = page - access.page;
      }
    }
    if (best >= EXACT) this.touches.exact++;
    else if (best > 1) this.touches.agreed++;
    else {
      access.touch = -1;
      this.touches.unknown++;
    }
  }

  #file({ container, mount, ino }: Access): FileState {
    const key = `${mount} ${ino} ${container}`;
    let state = this.#files.get(key);
    if (state === undefined) {
      state = { mappings: new Map() };
      this.#files.set(key, state);
    }
    return state;
  }

  #task(task: number): TaskState {
    let state = this.#tasks.get(task);
    if (state === undefined) {
      state = { address: -1, readFile: null, readFirst: 0, readLast: 0, window: null, faultFile: null, faultPage: 0 };
      this.#tasks.set(task, state);
    }
    return state;
  }
}

function within(access: Access, page: number): boolean {
  return page >= access.page && page < access.page + access.pages;
}

function learn(file: FileState, shift: number, weight: number): void {
  const { mappings } = file;
  const seen = mappings.get(shift) ?? 0;
  // The newest stay: a map's keys are in the order of their coming.
  mappings.delete(shift);
  mappings.set(shift, seen + weight);
  if (mappings.size > MAX_MAPPINGS) mappings.delete(mappings.keys().next().value!);
}
