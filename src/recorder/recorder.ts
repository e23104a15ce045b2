import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { release } from 'node:os';
import { basename } from 'node:path';
import { UsageError } from '../error.ts';
import { ArrowTraceWriter } from '../replay/trace/arrow/writer.ts';
import { type Access, Accesses } from '../replay/trace/kernel/accesses.ts';
import { PageSet } from '../replay/trace/kernel/page-set.ts';
import { blankEvent, OP, type TraceFacts } from '../replay/trace/trace.ts';
import { VERSION } from '../version.ts';
import { cachedPages, type Look } from './cached-pages.ts';
import { Decoder, KERNEL_EVENT_NAMES, type KernelEvent, type KernelRecord } from './kernel-events.ts';
import { everyErofs, type MountRequest, type WatchedMount, watchedMounts } from './mounts.ts';
import { readSubBuffer } from './ring-buffer.ts';
import { type SystemCalls, systemCalls } from './system-calls.ts';
import { type ContainerRequest, isPid, Tasks, UNKNOWN } from './tasks.ts';
import { parseLine } from './text-events.ts';
import { type Backend, findTracefs, removeInstance, staleInstances, TraceInstance } from './tracefs.ts';

export interface RecordOptions {
  readonly output: string;
  /** empty: every EROFS filesystem that is mounted */
  readonly mounts: readonly MountRequest[];
  readonly containers: readonly ContainerRequest[];
  /** empty: what runs already */
  readonly command: readonly string[];
  /** what the command's container is called; by default the command */
  readonly name: string | null;
  /** at most; 0: until the command ends, or a signal comes */
  readonly durationNs: number;
  /** left for readahead in flight to come in, between the command's end and the last look at the page cache */
  readonly holdMs: number;
  /** of the ring buffer of each CPU */
  readonly bufferKb: number;
  readonly tracefs?: string | undefined;
  readonly removeStale: boolean;
  readonly backend: Backend;
  /** a line on how it goes, now and then */
  readonly progress?: (line: string) => void;
  readonly warn: (line: string) => void;
}

/** What came of a recording. */
export interface RecordReport {
  events: number;
  /** events of the page cache and of tasks that the kernel lost, for want of room */
  lost: number;
  /** page faults that it lost, which have buffers of their own: they tell which page of a window was wanted, and which faults came again */
  lostPageFaults: number;
  /** events whose time was before that of one written already: they have that one's */
  late: number;
  /** accesses to other files of a filesystem of which a folder is recorded: left out */
  elsewhere: number;
  /** pages that went into the page cache, and that were taken out of it, by the events */
  filledPages: number;
  droppedPages: number;
  /** pages that were cached at the end, by mincore(2) */
  cachedPages: number;
  /** files whose pages, by the events, are those that mincore(2) shows, and files in which they aren't, with how many pages */
  filesEqual: number;
  filesDifferent: number;
  pagesDifferent: number;
  /** files that couldn't be looked at in the end: not opened, or something is mounted over them */
  filesUnseen: number;
  touches: { exact: number; agreed: number; unknown: number };
  /** how the command ended, null if none was run; stopped: we ended it, when its time was over or a signal had come */
  exit: { code: number | null; signal: string | null; stopped: boolean } | null;
}

const FILL: KernelEvent = 'filemap/mm_filemap_add_to_page_cache';
const DROP: KernelEvent = 'filemap/mm_filemap_delete_from_page_cache';
const FILEMAP = KERNEL_EVENT_NAMES.filter((name) => name.startsWith('filemap/'));
const TASKS = KERNEL_EVENT_NAMES.filter((name) => name.startsWith('sched/') || name.startsWith('cgroup/'));
const FAULTS = KERNEL_EVENT_NAMES.filter((name) => name.startsWith('exceptions/'));
/** the recorder's trace instances: a filter by task, and buffers, of their own for page faults */
const CACHE = 0;
const FAULT = 1;
/** PROC_PID_INIT_INO, include/linux/proc_ns.h */
const INIT_PID_NAMESPACE = 'pid:[4026531836]';
const POLL_MS = 20;
/** How long accesses are held back, so that later ones can tell what they were, and the CPUs' events can be put in order. */
const HOLD_BACK_NS = 1e9;
const MAX_HELD = 500_000;
const FLUSH_EVERY_NS = 5e9;
/** how long a command has for its end when it is told to */
const END_NS = 5e9;

/**
 * Records every access to the files of some mounts, and every page that goes into or out of the page cache, until a command ends, or a time is
 * over, or a signal comes.
 * @throws UsageError for what can't be recorded here
 */
export async function record(options: RecordOptions): Promise<RecordReport> {
  if (process.platform !== 'linux') throw new UsageError('only Linux can be recorded');
  if (process.getuid?.() !== 0) throw new UsageError('recording needs root: tracefs and mincore(2) do');
  if (readlinkSync('/proc/self/ns/pid') !== INIT_PID_NAMESPACE)
    throw new UsageError('recording needs the host’s pid namespace, whose task ids the kernel’s events have');
  const tracefs = findTracefs(options.tracefs);
  for (const name of staleInstances(tracefs)) {
    if (options.removeStale) removeInstance(tracefs, name);
    else options.warn(`the trace instance ${name} was left by a recorder that is gone; --remove-stale removes it`);
  }
  const calls = await systemCalls();
  const mounts = await watchedMounts(requestsOf(options), options.warn);
  const recording = new Recording(options, tracefs, calls, mounts);
  return recording.run();
}

/** The mounts asked for, or every EROFS one that the recorder or a container sees. */
function requestsOf({ mounts, containers }: RecordOptions): readonly MountRequest[] {
  if (mounts.length > 0) return mounts;
  const all = everyErofs(
    containers
      .map(({ what }) => what)
      .filter(isPid)
      .map(Number),
  );
  if (all.length > 0) return all;
  throw new UsageError('nothing to record: no EROFS filesystem is mounted, and no --mount DIR names another');
}

class Recording {
  readonly #options: RecordOptions;
  readonly #calls: SystemCalls;
  readonly #mounts: readonly WatchedMount[];
  readonly #byDevice: ReadonlyMap<number, number>;
  readonly #instances: TraceInstance[] = [];
  readonly #decoders: Decoder[] = [];
  readonly #tasks: Tasks;
  readonly #accesses: Accesses;
  /** by mount and inode: the pages that are cached, by the events */
  readonly #cached: Map<number, PageSet>[];
  /** what mincore(2) showed at the end, and how many of it have been held against the events */
  #looks: { readonly mount: number; readonly look: Look }[] = [];
  #looked = 0;
  /** records that were read, by CPU and instance, each queue in order */
  readonly #queues: KernelRecord[][] = [];
  /** text: the line that each pipe is within */
  readonly #lines: string[] = [];
  readonly #containers = new Map<string, number>();
  readonly #files = new Map<string, number>();
  readonly #event = blankEvent();
  #writer: ArrowTraceWriter | null = null;
  #startNs = 0;
  #events = 0;
  /** by instance: events that are gone, as what was read of it says */
  readonly #missed: number[] = [];
  #lastNs = 0;
  #child: ChildProcess | null = null;
  #exit: RecordReport['exit'] = null;
  #stopped = false;
  readonly #faultAroundBytes = faultAroundBytes();
  readonly #report: RecordReport;

  constructor(options: RecordOptions, tracefs: string, calls: SystemCalls, mounts: readonly WatchedMount[]) {
    this.#options = options;
    this.#calls = calls;
    this.#mounts = mounts;
    this.#byDevice = new Map(mounts.map(({ device }, i) => [device, i]));
    this.#tasks = new Tasks(options.containers);
    this.#cached = mounts.map(() => new Map());
    this.#report = {
      events: 0,
      lost: 0,
      lostPageFaults: 0,
      late: 0,
      elsewhere: 0,
      filledPages: 0,
      droppedPages: 0,
      cachedPages: 0,
      filesEqual: 0,
      filesDifferent: 0,
      pagesDifferent: 0,
      filesUnseen: 0,
      touches: { exact: 0, agreed: 0, unknown: 0 },
      exit: null,
    };
    this.#accesses = new Accesses(
      (mount, ino) => this.#cached[mount]!.get(ino),
      this.#faultAroundBytes === null ? undefined : this.#faultAroundBytes / 4096,
    );
    const remove = (): void => this.#remove();
    process.on('exit', remove);
    try {
      const filter = mounts.map(({ device }) => `s_dev == ${device}`).join(' || ');
      const cache = this.#instance(tracefs, 'cache', options.bufferKb, [...FILEMAP, ...TASKS]);
      const faults = this.#instance(tracefs, 'faults', Math.max(1024, options.bufferKb >> 2), FAULTS);
      for (const name of FILEMAP) cache.enable(name, filter);
      for (const name of TASKS) cache.enable(name);
      for (const name of FAULTS) faults.enable(name);
    } catch (error) {
      this.#remove();
      throw error;
    }
  }

  #instance(tracefs: string, purpose: string, bufferKb: number, events: readonly KernelEvent[]): TraceInstance {
    const instance = new TraceInstance(tracefs, purpose, bufferKb, this.#options.backend);
    this.#instances.push(instance);
    this.#missed.push(0);
    const missing = events.filter((name) => !instance.has(name));
    if (missing.length > 0)
      throw new UsageError(
        `Linux ${release()} has no tracepoint ${missing.map((name) => name.replace('/', ':')).join(', ')}: record on 6.14 or later`,
      );
    this.#decoders.push(new Decoder(new Map(events.map((name) => [name, instance.format(name)]))));
    for (let n = 0; n < instance.pipes; n++) {
      this.#queues.push([]);
      this.#lines.push('');
    }
    return instance;
  }

  async run(): Promise<RecordReport> {
    const signal = whenSignalled();
    try {
      this.#writer = await ArrowTraceWriter.create(this.#options.output, true);
      this.#writer.facts(this.#facts());
      for (const { facts } of this.#mounts) this.#writer.mount(facts);
      await this.#launch();
      for (const instance of this.#instances) instance.start();
      await this.#lookBefore();
      this.#release();
      await this.#until(signal.came);
      this.#looks = [...this.#look(() => this.#report.filesUnseen++)];
      const endNs = now();
      for (const instance of this.#instances) instance.stop();
      this.#drain();
      this.#merge(endNs);
      this.#compareUntil(endNs);
      this.#write(endNs);
      this.#report.events = this.#events;
      this.#report.lost = this.#lost(CACHE);
      this.#report.lostPageFaults = this.#lost(FAULT);
      this.#report.touches = this.#accesses.touches;
      this.#report.exit = this.#exit;
      const { exit, ...facts } = this.#report;
      await this.#writer.end(facts);
      return this.#report;
    } catch (error) {
      if (this.#exit === null) this.#child?.kill('SIGTERM');
      await this.#writer?.abort().catch(() => {});
      throw error;
    } finally {
      signal.forget();
      this.#remove();
    }
  }

  #facts(): TraceFacts {
    return {
      tool: `foliolab ${VERSION}`,
      started: new Date().toISOString(),
      kernel: release(),
      machine: process.arch,
      pageSize: 4096,
      cpus: this.#instances[CACHE]!.cpus.length,
      transparentHugePages: readOr('/sys/kernel/mm/transparent_hugepage/enabled', ''),
      ...(this.#faultAroundBytes !== null && { faultAroundBytes: this.#faultAroundBytes }),
      command: this.#options.command,
      backend: this.#options.backend,
    };
  }

  /** Starts the command, which waits until it is let go. */
  async #launch(): Promise<void> {
    const { command, name } = this.#options;
    const faults = this.#instances[FAULT]!;
    if (command.length === 0) {
      // Ours stands for nobody: none at all would be every task of the machine, as it is where no container is named.
      if (this.#options.containers.length > 0) faults.follow([process.pid, ...this.#tasks.known()]);
      return;
    }
    const child = spawn('/bin/sh', ['-c', 'read -r _ <&3; exec 3<&-; exec "$@"', 'foliolab', ...command], {
      stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    });
    this.#child = child;
    // One that is stopped before it begins doesn't read it.
    child.stdio[3]?.on('error', () => {});
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.once('exit', (code, signal) => {
      this.#exit = { code, signal, stopped: this.#stopped };
    });
    if (this.#options.containers.length === 0) this.#tasks.root(child.pid!, name ?? basename(command[0]!));
    faults.follow([child.pid!, ...this.#tasks.known()]);
  }

  #release(): void {
    const pipe = this.#child?.stdio[3];
    if (pipe && 'end' in pipe) pipe.end('\n');
  }

  /** Reads events until it is time to stop: the command has ended, its time is over, or a signal came. */
  async #until(signalled: () => number): Promise<void> {
    const { durationNs, holdMs } = this.#options;
    const began = now();
    let stopAt = durationNs > 0 ? began + durationNs : Number.POSITIVE_INFINITY;
    let ended = false;
    let flushed = began;
    let shown = began;
    let events = 0;
    for (;;) {
      const before = now();
      this.#drain();
      // What came until then has been read; a moment's grace is for an event that is just being written.
      this.#merge(before - 10e6);
      this.#write(this.#accesses.held > MAX_HELD ? before : before - HOLD_BACK_NS);
      if (before - flushed > FLUSH_EVERY_NS) {
        this.#writer!.flush();
        flushed = before;
      }
      if (before - shown > 1e9) {
        this.#show((before - began) / 1e9, ((this.#events - events) * 1e9) / (before - shown));
        events = this.#events;
        shown = before;
      }
      const signals = signalled();
      if (this.#exit !== null && !ended) {
        ended = true;
        stopAt = before + holdMs * 1e6;
      }
      if (before >= stopAt || (signals > 0 && !this.#stopped)) {
        if (this.#child === null || this.#exit !== null || this.#stopped) return;
        this.#stopped = true;
        this.#child.kill('SIGTERM');
        stopAt = before + END_NS;
      }
      if (signals > 1) this.#child?.kill('SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #drain(): void {
    let queue = 0;
    for (const [i, instance] of this.#instances.entries()) {
      const decoder = this.#decoders[i]!;
      for (let n = 0; n < instance.pipes; n++) {
        const records = this.#queues[queue]!;
        for (;;) {
          const page = instance.read(n);
          if (page === null) break;
          if (instance.layout === null) {
            this.#missed[i]! += this.#readText(queue, page);
            continue;
          }
          const lost = readSubBuffer(page, instance.layout, (view, at, length, timeNs) => {
            const record = decoder.decode(view, at, length, timeNs);
            if (record !== null) records.push(record);
          });
          if (lost !== 0) this.#missed[i]! += Math.max(lost, 1);
        }
        queue++;
      }
    }
  }

  /** @returns how many events are gone, as the text says */
  #readText(queue: number, text: Uint8Array): number {
    let lost = 0;
    const lines = (this.#lines[queue]! + Buffer.from(text).toString('latin1')).split('\n');
    this.#lines[queue] = lines.pop()!;
    for (const line of lines) {
      const event = parseLine(line);
      if (event === null) throw new Error(`the kernel says what isn't understood: ${JSON.stringify(line)}`);
      if ('lost' in event) lost += event.lost;
      else this.#queues[queue]!.push(event);
    }
    return lost;
  }

  /** Takes records in the order of time, up to a time. */
  #merge(untilNs: number): void {
    const heads = this.#queues.map(() => 0);
    for (;;) {
      let first = -1;
      let time = untilNs;
      for (const [i, queue] of this.#queues.entries()) {
        const head = queue[heads[i]!];
        if (head !== undefined && (head.timeNs < time || (first < 0 && head.timeNs <= time))) {
          first = i;
          time = head.timeNs;
        }
      }
      if (first < 0) break;
      this.#compareUntil(time);
      this.#take(this.#queues[first]![heads[first]!++]!);
    }
    for (const [i, queue] of this.#queues.entries()) queue.splice(0, heads[i]!);
  }

  #take(r: KernelRecord): void {
    switch (r.event) {
      case 'sched/sched_process_fork':
        this.#tasks.fork(r.a, r.b);
        return;
      case 'sched/sched_process_exit':
        this.#tasks.exit(r.a);
        this.#accesses.exit(r.a);
        return;
      case 'cgroup/cgroup_attach_task':
        this.#tasks.moved(r.a, r.c, r.path);
        return;
      case 'exceptions/page_fault_user':
      case 'exceptions/page_fault_kernel':
        this.#accesses.pageFault(r.task, Math.floor(r.a / 4096));
        return;
      default:
        this.#filemap(r);
    }
  }

  #filemap(r: KernelRecord): void {
    const mount = this.#byDevice.get(r.b);
    if (mount === undefined) return;
    const { files, whole } = this.#mounts[mount]!;
    const file = files.get(r.a);
    if (r.timeNs <= this.#startNs) {
      if (file !== undefined || whole) this.#count(mount, r);
      return;
    }
    if (file === undefined && !whole) {
      this.#report.elsewhere++;
      return;
    }
    this.#events++;
    const access: Access = {
      timeNs: r.timeNs,
      op: 0,
      container: this.#containerOf(r.task, mount),
      mount,
      ino: r.a,
      page: r.c,
      pages: 1,
      bytes: 0,
      touch: -1,
      task: r.task,
      window: null,
    };
    switch (r.event) {
      case 'filemap/mm_filemap_get_pages':
        this.#accesses.read(access, r.d, file === undefined ? -1 : Math.ceil(file.sizeBytes / 4096));
        return;
      case 'filemap/mm_filemap_map_pages':
        access.pages = Math.max(1, r.d - r.c + 1);
        this.#accesses.faultAround(access);
        return;
      case 'filemap/mm_filemap_fault':
        this.#accesses.fault(access);
        return;
      default:
        access.pages = 2 ** r.d;
        access.op = r.event === FILL ? OP.fill : OP.drop;
        if (r.event === FILL) this.#report.filledPages += access.pages;
        else this.#report.droppedPages += access.pages;
        this.#count(mount, r);
        this.#accesses.effect(access);
    }
  }

  /** Pages in or out of what is cached by the events. */
  #count(mount: number, { event, a: ino, c: page, d: order }: KernelRecord): void {
    if (event !== FILL && event !== DROP) return;
    let pages = this.#cached[mount]!.get(ino);
    if (pages === undefined) {
      pages = new PageSet();
      this.#cached[mount]!.set(ino, pages);
    }
    if (event === FILL) pages.add(page, 2 ** order);
    else pages.delete(page, 2 ** order);
  }

  /** Without containers or a command to tell apart, a mount is one. */
  #containerOf(task: number, mount: number): string {
    if (this.#options.containers.length === 0 && this.#child === null) return this.#mounts[mount]!.facts.name;
    return this.#tasks.of(task);
  }

  /** Writes accesses up to a time. */
  #write(untilNs: number): void {
    const e = this.#event;
    for (const access of this.#accesses.release(untilNs)) {
      const time = access.timeNs - this.#startNs;
      if (time < this.#lastNs) this.#report.late++;
      this.#lastNs = Math.max(this.#lastNs, time);
      e.timeNs = this.#lastNs;
      e.op = access.op;
      e.container = this.#container(access.container);
      e.file = this.#file(access.mount, access.ino);
      e.page = access.page % 2 ** 32;
      e.pageHigh = Math.floor(access.page / 2 ** 32);
      e.pages = access.pages;
      e.bytes = access.bytes;
      e.touch = access.touch;
      e.task = Math.max(access.task, 0);
      this.#writer!.event(e);
    }
  }

  /** Looks at the files of every mount, and reads events meanwhile: it takes a while. */
  *#look(unseen?: (ino: number) => void): Generator<{ readonly mount: number; readonly look: Look }> {
    let drained = now();
    for (const [i, mount] of this.#mounts.entries())
      for (const look of cachedPages(mount, this.#calls, unseen)) {
        yield { mount: i, look };
        if (now() - drained < POLL_MS * 1e6) continue;
        this.#drain();
        drained = now();
      }
  }

  /**
   * What is cached as the recording begins, while others go on reading: what mincore(2) shows of a file, changed by the events since before
   * it was asked. Of a page that has had an event the last one tells, of any other it doesn't matter when it was looked at.
   */
  async #lookBefore(): Promise<void> {
    // Readahead that was in flight when the events began shows to mincore(2) once it is in.
    for (const until = now() + this.#options.holdMs * 1e6; now() < until; this.#drain())
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    for (const { mount, look } of this.#look()) if (look.pages.size > 0) this.#cached[mount]!.set(look.ino, look.pages);
    this.#startNs = now();
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    this.#drain();
    this.#merge(this.#startNs);
    const e = this.#event;
    e.op = OP['cached-before'];
    e.container = this.#container(UNKNOWN);
    for (const [mount, files] of this.#cached.entries()) {
      for (const [ino, pages] of files) {
        e.file = this.#file(mount, ino);
        for (const [first, count] of pages.runs()) {
          e.page = first;
          e.pages = count;
          this.#writer!.event(e);
        }
      }
    }
  }

  /** Holds what mincore(2) showed, up to a time, against what the events up to then say, and puts it between them. */
  #compareUntil(timeNs: number): void {
    for (; this.#looked < this.#looks.length && this.#looks[this.#looked]!.look.timeNs <= timeNs; this.#looked++) {
      const { mount, look } = this.#looks[this.#looked]!;
      const counted = this.#cached[mount]!.get(look.ino);
      // Of a file that never had a page there is nothing to say; one that has lost all of them has a run of none.
      if (counted === undefined && look.pages.size === 0) continue;
      const difference = look.pages.difference(counted ?? new PageSet());
      this.#report.cachedPages += look.pages.size;
      this.#report.pagesDifferent += difference;
      if (difference === 0) this.#report.filesEqual++;
      else this.#report.filesDifferent++;
      const runs = look.pages.size === 0 ? [[0, 0] as const] : look.pages.runs();
      for (const [page, pages] of runs)
        this.#accesses.effect({
          timeNs: look.timeNs,
          op: OP['cached-after'],
          container: UNKNOWN,
          mount,
          ino: look.ino,
          page,
          pages,
          bytes: 0,
          touch: -1,
          task: 0,
          window: null,
        });
    }
  }

  #container(name: string): number {
    let number = this.#containers.get(name);
    if (number === undefined) {
      number = this.#writer!.container(name);
      this.#containers.set(name, number);
    }
    return number;
  }

  #file(mount: number, ino: number): number {
    const key = `${mount} ${ino}`;
    let number = this.#files.get(key);
    if (number === undefined) {
      number = this.#writer!.file({ mount, ino, ...this.#mounts[mount]!.files.get(ino) });
      this.#files.set(key, number);
    }
    return number;
  }

  /** Events that an instance has lost. */
  #lost(i: number): number {
    const { overrun, commitOverrun, dropped } = this.#instances[i]!.stats();
    return Math.max(overrun + commitOverrun + dropped, this.#missed[i]!);
  }

  #show(seconds: number, rate: number): void {
    let pages = 0;
    for (const files of this.#cached) for (const set of files.values()) pages += set.size;
    this.#options.progress?.(
      `${seconds.toFixed(0)} s, ${this.#events} events, ${rate.toFixed(0)} a second, ${this.#lost(CACHE) + this.#lost(FAULT)} lost, ${pages} pages cached`,
    );
  }

  #remove(): void {
    for (const instance of this.#instances) instance.remove();
  }
}

/** CLOCK_MONOTONIC, as the events have it. */
function now(): number {
  return Number(process.hrtime.bigint());
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return otherwise;
  }
}

/** Null where debugfs isn't mounted, or the kernel is locked down. */
function faultAroundBytes(): number | null {
  const bytes = Number(readOr('/sys/kernel/debug/fault_around_bytes', ''));
  return bytes >= 4096 ? bytes : null;
}

/** Counts the signals that ask for an end. */
function whenSignalled(): { came(): number; forget(): void } {
  let count = 0;
  const take = (): void => {
    count++;
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, take);
  return {
    came: () => count,
    forget() {
      for (const signal of signals) process.off(signal, take);
    },
  };
}
