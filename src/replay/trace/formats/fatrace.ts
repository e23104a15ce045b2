import { blankEvent, OP, type TraceFacts, type TraceSink } from '../trace.ts';
import { PrintedTimes } from './day-time.ts';
import { type ReadOptions, Tables, type TraceFormat, type TraceInput } from './format.ts';
import { clip, lines, wholeNumber } from './lines.ts';
import { StartClock } from './start.ts';

const LINE =
  /^(?:(\d\d:\d\d:\d\d\.\d{1,9}|\d{1,10}\.\d{1,9}) )?(.{0,64}?)\((\d{1,10})\)(?: \[\d{1,10}:\d{1,10}\])?: ([A-Z+<>]{1,8}) +(.*)$/;
const DEVICE = /^device (\d{1,4}):(\d{1,7}) inode (\d{1,16})$/;

/**
 * What fatrace(1) prints of fanotify(7), plain, with -t, -tt and -u, and its JSON lines of -j (fatrace.c of 0.17 to 0.18, print_event()):
 *
 *     1795608234.314161 cat(1017) [0:0]: RCO /tmp/a.bin
 *     {"timestamp":1795608234.314161,"comm":"cat","pid":1017,"types":"RCO","device":{"major":8,"minor":1},"inode":21,"path":"/tmp/a.bin"}
 *
 * R is a read of a file, and W a write or that a file open for writing was closed, of no page in particular: each is an event of page 0.
 * fanotify puts events of a task and a file together which come in a row. Of opening, closing, creating and removing (O, C, +, D, <, >) nothing is kept; how many files were opened and not read is
 * counted: they may have been mapped, which fanotify doesn't tell.
 */
export const fatrace: TraceFormat = {
  name: 'fatrace',
  title: 'fatrace of fanotify events, its lines or JSON',
  lacks:
    'offsets, sizes, how often, mapped pages, containers: whole files are touched, so only which file follows which; nothing of pages; without -t no times',
  detect: (head) => {
    const line = head.toString('utf8', 0, 4096).split(/\r?\n/, 1)[0]!;
    return LINE.test(line) || /^\{.*"pid":\d+,.*"types":"[A-Z+<>]{1,8}"/.test(line);
  },
  read: readFatrace,
};

interface Touch {
  time: string;
  task: number;
  types: string;
  device: string | null;
  ino: number | null;
  path: string | null;
}

async function readFatrace(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<TraceFacts> {
  const times = new PrintedTimes(bad);
  const clock = new StartClock(bad);
  const tables = new Tables(sink);
  const event = blankEvent();
  const touch: Touch = { time: '', task: 0, types: '', device: null, ino: null, path: null };
  let begun = false;
  let opened = 0;
  let nameless = 0;
  const begin = (): void => {
    begun = true;
    sink.facts({ source: 'fatrace', wholeFiles: true, times: times.form ?? 'none', ...clock.facts });
    event.container = tables.container('?');
  };
  for await (const chunk of lines(input, bad)) {
    for (let i = 0; i < chunk.texts.length; i++) {
      const text = chunk.texts[i]!;
      if (text === '') continue;
      const where = `line ${chunk.first + i}`;
      const json = text.charCodeAt(0) === 123;
      if (!(json ? readJson(text, touch) : readLine(text, touch))) {
        bad.record(where, `'${clip(text)}' is no line of fatrace`);
        continue;
      }
      if (!times.take(touch.time, where)) continue;
      const reads = touch.types.includes('R');
      const writes = touch.types.includes('W');
      if (!reads && !writes) {
        if (touch.types.includes('O')) opened++;
        continue;
      }
      const { path, device, ino } = touch;
      if (path === null && ino === null) {
        nameless++;
        continue;
      }
      const timeNs = clock.at(times.time, where);
      if (timeNs < 0) continue;
      if (!begun) begin();
      event.timeNs = timeNs;
      event.task = touch.task < 2 ** 31 ? touch.task : 0;
      event.file =
        device !== null && ino !== null
          ? tables.inode(tables.mount(device), ino, path === null ? {} : { path })
          : tables.path(tables.mount('/', { ids: 'path' }), path!);
      if (reads) {
        event.op = OP.read;
        sink.event(event);
      }
      if (writes) {
        event.op = OP.write;
        sink.event(event);
      }
    }
  }
  if (!begun) begin();
  return { opened, nameless };
}

function readLine(text: string, touch: Touch): boolean {
  const match = LINE.exec(text);
  if (match === null) return false;
  touch.time = match[1] ?? '';
  touch.task = Number(match[3]);
  touch.types = match[4]!;
  touch.device = null;
  touch.ino = null;
  let path = match[5]!;
  if (path.startsWith('/')) {
    // -P and -e
    path = path.replace(/, parents=\(pid=.*\)$/, '').replace(/ exe=\/.*$/, '');
    touch.path = path.replace(/ \(deleted\)$/, '');
    return true;
  }
  touch.path = null;
  const device = DEVICE.exec(path);
  if (device !== null) {
    touch.device = `${device[1]}:${device[2]}`;
    touch.ino = wholeNumber(device[3]!);
    return touch.ino >= 0;
  }
  return path === '(deleted)' || path === '';
}

function readJson(text: string, touch: Touch): boolean {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return false;
  }
  if (typeof line !== 'object' || line === null) return false;
  const { timestamp = '', pid, types, device, inode, path_raw: raw, path = raw } = line as Record<string, unknown>;
  if (typeof pid !== 'number' || !(pid >= 0) || !Number.isSafeInteger(pid) || typeof types !== 'string') return false;
  // A number of seconds has lost digits as a double; the text has them.
  const time = typeof timestamp === 'number' ? (/^\{"timestamp":([\d.]+),/.exec(text)?.[1] ?? null) : timestamp;
  if (typeof time !== 'string') return false;
  touch.time = time;
  touch.task = pid;
  touch.types = types;
  touch.device = null;
  touch.ino = null;
  touch.path = null;
  if (typeof device === 'object' && device !== null) {
    const { major, minor } = device as Record<string, unknown>;
    if (!isCount(major) || !isCount(minor) || !isCount(inode)) return false;
    touch.device = `${major}:${minor}`;
    touch.ino = inode;
  }
  if (path === undefined) return true;
  // path_raw, the numbers of its bytes, stands for a name with quotes, control characters, or what isn't UTF-8.
  const name =
    Array.isArray(path) && path.every((byte) => isCount(byte) && byte < 256) ? Buffer.from(path).toString() : path;
  if (typeof name !== 'string' || name === '') return false;
  touch.path = name.replace(/ \(deleted\)$/, '');
  return true;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
