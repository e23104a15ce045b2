import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/error.ts';
import { type CellInput, type CellResult, runCell } from '../../src/replay/cell.ts';
import { noteSentences } from '../../src/replay/notes.ts';
import { KIND_ADD, KIND_DELETE, KIND_REFERENCE, ReferenceLog, readLog } from '../../src/replay/reference-log.ts';
import { type ReplayOptions, replay } from '../../src/replay/run.ts';
import { usageByContainer } from '../../src/replay/usage.ts';
import { naive } from '../policies/naive.ts';
import { bind, makeIndex, row } from './support.ts';

type Row = [page: number, count: number, container: number, kind?: number];

const CONTAINERS = 3;

/** A cell over logical pages 0…15 of which 2n and 2n + 1 are one shared page. */
function cell(rows: readonly Row[], change: Partial<CellInput> = {}): CellInput {
  const log = new ReferenceLog();
  for (const [at, [page, count, container, kind = KIND_REFERENCE]] of rows.entries())
    log.append(at * 1000, page, count, container, kind);
  return {
    from: 'demand',
    log: log.finish(),
    ids: Uint32Array.from({ length: 16 }, (_, page) => page >> 1),
    universe: 8,
    containers: CONTAINERS,
    capacityPages: null,
    policy: 'lru',
    seed: 1,
    warmup: 0,
    endNs: rows.length * 1000,
    ...change,
  };
}

const counts = ({ series: _, containerReferences, containerMisses, containerCharged, ...rest }: CellResult) => ({
  ...rest,
  containerReferences: [...containerReferences],
  containerMisses: [...containerMisses],
  containerCharged: [...containerCharged],
});

describe('a cell of demand references', () => {
  it('charges a page to its first toucher until it is evicted, then to the next', () => {
    // ids: 0 by c0 (miss), 0 by c1 (hit), 1 by c1 (miss), 2 by c2 (miss, evicts 0), 0 by c1 (refault, evicts 1)
    const result = runCell(
      cell(
        [
          [0, 1, 0],
          [1, 1, 1],
          [2, 1, 1],
          [4, 1, 2],
          [0, 1, 1],
        ],
        { capacityPages: 2 },
      ),
    );
    expect(counts(result)).toEqual({
      references: 5,
      hits: 1,
      coldMisses: 3,
      refaults: 1,
      evictions: 2,
      peakPages: 2,
      residentPages: 2,
      containerReferences: [1, 3, 1],
      containerMisses: [1, 2, 1],
      containerCharged: [0, 1, 1],
    });
  });

  it('counts nothing during the warm-up, but fills the cache', () => {
    const result = runCell(
      cell(
        [
          [0, 4, 0],
          [0, 4, 1],
        ] as Row[],
        { warmup: 4 },
      ),
    );
    expect(counts(result)).toMatchObject({
      references: 4,
      hits: 4,
      coldMisses: 0,
      residentPages: 2,
      containerCharged: [2, 0, 0],
      containerReferences: [0, 4, 0],
    });
  });

  it('agrees with a naive LRU, FIFO and CLOCK accounting on random runs', () => {
    const rows = fc.array(fc.tuple(fc.nat(12), fc.integer({ min: 1, max: 3 }), fc.nat(CONTAINERS - 1)), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(
        rows,
        fc.constantFrom('lru', 'fifo', 'clock'),
        fc.option(fc.integer({ min: 1, max: 9 }), { nil: null }),
        fc.nat(10),
        (log, policy, capacityPages, warmup) => {
          expect(counts(runCell(cell(log as Row[], { policy, capacityPages, warmup })))).toEqual(
            naiveDemand(log as Row[], policy, capacityPages, warmup),
          );
        },
      ),
      { seed: 5, numRuns: 500 },
    );
  });
});

it('a cell under opt knows its own future: it hits as often as a policy that reads all references to come', () => {
  const rows = fc.array(fc.tuple(fc.nat(12), fc.integer({ min: 1, max: 3 }), fc.nat(CONTAINERS - 1)), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 7 }), (log, capacityPages) => {
      const ids = log.flatMap(([page, count]) => Array.from({ length: count }, (_, i) => (page + i) >> 1));
      const twin = naive.opt(capacityPages, {}, ids);
      const hits = ids.filter((id) => twin.access(id) === null).length;
      expect(runCell(cell(log as Row[], { policy: 'opt', capacityPages })).hits).toBe(hits);
    }),
  );
});

describe('a cell of fills', () => {
  it('keeps a shared page while one of its recorded copies is left', () => {
    const result = runCell(
      cell(
        [
          [0, 1, 0, KIND_ADD], // id 0 by c0: miss
          [1, 1, 1, KIND_ADD], // the same page for c1: sharing spares it
          [0, 1, 0, KIND_DELETE], // one copy gone
          [1, 1, 1, KIND_DELETE], // both gone
          [0, 1, 1, KIND_ADD], // back: refault
          [6, 1, 2, KIND_DELETE], // was there before the recording
        ],
        { from: 'fills' },
      ),
    );
    expect(counts(result)).toMatchObject({
      references: 3,
      hits: 1,
      coldMisses: 1,
      refaults: 1,
      evictions: 1,
      peakPages: 1,
      residentPages: 1,
      containerCharged: [0, 1, 0],
    });
  });

  it('agrees with a naive set of copies on random runs', () => {
    const rows = fc.array(
      fc.tuple(
        fc.nat(12),
        fc.integer({ min: 1, max: 3 }),
        fc.nat(CONTAINERS - 1),
        fc.constantFrom(KIND_ADD, KIND_ADD, KIND_DELETE),
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(rows, (log) => {
        const result = runCell(cell(log as Row[], { from: 'fills' }));
        const cached = new Set<number>();
        let peak = 0;
        let cold = 0;
        let misses = 0;
        const seen = new Set<number>();
        const resident = (): number => new Set([...cached].map((page) => page >> 1)).size;
        for (const [page, count, , kind] of log)
          for (let p = page; p < page + count; p++) {
            const before = resident();
            if (kind === KIND_ADD) cached.add(p);
            else cached.delete(p);
            if (resident() > before) {
              misses++;
              if (!seen.has(p >> 1)) cold++;
              seen.add(p >> 1);
            }
            peak = Math.max(peak, resident());
          }
        expect(result).toMatchObject({
          coldMisses: cold,
          refaults: misses - cold,
          residentPages: resident(),
          peakPages: peak,
          evictions: misses - resident(),
        });
        expect(result.containerCharged.reduce((a, b) => a + b)).toBe(resident());
        expect(result.hits + misses).toBe(result.references);
      }),
      { seed: 6, numRuns: 500 },
    );
  });
});

it('usage counts distinct pages a container, and those another uses too', () => {
  const { log, ids } = cell([
    [0, 4, 0], // ids 0 1
    [2, 3, 1], // ids 1 2
    [5, 1, 1], // id 2 again
    [9, 1, 2], // id 4
  ] as Row[]);
  const { usedPages, sharedPages } = usageByContainer(log, ids, 8, CONTAINERS);
  expect([...usedPages]).toEqual([2, 2, 1]);
  expect([...sharedPages]).toEqual([1, 1, 0]);
});

it('usage agrees with sets on random runs over many pieces of the bitmap', () => {
  const rows = fc.array(fc.tuple(fc.nat(20_000), fc.integer({ min: 1, max: 300 }), fc.nat(CONTAINERS - 1)), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(rows, (log) => {
      const pages = 20_301;
      const ids = Uint32Array.from({ length: pages }, (_, page) => (page * 7919) % 10_000);
      const { usedPages, sharedPages } = usageByContainer(cell(log as Row[]).log, ids, 10_000, CONTAINERS);
      const sets = Array.from({ length: CONTAINERS }, () => new Set<number>());
      for (const [page, count, who] of log) for (let p = page; p < page + count; p++) sets[who]!.add(ids[p]!);
      expect([...usedPages]).toEqual(sets.map((set) => set.size));
      expect([...sharedPages]).toEqual(
        sets.map((set, who) => [...set].filter((id) => sets.some((other, at) => at !== who && other.has(id))).length),
      );
    }),
    { seed: 8, numRuns: 100 },
  );
});

describe('the residency series', () => {
  it('begins at 0, ends at the end and never leaves the true curve on its grid', () => {
    const rows = Array.from({ length: 1000 }, (_, i): Row => [(i * 7) % 16, 1, 0]);
    const { series } = runCell(cell(rows));
    expect(series[0]).toEqual({ timeNs: 0, residentPages: 0 });
    expect(series.at(-1)).toEqual({ timeNs: 1_000_000, residentPages: 8 });
    expect(series.length).toBeLessThanOrEqual(242);
    for (const { timeNs, residentPages } of series) {
      const before = rows.filter((_, at) => at * 1000 < timeNs).map(([page]) => page >> 1);
      expect(residentPages).toBe(new Set(before).size);
    }
  });
});

it('a log longer than memory holds comes back from its file row by row', () => {
  const log = new ReferenceLog();
  const rows = 65_536 * 65 + 17;
  for (let i = 0; i < rows; i++) log.append(i, i * 3, (i % 5) + 1, i % 1000, i % 3);
  const shared = log.finish();
  expect(shared.spillFd).toBeGreaterThan(0);
  let i = 0;
  let wrong = 0;
  for (const block of readLog(shared))
    for (let at = 0; at < block.rows; at++, i++)
      if (
        block.timeNs[at] !== i ||
        block.page[at] !== i * 3 ||
        block.count[at] !== (i % 5) + 1 ||
        block.container[at] !== i % 1000 ||
        block.kind[at] !== i % 3
      )
        wrong++;
  expect([i, wrong]).toEqual([rows, 0]);
});

describe('replay', () => {
  const a = makeIndex('a.erofs', [
    { nid: 1, pages: ['x', 'y', 'z', 'x'] },
    { nid: 2, pages: ['q'] },
  ]);
  const b = makeIndex('b.erofs', [{ nid: 9, pages: ['x', 'y', 'z', 'x'] }]);
  const rows = [
    row({ mount: 'a', container: 'a1', nid: 1, op: 'read', pageCount: 4 }),
    row({ mount: 'b', container: 'b1', nid: 9, op: 'read', pageCount: 4, timeNs: 10 }),
    row({ mount: 'a', container: 'a1', nid: 2, op: 'fault', timeNs: 20 }),
  ];
  const options = (change: Partial<ReplayOptions> = {}): ReplayOptions => ({
    workload: 'w',
    traces: [bind(rows, { a, b })],
    from: 'demand',
    sharing: ['per-inode', 'fingerprint'],
    policies: ['lru'],
    memory: ['unlimited'],
    mounts: 'recorded',
    fingerprints: 'auto',
    containers: [],
    warmup: 0,
    seed: 1,
    ...change,
  });

  it('reports what a design saves against per-inode, whether that was asked for or not', async () => {
    for (const sharing of [['per-inode', 'fingerprint'], ['fingerprint']]) {
      const { rows: result } = await replay(options({ sharing }));
      const fingerprint = result.find((r) => r.sharing === 'fingerprint')!;
      expect(fingerprint).toMatchObject({
        footprintPages: 5,
        residentPages: 5,
        bytesSavedVsPerInode: 4 * 4096,
        mounts: 2,
        hits: 4,
        coldMisses: 5,
      });
      expect(fingerprint.containers).toEqual([
        { name: 'a1', references: 5, misses: 5, usedPages: 5, sharedPages: 4, chargedPages: 5 },
        { name: 'b1', references: 4, misses: 0, usedPages: 4, sharedPages: 4, chargedPages: 0 },
      ]);
    }
  });

  it('takes a fraction as one of the unshared footprint, so that every design has the same frames', async () => {
    const { rows: result } = await replay(options({ memory: ['0.5', '8KiB', '3p'] }));
    expect(result.map((r) => [r.sharing, r.capacityPages])).toEqual([
      ['per-inode', 5], // 9 × 0.5, rounded
      ['per-inode', 2],
      ['per-inode', 3],
      ['fingerprint', 5],
      ['fingerprint', 2],
      ['fingerprint', 3],
    ]);
  });

  it('keeps to the containers that were asked for', async () => {
    const { rows: result } = await replay(options({ containers: ['b1'] }));
    expect(result[0]).toMatchObject({ references: 4, footprintPages: 4, mounts: 1 });
  });

  it('names the containers of several traces by the trace', async () => {
    const { rows: result } = await replay(options({ traces: [bind(rows, { a, b }), bind(rows, { a, b })] }));
    expect(result[0]!.containers.map((c) => c.name)).toEqual(['1:a1', '2:a1', '1:b1', '2:b1']);
    expect(result[0]).toMatchObject({ footprintPages: 18, mounts: 4 });
    expect(result[1]).toMatchObject({ footprintPages: 5 });
  });

  it.each([
    [
      'a page past the end',
      row({ mount: 'a', nid: 1, op: 'read', pageIndex: 3, pageCount: 2, line: 7 }),
      "test.csv: line 7: page 4 is past the end of /file-1, which has 4 pages in a.erofs: mount 'a' did not run this image",
    ],
    [
      'an unknown inode',
      row({ mount: 'a', nid: 77, op: 'fault', line: 8 }),
      'test.csv: line 8: image a.erofs has no inode with nid 77',
    ],
  ])('refuses %s: the image is another one', async (_what, bad, message) => {
    await expect(replay(options({ traces: [bind([bad], { a })] }))).rejects.toThrow(message);
  });

  it('counts a mapped window whose touched page is unknown as no reference, and a fault past the end likewise, and says so', async () => {
    const odd = [
      row({ mount: 'a', nid: 1, op: 'map', pageCount: 4 }),
      row({ mount: 'a', nid: 1, op: 'map', pageCount: 4, touch: 2 }),
      row({ mount: 'a', nid: 1, op: 'fault', pageIndex: 40 }),
    ];
    const { rows: result, notes } = await replay(options({ traces: [bind(odd, { a })] }));
    expect(result[0]).toMatchObject({ references: 1, footprintPages: 1 });
    expect(noteSentences(notes)).toContain(
      'mapped windows whose touched page is unknown, counted as no reference: w 1',
    );
    expect(noteSentences(notes)).toContain('faults past the end of their file, left out: w 1');
  });

  it('keeps a page of a folded superblock while one of the recorded mounts still has it', async () => {
    const add = (mount: string, op: 'add' | 'del') => row({ mount, container: mount, nid: 1, op, pageCount: 2 });
    const fills = bind([add('a', 'add'), add('a2', 'add'), add('a', 'del')], { a, a2: a });
    for (const [mounts, resident] of [
      ['recorded', [2, 2]],
      ['per-image', [2, 2]],
    ] as const) {
      const { rows: result } = await replay(options({ traces: [fills], from: 'fills', mounts }));
      expect(result.map((r) => r.residentPages)).toEqual(resident);
    }
    const shared = bind(
      [
        row({ mount: 'a', container: 'c1', nid: 1, op: 'add' }),
        row({ mount: 'a', container: 'c2', nid: 2, op: 'add' }),
      ],
      { a },
    );
    await expect(replay(options({ traces: [shared], from: 'fills', mounts: 'per-container' }))).rejects.toThrow(
      /can't be split/,
    );
    const own = await replay(options({ traces: [fills], from: 'fills', mounts: 'per-container' }));
    expect(own.rows.map((r) => r.residentPages)).toEqual([2, 2]);
  });

  it('refuses a touch outside its window', async () => {
    const odd = bind([row({ mount: 'a', nid: 1, op: 'map', pageCount: 2, touch: 3, line: 5 })], { a });
    await expect(replay(options({ traces: [odd] }))).rejects.toThrow(
      'test.csv: line 5: touch 3 is outside its window, pages 0 to 1',
    );
  });

  it('refuses a limit on recorded fills', async () => {
    await expect(replay(options({ from: 'fills', memory: ['0.5'] }))).rejects.toThrow(UsageError);
  });

  it('answers an empty trace with zeroes', async () => {
    const { rows: result } = await replay(options({ traces: [bind([], {})], memory: ['unlimited', '10p'] }));
    expect(result).toHaveLength(4);
    for (const r of result)
      expect(r).toMatchObject({ references: 0, missRatio: 0, footprintPages: 0, residentPages: 0 });
  });
});

/** Everything the engine counts, with sets and arrays. */
function naiveDemand(rows: readonly Row[], policy: string, capacityPages: number | null, warmup: number) {
  let queue: number[] = []; // LRU: most recent last. FIFO, CLOCK: newest last.
  const visited = new Set<number>();
  const owner = new Map<number, number>();
  const seen = new Set<number>();
  const result = { references: 0, hits: 0, coldMisses: 0, refaults: 0, evictions: 0, peakPages: 0, residentPages: 0 };
  const containerReferences = [0, 0, 0];
  const containerMisses = [0, 0, 0];
  let total = 0;
  for (const [page, count, who] of rows)
    for (let p = page; p < page + count; p++) {
      const id = p >> 1;
      const counted = total++ >= warmup;
      if (counted) {
        result.references++;
        containerReferences[who]!++;
      }
      if (queue.includes(id)) {
        if (counted) result.hits++;
        if (policy === 'lru') queue = [...queue.filter((x) => x !== id), id];
        if (policy === 'clock') visited.add(id);
        continue;
      }
      if (counted) {
        containerMisses[who]!++;
        result[seen.has(id) ? 'refaults' : 'coldMisses']++;
      }
      seen.add(id);
      if (capacityPages !== null && queue.length === capacityPages) {
        while (visited.has(queue[0]!)) {
          visited.delete(queue[0]!);
          queue.push(queue.shift()!);
        }
        owner.delete(queue.shift()!);
        if (counted) result.evictions++;
      }
      queue.push(id);
      owner.set(id, who);
      result.peakPages = Math.max(result.peakPages, queue.length);
    }
  result.residentPages = queue.length;
  const containerCharged = [0, 0, 0];
  for (const who of owner.values()) containerCharged[who]!++;
  return { ...result, containerReferences, containerMisses, containerCharged };
}
