import { KernelText, LINE } from '../replay/trace/kernel/text.ts';
import { KERNEL_EVENT_NAMES, type KernelRecord } from './kernel-events.ts';

const EVENTS = new Map(KERNEL_EVENT_NAMES.map((name) => [name.slice(name.indexOf('/') + 1), name]));
const text = new KernelText();

/**
 * An event of a line of trace_pipe, which may have been cut within a character, and so is a byte a character; `lost`: how many events a line
 * says are gone; null: any other line, such as one cut off.
 */
export function parseLine(line: string): KernelRecord | { lost: number } | null {
  const kind = text.parse(line);
  if (kind === LINE.lost) return { lost: Math.max(text.lost, 1) };
  const event = EVENTS.get(text.event);
  if (kind !== LINE.event || event === undefined) return null;
  const { time, task, a, b, c, d } = text;
  const path = Buffer.from(text.path, 'latin1').toString('utf8');
  return { timeNs: time.seconds * 1e9 + time.ns, event, task, a, b, c, d, path };
}
