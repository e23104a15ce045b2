import { blankEvent, OP, type TraceEvent, type TraceSink } from '../trace.ts';
import { Fields } from './fields.ts';
import { type BadRecords, type ReadOptions, Tables, type TraceFormat, type TraceInput } from './format.ts';
import { clip, lines } from './lines.ts';
import { readTime, StartClock, type Time } from './start.ts';

const SECTOR_BYTES = 512;
const ALIBABA_HEADER = 'device_id,opcode,offset,length,timestamp';
const MAX_U32 = 2 ** 32 - 1;

/**
 * The block traces that Alibaba published (github.com/alibaba/block-traces, README.md: io_traces.csv), also with a header line:
 *
 *     device_id u32, opcode R or W, offset u64 (bytes), length u32 (bytes), timestamp u64 (µs)
 *
 * A device is a mount of one file, whose pages are those that the bytes lie in.
 */
export const alibabaBlock: TraceFormat = {
  name: 'alibaba-block',
  title: 'Alibaba block traces: device_id,opcode,offset,length,timestamp',
  lacks: 'who asked, and files: pages are of devices; reads are what caches above let through',
  detect: (head) =>
    /^(device_id,opcode,offset,length,timestamp|\d{1,10},[RW],\d{1,16},\d{1,10},\d{1,16})\r?\n/.test(
      head.toString('latin1', 0, 80),
    ),
  read: readAlibaba,
};

/**
 * What blkparse(1) of blktrace prints by default (blkparse_fmt.c, `%D %2c %8s %5T.%9t %5p %2a %3d ` and what process_default() adds):
 *
 *     8,0    3        1     0.000000000   697  Q   W 223490 + 8 [kjournald]
 *     device cpu sequence seconds.ns pid action RWBS sector + sectors [program]
 *
 * Only Q is an access: what was asked of the block layer, before it is split or merged. Every other action (G, I, D, C, M, …) is of a request
 * that a Q was for. Of Q, only reads and writes that have sectors: no discards, no flushes. What stands around the events (`Input file …`,
 * `CPU0 (8,0):` and the sums behind it) is passed over.
 */
export const blkparse: TraceFormat = {
  name: 'blkparse',
  title: 'blkparse, its default output: what was queued (Q)',
  lacks: 'files, containers: pages are of devices; reads are what the page cache let through',
  detect: (head) => {
    const lines = head.toString('latin1', 0, 4096).split('\n').slice(0, -1);
    return EVENT.test(lines.find((line) => !line.startsWith('Input file ')) ?? '');
  },
  read: readBlkparse,
};

/** Devices as mounts, their bytes as runs of pages. */
class Devices {
  readonly event: TraceEvent = blankEvent();
  readonly #clock: StartClock;
  readonly #sink: TraceSink;
  readonly #source: string;
  readonly #bad: BadRecords;
  readonly #tables: Tables;
  readonly #files = new Map<string, number>();
  #begun = false;

  constructor(sink: TraceSink, source: string, bad: BadRecords) {
    this.#sink = sink;
    this.#source = source;
    this.#bad = bad;
    this.#clock = new StartClock(bad);
    this.#tables = new Tables(sink);
  }

  /** Pushes the event, of which operation and task are filled in. Bytes are below 2^53. */
  access(device: string, time: Time, offset: number, length: number, where: string): void {
    const first = Math.floor(offset / 4096);
    const pages = Math.floor((offset + length - 1) / 4096) - first + 1;
    let wrong = '';
    if (length === 0) wrong = 'its length is 0';
    else if (length > MAX_U32) wrong = `its length is ${length} bytes`;
    else if (!Number.isSafeInteger(offset + length)) wrong = 'it ends beyond 2^53 bytes';
    if (wrong !== '') {
      this.#bad.record(where, wrong);
      return;
    }
    const timeNs = this.#clock.at(time, where);
    if (timeNs < 0) return;
    this.begin();
    const { event } = this;
    let file = this.#files.get(device);
    if (file === undefined) {
      file = this.#sink.file({ mount: this.#tables.mount(device, { ids: 'block' }) });
      this.#files.set(Buffer.from(device).toString(), file);
    }
    event.timeNs = timeNs;
    event.file = file;
    event.page = first % 2 ** 32;
    event.pageHigh = Math.floor(first / 2 ** 32);
    event.pages = pages;
    event.bytes = length;
    this.#sink.event(event);
  }

  /** Says what the trace is, once its beginning is known or it has none. */
  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#sink.facts({ source: this.#source, ...this.#clock.facts });
    this.event.container = this.#tables.container('?');
  }
}

async function readAlibaba(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<void> {
  const devices = new Devices(sink, 'Alibaba block trace', bad);
  const fields = new Fields();
  const time: Time = { seconds: 0, ns: 0 };
  for await (const chunk of lines(input, bad)) {
    for (let i = 0; i < chunk.texts.length; i++) {
      const text = chunk.texts[i]!;
      const line = chunk.first + i;
      if (text === '' || (line === 1 && text === ALIBABA_HEADER)) continue;
      fields.cut(text, ',');
      if (fields.count !== 5) {
        bad.record(`line ${line}`, `has ${fields.count} fields, not 5`);
        continue;
      }
      const opcode = fields.text(1);
      const offset = fields.whole(2);
      const length = fields.whole(3);
      if (
        fields.whole(0) < 0 ||
        (opcode !== 'R' && opcode !== 'W') ||
        offset < 0 ||
        length < 0 ||
        fields.whole(4) < 0
      ) {
        bad.record(`line ${line}`, `'${clip(text)}' is no device_id,opcode,offset,length,timestamp`);
        continue;
      }
      readTime(fields.text(4), 6, time);
      devices.event.op = opcode === 'R' ? OP.read : OP.write;
      devices.access(fields.text(0), time, offset, length, `line ${line}`);
    }
  }
  devices.begin();
}

const EVENT =
  /^ *(\d{1,8},\d{1,8}) +(\d{1,8}) +(\d{1,20}) +(\d{1,15}\.\d{1,9}) +(\d{1,10}) +([A-Z]{1,2}|m) +(\S{1,8}) ?(.*)$/;
const SECTORS = /^(\d{1,16}) \+ (\d{1,10}) \[(.*)\]$/;
/** between the events and the sums */
const SUMS = /^(CPU\d+|Total) \(.+\):/;

async function readBlkparse(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<void> {
  const devices = new Devices(sink, 'blkparse', bad);
  const time: Time = { seconds: 0, ns: 0 };
  let sums = false;
  for await (const chunk of lines(input, bad)) {
    for (let i = 0; i < chunk.texts.length; i++) {
      const text = chunk.texts[i]!;
      const where = `line ${chunk.first + i}`;
      const match = EVENT.exec(text);
      if (match === null) {
        sums ||= SUMS.test(text);
        if (!sums && text.trim() !== '' && !text.startsWith('Input file '))
          bad.record(where, `'${clip(text)}' is no event as blkparse prints them by default`);
        continue;
      }
      const [, device, , , seconds, pid, action, rwbs, rest] = match;
      if (action !== 'Q' || rwbs!.includes('D') || !/[RW]/.test(rwbs!)) continue;
      const sectors = SECTORS.exec(rest!);
      if (sectors === null) {
        // A flush has no sectors: `Q FWS [jbd2]`, or `Q FWS 0 [jbd2]`.
        if (!/^(\d+ )?\[.*\]$/.test(rest!)) bad.record(where, `'${clip(rest!)}' is no 'sector + sectors [program]'`);
        continue;
      }
      const task = Number(pid);
      readTime(seconds!, 0, time);
      devices.event.op = rwbs!.includes('R') ? OP.read : OP.write;
      devices.event.task = task < 2 ** 31 ? task : 0;
      devices.access(device!, time, Number(sectors[1]) * SECTOR_BYTES, Number(sectors[2]) * SECTOR_BYTES, where);
    }
  }
  devices.begin();
}
