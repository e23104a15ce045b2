import { type EvictionPolicy, HIT, nextUses, parsePolicy } from '../policies/index.ts';
import { replayFills } from './fills.ts';
import { KIND_READAHEAD, readLog, type SharedLog } from './reference-log.ts';
import type { SeriesPoint } from './result.ts';
import { ResidencySeries } from './series.ts';

/** One cell of a replay: a reference stream under one sharing model, one policy and one memory size. Can be sent to a worker. */
export interface CellInput {
  from: 'demand' | 'fills';
  log: SharedLog;
  /** logical page → dense id */
  ids: Uint32Array;
  /** dense ids are below it */
  universe: number;
  containers: number;
  /** null: unlimited, nothing is ever evicted */
  capacityPages: number | null;
  policy: string;
  seed: number;
  /** references that fill the cache but are not counted */
  warmup: number;
  endNs: number;
}

/** What a cell counted. Per-container arrays are indexed as the reference set's containers. */
export interface CellResult {
  references: number;
  hits: number;
  coldMisses: number;
  refaults: number;
  evictions: number;
  peakPages: number;
  residentPages: number;
  containerReferences: Float64Array;
  containerMisses: Float64Array;
  /** resident at the end, charged to the container that first touched the page since it was last brought in */
  containerCharged: Float64Array;
  series: SeriesPoint[];
}

/** Runs one cell. */
export function runCell(cell: CellInput): CellResult {
  if (cell.from === 'fills') return replayFills(cell);
  return replayDemand(
    cell,
    cell.capacityPages === null ? new Unlimited(cell.universe) : limited(cell, cell.capacityPages),
  );
}

function limited(cell: CellInput, capacityPages: number): EvictionPolicy {
  const spec = parsePolicy(cell.policy);
  const universe = Math.max(1, cell.universe);
  return spec.create(capacityPages, universe, cell.seed, spec.needsFuture ? futureOf(cell, universe) : undefined);
}

/** The next uses of the cell's references, by a first pass over the log: 8 bytes a reference while it runs, then 4. */
function futureOf({ log, ids }: CellInput, universe: number): Uint32Array {
  let references = 0;
  for (const { rows, count } of readLog(log)) for (let row = 0; row < rows; row++) references += count[row]!;
  const order = new Uint32Array(references);
  let at = 0;
  for (const { rows, page, count } of readLog(log)) {
    for (let row = 0; row < rows; row++) {
      const end = page[row]! + count[row]!;
      for (let logical = page[row]!; logical < end; logical++) order[at++] = ids[logical]!;
    }
  }
  return nextUses(order, universe);
}

/** Memory without a limit: a page once in stays. */
class Unlimited implements EvictionPolicy {
  readonly victims = new Uint32Array(0);
  readonly #cached: Uint8Array;
  residentPages = 0;

  constructor(universe: number) {
    this.#cached = new Uint8Array(universe);
  }

  access(page: number): number {
    if (this.#cached[page] !== 0) return HIT;
    this.#cached[page] = 1;
    this.residentPages++;
    return 0;
  }

  check(): void {}
}

/** The container of a page that isn't cached. */
const NOBODY = 0xffff;

function replayDemand(cell: CellInput, policy: EvictionPolicy): CellResult {
  const { ids, containers, warmup } = cell;
  const containerReferences = new Float64Array(containers);
  const containerMisses = new Float64Array(containers);
  const containerCharged = new Float64Array(containers);
  const seen = new Uint8Array(cell.universe);
  const owner = new Uint16Array(cell.universe).fill(NOBODY);
  const { victims } = policy;
  const series = new ResidencySeries(cell.endNs);
  let total = 0;
  let hits = 0;
  let coldMisses = 0;
  let refaults = 0;
  let evictions = 0;
  let resident = 0;
  let peak = 0;

  for (const block of readLog(cell.log)) {
    const { rows, timeNs, page, count, container, kind } = block;
    for (let row = 0; row < rows; row++) {
      const who = container[row]!;
      const asked = kind[row] !== KIND_READAHEAD;
      const end = page[row]! + count[row]!;
      if (timeNs[row]! >= series.nextNs) series.advance(timeNs[row]!, resident);
      for (let logical = page[row]!; logical < end; logical++) {
        const id = ids[logical]!;
        const warm = total >= warmup;
        const counted = asked && warm;
        if (asked) total++;
        // Readahead passes over what is cached.
        else if (owner[id] !== NOBODY) continue;
        const outcome = asked || policy.readAhead === undefined ? policy.access(id) : policy.readAhead(id);
        if (counted) containerReferences[who]!++;
        if (outcome === HIT) {
          if (counted) hits++;
          continue;
        }
        if (warm) evictions += outcome;
        if (counted) {
          containerMisses[who]!++;
          if (seen[id] === 0) coldMisses++;
          else refaults++;
        }
        seen[id] = 1;
        for (let v = 0; v < outcome; v++) {
          const victim = victims[v]!;
          containerCharged[owner[victim]!]!--;
          owner[victim] = NOBODY;
        }
        owner[id] = who;
        containerCharged[who]!++;
        resident += 1 - outcome;
        if (resident > peak) peak = resident;
      }
    }
  }
  return {
    references: Math.max(0, total - warmup),
    hits,
    coldMisses,
    refaults,
    evictions,
    peakPages: peak,
    residentPages: resident,
    containerReferences,
    containerMisses,
    containerCharged,
    series: series.finish(resident),
  };
}
