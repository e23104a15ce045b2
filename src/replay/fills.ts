import type { CellInput, CellResult } from './cell.ts';
import { KIND_ADD, readLog } from './reference-log.ts';
import { ResidencySeries } from './series.ts';

const NOBODY = 0xffff;

/**
 * Replays what the recorded kernel did: pages added to and deleted from mappings. Under a sharing model a cached page exists as long as
 * at least one of the recorded copies that it stands for does. A fill that finds the page there is a hit: sharing would have spared it.
 */
export function replayFills(cell: CellInput): CellResult {
  const { ids, containers } = cell;
  const containerReferences = new Float64Array(containers);
  const containerMisses = new Float64Array(containers);
  const containerCharged = new Float64Array(containers);
  /** recorded copies per shared page, and which logical pages have theirs */
  const copies = new Uint32Array(cell.universe);
  const cached = new Uint8Array(ids.length);
  const seen = new Uint8Array(cell.universe);
  const owner = new Uint16Array(cell.universe).fill(NOBODY);
  const series = new ResidencySeries(cell.endNs);
  let references = 0;
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
      const end = page[row]! + count[row]!;
      if (timeNs[row]! >= series.nextNs) series.advance(timeNs[row]!, resident);
      if (kind[row] === KIND_ADD) {
        for (let logical = page[row]!; logical < end; logical++) {
          const id = ids[logical]!;
          references++;
          containerReferences[who]!++;
          if (cached[logical] !== 0) {
            hits++;
            continue;
          }
          cached[logical] = 1;
          if (copies[id]!++ > 0) {
            hits++;
            continue;
          }
          containerMisses[who]!++;
          if (seen[id] === 0) coldMisses++;
          else refaults++;
          seen[id] = 1;
          owner[id] = who;
          containerCharged[who]!++;
          if (++resident > peak) peak = resident;
        }
      } else {
        for (let logical = page[row]!; logical < end; logical++) {
          // A page that was there before the recording began may be deleted in it.
          if (cached[logical] === 0) continue;
          cached[logical] = 0;
          const id = ids[logical]!;
          if (--copies[id]! > 0) continue;
          evictions++;
          resident--;
          containerCharged[owner[id]!]!--;
          owner[id] = NOBODY;
        }
      }
    }
  }
  return {
    references,
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
