import type { BadRecords } from '../formats/format.ts';
import { Tables } from '../formats/format.ts';
import { StartClock, type Time } from '../formats/start.ts';
import { blankEvent, OP, type TraceFacts, type TraceSink } from '../trace.ts';
import { type Access, Accesses } from './accesses.ts';
import { PageSet } from './page-set.ts';

/** Accesses that are held back, so that later ones can tell what they were. */
const HELD = 2 ** 14;
/** a folio of 1 GiB, which only hugetlbfs has */
const MAX_ORDER = 18;
const MAX_PAGE = 2 ** 32;

/**
 * Makes a trace of what a kernel said of its page cache, as the recorder does of the same events, in the order of time. A device is a mount,
 * named by its numbers. How long files are isn't known, so that a read isn't clipped to the end of its file.
 */
export class PageCacheTrace {
  readonly #sink: TraceSink;
  readonly #source: string;
  readonly #bad: BadRecords;
  readonly #clock: StartClock;
  readonly #tables: Tables;
  readonly #event = blankEvent();
  readonly #devices = new Map<number, number>();
  #device = -1;
  #mount = 0;
  /** by file: its pages that are cached */
  readonly #cached = new Map<number, PageSet>();
  readonly #accesses: Accesses;
  #begun = false;

  constructor(sink: TraceSink, source: string, bad: BadRecords) {
    this.#sink = sink;
    this.#source = source;
    this.#bad = bad;
    this.#clock = new StartClock(bad);
    this.#tables = new Tables(sink);
    this.#accesses = new Accesses((mount, ino) => this.#cached.get(this.#tables.inode(mount, ino)));
  }

  /** @param address in bytes */
  pageFault(task: number, address: number): void {
    this.#accesses.pageFault(task, Math.floor(address / 4096));
  }

  exit(task: number): void {
    this.#accesses.exit(task);
  }

  /** A read, from one page to another. @param device major << 20 | minor */
  read(
    time: Time,
    task: number,
    container: string,
    device: number,
    ino: number,
    first: number,
    last: number,
    line: number,
  ): void {
    const access = this.#access(time, task, container, device, ino, first, last - first + 1, line);
    if (access !== null) this.#accesses.read(access, last, -1);
  }

  faultAround(
    time: Time,
    task: number,
    container: string,
    device: number,
    ino: number,
    first: number,
    last: number,
    line: number,
  ): void {
    const access = this.#access(time, task, container, device, ino, first, last - first + 1, line);
    if (access !== null) this.#accesses.faultAround(access);
  }

  fault(time: Time, task: number, container: string, device: number, ino: number, page: number, line: number): void {
    const access = this.#access(time, task, container, device, ino, page, 1, line);
    if (access !== null) this.#accesses.fault(access);
  }

  /** Pages of a folio go in or out. */
  effect(
    op: number,
    time: Time,
    task: number,
    container: string,
    device: number,
    ino: number,
    page: number,
    order: number,
    line: number,
  ): void {
    if (order > MAX_ORDER) {
      this.#bad.record(`line ${line}`, `a folio of order ${order} is larger than 1 GiB`);
      return;
    }
    const access = this.#access(time, task, container, device, ino, page, 2 ** order, line);
    if (access === null) return;
    access.op = op;
    const file = this.#tables.inode(access.mount, ino);
    let cached = this.#cached.get(file);
    if (cached === undefined) {
      cached = new PageSet();
      this.#cached.set(file, cached);
    }
    if (op === OP.fill) cached.add(page, access.pages);
    else cached.delete(page, access.pages);
    this.#accesses.effect(access);
  }

  /** The name of a device, as the kernel has it. */
  deviceName(device: number): string {
    return `${Math.floor(device / 2 ** 20)}:${device % 2 ** 20}`;
  }

  /** Pushes what is held, the last of which may still be told by what follows. */
  push(): void {
    if (this.#accesses.held > 2 * HELD) this.#push(this.#accesses.held - HELD);
  }

  /** @returns what is known at the end */
  end(): TraceFacts {
    this.#begin();
    this.#push(Number.POSITIVE_INFINITY);
    return { touches: this.#accesses.touches };
  }

  #access(
    time: Time,
    task: number,
    container: string,
    device: number,
    ino: number,
    page: number,
    pages: number,
    line: number,
  ): Access | null {
    if (pages < 1 || page + pages > MAX_PAGE) {
      const what = pages < 1 ? `its last page is before its first, ${page}` : 'its last page is beyond 2^32';
      this.#bad.record(`line ${line}`, what);
      return null;
    }
    const timeNs = this.#clock.at(time, line);
    if (timeNs < 0) return null;
    this.#begin();
    if (device !== this.#device) this.#changeDevice(device);
    return { timeNs, op: 0, container, mount: this.#mount, ino, page, pages, bytes: 0, touch: -1, task, window: null };
  }

  #changeDevice(device: number): void {
    let mount = this.#devices.get(device);
    if (mount === undefined) {
      mount = this.#tables.mount(this.deviceName(device));
      this.#devices.set(device, mount);
    }
    this.#device = device;
    this.#mount = mount;
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#sink.facts({ source: this.#source, ...this.#clock.facts, readsClipped: false });
  }

  #push(most: number): void {
    const e = this.#event;
    for (const access of this.#accesses.release(Number.POSITIVE_INFINITY, most)) {
      e.timeNs = access.timeNs;
      e.op = access.op;
      e.container = this.#tables.container(access.container);
      e.file = this.#tables.inode(access.mount, access.ino);
      e.page = access.page;
      e.pages = access.pages;
      e.bytes = access.bytes;
      e.touch = access.touch;
      e.task = access.task;
      this.#sink.event(e);
    }
  }
}
