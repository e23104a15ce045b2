import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmdirSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../error.ts';
import { type EventLayout, readFormat, readHeaderPage, type SubBufferLayout } from './ring-buffer.ts';

const PREFIX = 'foliolab-';

/** Where tracefs is. @throws UsageError with what to do when it isn't there */
export function findTracefs(asked: string | undefined): string {
  const places = asked === undefined ? ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'] : [asked];
  const found = places.find((place) => ['instances', 'trace_clock'].every((name) => existsSync(join(place, name))));
  if (found !== undefined) return found;
  throw new UsageError(
    asked === undefined
      ? 'no tracefs is mounted: mount -t tracefs tracefs /sys/kernel/tracing'
      : `--tracefs ${asked}: is no tracefs (mount -t tracefs tracefs ${asked})`,
  );
}

/** Instances of recorders that are gone: killed before they could remove them. */
export function staleInstances(tracefs: string): string[] {
  const folder = join(tracefs, 'instances');
  return readdirSync(folder).filter((name) => {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    return pid !== undefined && !isOf(Number(pid), join(folder, name));
  });
}

/** Whether a process made an instance. Its number may be another's by now, or our own: one that began later didn't. */
function isOf(pid: number, instance: string): boolean {
  if (pid === process.pid) return false;
  try {
    // proc_pid_stat(5): starttime is the 22nd field, the second one is in parentheses; USER_HZ is 100.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
    const bootS = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]);
    return bootS + ticks / 100 < statSync(instance).mtimeMs / 1000 + 1;
  } catch {
    return false;
  }
}

/** @throws UsageError when it is in use */
export function removeInstance(tracefs: string, name: string): void {
  const path = join(tracefs, 'instances', name);
  try {
    writeFileSync(join(path, 'events/enable'), '0');
    rmdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    if (code !== 'EBUSY') throw error;
    throw new UsageError(`the trace instance ${path} is in use: somebody reads it; rmdir it when that has ended`);
  }
}

/** Loss, as per_cpu/cpuN/stats counts it. */
export interface RingBufferStats {
  /** overwritten before they were read */
  overrun: number;
  /** lost to an interrupt that came while the buffer turned over */
  commitOverrun: number;
  dropped: number;
}

/** How events come out of the kernel: as it has them in its ring buffer, or as text, should a kernel's buffer be laid out unlike those known. */
export type Backend = 'binary' | 'text';

/** A trace instance of our own, with its buffers and events: other users of tracing see nothing of it. */
export class TraceInstance {
  readonly name: string;
  readonly cpus: readonly number[];
  /** null: text */
  readonly layout: SubBufferLayout | null;
  readonly #path: string;
  readonly #pipes: number[] = [];
  readonly #page: Uint8Array;
  #removed = false;

  /** @param bufferKb of each CPU */
  constructor(tracefs: string, purpose: string, bufferKb: number, backend: Backend) {
    this.name = `${PREFIX}${process.pid}-${purpose}`;
    this.#path = join(tracefs, 'instances', this.name);
    try {
      mkdirSync(this.#path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST')
        throw new UsageError(
          `the trace instance ${this.#path} is there already, of a recorder that is gone: --remove-stale removes it`,
        );
      throw new UsageError(`the trace instance ${this.#path} can't be made: ${code}`);
    }
    try {
      this.#set('tracing_on', '0');
      this.#set('trace_clock', 'mono');
      this.#reserve(bufferKb);
      this.layout = backend === 'text' ? null : readHeaderPage(this.#get('events/header_page'));
      const subBufferKb = existsSync(join(this.#path, 'buffer_subbuf_size_kb'))
        ? Number(this.#get('buffer_subbuf_size_kb'))
        : 4;
      this.#page = new Uint8Array(subBufferKb * 1024);
      this.cpus = readdirSync(join(this.#path, 'per_cpu'))
        .map((cpu) => Number(cpu.slice('cpu'.length)))
        .sort((a, b) => a - b);
      if (backend === 'text')
        this.#pipes.push(openSync(join(this.#path, 'trace_pipe'), constants.O_RDONLY | constants.O_NONBLOCK));
      else
        for (const cpu of this.cpus)
          this.#pipes.push(
            openSync(join(this.#path, `per_cpu/cpu${cpu}/trace_pipe_raw`), constants.O_RDONLY | constants.O_NONBLOCK),
          );
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  has(event: string): boolean {
    return existsSync(join(this.#path, 'events', event, 'format'));
  }

  format(event: string): EventLayout {
    return readFormat(this.#get(join('events', event, 'format')));
  }

  /** @param filter in the kernel's words; empty: every one */
  enable(event: string, filter = ''): void {
    if (filter !== '') this.#set(join('events', event, 'filter'), filter);
    this.#set(join('events', event, 'enable'), '1');
  }

  /** Only events of these tasks, and of what they fork. @param pids at least one, for none would be everybody */
  follow(pids: readonly number[]): void {
    this.#set('options/event-fork', '1');
    this.#set('set_event_pid', pids.join(' '));
  }

  start(): void {
    this.#set('tracing_on', '1');
  }

  stop(): void {
    this.#set('tracing_on', '0');
  }

  /** How many pipes there are to read: one a CPU, or a single one of text. */
  get pipes(): number {
    return this.#pipes.length;
  }

  /**
   * One sub-buffer of a CPU, or a piece of text.
   * @param n which of the {@link pipes}
   * @returns null when there is nothing to read; else good until the next call
   */
  read(n: number): Uint8Array | null {
    try {
      const length = readSync(this.#pipes[n]!, this.#page, 0, this.#page.length, null);
      return length === 0 ? null : this.#page.subarray(0, length);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null;
      throw error;
    }
  }

  stats(): RingBufferStats {
    const sum = { overrun: 0, commitOverrun: 0, dropped: 0 };
    for (const cpu of this.cpus) {
      const text = this.#get(`per_cpu/cpu${cpu}/stats`);
      const of = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1] ?? 0);
      sum.overrun += of('overrun');
      sum.commitOverrun += of('commit overrun');
      sum.dropped += of('dropped events');
    }
    return sum;
  }

  /** Ends it. May be called again, and while the process exits. */
  remove(): void {
    if (this.#removed) return;
    for (const pipe of this.#pipes) {
      try {
        closeSync(pipe);
      } catch {}
    }
    this.#pipes.length = 0;
    try {
      this.#set('tracing_on', '0');
      this.#set('events/enable', '0');
    } catch {}
    // A reader that is just letting go of a buffer keeps it busy for a moment.
    for (let attempt = 0; attempt < 50; attempt++) {
      try {
        rmdirSync(this.#path);
        this.#removed = true;
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
          this.#removed = true;
          return;
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      }
    }
    process.stderr.write(`foliolab: the trace instance ${this.#path} is busy: remove it with rmdir\n`);
  }

  #reserve(bufferKb: number): void {
    try {
      this.#set('buffer_size_kb', String(bufferKb));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOMEM') throw error;
      throw new UsageError(`there is no memory for trace buffers of ${bufferKb} KiB a CPU: a smaller --buffer`);
    }
  }

  #get(file: string): string {
    return readFileSync(join(this.#path, file), 'utf8');
  }

  /** Writes to a file of the instance; the error, if any, is the kernel's word for what is wrong with the text. */
  #set(file: string, text: string): void {
    const fd = openSync(join(this.#path, file), 'w');
    try {
      writeSync(fd, text);
    } finally {
      closeSync(fd);
    }
  }
}
