import { KIND_DELETE, readLog, type SharedLog } from './reference-log.ts';

/** Who uses and who shares, whatever the memory size: distinct pages by container, under one sharing model. */
export interface Usage {
  /** distinct pages the container referenced */
  usedPages: Float64Array;
  /** those of them that at least one other container referenced too */
  sharedPages: Float64Array;
}

/** Ids that one piece of a container's bitmap covers, as a power of two. */
const PIECE_BITS = 12;
const PIECE_WORDS = (1 << PIECE_BITS) / 32;

/** Counts usage in one pass. A bit a page and container, in pieces that exist only where the container has been. */
export function usageByContainer(log: SharedLog, ids: Uint32Array, universe: number, containers: number): Usage {
  const used = Array.from({ length: containers }, () => new Map<number, Uint32Array>());
  const users = new Uint16Array(universe);
  const usedPages = new Float64Array(containers);
  for (const { rows, page, count, container, kind } of readLog(log)) {
    for (let row = 0; row < rows; row++) {
      if (kind[row] === KIND_DELETE) continue;
      const who = container[row]!;
      const mine = used[who]!;
      const end = page[row]! + count[row]!;
      let pieceAt = -1;
      let piece: Uint32Array = EMPTY;
      for (let logical = page[row]!; logical < end; logical++) {
        const id = ids[logical]!;
        // Neighbouring pages mostly have neighbouring ids: the map is asked once a piece.
        if (id >>> PIECE_BITS !== pieceAt) {
          pieceAt = id >>> PIECE_BITS;
          piece = pieceOf(mine, pieceAt);
        }
        const word = (id >>> 5) % PIECE_WORDS;
        const bit = 1 << (id & 31);
        if ((piece[word]! & bit) !== 0) continue;
        piece[word]! |= bit;
        users[id]!++;
        usedPages[who]!++;
      }
    }
  }
  return { usedPages, sharedPages: Float64Array.from(used, (pieces) => countShared(pieces, users)) };
}

const EMPTY = new Uint32Array(0);

function pieceOf(pieces: Map<number, Uint32Array>, at: number): Uint32Array {
  let piece = pieces.get(at);
  if (piece === undefined) {
    piece = new Uint32Array(PIECE_WORDS);
    pieces.set(at, piece);
  }
  return piece;
}

function countShared(pieces: Map<number, Uint32Array>, users: Uint16Array): number {
  let shared = 0;
  for (const [at, piece] of pieces)
    for (let i = 0; i < 1 << PIECE_BITS; i++)
      if ((piece[i >>> 5]! & (1 << (i & 31))) !== 0 && users[(at << PIECE_BITS) + i]! > 1) shared++;
  return shared;
}
