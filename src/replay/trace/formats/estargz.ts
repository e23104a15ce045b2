import { blankEvent, OP, type TraceSink } from '../trace.ts';
import { type ReadOptions, Tables, type TraceFormat, type TraceInput } from './format.ts';
import { fieldsOf, wholeOf } from './json.ts';
import { clip, lines } from './lines.ts';

/**
 * What `ctr-remote image optimize --record-out` of containerd/stargz-snapshotter writes (recorder/recorder.go, type Entry; example in docs/ctr-remote.md):
 * a JSON object a line, the files in the order in which they were first opened.
 *
 *     {"path":"usr/bin/bash","manifestDigest":"sha256:5d07…","layerIndex":0}
 *
 * `manifestDigest` and `layerIndex` (of the layer whose file it is) may be left out. An image, by its digest, is a mount; a path begins with `/` here.
 * Each line is a read of the file's first page, for more isn't known to have been asked for.
 */
export const estargz: TraceFormat = {
  name: 'estargz',
  title: 'eStargz recorder: the files of an image, in the order of their first use',
  lacks:
    'times, pages, sizes, second uses, who asked: only which files were opened, in which order; nothing about cache sizes or eviction',
  detect: (head) =>
    /^\s*\{"path":"[^\n]*\}\s*(\n|$)/.test(head.toString('utf8')) &&
    isEntry(head.toString('utf8').trim().split('\n')[0]!),
  read: readEstargz,
};

/** Whether a line holds what an entry does and nothing else. */
function isEntry(text: string): boolean {
  try {
    return Object.keys(JSON.parse(text)).every((key) => ['path', 'manifestDigest', 'layerIndex'].includes(key));
  } catch {
    return false;
  }
}

async function readEstargz(input: TraceInput, sink: TraceSink, { bad }: ReadOptions): Promise<void> {
  sink.facts({ source: 'eStargz recorder' });
  const tables = new Tables(sink);
  const event = blankEvent();
  event.op = OP.read;
  for await (const { texts, first } of lines(input, bad)) {
    for (let i = 0; i < texts.length; i++) {
      const text = texts[i]!;
      if (text.trim() === '') continue;
      const where = `line ${first + i}`;
      let entry = null;
      try {
        entry = fieldsOf(JSON.parse(text));
      } catch {}
      const { path, manifestDigest = '', layerIndex = 0 } = entry ?? {};
      if (typeof path !== 'string' || path === '' || typeof manifestDigest !== 'string' || wholeOf(layerIndex) < 0) {
        bad.record(where, `'${clip(text)}' is no {"path", "manifestDigest", "layerIndex"}`);
        continue;
      }
      event.container = tables.container('?');
      const mount = tables.mount(manifestDigest || 'image', { ids: 'path' });
      event.file = tables.path(mount, rooted(path));
      sink.event(event);
    }
  }
}

/** A path as images have them, from the root on. */
export function rooted(path: string): string {
  return `/${path.replace(/^(\.?\/)+/, '')}`;
}
