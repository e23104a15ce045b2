import { ArrowTraceReader } from '../../src/replay/trace/arrow/reader.ts';
import { PageSet } from '../../src/replay/trace/kernel/page-set.ts';
import { TRACE_OP_NAMES, type TraceOp } from '../../src/replay/trace/trace.ts';

/** An event, with the names that its numbers stand for. */
export interface Row {
  op: TraceOp;
  mount: string;
  path: string;
  container: string;
  page: number;
  pages: number;
  touch: number;
}

export async function rowsOf(trace: string): Promise<{ rows: Row[]; reader: ArrowTraceReader }> {
  const reader = await ArrowTraceReader.open(trace);
  const rows: Row[] = [];
  for await (const b of reader.batches())
    for (let i = 0; i < b.rows; i++) {
      const file = reader.files[b.file[i]!]!;
      rows.push({
        op: TRACE_OP_NAMES[b.op[i]!]!,
        mount: reader.mounts[file.mount]!.name,
        path: file.path ?? '',
        container: reader.containers[b.container[i]!]!,
        page: b.page[i]!,
        pages: b.pages[i]!,
        touch: b.touch[i]!,
      });
    }
  return { rows, reader };
}

/** Runs of pages by file, `MOUNT:PATH`; files without any are left out. */
export type Pages = [string, [number, number][]][];

/**
 * The pages of regular files that a trace's events leave cached (those cached before, and the fills, without the drops), up to where each
 * file was looked at in the end, and those that mincore(2) showed then.
 */
export function pageSets({ rows, reader }: { rows: readonly Row[]; reader: ArrowTraceReader }): {
  events: Pages;
  truth: Pages;
} {
  const regular = new Set(
    reader.files
      .filter(({ type }) => type === 'file')
      .map(({ mount, path }) => `${reader.mounts[mount]!.name}:${path}`),
  );
  const events = new Map<string, PageSet>();
  const truth = new Map<string, PageSet>();
  const of = (sets: Map<string, PageSet>, file: string): PageSet => {
    const set = sets.get(file) ?? new PageSet();
    sets.set(file, set);
    return set;
  };
  for (const { op, mount, path, page, pages } of rows) {
    const file = `${mount}:${path}`;
    // Once a file has been looked at, what the events say of it is another matter.
    if (!regular.has(file) || (truth.has(file) && op !== 'cached-after')) continue;
    if (op === 'fill' || op === 'cached-before') of(events, file).add(page, pages);
    else if (op === 'drop') of(events, file).delete(page, pages);
    else if (op === 'cached-after') of(truth, file).add(page, pages);
  }
  return { events: shape(events), truth: shape(truth) };
}

function shape(sets: Map<string, PageSet>): Pages {
  return [...sets]
    .map(([file, set]): Pages[number] => [file, [...set.runs()]])
    .filter(([, runs]) => runs.length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
