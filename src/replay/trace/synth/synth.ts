import { VERSION } from '../../../version.ts';
import { blankEvent, OP, type TraceSink } from '../trace.ts';
import type { Kind } from './generators.ts';
import { Random } from './random.ts';

export interface SynthOptions {
  readonly kind: Kind;
  readonly parameters: Readonly<Record<string, number>>;
  /** below 2^53 */
  readonly seed: number;
  readonly references: number;
  /** pages that there are */
  readonly pages: number;
  /** each with a stream of references of its own, to the same pages, taking turns */
  readonly containers: number;
  /** between two references */
  readonly intervalNs: number;
}

/** Pushes a synthetic trace: one file, read a page at a time. The same options give the same trace, on any machine. */
export async function synthesize(options: SynthOptions, sink: TraceSink): Promise<void> {
  const { kind, parameters, seed, references, pages, containers, intervalNs } = options;
  sink.facts({
    tool: `foliolab ${VERSION}`,
    synthetic: kind.name,
    parameters,
    seed,
    references,
    pages,
    containers,
    intervalNs,
  });
  const names = Array.from({ length: containers }, (_, i) => sink.container(`c${i + 1}`));
  const file = sink.file({ mount: sink.mount({ name: 'synthetic', ids: 'object' }) });
  const make = kind.make(pages, seed, parameters);
  const streams = names.map((_, i) => make(new Random(seed, i + 1)));
  const event = blankEvent();
  event.op = OP.read;
  event.file = file;
  event.bytes = 4096;
  let turn = 0;
  for (let i = 0; i < references; i++) {
    const page = streams[turn]!();
    event.timeNs = i * intervalNs;
    event.container = names[turn]!;
    event.page = page % 2 ** 32;
    event.pageHigh = Math.floor(page / 2 ** 32);
    sink.event(event);
    turn = turn + 1 === containers ? 0 : turn + 1;
  }
  await sink.end({ lost: 0 });
}
