import { blankEvent, OP, type TraceSink } from '../trace.ts';
import { rooted } from './estargz.ts';
import { type ReadOptions, Tables, type TraceFormat, type TraceInput } from './format.ts';
import { fieldsOf, readJson, wholeOf } from './json.ts';
import { clip } from './lines.ts';

/** a SpanID is an int32 (ztoc/compression/types.go) */
const MAX_SPAN = 2 ** 31 - 1;
const MAX_RUN = 2 ** 24;

/**
 * What awslabs/soci-snapshotter is to fetch ahead, in either of its forms (docs/prefetch.md):
 *
 *     {"version":"1.0","prefetch_spans":[{"start_span":10,"end_span":15,"priority":1}]}    the artifact of a layer (soci/prefetch.go)
 *     ["/app/config.json","/app/lib/core.so"]                                              --prefetch-files-json (cmd/soci/commands/internal/prefetch.go)
 *
 * Spans, both ends counted, are parts of a layer's tar file of the size that its zTOC says (4 MiB by default): objects by their number here. Files are
 * reads of their first page, for more isn't known to have been asked for. In the file's order; the priority isn't used by its makers either.
 */
export const soci: TraceFormat = {
  name: 'soci',
  title: 'SOCI prefetch artifact (spans of a layer) or list of files',
  lacks:
    'times, pages, who asked: only which spans or files are wanted first; nothing about sharing, cache sizes or eviction',
  detect: (head) =>
    /^\s*\{\s*("version"\s*:\s*"[^"]*"\s*,\s*)?"prefetch_spans"\s*:/.test(head.toString('latin1', 0, 400)),
  read: readSoci,
};

async function readSoci(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<void> {
  const value = await readJson(input, bad);
  const tables = new Tables(sink);
  const event = blankEvent();
  event.op = OP.read;
  sink.facts({ source: 'SOCI prefetch' });
  if (Array.isArray(value)) {
    for (const [i, path] of value.entries()) {
      if (typeof path !== 'string' || path.trim() === '') {
        bad.record(`entry ${i + 1}`, 'is no path');
        continue;
      }
      event.container = tables.container('?');
      event.file = tables.path(tables.mount('image', { ids: 'path' }), rooted(path.trim()));
      sink.event(event);
    }
    return;
  }
  const artifact = fieldsOf(value) ?? {};
  if (!Array.isArray(artifact.prefetch_spans))
    bad.fatal('byte 0', 'is neither {"prefetch_spans": […]} nor a list of paths');
  if (artifact.version !== '1.0')
    bad.fatal('byte 0', `is of version ${clip(JSON.stringify(artifact.version) ?? 'none')}; 1.0 is known`);
  for (const [i, one] of (artifact.prefetch_spans as unknown[]).entries()) {
    const span = fieldsOf(one) ?? {};
    const start = wholeOf(span.start_span, MAX_SPAN);
    const end = wholeOf(span.end_span, MAX_SPAN);
    if (start < 0 || end < start || end - start >= MAX_RUN) {
      bad.record(
        `entry ${i + 1}`,
        `is no span: start_span ${clip(String(span.start_span))}, end_span ${clip(String(span.end_span))}`,
      );
      continue;
    }
    event.container = tables.container('?');
    event.file = tables.named(tables.mount('layer', { ids: 'object' }), {});
    event.page = start;
    event.pages = end - start + 1;
    sink.event(event);
  }
}
