import type { EventLayout, FieldLayout } from './ring-buffer.ts';

/** The tracepoints that are recorded, and the fields wanted of each. */
export const KERNEL_EVENTS = {
  'filemap/mm_filemap_get_pages': ['i_ino', 's_dev', 'index', 'last_index'],
  'filemap/mm_filemap_map_pages': ['i_ino', 's_dev', 'index', 'last_index'],
  'filemap/mm_filemap_fault': ['i_ino', 's_dev', 'index'],
  'filemap/mm_filemap_add_to_page_cache': ['i_ino', 's_dev', 'index', 'order'],
  'filemap/mm_filemap_delete_from_page_cache': ['i_ino', 's_dev', 'index', 'order'],
  'sched/sched_process_fork': ['parent_pid', 'child_pid'],
  'sched/sched_process_exit': ['pid'],
  'cgroup/cgroup_attach_task': ['pid', 'dst_path', 'dst_root'],
  'exceptions/page_fault_user': ['address'],
  'exceptions/page_fault_kernel': ['address'],
} as const;

export type KernelEvent = keyof typeof KERNEL_EVENTS;
export const KERNEL_EVENT_NAMES = Object.keys(KERNEL_EVENTS) as readonly KernelEvent[];

/** One event: its fields in the order of {@link KERNEL_EVENTS}. */
export interface KernelRecord {
  timeNs: number;
  event: KernelEvent;
  task: number;
  a: number;
  /** of a string: where in the event it is, as __data_loc has it */
  b: number;
  c: number;
  d: number;
  /** cgroup_attach_task: the cgroup, from its hierarchy's root */
  path: string;
}

/** Takes the wanted fields out of events, by the layouts that the kernel describes. */
export class Decoder {
  readonly #byId = new Map<number, { event: KernelEvent; pid: Read; fields: Read[] }>();

  /** @throws Error when a field isn't there */
  constructor(layouts: ReadonlyMap<KernelEvent, EventLayout>) {
    for (const [event, { id, fields }] of layouts) {
      const read = (name: string): Read => {
        const field = fields.get(name);
        if (field === undefined) throw new Error(`the tracepoint ${event} of this kernel has no field ${name}`);
        return reader(field);
      };
      this.#byId.set(id, { event, pid: read('common_pid'), fields: KERNEL_EVENTS[event].map(read) });
    }
  }

  /** @returns null for an event of another type */
  decode(view: DataView, at: number, length: number, timeNs: number): KernelRecord | null {
    if (length < 8) return null;
    const known = this.#byId.get(view.getUint16(at, true));
    if (known === undefined) return null;
    const { event, pid, fields } = known;
    const record: KernelRecord = {
      timeNs,
      event,
      task: pid(view, at),
      a: fields[0]!(view, at),
      b: fields[1]?.(view, at) ?? 0,
      c: fields[2]?.(view, at) ?? 0,
      d: fields[3]?.(view, at) ?? 0,
      path: '',
    };
    if (event === 'cgroup/cgroup_attach_task') record.path = stringAt(view, at, length, record.b);
    return record;
  }
}

/** A string at the end of an event. @param location __data_loc: offset in the low 16 bits, length with its NUL in the high ones */
function stringAt(view: DataView, at: number, length: number, location: number): string {
  const from = location & 0xffff;
  const bytes = Math.min(location >>> 16, length - from);
  return bytes > 0
    ? Buffer.from(view.buffer, view.byteOffset + at + from, bytes)
        .toString('utf8')
        .replace(/\0.*$/s, '')
    : '';
}

type Read = (view: DataView, at: number) => number;

/** Numbers above 2^53, which only addresses of the kernel's are, lose their lowest bits. */
function reader({ offset, size, signed }: FieldLayout): Read {
  switch (size) {
    case 1:
      return (view, at) => view.getUint8(at + offset);
    case 2:
      return (view, at) => view.getUint16(at + offset, true);
    case 4:
      return signed ? (view, at) => view.getInt32(at + offset, true) : (view, at) => view.getUint32(at + offset, true);
    default:
      return (view, at) => view.getUint32(at + offset, true) + view.getUint32(at + offset + 4, true) * 2 ** 32;
  }
}
