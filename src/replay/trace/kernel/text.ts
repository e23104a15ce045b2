import type { Time } from '../formats/start.ts';

/** Events that are understood, by the kernel's name, and what {@link KernelText} holds of each. */
export type KernelTextEvent =
  /** a inode, b device (major << 20 | minor), c first page, d last page */
  | 'mm_filemap_get_pages'
  | 'mm_filemap_map_pages'
  /** a inode, b device, c page */
  | 'mm_filemap_fault'
  /** a inode, b device, c first page, d order */
  | 'mm_filemap_add_to_page_cache'
  | 'mm_filemap_delete_from_page_cache'
  /** a address */
  | 'page_fault_user'
  | 'page_fault_kernel'
  /** a parent, b child */
  | 'sched_process_fork'
  /** a task */
  | 'sched_process_exit'
  /** a task, c hierarchy, path of the cgroup from its hierarchy's root */
  | 'cgroup_attach_task';

/** What a line is. */
export const LINE = {
  /** an event that is understood */
  event: 0,
  /** events of another name, headings, stacks: nothing that is wanted */
  other: 1,
  /** says how many events are gone */
  lost: 2,
  /** none of these: cut off, or no such text */
  unknown: 3,
} as const;

const PAGE = 4096;
const FILEMAP = 'mm_filemap_';
const BODIES: readonly { rest: string; event: KernelTextEvent }[] = [
  { rest: 'get_pages:', event: 'mm_filemap_get_pages' },
  { rest: 'map_pages:', event: 'mm_filemap_map_pages' },
  { rest: 'fault:', event: 'mm_filemap_fault' },
  { rest: 'add_to_page_cache:', event: 'mm_filemap_add_to_page_cache' },
  { rest: 'delete_from_page_cache:', event: 'mm_filemap_delete_from_page_cache' },
];

/** any event: `comm-pid [cpu] flags time: name: …` of the kernel and trace-cmd, `comm pid/tid [cpu] time: group:name: …` of perf */
const ANY =
  /^.{0,64}?[- /](\d{1,10}) +(?:\([\s\d-]{1,12}\) +)?(?:\[\d{1,6}\] +)?(?:[^\s[\]]{1,8} +)?(\d{1,10})\.(\d{1,9}): +(?:\w+:)?(\w+): ?(.*)$/;
/** trace_pipe; trace-cmd; perf script --show-lost-events; the heading of a `trace` file */
const LOST =
  /^CPU:\d+ \[(?:LOST (\d+) EVENTS|LOST EVENTS|(\d+) EVENTS DROPPED)\]|PERF_RECORD_LOST(?:_SAMPLES)? lost (\d+)/;
const WRITTEN = /^# entries-in-buffer\/entries-written: (\d+)\/(\d+) /;
/** comments of perf script, stacks of both, trace-cmd's and the kernel's words between events */
const ASIDE =
  /^\s*$|^#|^ => |: <(?:user )?stack trace>$|^\t *[0-9a-f]+ |^cpus=\d+$|^CPU \d+ is empty$|^##### CPU \d+ buffer started ####$/;

/**
 * Reads lines of a kernel's trace as text: tracefs' `trace_pipe` and `trace` (kernel/trace/trace_output.c, trace_print_context()), `perf script`
 * and `trace-cmd report`. Bodies are as the events' `print fmt` makes them (include/trace/events/filemap.h, sched.h, cgroup.h;
 * arch/x86/include/asm/trace/exceptions.h):
 *
 *                cat-4711    [001] .....  1234.567890: mm_filemap_fault: dev=0:53 ino=24 ofs=4096
 *                cat  4711 [001]  1234.567890:    filemap:mm_filemap_add_to_page_cache: dev 0:53 ino 24 pfn=0x1f ofs=0 order=0
 *
 * Offsets are bytes, of which the last is that of the last page: from a kernel with pages of 4 KiB.
 */
export class KernelText {
  /** of the last event, as its clock has it */
  readonly time: Time = { seconds: 0, ns: 0 };
  event: KernelTextEvent = 'mm_filemap_fault';
  task = 0;
  a = 0;
  b = 0;
  c = 0;
  d = 0;
  path = '';
  /** events that the last line which was of loss says are gone; 0: it doesn't know how many */
  lost = 0;
  /** whether the last event was one of perf script */
  perf = false;
  #line = '';
  #at = 0;

  /** @returns one of {@link LINE} */
  parse(line: string): number {
    // A comm, of 15 characters, can hold the beginning of a name, and bodies of these events no text at all.
    const filemap = line.lastIndexOf(FILEMAP);
    if (filemap > 0) {
      this.#line = line;
      return this.#head(filemap) && this.#filemap(filemap + FILEMAP.length) ? LINE.event : this.#other(line, true);
    }
    const fault = line.indexOf('page_fault_');
    if (fault > 0) {
      this.#line = line;
      if (this.#fault(fault)) return LINE.event;
    }
    return this.#other(line, false);
  }

  /** Task and time, backwards from the event's name: before it stands a comm, which may be anything. */
  #head(name: number): boolean {
    const line = this.#line;
    let at = name - 1;
    this.perf = line.charCodeAt(at) === 58;
    if (this.perf) for (at--; isWord(line.charCodeAt(at)); ) at--;
    while (line.charCodeAt(at) === 32) at--;
    if (line.charCodeAt(at) !== 58) return false;
    const end = at;
    for (at--; isDigit(line.charCodeAt(at)); ) at--;
    const point = at;
    if (line.charCodeAt(point) !== 46) return false;
    for (at--; isDigit(line.charCodeAt(at)); ) at--;
    if (!this.#time(at + 1, point, end) || line.charCodeAt(at) !== 32) return false;
    while (line.charCodeAt(at) === 32) at--;
    if (line.charCodeAt(at) !== 93 && !(this.perf && isDigit(line.charCodeAt(at)))) {
      // irqs-off, need-resched, hardirq and preempt-depth
      while (at >= 0 && line.charCodeAt(at) !== 32) at--;
      while (line.charCodeAt(at) === 32) at--;
    }
    if (line.charCodeAt(at) === 93) {
      for (at--; isDigit(line.charCodeAt(at)); ) at--;
      if (line.charCodeAt(at) !== 91) return false;
      for (at--; line.charCodeAt(at) === 32; ) at--;
    }
    if (line.charCodeAt(at) === 41) {
      // the thread group, with the option record-tgid
      at = line.lastIndexOf('(', at) - 1;
      while (line.charCodeAt(at) === 32) at--;
    }
    let task = 0;
    let place = 1;
    let digits = 0;
    for (; isDigit(line.charCodeAt(at)); at--, digits++, place *= 10) task += (line.charCodeAt(at) - 48) * place;
    if (digits === 0 || digits > 10 || at < 1) return false;
    const before = line.charCodeAt(at);
    if (before !== 45 && !(this.perf && (before === 32 || before === 47))) return false;
    this.task = task < 2 ** 31 && !(this.perf && before === 45) ? task : 0;
    return true;
  }

  #time(from: number, point: number, end: number): boolean {
    const digits = end - point - 1;
    if (from === point || point - from > 10 || digits < 1 || digits > 9) return false;
    this.#at = from;
    const seconds = this.#number();
    this.#at = point + 1;
    let ns = this.#number();
    for (let i = digits; i < 9; i++) ns *= 10;
    this.time.seconds = seconds;
    this.time.ns = ns;
    return true;
  }

  #filemap(name: number): boolean {
    const line = this.#line;
    let body = 0;
    while (body < BODIES.length && !line.startsWith(BODIES[body]!.rest, name)) body++;
    if (body === BODIES.length) return false;
    const { rest, event } = BODIES[body]!;
    this.event = event;
    this.#at = name + rest.length;
    // `dev 7:0 ino 2a pfn=0x…` of one author, `dev=7:0 ino=2a ofs=…` of another
    const major = this.#after('dev') ? this.#number() : -1;
    const minor = this.#is(58) ? this.#number() : -1;
    this.a = this.#after('ino') ? this.#hex() : -1;
    if (!(major >= 0 && major < 4096 && minor >= 0 && minor < 2 ** 20 && this.a >= 0)) return false;
    this.b = ((major << 20) | minor) >>> 0;
    if (body >= 3) {
      // before Linux 5.17 also ` page=…`, and no order
      const ofs = line.indexOf(' ofs=', this.#at);
      if (ofs < 0) return false;
      this.#at = ofs;
    }
    const offset = this.#after('ofs') ? this.#number() : -1;
    if (offset < 0) return false;
    this.c = Math.floor(offset / PAGE);
    this.d = 0;
    if (body < 2) {
      const last = this.#is(45) ? this.#number() : -1;
      if (last < 0) return false;
      this.d = Math.floor(last / PAGE);
    } else if (body >= 3 && this.#at < line.length) {
      this.d = this.#after('order') ? this.#number() : -1;
      if (this.d < 0) return false;
    }
    while (line.charCodeAt(this.#at) === 32) this.#at++;
    return line.length === this.#at;
  }

  #fault(name: number): boolean {
    const line = this.#line;
    const at = name + 'page_fault_'.length;
    const user = line.startsWith('user:', at);
    if (!(user || line.startsWith('kernel:', at)) || !this.#head(name)) return false;
    this.event = user ? 'page_fault_user' : 'page_fault_kernel';
    this.#at = at + (user ? 5 : 7);
    if (!this.#after('address')) return false;
    // %ps prints an address of a program as a number
    if (line.startsWith('0x', this.#at)) this.#at += 2;
    this.a = this.#address();
    return this.a >= 0;
  }

  #other(line: string, filemap: boolean): number {
    const lost = LOST.exec(line);
    if (lost !== null) {
      this.lost = Number(lost[1] ?? lost[2] ?? lost[3] ?? 0);
      return LINE.lost;
    }
    const written = WRITTEN.exec(line);
    if (written !== null) {
      this.lost = Number(written[2]) - Number(written[1]);
      return this.lost > 0 ? LINE.lost : LINE.other;
    }
    if (ASIDE.test(line)) return LINE.other;
    if (filemap) return LINE.unknown;
    const match = ANY.exec(line);
    if (match === null) return LINE.unknown;
    const [, task, seconds, fraction, name, body] = match as unknown as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    this.task = Number(task);
    this.time.seconds = Number(seconds);
    this.time.ns = Number(fraction.padEnd(9, '0'));
    let fields: RegExpExecArray | null;
    switch (name) {
      case 'sched_process_fork':
        fields = / pid=(\d+) .*child_pid=(\d+)$/.exec(body);
        break;
      case 'sched_process_exit':
        fields = / pid=(\d+) prio=/.exec(body);
        break;
      case 'cgroup_attach_task':
        fields = /^dst_root=(\d+) .*dst_path=(.*) pid=(\d+) comm=/.exec(body);
        if (fields === null) return LINE.unknown;
        this.path = fields[2]!;
        this.a = Number(fields[3]);
        this.c = Number(fields[1]);
        this.event = name;
        return LINE.event;
      default:
        return LINE.other;
    }
    if (fields === null) return LINE.unknown;
    this.event = name;
    this.a = Number(fields[1]);
    this.b = Number(fields[2] ?? 0);
    return LINE.event;
  }

  /** Steps over spaces, a word, and the space or `=` behind it. */
  #after(word: string): boolean {
    while (this.#line.charCodeAt(this.#at) === 32) this.#at++;
    if (!this.#line.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    if (this.#is(61)) this.#is(32);
    else if (!this.#is(32)) return false;
    return true;
  }

  #is(character: number): boolean {
    if (this.#line.charCodeAt(this.#at) !== character) return false;
    this.#at++;
    return true;
  }

  /** Below 2^53; −1 if there is none. */
  #number(): number {
    const line = this.#line;
    const from = this.#at;
    let value = 0;
    let at = from;
    for (; isDigit(line.charCodeAt(at)); at++) value = value * 10 + (line.charCodeAt(at) - 48);
    this.#at = at;
    return at === from || value > Number.MAX_SAFE_INTEGER ? -1 : value;
  }

  #hex(): number {
    const value = this.#address();
    return value > Number.MAX_SAFE_INTEGER ? -1 : value;
  }

  /** May be one of the kernel's, beyond 2^53, of which the lowest bits are lost. */
  #address(): number {
    const line = this.#line;
    const from = this.#at;
    let value = 0;
    let at = from;
    for (; at - from < 16; at++) {
      const c = line.charCodeAt(at);
      const digit = isDigit(c) ? c - 48 : c >= 97 && c <= 102 ? c - 87 : -1;
      if (digit < 0) break;
      value = value * 16 + digit;
    }
    this.#at = at;
    return at === from ? -1 : value;
  }
}

function isDigit(c: number): boolean {
  return c >= 48 && c <= 57;
}

function isWord(c: number): boolean {
  return (c >= 97 && c <= 122) || isDigit(c) || c === 95 || (c >= 65 && c <= 90);
}
