import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ArrowTraceWriter } from '../../../src/replay/trace/arrow/writer.ts';
import { type ComposeOptions, compose } from '../../../src/replay/trace/synth/compose.ts';
import { type Recording, readRecording } from '../../../src/replay/trace/synth/recordings.ts';
import { OP, type TraceEvent } from '../../../src/replay/trace/trace.ts';
import { random } from '../../erofs/random.ts';
import { temporaryFolder } from '../support.ts';
import { event, MemorySink, said } from './memory-sink.ts';

const SHA = 'ab'.repeat(32);

/** Containers a1 and a2 of one image, b1 of another, which reads nothing; all kinds of events at random times. */
function recorded(seed: number, options: { sha?: string; only?: number } = {}): MemorySink {
  const next = random(seed);
  const trace = new MemorySink();
  for (const name of ['a1', 'a2', 'b1']) trace.container(name);
  const a = trace.mount({ name: 'a', image: 'a.erofs', imageSha256: options.sha ?? SHA });
  const b = trace.mount({ name: 'b' });
  for (let ino = 1; ino <= 20; ino++) trace.file({ mount: ino % 4 === 0 ? b : a, ino });
  let timeNs = 5_000;
  for (let i = 0; i < 400; i++) {
    timeNs += next(50);
    const op = [OP.read, OP.fault, OP['fault-around'], OP.fill, OP.drop, OP['cached-before']][next(6)]!;
    const container = next(3);
    const demand = op <= OP['fault-around'];
    trace.event({
      ...event('read', { timeNs, op, file: next(20), page: next(100), pages: 16, touch: next(17) - 1, task: 9 }),
      container: container === 2 && demand ? 0 : container,
    });
  }
  trace.ended = { lost: 0 };
  return trace;
}

async function recording(trace: MemorySink, names: readonly string[] | null = null): Promise<Recording> {
  const path = join(temporaryFolder(), 'run.arrows');
  await trace.pour(await ArrowTraceWriter.create(path));
  return readRecording(path, names, 1e6, {});
}

async function composed(recordings: Recording[], options: Partial<ComposeOptions> = {}): Promise<MemorySink> {
  const sink = new MemorySink();
  await compose(
    {
      recordings,
      containers: 7,
      arrival: { kind: 'all-at-once' },
      mounts: 'shared',
      choice: 'round-robin',
      seed: 1,
      ...options,
    },
    sink,
  );
  return sink;
}

/** An event with its file by what it is. */
function named(sink: MemorySink, e: TraceEvent): object {
  const { mount, ...file } = sink.files[e.file]!;
  const { timeNs, op, page, pages, touch, task } = e;
  return { timeNs, op, page, pages, touch, task, file, image: sink.mounts[mount]!.image ?? null };
}

describe('a trace composed of recorded containers', () => {
  test('has of every copy what was asked for, in order, from its arrival on', async () => {
    const trace = recorded(1);
    const made = await composed([await recording(trace)], { arrival: { kind: 'every', intervalNs: 777 } });
    expect(made.containers).toEqual(['a1.1', 'a2.2', 'a1.3', 'a2.4', 'a1.5', 'a2.6', 'a1.7']);
    made.containers.forEach((name, who) => {
      const of = trace.containers.indexOf(name.slice(0, 2));
      const original = trace.events.filter((e) => e.container === of && e.op <= OP['fault-around']);
      expect(original.length).toBeGreaterThan(50);
      const shift = who * 777 - original[0]!.timeNs;
      expect(made.events.filter((e) => e.container === who).map((e) => named(made, e))).toEqual(
        original.map((e) => named(trace, { ...e, timeNs: e.timeNs + shift })),
      );
    });
    expect(made.facted).toMatchObject({
      composed: { from: [{ file: 'run.arrows', containers: ['a1', 'a2'] }], containers: 7, seed: 1 },
    });
  });

  test('is merged by time, at equal times by arrival: as a stable sort merges it', async () => {
    const made = await composed(
      [await recording(recorded(2)), await recording(recorded(3, { sha: 'cd'.repeat(32) }))],
      {
        containers: 50,
        arrival: { kind: 'every', intervalNs: 100 },
      },
    );
    const sorted = [...made.events].sort((x, y) => x.timeNs - y.timeNs || x.container - y.container);
    expect(made.events).toEqual(sorted);
  });

  test('shared: a mount of each image, and of each file one; per-container: as many as containers', async () => {
    const recordings = [await recording(recorded(4)), await recording(recorded(5))];
    const shared = await composed(recordings, { containers: 12 });
    expect(shared.mounts.map(({ name }) => name)).toEqual(['a', 'b', 'b@2']);
    const known = shared.files.map(({ mount, ino }) => `${mount}:${ino}`);
    expect(new Set(known).size).toBe(known.length);
    expect(known.filter((key) => key.startsWith('0:')).length).toBe(15);

    const own = await composed(recordings, { containers: 12, mounts: 'per-container' });
    expect(own.mounts.map(({ name }) => name).sort()).toEqual(
      Array.from({ length: 12 }, (_, i) => [`a.${i + 1}`, `b.${i + 1}`])
        .flat()
        .sort(),
    );
    for (const e of own.events)
      expect(own.mounts[own.files[e.file]!.mount]!.name.split('.')[1]).toBe(String(e.container + 1));
    const plain = (sink: MemorySink): object[] => sink.events.map((e) => named(sink, e));
    expect(plain(own)).toEqual(plain(shared));
  });

  test('arrivals at random have the mean that was asked for, and a seed gives one trace', async () => {
    const recordings = [await recording(recorded(6), ['a2'])];
    const options = { containers: 2000, arrival: { kind: 'poisson', perSecond: 10 }, choice: 'random' } as const;
    const made = await composed(recordings, options);
    const first = new Map<number, number>();
    for (const e of made.events) if (!first.has(e.container)) first.set(e.container, e.timeNs);
    const gaps = [...first.values()].map((time, i, all) => time - (i === 0 ? 0 : all[i - 1]!));
    const mean = gaps.reduce((a, b) => a + b) / gaps.length;
    // The standard deviation of an exponential distribution is its mean.
    expect(Math.abs(mean / 1e8 - 1)).toBeLessThan(5 / Math.sqrt(gaps.length));
    expect((await composed(recordings, options)).events).toEqual(made.events);
    expect((await composed(recordings, { ...options, seed: 2 })).events).not.toEqual(made.events);
  });

  test('a choice at random takes each recorded container about as often', async () => {
    const made = await composed([await recording(recorded(7))], { containers: 1000, choice: 'random' });
    const ones = made.containers.filter((name) => name.startsWith('a1.')).length;
    expect(Math.abs(ones - 500)).toBeLessThan(5 * Math.sqrt(250));
  });

  test('a container that is not there or asked for nothing is an error, and so are too many events', async () => {
    const trace = recorded(8);
    for (const name of ['b1', 'c9'])
      expect(await said(recording(trace, [name]))).toMatch(
        new RegExp(`run\\.arrows: no container '${name}' asked for anything there: a1, a2$`),
      );
    const path = join(temporaryFolder(), 'run.arrows');
    await trace.pour(await ArrowTraceWriter.create(path));
    expect(await said(readRecording(path, null, 10, {}))).toMatch(/brings the recordings to more than/);
  });

  test('that would outlast 2^53 ns is refused', async () => {
    const recordings = [await recording(recorded(9))];
    expect(
      await said(composed(recordings, { containers: 3, arrival: { kind: 'every', intervalNs: 2 ** 52 } })),
    ).toMatch(/UsageError: container 3 of 3 would end beyond 2\^53 ns/);
  });
});
