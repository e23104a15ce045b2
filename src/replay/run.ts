import { UsageError } from '../error.ts';
import { parsePolicy } from '../policies/index.ts';
import { loadPlugins } from '../policies/plugin.ts';
import { VERSION } from '../version.ts';
import type { CellInput, CellResult } from './cell.ts';
import { type Note, noteSentences } from './notes.ts';
import { runCells } from './pool.ts';
import { discardLog } from './reference-log.ts';
import { loadReferences, type ReferenceOptions, type ReferenceSet, type TraceBinding } from './references.ts';
import { PAGE_SIZE, REPLAY_SCHEMA, type ReplayInput, type ReplayResult, type ReplayRow } from './result.ts';
import { parseSharing } from './sharing/index.ts';
import type { ModelContext, PageIds } from './sharing/model.ts';
import { perInode } from './sharing/per-inode.ts';
import { capacityPages, type Memory, parseMemory } from './sizes.ts';
import { type Usage, usageByContainer } from './usage.ts';

/** The grid that a reference set is replayed under. */
export interface GridOptions {
  /** Names the rows: which containers of what. */
  workload: string;
  sharing: readonly string[];
  /** Leave out, with a note, models that an image lacks something for, instead of failing. */
  lenient?: boolean;
  policies: readonly string[];
  memory: readonly string[];
  fingerprints: ModelContext['fingerprints'];
  /** References that fill the cache before counting begins. */
  warmup: number;
  seed: number;
  /** Threads at most; one a core by default. */
  workers?: number;
}

export interface ReplayOptions extends GridOptions, ReferenceOptions {
  traces: readonly TraceBinding[];
}

/** Rows and notes of one replay; the command line adds inputs and the command. */
export interface Replayed {
  rows: ReplayRow[];
  notes: Note[];
  /** every effective parameter of the models and policies */
  models: { name: string; params: Readonly<Record<string, string | number>> }[];
  policies: { name: string; params: Readonly<Record<string, number>> }[];
  /** the reference set, its log freed: mappings, containers, what was skipped */
  set: ReferenceSet;
}

/**
 * Replays traces under every combination of sharing model, policy and memory size.
 * @throws UsageError or DataError, see {@link loadReferences} and the models
 */
export async function replay(options: ReplayOptions): Promise<Replayed> {
  await loadPlugins(options.policies);
  checkGrid(options, options);
  return replaySet(await loadReferences(options.traces, options), options);
}

/** Finds what is wrong with a grid before any trace is read. @throws UsageError */
function checkGrid(
  { from, readahead }: Pick<ReferenceOptions, 'from' | 'readahead'>,
  { sharing, fingerprints, policies, memory, warmup }: GridOptions,
) {
  const grid = {
    models: sharing.map((name) => parseSharing(name, { fingerprints })),
    policies: policies.map((text) => parsePolicy(text)),
    memories: memory.map((text): [string, Memory] => [text, parseMemory(text)]),
  };
  if (from === 'fills' && grid.memories.some(([, size]) => size.kind !== 'unlimited'))
    throw new UsageError(
      '--from fills replays what the recorded kernel kept and evicted; it takes no other memory size than unlimited',
    );
  if (readahead && grid.policies.some(({ needsFuture }) => needsFuture))
    throw new UsageError(
      '--readahead linux: opt needs to know when each page is used next, and what is read ahead of a miss isn’t known beforehand',
    );
  if (from === 'fills' && warmup > 0) throw new UsageError('--warmup has no meaning with --from fills');
  return grid;
}

/** Replays a reference set that is loaded already, and frees its log. */
export async function replaySet(set: ReferenceSet, options: GridOptions): Promise<Replayed> {
  const { from } = set;
  const { warmup, seed } = options;
  try {
    const { models: asked, policies, memories } = checkGrid(set, options);
    const notes = notesOnRows(set, options.workload);
    if (set.references === 0)
      notes.push({
        text:
          from === 'fills'
            ? `${options.workload} says nothing of what was put into the page cache: --from fills needs a recording of that`
            : `${options.workload} says of no page that a program asked for it`,
      });
    else if (warmup >= set.references)
      throw new UsageError(`--warmup ${warmup} leaves nothing to count of ${set.references} references`);
    const models = asked.filter((model) => {
      const images = options.lenient ? (model.lacking?.(set) ?? []) : [];
      if (images.length > 0)
        notes.push({
          text: `${model.name}: not replayed, the index was made from a manifest or an OCI image and has no physical addresses`,
          images,
        });
      return images.length === 0;
    });
    const identified = models.map((model) => ({ model, pages: model.identify(set) }));
    const baseline =
      identified.find(({ model }) => model.name === 'per-inode')?.pages ??
      perInode.create('per-inode', {}, { fingerprints: 'auto' }).identify(set);
    for (const { pages } of identified)
      notes.push(...pages.notes.map((note) => ({ ...note, workload: options.workload })));
    const sizes = memories.map(([text, memory]) => ({ text, capacity: capacityPages(memory, baseline.count) }));

    const cellOf = (pages: PageIds, policy: string, capacity: number | null): CellInput => ({
      from,
      log: set.log,
      ids: pages.ids,
      universe: pages.count,
      containers: set.containers.length,
      capacityPages: capacity,
      policy,
      seed,
      warmup,
      endNs: set.endNs,
    });
    const grid = [{ model: null, pages: baseline }, ...identified].flatMap(({ model, pages }) =>
      policies.flatMap((policy) => sizes.map((size) => ({ model, pages, policy, size }))),
    );
    // Without a limit the policy never decides anything: one cell serves them all.
    const keyOf = (entry: (typeof grid)[number]): string =>
      `${entry.pages === baseline ? 'baseline' : entry.model!.name} ${entry.size.capacity === null ? '' : entry.policy.label} ${entry.size.capacity}`;
    const distinct = new Map(grid.map((entry) => [keyOf(entry), entry]));
    const cells = [...distinct.values()].map((entry) => cellOf(entry.pages, entry.policy.label, entry.size.capacity));
    const results = await runCells(cells, set.references, options.workers);
    const byKey = new Map([...distinct.keys()].map((key, at) => [key, results[at]!]));

    const usage = new Map(
      identified.map(({ pages }) => [pages, usageByContainer(set.log, pages.ids, pages.count, set.containers.length)]),
    );
    const rows = grid
      .filter((entry) => entry.model !== null)
      .map((entry): ReplayRow => {
        const result = byKey.get(keyOf(entry))!;
        const unshared = byKey.get(keyOf({ ...entry, pages: baseline }))!;
        return rowOf(
          options,
          set,
          entry.model!.name,
          entry.policy.label,
          entry.size,
          entry.pages,
          result,
          unshared,
          usage.get(entry.pages)!,
        );
      });
    return {
      rows,
      notes,
      set,
      models: models.map(({ name, params }) => ({ name, params })),
      policies: policies.map(({ label, params }) => ({ name: label, params })),
    };
  } finally {
    discardLog(set.log);
  }
}

/** Puts rows and what made them into a result document. */
export function resultOf(
  title: string,
  command: string,
  inputs: readonly ReplayInput[],
  parameters: Record<string, unknown>,
  parts: readonly { rows: ReplayRow[]; notes: Note[] }[],
): ReplayResult {
  return {
    schema: REPLAY_SCHEMA,
    title,
    command,
    versions: { foliolab: VERSION, node: process.versions.node },
    inputs: [...inputs],
    parameters,
    notes: noteSentences(parts.flatMap((part) => part.notes)),
    rows: parts.flatMap((part) => part.rows),
  };
}

function rowOf(
  options: GridOptions,
  set: ReferenceSet,
  sharing: string,
  policy: string,
  size: { text: string; capacity: number | null },
  pages: PageIds,
  result: CellResult,
  unshared: CellResult,
  usage: Usage,
): ReplayRow {
  const { references, hits, coldMisses, refaults } = result;
  const misses = coldMisses + refaults;
  return {
    workload: options.workload,
    from: set.from,
    sharing,
    policy,
    capacityPages: size.capacity,
    memory: size.text,
    references,
    hits,
    misses,
    coldMisses,
    refaults,
    evictions: result.evictions,
    footprintPages: pages.count,
    peakPages: result.peakPages,
    residentPages: result.residentPages,
    missRatio: references === 0 ? 0 : misses / references,
    hitRatio: references === 0 ? 0 : hits / references,
    bytesSavedVsPerInode: (unshared.residentPages - result.residentPages) * PAGE_SIZE,
    mounts: set.superblocks.length,
    containers: set.containers.map((name, at) => ({
      name,
      references: result.containerReferences[at]!,
      misses: result.containerMisses[at]!,
      usedPages: usage.usedPages[at]!,
      sharedPages: usage.sharedPages[at]!,
      chargedPages: result.containerCharged[at]!,
    })),
    series: result.series,
  };
}

function notesOnRows({ from, readahead, readaheadNotes, skipped }: ReferenceSet, workload: string): Note[] {
  const notes: Note[] = [];
  if (from === 'demand')
    notes.push({
      text: readahead
        ? 'demand, with what Linux 6.18 reads ahead of it while nothing is evicted: a page that is missed again later comes in alone'
        : 'demand: only the pages that programs touched, without readahead or fault-around: a lower bound of what a kernel caches',
    });
  for (const text of readaheadNotes) notes.push({ text, workload });
  const counts: [number, string][] = [
    [skipped.unknownTouch, `mapped windows whose touched page is unknown, counted as no reference`],
    [skipped.pastEnd, 'faults past the end of their file, left out'],
    [skipped.directoryPages, 'directory pages, not in the figures, which count regular files'],
    [skipped.managedPages, 'pages of managed cache or metadata, not in the figures'],
    [skipped.otherPages, 'pages of symlinks and special files, not in the figures'],
  ];
  for (const [count, text] of counts) if (count > 0) notes.push({ text, count, workload });
  return notes;
}
