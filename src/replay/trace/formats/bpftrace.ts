import { PageCacheTrace } from '../kernel/page-cache.ts';
import { OP, type TraceFacts, type TraceSink } from '../trace.ts';
import { Fields } from './fields.ts';
import type { ReadOptions, TraceFormat, TraceInput } from './format.ts';
import { clip, lines } from './lines.ts';
import { readTime, type Time } from './start.ts';

const HEADING = '# foliolab filemap.bt 1';
const KINDS = 'GMFADPX';
/** Lines that are held back to be put in order: more than perf buffers of 64 pages hold of 100 CPUs. */
const HELD = 2 ** 18;

/**
 * What scripts/bpftrace/filemap.bt prints, whose head describes the lines: events of the page cache, with the cgroup that each is of. A
 * cgroup is a container, by its path if a line `# cgroup ID PATH` ahead of the events names it, else by its id.
 */
export const bpftrace: TraceFormat = {
  name: 'bpftrace',
  title: 'scripts/bpftrace/filemap.bt: page cache events with cgroups',
  lacks: 'paths, sizes: reads are not clipped to the end of file',
  detect: (head) =>
    head.toString('latin1').includes(`\n${HEADING}\n`) || head.toString('latin1', 0, HEADING.length) === HEADING,
  read: readBpftrace,
};

interface Line {
  kind: number;
  time: Time;
  line: number;
  task: number;
  container: string;
  device: number;
  ino: number;
  first: number;
  last: number;
}

async function readBpftrace(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<TraceFacts> {
  const trace = new PageCacheTrace(sink, 'bpftrace', bad);
  const fields = new Fields();
  const names = new Map<string, string>();
  let held: Line[] = [];
  let lost = 0;
  const push = (count: number): void => {
    held.sort((a, b) => a.time.seconds - b.time.seconds || a.time.ns - b.time.ns);
    for (let i = 0; i < count; i++) pushLine(trace, held[i]!);
    held = held.slice(count);
    trace.push();
  };
  for await (const chunk of lines(input, bad)) {
    for (let i = 0; i < chunk.texts.length; i++) {
      const text = chunk.texts[i]!;
      const line = chunk.first + i;
      if (text.charCodeAt(1) === 32 && KINDS.includes(text.charAt(0))) {
        const read = readLine(text, line, fields, names);
        if (read !== null) held.push(read);
        else bad.record(`line ${line}`, `'${clip(text)}' is no event of filemap.bt`);
        continue;
      }
      if (text === '' || text.startsWith('Attaching ')) continue;
      const gone = /^Lost (\d{1,15}) events$/.exec(text);
      const named = /^# cgroup (\d{1,20}) (.*)$/.exec(text);
      if (gone !== null) lost += Number(gone[1]);
      else if (named !== null) names.set(named[1]!, named[2] === '' ? '/' : named[2]!);
      else if (!text.startsWith('#')) bad.record(`line ${line}`, `'${clip(text)}' is no line of filemap.bt`);
    }
    if (held.length > 2 * HELD) push(held.length - HELD);
  }
  push(held.length);
  return { ...trace.end(), lost };
}

function readLine(text: string, line: number, fields: Fields, names: Map<string, string>): Line | null {
  fields.cut(text, ' ');
  const kind = text.charCodeAt(0);
  const time: Time = { seconds: 0, ns: 0 };
  if (fields.count < 3 || !readTime(fields.text(1), 9, time)) return null;
  const task = fields.whole(2);
  const read: Line = {
    kind,
    time,
    line,
    task: task < 2 ** 31 ? task : 0,
    container: '',
    device: 0,
    ino: 0,
    first: 0,
    last: 0,
  };
  if (task < 0) return null;
  if (kind === 88) return fields.count === 3 ? read : null;
  if (kind === 80) {
    read.first = fields.count === 4 ? hex(fields.text(3)) : -1;
    return read.first < 0 ? null : read;
  }
  const fault = kind === 70;
  if (fields.count < (fault ? 7 : 8)) return null;
  const cgroup = fields.text(3);
  let container = names.get(cgroup);
  if (container === undefined) {
    if (!/^\d{1,20}$/.test(cgroup)) return null;
    container = Buffer.from(cgroup).toString();
    names.set(container, container);
  }
  read.container = container;
  read.device = deviceOf(fields.text(4));
  read.ino = hex(fields.text(5));
  read.first = fields.whole(6);
  read.last = fault ? read.first : fields.whole(7);
  const fine =
    read.device >= 0 && read.ino >= 0 && read.ino <= Number.MAX_SAFE_INTEGER && read.first >= 0 && read.last >= 0;
  return fine ? read : null;
}

function pushLine(trace: PageCacheTrace, r: Line): void {
  const { time, task, container, device, ino, first, last, line } = r;
  switch (r.kind) {
    case 71:
      trace.read(time, task, container, device, ino, first, last, line);
      return;
    case 77:
      trace.faultAround(time, task, container, device, ino, first, last, line);
      return;
    case 70:
      trace.fault(time, task, container, device, ino, first, line);
      return;
    case 65:
      trace.effect(OP.fill, time, task, container, device, ino, first, last, line);
      return;
    case 68:
      trace.effect(OP.drop, time, task, container, device, ino, first, last, line);
      return;
    case 80:
      trace.pageFault(task, first);
      return;
    default:
      trace.exit(task);
  }
}

/** `major:minor` as major << 20 | minor; −1 if it isn't that */
function deviceOf(text: string): number {
  const colon = text.indexOf(':');
  const major = Number(text.slice(0, Math.max(colon, 0)) || -1);
  const minor = Number(text.slice(colon + 1) || -1);
  const fine =
    Number.isInteger(major) && major >= 0 && major < 4096 && Number.isInteger(minor) && minor >= 0 && minor < 2 ** 20;
  return fine ? major * 2 ** 20 + minor : -1;
}

function hex(text: string): number {
  return /^[0-9a-f]{1,16}$/.test(text) ? Number.parseInt(text, 16) : -1;
}
