import { blankEvent, OP, type TraceFacts, type TraceSink } from '../trace.ts';
import { PrintedTimes } from './day-time.ts';
import { type BadRecords, ownText, Tables, type TraceFormat, type TraceInput } from './format.ts';
import { clip, lines } from './lines.ts';
import { StartClock } from './start.ts';

const TIME = String.raw`(\d\d:\d\d:\d\d(?:\.\d{1,9})?|\d{1,10}\.\d{1,9}|\d{8,10})`;
/** [pid 4711<comm>], or 4711 of -o; the time; that of -r beside another; and what is said */
const LINE = new RegExp(
  String.raw`^(?:\[pid +(\d{1,10})(?:<[^>]{0,64}>)?\] +|(\d{1,7})(?:<[^>]{0,64}>)? +)? *(?:${TIME} +)?(?:\(\+ +\d{1,10}\.\d{1,9}\) +)?`,
);
const CALL = /^(?:[a-z_][a-z0-9_]*\(|<\.\.\. \w+ resumed>|\+\+\+ |--- )/;
/** on a terminal, wherever the line above was */
const ATTACHED = /strace: Process \d+ attached$/;
const CONTAINS_RESULT = / = |<unfinished \.\.\.>$|<detached \.\.\.>$|= \?$/;
const MAX_PAGES = 2 ** 32;

/**
 * strace(1) -f -y, with -t, -tt, -ttt, -r or none of them, to a terminal or by -o, and what -T, -Y, -yy and -s change of it (strace 6.1):
 *
 *     4711  1795608300.774940 read(3</tmp/data.bin>, "H\316\273"..., 5000) = 5000
 *     4712  1795608300.784033 read(3</tmp/data.bin>,  <unfinished ...>
 *     4712  1795608300.784146 <... read resumed>"\231\341"..., 1000) = 1000
 *
 * Reads and writes of files, by path. Where one begins is followed through open, dup, fork, clone, lseek, read and write, for each open file
 * description. What came by another way (a descriptor inherited, or sent by a socket; a process that was attached to; O_APPEND) has a place only
 * after an lseek: until then it is left out, and counted. So are descriptors that are no files. Threads share descriptors if they were seen to
 * be cloned so. A call that was interrupted by others is at the time of its end.
 */
export const strace: TraceFormat = {
  name: 'strace',
  title: 'strace -f -y: reads and writes of files with offsets',
  lacks:
    'pages touched through mmap (libraries, executables) and io_uring, the page cache itself, containers: working sets are too small, and fills unknown',
  detect: (head) => {
    const all = head.toString('latin1').split('\n', 50);
    if (all.length > 1) all.pop();
    const line = all.find((one) => !one.startsWith('strace: '))?.replace(/\r$/, '');
    if (line === undefined) return false;
    const rest = line.slice(LINE.exec(line)![0].length);
    return /^\+\+\+ (?:exited|killed)|^--- SIG[A-Z]/.test(rest) || (CALL.test(rest) && CONTAINS_RESULT.test(rest));
  },
  read: (input, sink, { bad }) => new Reader(sink, bad).read(input),
};

/** An open file description. */
interface Opened {
  /** as it is printed */
  readonly path: string;
  /** bytes; −1 unknown */
  position: number;
  readonly append: boolean;
}

/** Descriptors of a process, which threads share. */
type Descriptors = Map<number, Opened>;

/** A call that hasn't come back. */
interface Unfinished {
  readonly name: string;
  readonly text: string;
}

/** A file descriptor as an argument or a result: `3</tmp/data.bin>`. */
interface Descriptor {
  fd: number;
  path: string;
}

class Reader {
  readonly #sink: TraceSink;
  readonly #bad: BadRecords;
  readonly #times: PrintedTimes;
  readonly #clock: StartClock;
  readonly #tables: Tables;
  readonly #event = blankEvent();
  readonly #tasks = new Map<number, Descriptors>();
  readonly #unfinished = new Map<number, Unfinished>();
  /** numbers of files by path as it is printed; −1: no file */
  readonly #files = new Map<string, number>();
  readonly #arguments: string[] = [];
  #mount = -1;
  /** the task whose lines had no number before others came */
  #main = 0;
  #begun = false;
  #task = 0;
  #where = '';
  /** of the line; −1: before that of the line above */
  #timeNs = 0;
  #mmaps = 0;
  #placeless = 0;
  #others = 0;

  constructor(sink: TraceSink, bad: BadRecords) {
    this.#sink = sink;
    this.#bad = bad;
    this.#times = new PrintedTimes(bad);
    this.#clock = new StartClock(bad);
    this.#tables = new Tables(sink);
  }

  async read(input: TraceInput): Promise<TraceFacts> {
    let cut = '';
    for await (const chunk of lines(input, this.#bad)) {
      for (let i = 0; i < chunk.texts.length; i++) {
        let text = chunk.texts[i]!;
        if (cut !== '') {
          text = cut + text;
          cut = '';
        }
        if (text.endsWith(' attached') && ATTACHED.test(text)) {
          cut = text.replace(ATTACHED, '');
          continue;
        }
        this.#where = `line ${chunk.first + i}`;
        if (text !== '') this.#line(text);
      }
    }
    if (cut !== '') this.#line(cut);
    this.#begin();
    const { size } = this.#unfinished;
    return {
      mmaps: this.#mmaps,
      placeless: this.#placeless,
      notFiles: this.#others,
      ...(size > 0 && { unfinished: size }),
    };
  }

  #line(text: string): void {
    const head = LINE.exec(text)!;
    const from = head[0].length;
    const c = text.charCodeAt(from);
    // <... read resumed>
    if (c === 60) {
      const end = text.indexOf(' resumed>', from);
      if (text.startsWith('<... ', from) && end > 0) {
        this.#who(head, text.slice(from + 5, end));
        if (!this.#at(head[3])) return;
        this.#resume(text.slice(from + 5, end), text.slice(end + 9));
        return;
      }
    } else if (c === 43 || c === 45) {
      if (text.startsWith('+++ ', from) || text.startsWith('--- ', from)) {
        this.#who(head, '');
        if (this.#at(head[3]) && c === 43 && !text.startsWith('superseded', from + 4)) this.#exit();
        return;
      }
    } else {
      const paren = text.indexOf('(', from);
      if (paren > from && isName(text, from, paren)) {
        this.#who(head, '');
        if (this.#at(head[3])) this.#call(text.slice(from, paren), text, paren + 1);
        return;
      }
      if (text.startsWith('strace: ')) return;
    }
    this.#bad.record(this.#where, `'${clip(text)}' is no line of strace`);
  }

  /** When the line is. What it says of descriptors holds even if its time is wrong. */
  #at(time: string | undefined): boolean {
    if (!this.#times.take(time ?? '', this.#where)) return false;
    this.#timeNs = this.#clock.at(this.#times.time, this.#where);
    this.#begin();
    return true;
  }

  /** Whose line it is. @param resumed the call that goes on in it */
  #who(head: RegExpExecArray, resumed: string): void {
    const text = head[1] ?? head[2];
    if (text === undefined) {
      // When the others are gone, the last one's lines have no number again.
      if (this.#main !== 0 && !this.#tasks.has(this.#main) && this.#tasks.size === 1)
        for (const task of this.#tasks.keys()) this.#main = task;
      this.#task = this.#main;
      return;
    }
    const task = Number(text);
    this.#task = task < 2 ** 31 ? task : 0;
    if (this.#tasks.has(this.#task)) return;
    let parent: Descriptors | undefined;
    let shared = false;
    if (this.#main === 0 && this.#tasks.has(0) && (resumed === '' || this.#unfinished.get(0)?.name === resumed)) {
      const waiting = this.#unfinished.get(0);
      if (waiting === undefined || resumed !== '') {
        // The first task, whose lines have a number now.
        this.#main = this.#task;
        this.#tasks.set(this.#task, this.#tasks.get(0)!);
        this.#tasks.delete(0);
        if (waiting !== undefined) this.#unfinished.set(this.#task, waiting);
        this.#unfinished.delete(0);
        return;
      }
    }
    // A child can be there before its parent's clone has come back: it is known whose it is if only one is under way.
    let births = 0;
    for (const [who, { name, text: said }] of this.#unfinished) {
      if (!BIRTHS.has(name)) continue;
      births++;
      parent = this.#tasks.get(who);
      shared = said.includes('CLONE_FILES');
    }
    if (births !== 1 || parent === undefined) this.#tasks.set(this.#task, new Map());
    else this.#tasks.set(this.#task, shared ? parent : new Map(parent));
  }

  #resume(name: string, rest: string): void {
    const waiting = this.#unfinished.get(this.#task);
    if (waiting === undefined || waiting.name !== name) {
      if (CALLS.has(name))
        this.#bad.record(this.#where, `resumes ${clip(name)}(), which the task ${this.#task} isn't in`);
      return;
    }
    this.#unfinished.delete(this.#task);
    this.#call(name, waiting.text + rest, 0);
  }

  #exit(): void {
    this.#tasks.delete(this.#task);
    this.#unfinished.delete(this.#task);
  }

  /** @param from where its arguments begin in the text */
  #call(name: string, text: string, from: number): void {
    const take = CALLS.get(name);
    if (text.endsWith('<unfinished ...>')) {
      if (take !== undefined) {
        this.#descriptors();
        this.#unfinished.set(this.#task, { name, text: ownText(text.slice(from, -'<unfinished ...>'.length)) });
      }
      return;
    }
    if (take === undefined) {
      if (!CONTAINS_RESULT.test(text)) this.#bad.record(this.#where, `'${clip(text)}' is cut off`);
      return;
    }
    const end = split(text, from, this.#arguments);
    const equals = end < 0 ? -1 : text.indexOf('=', end);
    if (equals < 0) {
      if (!text.endsWith('<detached ...>')) this.#bad.record(this.#where, `'${clip(text)}' is cut off`);
      return;
    }
    let at = equals + 1;
    while (text.charCodeAt(at) === 32) at++;
    take.call(this, name, this.#arguments, text.slice(at));
  }

  open(name: string, args: readonly string[], result: string): void {
    const opened = descriptor(result);
    if (opened === null) return;
    let append = false;
    for (const one of args) append ||= !one.startsWith('"') && one.includes('O_APPEND');
    if (opened.path === '') this.#pathless(name);
    else this.#descriptors().set(opened.fd, { path: opened.path, position: 0, append });
  }

  duplicate(name: string, args: readonly string[], result: string): void {
    if (name === 'fcntl' && !args[1]?.startsWith('F_DUPFD')) return;
    const from = descriptor(args[0] ?? '');
    const to = descriptor(result);
    if (from !== null && to !== null && from.path !== '') this.#descriptors().set(to.fd, this.#opened(from));
  }

  close(_name: string, args: readonly string[], result: string): void {
    const closed = descriptor(args[0] ?? '');
    if (closed !== null && result.startsWith('0')) this.#descriptors().delete(closed.fd);
  }

  seek(name: string, args: readonly string[], result: string): void {
    const sought = descriptor(args[0] ?? '');
    // _llseek(3</tmp/data.bin>, 4096, [4096], SEEK_SET) = 0
    const position = name === '_llseek' && result.startsWith('0') ? inBrackets(args[2] ?? '') : count(result);
    if (sought !== null && sought.path !== '' && position >= 0) this.#opened(sought).position = position;
  }

  /** read(fd, …), readv, write, writev: at the description's position, which they move. */
  sequential(name: string, args: readonly string[], result: string): void {
    this.#transfer(name, args[0], name.startsWith('read') ? OP.read : OP.write, -1, count(result));
  }

  /** pread64(fd, buffer, count, offset), preadv(fd, iov, iovcnt, offset), preadv2(…, flags): −1 of preadv2 is the position. */
  positioned(name: string, args: readonly string[], result: string): void {
    const offset = args[3] === '-1' ? -1 : count(args[3] ?? '');
    if (offset < 0 && args[3] !== '-1') this.#bad.record(this.#where, `${name}() has no offset`);
    else this.#transfer(name, args[0], name.startsWith('pread') ? OP.read : OP.write, offset, count(result));
  }

  /** sendfile(out, in, [4096] => [12288], count), copy_file_range(in, [0], out, NULL, …), splice of the same form. */
  between(name: string, args: readonly string[], result: string): void {
    const bytes = count(result);
    const sendfile = name.startsWith('sendfile');
    const source = sendfile ? 1 : 0;
    this.#transfer(name, args[source], OP.read, inBrackets(args[sendfile ? 2 : 1] ?? ''), bytes);
    this.#transfer(name, args[sendfile ? 0 : 2], OP.write, sendfile ? -1 : inBrackets(args[3] ?? ''), bytes);
  }

  map(_name: string, args: readonly string[], result: string): void {
    const mapped = descriptor(args[4] ?? '');
    if (mapped?.path.startsWith('/') && result.startsWith('0x')) this.#mmaps++;
  }

  birth(_name: string, args: readonly string[], result: string): void {
    // 7 /* 4712 in strace's PID NS */
    const child = count(/^\d+ \/\* (\d{1,10}) in strace/.exec(result)?.[1] ?? result);
    if (child <= 0 || child >= 2 ** 31 || this.#tasks.has(child)) return;
    const own = this.#descriptors();
    const shared = args.some((one) => one.includes('CLONE_FILES'));
    this.#tasks.set(child, shared ? own : new Map(own));
  }

  #transfer(name: string, argument: string | undefined, op: number, offset: number, bytes: number): void {
    if (bytes < 0) return;
    const from = descriptor(argument ?? '');
    if (from === null || from.path === '') {
      if (from !== null) this.#pathless(name);
      else this.#bad.record(this.#where, `${name}() has no descriptor`);
      return;
    }
    const file = this.#file(from.path);
    if (file < 0) {
      this.#others++;
      return;
    }
    let position = offset;
    if (offset < 0) {
      const opened = this.#opened(from);
      ({ position } = opened);
      if (opened.append && op === OP.write) position = -1;
      opened.position = position < 0 ? -1 : position + bytes;
      if (position < 0) {
        this.#placeless++;
        return;
      }
    }
    if (bytes >= 2 ** 32 || position + bytes > MAX_PAGES * 4096) {
      this.#bad.record(this.#where, `${name}() of ${bytes} bytes at ${position} is beyond what a file holds`);
      return;
    }
    if (this.#timeNs < 0) return;
    const e = this.#event;
    const page = Math.floor(position / 4096);
    e.timeNs = this.#timeNs;
    e.task = this.#task;
    e.file = file;
    e.page = page % MAX_PAGES;
    e.pageHigh = Math.floor(page / MAX_PAGES);
    e.op = bytes > 0 ? op : OP['read-nothing'];
    e.pages = bytes > 0 ? Math.floor((position + bytes - 1) / 4096) - page + 1 : 0;
    e.bytes = bytes;
    if (bytes > 0 || op === OP.read) this.#sink.event(e);
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#sink.facts({ source: 'strace', times: this.#times.form ?? 'none', ...this.#clock.facts });
    this.#event.container = this.#tables.container('?');
  }

  #descriptors(): Descriptors {
    let own = this.#tasks.get(this.#task);
    if (own === undefined) {
      own = new Map();
      this.#tasks.set(this.#task, own);
    }
    return own;
  }

  /** What a descriptor stands for; made anew, its position unknown, if it isn't what was opened. */
  #opened({ fd, path }: Descriptor): Opened {
    const own = this.#descriptors();
    let opened = own.get(fd);
    if (opened === undefined || opened.path !== path) {
      opened = { path: ownText(path), position: -1, append: false };
      own.set(fd, opened);
    }
    return opened;
  }

  /** @returns the file's number, −1 if it is none */
  #file(printed: string): number {
    const known = this.#files.get(printed);
    if (known !== undefined) return known;
    let number = -1;
    if (/^\/(?!(?:proc|sys|dev(?!\/shm))(?:\/|$)|memfd:)/.test(printed)) {
      if (this.#mount < 0) this.#mount = this.#tables.mount('/', { ids: 'path' });
      number = this.#tables.path(this.#mount, unescaped(printed));
    }
    // Pipes and sockets come and go, and are told by a look.
    if (number >= 0 || this.#files.size < 1e5) this.#files.set(ownText(printed), number);
    return number;
  }

  #pathless(name: string): void {
    this.#bad.record(this.#where, `${name}() has a descriptor without a path: strace -y prints them`);
  }
}

type Take = (this: Reader, name: string, args: readonly string[], result: string) => void;

const BIRTHS = new Set(['clone', 'clone3', 'fork', 'vfork']);
const { open, duplicate, close, seek, sequential, positioned, between, map, birth } = Reader.prototype;
const CALLS: ReadonlyMap<string, Take> = new Map<string, Take>([
  ...['open', 'openat', 'openat2', 'creat'].map((name): [string, Take] => [name, open]),
  ...['dup', 'dup2', 'dup3', 'fcntl', 'fcntl64'].map((name): [string, Take] => [name, duplicate]),
  ['close', close],
  ...['lseek', '_llseek'].map((name): [string, Take] => [name, seek]),
  ...['read', 'readv', 'write', 'writev'].map((name): [string, Take] => [name, sequential]),
  ...['pread64', 'pread', 'preadv', 'preadv2', 'pwrite64', 'pwrite', 'pwritev', 'pwritev2'].map(
    (name): [string, Take] => [name, positioned],
  ),
  ...['sendfile', 'sendfile64', 'splice', 'copy_file_range'].map((name): [string, Take] => [name, between]),
  ...['mmap', 'mmap2'].map((name): [string, Take] => [name, map]),
  ...[...BIRTHS].map((name): [string, Take] => [name, birth]),
]);

/**
 * Tells the arguments of a call apart.
 * @returns where the text goes on behind the closing parenthesis, −1 if there is none
 */
function split(text: string, from: number, args: string[]): number {
  args.length = 0;
  let depth = 0;
  let start = from;
  for (let at = from; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 34: // "
        at = endOfString(text, at);
        if (at < 0) return -1;
        break;
      case 60: // <, of a path, behind a number or AT_FDCWD; elsewhere it shifts: 1<<CAP_CHOWN
        if (isPath(text, at)) {
          at = endOfPath(text, at);
          if (at < 0) return -1;
        }
        break;
      case 40: // ( [ {
      case 91:
      case 123:
        depth++;
        break;
      case 93: // ] }
      case 125:
        depth--;
        break;
      case 41: // )
        if (depth === 0) {
          if (at > start) args.push(text.slice(start, at));
          return at + 1;
        }
        depth--;
        break;
      case 44: // ,
        if (depth === 0) {
          args.push(text.slice(start, at));
          start = at + 1;
          while (text.charCodeAt(start) === 32) start++;
        }
    }
  }
  return -1;
}

function endOfString(text: string, quote: number): number {
  let at = text.indexOf('"', quote + 1);
  while (at >= 0) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 92) slashes++;
    if ((slashes & 1) === 0) return at;
    at = text.indexOf('"', at + 1);
  }
  return -1;
}

/** A path has no < or > of its own, which are printed as \74 and \76, but may hold `<char 1:3>` of -yy. */
function isPath(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1);
  return (before >= 48 && before <= 57 && text.charCodeAt(at + 1) !== 60) || before === 68;
}

function endOfPath(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const c = text.charCodeAt(at);
    // TCP:[127.0.0.1:80->127.0.0.1:4000]
    if (c === 60) depth++;
    else if (c === 62 && text.charCodeAt(at - 1) !== 45 && --depth === 0) return at;
  }
  return -1;
}

/** `3</tmp/data.bin>`, with what -yy adds within left out; the path is empty without -y. @returns null: none, as −1 is */
function descriptor(text: string): Descriptor | null {
  let at = 0;
  let fd = 0;
  for (; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) break;
    fd = fd * 10 + digit;
  }
  if (at === 0 || at > 10) return null;
  if (text.charCodeAt(at) !== 60) return { fd, path: '' };
  const end = endOfPath(text, at);
  if (end < 0) return null;
  const within = text.indexOf('<', at + 1);
  return { fd, path: text.slice(at + 1, within > 0 && within < end ? within : end) };
}

/** The number that a result or an argument begins with; −1 if none, or what isn't exact as a double. */
function count(text: string): number {
  let value = 0;
  let at = 0;
  for (; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return at === 0 || value > Number.MAX_SAFE_INTEGER ? -1 : value;
}

/** The offset ahead of a call, `[4096] => [12288]` or `[0]`; −1 for NULL. */
function inBrackets(text: string): number {
  return text.startsWith('[') ? count(text.slice(1)) : -1;
}

function isName(text: string, from: number, to: number): boolean {
  if (to - from > 40) return false;
  for (let at = from; at < to; at++) {
    const c = text.charCodeAt(at);
    if (!((c >= 97 && c <= 122) || (c >= 48 && c <= 57) || c === 95)) return false;
  }
  return true;
}

const ESCAPES: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, v: 11, f: 12, '"': 34, '\\': 92 };

/** A path as it is, of one with the escapes of C. */
function unescaped(printed: string): string {
  if (!printed.includes('\\')) return printed;
  const bytes: Buffer[] = [];
  for (const part of printed.match(/\\[0-7]{1,3}|\\x[0-9a-f]{2}|\\.|[^\\]+/gs) ?? []) {
    const octal = /^\\([0-7]+)$/.exec(part);
    const hex = /^\\x(..)$/s.exec(part);
    if (octal !== null) bytes.push(Buffer.of(Number.parseInt(octal[1]!, 8) & 255));
    else if (hex !== null) bytes.push(Buffer.of(Number.parseInt(hex[1]!, 16)));
    else if (part.startsWith('\\')) bytes.push(Buffer.of(ESCAPES[part[1]!] ?? part.charCodeAt(1) & 255));
    else bytes.push(Buffer.from(part));
  }
  return Buffer.concat(bytes).toString();
}
