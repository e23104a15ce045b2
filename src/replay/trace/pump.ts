import type { TraceFacts, TraceReader, TraceSink } from './trace.ts';
import { blankEvent } from './trace.ts';

/**
 * Pushes a trace into a sink, all but its end.
 * @returns what the trace's end says; null if it has none, which a killed recorder left
 */
export async function pump(reader: TraceReader, sink: TraceSink): Promise<TraceFacts | null> {
  const containers: number[] = [];
  const mounts: number[] = [];
  const files: number[] = [];
  const event = blankEvent();
  let started = false;
  const tables = (): void => {
    if (!started) sink.facts(reader.facts);
    started = true;
    while (containers.length < reader.containers.length)
      containers.push(sink.container(reader.containers[containers.length]!));
    while (mounts.length < reader.mounts.length) mounts.push(sink.mount(reader.mounts[mounts.length]!));
    while (files.length < reader.files.length) {
      const file = reader.files[files.length]!;
      files.push(sink.file({ ...file, mount: mounts[file.mount]! }));
    }
  };
  for await (const b of reader.batches()) {
    tables();
    for (let i = 0; i < b.rows; i++) {
      event.timeNs = b.timeNs[i]!;
      event.op = b.op[i]!;
      event.container = containers[b.container[i]!]!;
      event.file = files[b.file[i]!]!;
      event.page = b.page[i]!;
      event.pageHigh = b.pageHigh[i]!;
      event.pages = b.pages[i]!;
      event.touch = b.touch[i]!;
      event.bytes = b.bytes[i]!;
      event.task = b.task[i]!;
      sink.event(event);
    }
  }
  tables();
  return reader.endFacts;
}
