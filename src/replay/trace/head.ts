import {
  type FileFacts,
  type MountFacts,
  TRACE_OP_NAMES,
  type TraceEvent,
  type TraceFacts,
  type TraceOp,
  type TraceSink,
  wholePage,
} from './trace.ts';

/** An event with what its numbers stand for: `trace head`. */
export interface NamedEvent {
  timeNs: number;
  container: string;
  op: TraceOp;
  mount: string;
  ino: number | null;
  path: string | null;
  /** first page, or an object's id; as text where it is beyond 2^53 */
  page: number | string;
  pages: number;
  /** page that was wanted in the run, from 0 */
  touch: number | null;
  bytes: number;
  task: number;
}

/** Is thrown by a {@link HeadSink} that has seen enough. */
export class Enough extends Error {}

/** Takes the first events of a trace. */
export class HeadSink implements TraceSink {
  readonly events: NamedEvent[] = [];
  readonly #count: number;
  readonly #containers: string[] = [];
  readonly #mounts: MountFacts[] = [];
  readonly #files: FileFacts[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  facts(_facts: TraceFacts): void {}

  container(name: string): number {
    return this.#containers.push(name) - 1;
  }

  mount(mount: MountFacts): number {
    return this.#mounts.push(mount) - 1;
  }

  file(file: FileFacts): number {
    return this.#files.push(file) - 1;
  }

  /** @throws Enough behind the last event that is wanted */
  event(e: TraceEvent): void {
    if (this.events.length === this.#count) throw new Enough();
    const file = this.#files[e.file]!;
    const page = wholePage(e);
    this.events.push({
      timeNs: e.timeNs,
      container: this.#containers[e.container]!,
      op: TRACE_OP_NAMES[e.op]!,
      mount: this.#mounts[file.mount]!.name,
      ino: file.ino ?? null,
      path: file.path ?? null,
      page: Number.isSafeInteger(page) ? page : String((BigInt(e.pageHigh) << 32n) | BigInt(e.page)),
      pages: e.pages,
      touch: e.touch < 0 ? null : e.touch,
      bytes: e.bytes,
      task: e.task,
    });
    if (this.events.length === this.#count) throw new Enough();
  }

  async end(_facts: TraceFacts): Promise<void> {}

  async abort(): Promise<void> {}
}
