// Sub-buffers of the kernel's trace ring buffer, as per_cpu/cpuN/trace_pipe_raw gives them: kernel/trace/ring_buffer.c, and
// Documentation/trace/ring-buffer-design.rst. Linux 6.18 has them as 5.8 had.

/** Where a sub-buffer has its parts: events/header_page. */
export interface SubBufferLayout {
  /** where the events begin */
  readonly data: number;
}

/** A field of an event: events/SUBSYSTEM/NAME/format. */
export interface FieldLayout {
  readonly offset: number;
  readonly size: number;
  readonly signed: boolean;
}

/** An event's layout: id, and fields by name. */
export interface EventLayout {
  readonly id: number;
  readonly fields: ReadonlyMap<string, FieldLayout>;
}

/** Takes events out of a sub-buffer: where each lies in the page, and its time. */
export type EventHandler = (view: DataView, at: number, length: number, timeNs: number) => void;

const TYPE_PADDING = 29;
const TYPE_TIME_EXTEND = 30;
const TYPE_TIME_STAMP = 31;
const MISSED_EVENTS = 0x80000000;
const MISSED_STORED = 0x40000000;

/** What is wrong with what the kernel gave; it never should be. */
export class RingBufferError extends Error {}

/**
 * Calls `handle` for each event of a sub-buffer.
 * @param page what one read of trace_pipe_raw gave
 * @returns how many events were lost ahead of it, as far as the kernel says; −1: some, it doesn't say how many
 */
export function readSubBuffer(page: Uint8Array, layout: SubBufferLayout, handle: EventHandler): number {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  if (page.length < layout.data) throw new RingBufferError(`a sub-buffer of ${page.length} bytes`);
  let time = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  const flags = view.getUint32(8, true);
  const committed = flags & ~(MISSED_EVENTS | MISSED_STORED);
  const end = layout.data + committed;
  if (end > page.length) throw new RingBufferError(`${committed} bytes of events in a sub-buffer of ${page.length}`);
  let lost = 0;
  if ((flags & MISSED_EVENTS) !== 0)
    lost = (flags & MISSED_STORED) !== 0 && end + 4 <= page.length ? view.getUint32(end, true) : -1;
  for (let at = layout.data; at + 4 <= end; ) {
    const header = view.getUint32(at, true);
    const type = header & 31;
    const delta = header >>> 5;
    if (type === TYPE_PADDING && delta === 0) break;
    let length: number;
    let next: number;
    let event = at + 4;
    if (type > 0 && type < TYPE_PADDING) {
      length = type * 4;
      next = event + length;
    } else {
      if (at + 8 > end) throw new RingBufferError(`an event cut off at byte ${at}`);
      const word = view.getUint32(at + 4, true);
      if (type === TYPE_TIME_EXTEND) {
        time += delta + word * 2 ** 27;
        at += 8;
        continue;
      }
      if (type === TYPE_TIME_STAMP) {
        time = delta + word * 2 ** 27;
        at += 8;
        continue;
      }
      if (type === TYPE_PADDING) {
        time += delta;
        at += 4 + word;
        continue;
      }
      event = at + 8;
      length = word - 4;
      next = at + 4 + word;
    }
    if (length < 0 || next > end || next <= at) throw new RingBufferError(`an event of ${length} bytes at byte ${at}`);
    time += delta;
    handle(view, event, length, time);
    at = next;
  }
  return lost;
}

/** Reads a `format` file of tracefs. */
export function readFormat(text: string): EventLayout {
  const id = Number(/^ID:\s*(\d+)$/m.exec(text)?.[1] ?? Number.NaN);
  return { id, fields: readFields(text) };
}

/** Reads events/header_page. */
export function readHeaderPage(text: string): SubBufferLayout {
  const fields = readFields(text);
  const commit = fields.get('commit');
  const data = fields.get('data');
  if (commit === undefined || data === undefined || fields.get('timestamp')?.offset !== 0 || commit.offset !== 8)
    throw new RingBufferError('events/header_page has another layout than that of Linux 5.8 to 7.3');
  return { data: data.offset };
}

function readFields(text: string): Map<string, FieldLayout> {
  const fields = new Map<string, FieldLayout>();
  for (const match of text.matchAll(
    /field:\s*([^;]*?)(\w+)(\[[^\]]*\])?;\s*offset:(\d+);\s*size:(\d+);\s*signed:(\d);/g,
  ))
    fields.set(match[2]!, { offset: Number(match[4]), size: Number(match[5]), signed: match[6] === '1' });
  return fields;
}
