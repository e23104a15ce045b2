import type { KernelEvent, KernelRecord } from './kernel-events.ts';

// Lines of trace_pipe, as the events' `print fmt` makes them (include/trace/events/filemap.h, sched.h, cgroup.h; arch/x86 exceptions.h):
//            cat-4711    [001] .....  1234.567890: mm_filemap_fault: dev=0:53 ino=24 ofs=4096
const LINE = /^\s*.+-(\d+)\s+(?:\([\s\d-]+\)\s+)?\[\d+\]\s+\S+\s+(\d+)\.(\d{6}): (\w+): (.*)$/;
const LOST = /^CPU:\d+ \[LOST (\d+) EVENTS\]/;

const FILE = 'dev=?\\s?(\\d+):(\\d+) ino=?\\s?([0-9a-f]+)';
const BODIES: Readonly<Record<string, { event: KernelEvent; body: RegExp }>> = {
  mm_filemap_get_pages: { event: 'filemap/mm_filemap_get_pages', body: new RegExp(`${FILE} ofs=(\\d+)-(\\d+)`) },
  mm_filemap_map_pages: { event: 'filemap/mm_filemap_map_pages', body: new RegExp(`${FILE} ofs=(\\d+)-(\\d+)`) },
  mm_filemap_fault: { event: 'filemap/mm_filemap_fault', body: new RegExp(`${FILE} ofs=(\\d+)`) },
  mm_filemap_add_to_page_cache: {
    event: 'filemap/mm_filemap_add_to_page_cache',
    body: new RegExp(`${FILE} pfn=\\S+ ofs=(\\d+) order=(\\d+)`),
  },
  mm_filemap_delete_from_page_cache: {
    event: 'filemap/mm_filemap_delete_from_page_cache',
    body: new RegExp(`${FILE} pfn=\\S+ ofs=(\\d+) order=(\\d+)`),
  },
};
const PAGE = 4096;

/** An event of a line; `lost`: how many events a line says are gone; null: any other line, such as one cut off. */
export function parseLine(line: string): KernelRecord | { lost: number } | null {
  const match = LINE.exec(line);
  if (match === null) {
    const lost = LOST.exec(line);
    return lost === null ? null : { lost: Number(lost[1]) };
  }
  const [, task, seconds, micros, name, rest] = match as unknown as [string, string, string, string, string, string];
  const record: KernelRecord = {
    timeNs: Number(seconds) * 1e9 + Number(micros) * 1e3,
    event: 'filemap/mm_filemap_fault',
    task: Number(task),
    a: 0,
    b: 0,
    c: 0,
    d: 0,
    path: '',
  };
  const numbers = (text: RegExp): number[] | null => text.exec(rest)?.slice(1).map(Number) ?? null;
  switch (name) {
    case 'sched_process_fork': {
      const pids = numbers(/ pid=(\d+) .*child_pid=(\d+)$/);
      return pids === null ? null : { ...record, event: 'sched/sched_process_fork', a: pids[0]!, b: pids[1]! };
    }
    case 'sched_process_exit': {
      const pids = numbers(/ pid=(\d+) prio=/);
      return pids === null ? null : { ...record, event: 'sched/sched_process_exit', a: pids[0]! };
    }
    case 'cgroup_attach_task': {
      const moved = /^dst_root=(\d+) .*dst_path=(.*) pid=(\d+) comm=/.exec(rest);
      return moved === null
        ? null
        : {
            ...record,
            event: 'cgroup/cgroup_attach_task',
            a: Number(moved[3]),
            c: Number(moved[1]),
            path: moved[2]!,
          };
    }
    case 'page_fault_user':
    case 'page_fault_kernel': {
      // %ps prints an address of a program as a number
      const address = /address=(?:0x)?([0-9a-f]+)/.exec(rest)?.[1];
      return address === undefined ? null : { ...record, event: `exceptions/${name}`, a: Number.parseInt(address, 16) };
    }
  }
  const known = BODIES[name];
  const fields = known?.body.exec(rest);
  if (known === undefined || !fields) return null;
  record.event = known.event;
  record.a = Number.parseInt(fields[3]!, 16);
  record.b = Number(fields[1]) * 2 ** 20 + Number(fields[2]);
  record.c = Math.floor(Number(fields[4]) / PAGE);
  const effect = name.endsWith('page_cache');
  record.d = fields[5] === undefined ? 0 : effect ? Number(fields[5]) : Math.floor(Number(fields[5]) / PAGE);
  return record;
}
