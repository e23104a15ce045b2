import { blankEvent, OP, type TraceFacts, type TraceSink } from '../trace.ts';
import { Cells } from './cells.ts';
import { csvRecords, eachRecord } from './csv-records.ts';
import { rooted } from './estargz.ts';
import { type ReadOptions, Tables, type TraceFormat, type TraceInput } from './format.ts';
import { fieldsOf, readJson, wholeOf } from './json.ts';
import { clip, wholeNumber } from './lines.ts';
import { readTime, StartClock, type Time } from './start.ts';

const HEADER = 'path,size,elapsed';

/**
 * The CSV of the optimizer of containerd/nydus-snapshotter (pkg/fanotify/fanotify.go, RunReceiver(); tools/optimizer-server/src/main.rs, EventInfo): the files
 * that fanotify showed to be opened or read, once each.
 *
 *     path,size,elapsed
 *     /usr/bin/bash,1183448,1260
 *
 * size in bytes, elapsed in µs since the server's start. With `readable`, sizes are rounded (`1.1 MiB`) and left out here, and elapsed has a unit
 * (`1.260 ms`). A file may be quoted. Each line is a read of the file's first page, for more isn't known to have been asked for.
 */
export const nydusOptimizer: TraceFormat = {
  name: 'nydus-optimizer',
  title: 'Nydus optimizer CSV: path,size,elapsed',
  lacks:
    'pages, second uses, who asked: only which files were opened, when first; nothing about cache sizes or eviction',
  detect: (head) => /^path,size,elapsed\r?(\n|$)/.test(head.toString('latin1', 0, 20)),
  read: readOptimizer,
};

/**
 * What nydusd of dragonflyoss/nydus answers to GET /api/v1/metrics/pattern (utils/src/metrics.rs, AccessPattern): an array, in no order.
 *
 *     [{"ino":36,"nr_read":3,"first_access_time_secs":1700000000,"first_access_time_nanos":5}]
 *
 * Sorted by time here. Each entry is a read of the file's first page at its first access: where and when the other reads were isn't known, their sum
 * is in the trace's end as `reads`.
 */
export const nydusPattern: TraceFormat = {
  name: 'nydus-pattern',
  title: 'nydusd access pattern: how often each inode was read, and when first',
  lacks:
    'pages, paths, sizes, when a file was read again, who asked: only which files were read, when first; nothing about cache sizes or eviction',
  detect: (head) => /^\s*\[\s*\{\s*"ino"\s*:\s*\d+\s*,\s*"nr_read"/.test(head.toString('latin1', 0, 400)),
  read: readPattern,
};

async function readOptimizer(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<void> {
  const tables = new Tables(sink);
  const cells = new Cells();
  const event = blankEvent();
  event.op = OP.read;
  let last = 0;
  let header = false;
  const record = (line: number, cut: string | null): void => {
    const where = `line ${line}`;
    const wrong = cut ?? (cells.count === 3 ? null : `has ${cells.count} fields, not 3`);
    if (wrong !== null) {
      bad.record(where, wrong);
      return;
    }
    const [path, size, elapsed] = [cells.text(0), cells.text(1), cells.text(2)];
    if (!header) {
      if (`${path},${size},${elapsed}` !== HEADER) bad.fatal(where, `is not the header ${HEADER}`);
      header = true;
      sink.facts({ source: 'Nydus optimizer' });
      return;
    }
    const sizeBytes = sizeOf(size);
    const timeNs = elapsedNs(elapsed);
    if (path === '' || sizeBytes === null || timeNs < 0) {
      bad.record(where, `'${clip(`${path},${size},${elapsed}`)}' is no ${HEADER}`);
    } else if (timeNs < last) {
      bad.record(where, `its time is ${last - timeNs} ns before that of the record above`);
    } else {
      last = timeNs;
      event.container = tables.container('?');
      const mount = tables.mount('image', { ids: 'path' });
      event.file = tables.path(mount, rooted(path), sizeBytes < 0 ? {} : { sizeBytes });
      event.timeNs = timeNs;
      sink.event(event);
    }
  };
  for await (const chunk of csvRecords(input, bad)) eachRecord(chunk, cells, ',', record);
  if (!header) bad.fatal('line 1', `holds no header ${HEADER}`);
}

/** @returns bytes; −1 where they are rounded; null if the text is no size */
function sizeOf(text: string): number | null {
  const size = wholeNumber(text.replace(/ B$/, ''));
  if (size >= 0) return size;
  return /^\d+(\.\d+)? [KMGTPE]iB$/.test(text) ? -1 : null;
}

/** Of `1260` (µs), `126 us`, `1.260 ms`, `12.600 s`; −1 if the text is no time. */
function elapsedNs(text: string): number {
  const match = /^([\d.]+)(?: (us|ms|s))?$/.exec(text);
  const time: Time = { seconds: 0, ns: 0 };
  const digits = match?.[2] === 's' ? 0 : match?.[2] === 'ms' ? 3 : 6;
  if (match === null || !readTime(match[1]!, digits, time)) return -1;
  const ns = time.seconds * 1e9 + time.ns;
  return Number.isSafeInteger(ns) ? ns : -1;
}

async function readPattern(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<TraceFacts> {
  const value = await readJson(input, bad);
  if (!Array.isArray(value)) bad.fatal('byte 0', 'is no array of access patterns');
  const entries: { ino: number; seconds: number; ns: number; where: string }[] = [];
  let reads = 0;
  for (const [i, one] of (value as unknown[]).entries()) {
    const where = `entry ${i + 1}`;
    const entry = fieldsOf(one) ?? {};
    const ino = wholeOf(entry.ino);
    const count = wholeOf(entry.nr_read);
    const seconds = wholeOf(entry.first_access_time_secs);
    const ns = wholeOf(entry.first_access_time_nanos ?? 0, 999_999_999);
    if (ino < 0 || count < 0 || seconds < 0 || ns < 0)
      bad.record(where, 'is no {"ino", "nr_read", "first_access_time_secs", "first_access_time_nanos"}');
    else if (count > 0) {
      entries.push({ ino, seconds, ns, where });
      reads += count;
    }
  }
  entries.sort((a, b) => a.seconds - b.seconds || a.ns - b.ns);
  const clock = new StartClock(bad);
  const tables = new Tables(sink);
  const event = blankEvent();
  event.op = OP.read;
  if (entries.length > 0) clock.at(entries[0]!, entries[0]!.where);
  sink.facts({ source: 'nydusd access pattern', ...clock.facts });
  for (const { ino, seconds, ns, where } of entries) {
    const timeNs = clock.at({ seconds, ns }, where);
    if (timeNs < 0) continue;
    event.container = tables.container('?');
    event.file = tables.inode(tables.mount('rafs', { ids: 'inode' }), ino);
    event.timeNs = timeNs;
    sink.event(event);
  }
  return { reads };
}
