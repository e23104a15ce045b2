import { PageCacheTrace } from '../kernel/page-cache.ts';
import { KernelText, LINE } from '../kernel/text.ts';
import { OP, type TraceFacts, type TraceSink } from '../trace.ts';
import type { ReadOptions, TraceFormat, TraceInput } from './format.ts';
import { clip, lines } from './lines.ts';

/**
 * The kernel's trace of its page cache as text: what tracefs' `trace_pipe` and `trace` say, `perf script` and `trace-cmd report` (kernel/text.ts), of
 * the events filemap:mm_filemap_*. With exceptions:page_fault_user and page_fault_kernel in it, pages that were wanted of fault-around windows
 * can be told. Events of other names are passed over. Without mm_filemap_get_pages, _map_pages and _fault (before Linux 6.14) it is of
 * fills only.
 *
 * A device is a mount and, as the text doesn't say who belongs together, also the container.
 */
export const tracefs: TraceFormat = {
  name: 'tracefs',
  title: 'page cache events as text: trace_pipe, perf script, trace-cmd report',
  lacks:
    'containers (a device stands for one), paths, sizes: reads are not clipped to the end of file; with perf script also what was lost, unless --show-lost-events says so',
  detect: (head) => {
    const text = new KernelText();
    const all = head.toString('latin1').split('\n', 2000);
    if (all.length > 1) all.pop();
    for (const line of all) {
      const kind = text.parse(line.endsWith('\r') ? line.slice(0, -1) : line);
      if (kind === LINE.unknown) return false;
      if (kind === LINE.event) return true;
    }
    return /^# tracer: nop$/m.test(all[0] ?? '');
  },
  read: readTracefs,
};

async function readTracefs(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<TraceFacts> {
  const text = new KernelText();
  const trace = new PageCacheTrace(sink, 'tracefs', bad);
  const names = new Map<number, string>();
  let lost = 0;
  let perf = false;
  let device = -1;
  let container = '?';
  for await (const chunk of lines(input, bad)) {
    for (let i = 0; i < chunk.texts.length; i++) {
      const line = chunk.texts[i]!;
      const number = chunk.first + i;
      const kind = text.parse(line);
      if (kind !== LINE.event) {
        if (kind === LINE.lost) lost += Math.max(text.lost, 1);
        else if (kind === LINE.unknown)
          bad.record(`line ${number}`, `'${clip(line)}' is no event as the kernel prints them`);
        continue;
      }
      const { time, task, a, b, c, d } = text;
      if (b !== device) {
        device = b;
        container = names.get(b) ?? trace.deviceName(b);
        names.set(b, container);
      }
      perf ||= text.perf;
      switch (text.event) {
        case 'mm_filemap_get_pages':
          trace.read(time, task, container, b, a, c, d, number);
          break;
        case 'mm_filemap_map_pages':
          trace.faultAround(time, task, container, b, a, c, d, number);
          break;
        case 'mm_filemap_fault':
          trace.fault(time, task, container, b, a, c, number);
          break;
        case 'mm_filemap_add_to_page_cache':
          trace.effect(OP.fill, time, task, container, b, a, c, d, number);
          break;
        case 'mm_filemap_delete_from_page_cache':
          trace.effect(OP.drop, time, task, container, b, a, c, d, number);
          break;
        case 'page_fault_user':
        case 'page_fault_kernel':
          trace.pageFault(task, a);
          break;
        case 'sched_process_exit':
          trace.exit(a);
      }
    }
    trace.push();
  }
  return { ...trace.end(), ...((lost > 0 || !perf) && { lost }) };
}
