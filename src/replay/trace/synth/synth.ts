import { VERSION } from '../../../version.ts';
import { blankEvent, OP, type TraceSink } from '../trace.ts';
import type { Kind } from './generators.ts';
import { Random } from './random.ts';

export interface SynthOptions {
  readonly kind: Kind;
  readonly parameters: Readonly<Record<string, number>>;
  readonly seed: number;
  readonly references: number;
  /** pages that each container has */
  readonly universe: number;
  /** each with a stream of references of its own, to the same pages, taking turns */
  readonly containers: number;
  /** between two references */
  readonly intervalNs: number;
}

/** Pushes a synthetic trace: one file of `universe` pages, read a page at a time. */
export async function synthesize(options: SynthOptions, sink: TraceSink): Promise<void> {
  const { kind, parameters, seed, references, universe, containers, intervalNs } = options;
  sink.facts({ tool: `foliolab ${VERSION}`, synthetic: kind.name, parameters, seed, references, universe, containers });
  const names = Array.from({ length: containers }, (_, i) => sink.container(`c${i + 1}`));
  const mount = sink.mount({ name: 'synthetic', ids: 'object' });
  const file = sink.file({ mount });
  const streams = names.map((_, i) => kind.make(universe, new Random(seed + i * 2 ** 32), parameters));
  const event = blankEvent();
  event.op = OP.read;
  event.file = file;
  event.bytes = 4096;
  for (let i = 0; i < references; i++) {
    event.timeNs = i * intervalNs;
    event.container = names[i % containers]!;
    const page = streams[i % containers]!();
    event.page = page % 2 ** 32;
    event.pageHigh = Math.floor(page / 2 ** 32);
    sink.event(event);
  }
  await sink.end({ lost: 0 });
}
