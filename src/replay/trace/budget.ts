import { statSync } from 'node:fs';
import { DataError, located } from '../../error.ts';
import { TRACE_OP_NAMES, TRACE_OPS, type TraceEvent, type TraceSink } from './trace.ts';

/** Of one event: 64 GiB of a file. */
const MAX_RUN = 2 ** 24;
const FREE_REFERENCES = 2 ** 24;
const REFERENCES_A_BYTE = 256;
const FREE_PAGES = 2 ** 22;
const PAGES_A_BYTE = 16;

/**
 * How much a trace may stand for. A row is a run of pages, and a compressed row is a fraction of a byte: a hostile file of 100 KB could name
 * 2^50 references. Recordings have less than 20 references a byte of their file, and less than 4 distinct pages.
 */
export class TraceBudget {
  readonly path: string;
  readonly references: number;
  readonly pages: number;
  #left: number;

  /** @param references what somebody who knows the trace allows it; by default, as its size in bytes allows. @throws DataError when there is no file */
  constructor(path: string, references?: number) {
    let bytes = 0;
    try {
      bytes = statSync(path).size;
    } catch (error) {
      throw located(path, error);
    }
    this.path = path;
    this.references = references ?? FREE_REFERENCES + REFERENCES_A_BYTE * bytes;
    this.pages = references ?? FREE_PAGES + PAGES_A_BYTE * bytes;
    this.#left = this.references;
  }

  /** @param event number of the event, for the error. @throws DataError when there are too many */
  take(pages: number, event: number): void {
    if (pages > MAX_RUN)
      throw new DataError(this.path, `event ${event}: is a run of ${pages} pages, beyond ${MAX_RUN}`);
    this.#left -= pages;
    if (this.#left < 0)
      throw new DataError(
        this.path,
        `event ${event}: more than ${this.references} page references, which so small a file hardly means: --max-references allows more`,
      );
  }

  /** @throws DataError when they are too many */
  distinct(pages: number, event: number): void {
    if (pages > this.pages)
      throw new DataError(
        this.path,
        `event ${event}: more than ${this.pages} distinct pages, which so small a file hardly means: --max-references allows more`,
      );
  }
}

/** How many references an event of an operation stands for, as a writer of single requests may make them of it: 0 none, 1 one, 2 one a page. */
export const EXPANDS = Uint8Array.from(TRACE_OP_NAMES, (name) =>
  name === 'fault-around' ? 1 : TRACE_OPS[name] === 'demand' || name === 'drop' ? 2 : 0,
);

/** A sink that takes as many references as the budget has. */
export function within(budget: TraceBudget, sink: TraceSink): TraceSink {
  let events = 0;
  return {
    facts: (facts) => sink.facts(facts),
    container: (name) => sink.container(name),
    mount: (mount) => sink.mount(mount),
    file: (file) => sink.file(file),
    event: (event: TraceEvent) => {
      const expands = EXPANDS[event.op]!;
      if (expands > 0) budget.take(expands === 1 ? 1 : event.pages, events);
      events++;
      sink.event(event);
    },
    end: (facts) => sink.end(facts),
    abort: () => sink.abort(),
  };
}
