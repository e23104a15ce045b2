import { parsePolicy } from '../../policies/index.ts';
import { Bindings } from '../binding.ts';
import { type DenseTrace, loadDense } from '../curves/dense.ts';
import { openSource } from '../curves/source.ts';
import type { IndexCache } from '../image-index/cache.ts';
import { discardLog, readLog } from '../reference-log.ts';
import { loadReferences, type MountMode, type ReferenceSet } from '../references.ts';
import type { ReplayInput } from '../result.ts';
import { parseSharing } from '../sharing/index.ts';
import type { PageIds } from '../sharing/model.ts';
import { perInode } from '../sharing/per-inode.ts';
import type { Study, StudyTrace } from './study-file.ts';

/** One trace as one sharing model sees it. */
export interface Unit {
  readonly sharing: string;
  readonly trace: DenseTrace;
  /** what fractions of memory are of: the unshared footprint, so that every model gets the same number of pages */
  readonly baselinePages: number;
}

/** Without sharing: what the trace itself calls a page. */
export const NO_SHARING = 'none';

/** Reads a trace, and hands out what it is under each sharing model, one after the other. */
export async function eachUnit(
  study: Study,
  { path, format, images }: StudyTrace,
  mounts: MountMode,
  cache: IndexCache | null,
  each: (unit: Unit, inputs: ReplayInput[]) => Promise<void>,
): Promise<void> {
  const { sharing, warmup, fingerprints, policies } = study;
  if (sharing === null) {
    const source = await openSource(path, { format });
    const { trace, inputs } = await loadDense(source, {
      warmup,
      sample: null,
      keep: Infinity,
      who: false,
      objectIds: policies.some(({ spec }) => parsePolicy(spec).needsIds),
    });
    return each({ sharing: NO_SHARING, trace, baselinePages: trace.universe }, inputs);
  }
  const bindings = await Bindings.open({ traces: [path], mounts: images, cache });
  const set = await loadReferences(bindings.traces, { from: 'demand', mounts });
  try {
    const baselinePages = perInode.create('per-inode', {}, { fingerprints }).identify(set).count;
    for (const name of sharing) {
      const pages = parseSharing(name, { fingerprints }).identify(set);
      await each({ sharing: name, trace: flatten(set, pages, warmup), baselinePages }, bindings.inputs());
    }
  } finally {
    discardLog(set.log);
  }
}

/** A reference set as ids. */
function flatten(set: ReferenceSet, { ids, count }: PageIds, warmup: number): DenseTrace {
  const all = new Uint32Array(new SharedArrayBuffer(4 * set.references));
  // Ids are in the order of first reference: so many are known ahead of the counted references.
  let warmPages = 0;
  let at = 0;
  for (const { rows, page, count: pages } of readLog(set.log)) {
    for (let row = 0; row < rows; row++) {
      for (let logical = page[row]!, end = logical + pages[row]!; logical < end; logical++) {
        const id = ids[logical]!;
        if (at < warmup && id >= warmPages) warmPages = id + 1;
        all[at++] = id;
      }
    }
  }
  return {
    ids: all,
    who: null,
    universe: count,
    objectIds: null,
    references: at,
    warmup: Math.min(warmup, at),
    coldMisses: count - warmPages,
    rate: 1,
    counted: Math.max(0, at - warmup),
  };
}
