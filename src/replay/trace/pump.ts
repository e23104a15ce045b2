import { DataError } from '../../error.ts';
import type { TraceBatch, TraceFacts, TraceReader, TraceSink } from './trace.ts';
import { blankEvent } from './trace.ts';

/**
 * Pushes a trace into a sink, all but its end.
 * @param onFault is told why the trace can't be read from some byte on; what is behind it is left out then. Without it that is an error
 * @returns what the trace's end says; null if it has none, which a killed recorder left, or isn't reached
 */
export async function pump(
  reader: TraceReader,
  sink: TraceSink,
  onFault?: (what: string) => void,
): Promise<TraceFacts | null> {
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
  const push = (b: TraceBatch): void => {
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
  };
  const batches = reader.batches();
  try {
    for (;;) {
      let next: IteratorResult<TraceBatch>;
      try {
        next = await batches.next();
      } catch (error) {
        if (onFault === undefined || !(error instanceof DataError)) throw error;
        tables();
        onFault(error.message.slice(error.path.length + 2));
        return null;
      }
      tables();
      if (next.done) return reader.endFacts;
      push(next.value);
    }
  } finally {
    await batches.return(undefined);
  }
}
