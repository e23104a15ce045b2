import { UsageError } from '../../../error.ts';
import { VERSION } from '../../../version.ts';
import { blankEvent, type MountFacts, type TraceSink } from '../trace.ts';
import { exponential } from './power.ts';
import { Random } from './random.ts';
import { type RecordedContainer, type Recording, recordingName } from './recordings.ts';

export type Arrival =
  | { readonly kind: 'all-at-once' }
  /** one after the other, so far apart */
  | { readonly kind: 'every'; readonly intervalNs: number }
  /** at random, so many a second on average: the first at the mean distance from the beginning, as any other from the one before it */
  | { readonly kind: 'poisson'; readonly perSecond: number };

export const MOUNTS_OF_COMPOSED = ['shared', 'per-container'] as const;
export const CHOICES = ['round-robin', 'random'] as const;

export interface ComposeOptions {
  readonly recordings: readonly Recording[];
  readonly containers: number;
  readonly arrival: Arrival;
  /** shared: one mount of each image; per-container: every container mounts its images itself */
  readonly mounts: (typeof MOUNTS_OF_COMPOSED)[number];
  /** which recorded container each is a copy of: each in its turn, or any, as likely */
  readonly choice: (typeof CHOICES)[number];
  readonly seed: number;
}

/** Streams of {@link Random}: that one has more arrivals doesn't change what is chosen. */
const CHOOSING = 1;
const ARRIVING = 2;

/**
 * Pushes a trace of many containers, each a copy of a recorded one that begins at its arrival, merged by time; at equal times in the
 * order of their arrival. Demand only: what the kernel filled and dropped, it did for the recorded containers and no others.
 *
 * Memory: 37 bytes an event of the recordings, held once, 20 bytes a container for its place in its recording, and the new trace's tables.
 */
export async function compose(options: ComposeOptions, sink: TraceSink): Promise<{ events: number; spanNs: number }> {
  const { recordings, containers, arrival, mounts, choice, seed } = options;
  const recorded = recordings.flatMap((recording) => recording.containers);
  sink.facts({
    tool: `foliolab ${VERSION}`,
    composed: {
      from: recordings.map((recording) => ({
        file: recordingName(recording),
        sha256: recording.sha256,
        containers: recording.containers.map(({ name }) => name),
        leftOut: recording.leftOut,
      })),
      containers,
      arrival,
      mounts,
      choice,
      seed,
    },
  });
  const choosing = new Random(seed, CHOOSING);
  const copies = Array.from({ length: containers }, (_, i) =>
    choice === 'random' ? recorded[choosing.below(recorded.length)]! : recorded[i % recorded.length]!,
  );
  const shift = arrivals(arrival, containers, new Random(seed, ARRIVING));
  copies.forEach(({ events }, i) => {
    if (shift[i]! + events.timeNs[events.length - 1]! > Number.MAX_SAFE_INTEGER)
      throw new UsageError(`container ${i + 1} of ${containers} would end beyond 2^53 ns, which are 104 days`);
  });
  const names = copies.map(({ name }, i) => sink.container(`${name}.${i + 1}`));
  const tables = mounts === 'shared' ? new SharedTables(sink, copies) : new OwnTables(sink, copies);

  // A heap of containers by the time of their next event.
  const next = new Uint32Array(containers);
  const due = Float64Array.from(shift);
  const heap = new Uint32Array(containers);
  for (let i = 0; i < containers; i++) heap[i] = i;
  heap.sort((a, b) => due[a]! - due[b]! || a - b);
  const event = blankEvent();
  let pushed = 0;
  let size = containers;
  while (size > 0) {
    const who = heap[0]!;
    const { events } = copies[who]!;
    const at = next[who]!;
    events.get(at, event);
    event.timeNs = due[who]!;
    event.container = names[who]!;
    event.file = tables.file(who, event.file);
    sink.event(event);
    pushed++;
    if (at + 1 < events.length) {
      next[who] = at + 1;
      due[who] = shift[who]! + events.timeNs[at + 1]!;
    } else {
      heap[0] = heap[--size]!;
    }
    siftDown(heap, size, due);
  }
  await sink.end({ lost: 0 });
  return { events: pushed, spanNs: event.timeNs };
}

/** Lets the heap's first sink to where it belongs. */
function siftDown(heap: Uint32Array, size: number, due: Float64Array): void {
  if (size === 0) return;
  const who = heap[0]!;
  const time = due[who]!;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    const [left, right] = [heap[child]!, child + 1 < size ? heap[child + 1]! : -1];
    if (right >= 0 && (due[right]! < due[left]! || (due[right]! === due[left]! && right < left))) child++;
    const other = heap[child]!;
    if (time < due[other]! || (time === due[other]! && who < other)) break;
    heap[at] = other;
    at = child;
  }
  heap[at] = who;
}

/** When each container begins, in ns. */
function arrivals(arrival: Arrival, containers: number, random: Random): Float64Array {
  const out = new Float64Array(containers);
  if (arrival.kind === 'all-at-once') return out;
  let time = 0;
  for (let i = 0; i < containers; i++) {
    if (arrival.kind === 'every') time = i * arrival.intervalNs;
    else time += (exponential(random) * 1e9) / arrival.perSecond;
    out[i] = Math.round(time);
  }
  return out;
}

/** The files of a composed container, by number in its recording. */
interface Tables {
  file(container: number, file: number): number;
}

/** A mount of each image. An image is told by its hash; a mount without one is one of its own. */
class SharedTables implements Tables {
  readonly #sink: TraceSink;
  readonly #copies: readonly RecordedContainer[];
  readonly #mounts = new Map<Recording, number[]>();
  readonly #files = new Map<Recording, Int32Array>();
  /** of an image that several recordings have: its files by what they are */
  readonly #known = new Map<string, number>();

  constructor(sink: TraceSink, copies: readonly RecordedContainer[]) {
    this.#sink = sink;
    this.#copies = copies;
    const names = new Set<string>();
    const images = new Map<string, number>();
    for (const { recording } of copies) {
      if (this.#mounts.has(recording)) continue;
      this.#files.set(recording, new Int32Array(recording.files.length).fill(-1));
      this.#mounts.set(
        recording,
        recording.mounts.map((mount) => {
          const { imageSha256, ids } = mount;
          const image = imageSha256 === undefined ? undefined : `${imageSha256} ${ids ?? 'inode'}`;
          const there = image === undefined ? undefined : images.get(image);
          if (there !== undefined) return there;
          const number = sink.mount({ ...mount, name: unused(mount.name, names) });
          if (image !== undefined) images.set(image, number);
          return number;
        }),
      );
    }
  }

  file(container: number, file: number): number {
    const { recording } = this.#copies[container]!;
    const numbers = this.#files.get(recording)!;
    if (numbers[file]! >= 0) return numbers[file]!;
    const facts = recording.files[file]!;
    const mount = this.#mounts.get(recording)![facts.mount]!;
    const key = facts.ino === undefined && facts.path === undefined ? null : `${mount} ${facts.ino ?? facts.path}`;
    let number = key === null ? undefined : this.#known.get(key);
    number ??= this.#sink.file({ ...facts, mount });
    if (key !== null) this.#known.set(key, number);
    numbers[file] = number;
    return number;
  }
}

/** Mounts of its own for every container, and so files, which are named when they are first used. */
class OwnTables implements Tables {
  readonly #sink: TraceSink;
  readonly #copies: readonly RecordedContainer[];
  readonly #mounts: number[][];
  readonly #files: Map<number, number>[];

  constructor(sink: TraceSink, copies: readonly RecordedContainer[]) {
    this.#sink = sink;
    this.#copies = copies;
    const used = new Map<RecordedContainer, Set<number>>();
    const names = new Set<string>();
    this.#files = copies.map(() => new Map());
    this.#mounts = copies.map((copy, i) => {
      let mine = used.get(copy);
      if (mine === undefined) {
        mine = new Set(mountsOf(copy));
        used.set(copy, mine);
      }
      const numbers: number[] = [];
      for (const at of mine) {
        const mount: MountFacts = copy.recording.mounts[at]!;
        numbers[at] = sink.mount({ ...mount, name: unused(`${mount.name}.${i + 1}`, names) });
      }
      return numbers;
    });
  }

  file(container: number, file: number): number {
    const mine = this.#files[container]!;
    let number = mine.get(file);
    if (number === undefined) {
      const facts = this.#copies[container]!.recording.files[file]!;
      number = this.#sink.file({ ...facts, mount: this.#mounts[container]![facts.mount]! });
      mine.set(file, number);
    }
    return number;
  }
}

/** The mounts that a recorded container has read from. */
function* mountsOf({ events, recording }: RecordedContainer): Generator<number> {
  for (let i = 0; i < events.length; i++) yield recording.files[events.file[i]!]!.mount;
}

/** The name, or the name with a number behind it where it is taken. */
function unused(name: string, names: Set<string>): string {
  let free = name;
  for (let n = 2; names.has(free); n++) free = `${name}@${n}`;
  names.add(free);
  return free;
}
