import { NEVER } from './next-use.ts';

/** Positions whose keys' maximum is kept together, as a power of two. */
const SHIFT = 4;
const WIDTH = 1 << SHIFT;

/**
 * Stack distances of OPT (Belady's MIN): a cache of that many pages hits. Mattson et al. 1970, section on priority stacks: the pages stand in
 * a stack; the referenced one goes to the top, and whatever it displaces moves down until it meets a page that is needed later and
 * displaces that one in turn, and so on, as far as the place that the referenced page left. What is displaced on the way is therefore
 * needed later than anything above it, and nothing else moves. Those few are found with a tree of maxima over the stack's places, so a reference
 * costs their number times the tree's height instead of the distance.
 *
 * The counts are Belady's at every size at once: a page that is never needed again counts as needed last, and in which order such pages leave
 * changes no count. Memory: 13 bytes a page.
 */
export class OptDistances {
  /** by place in the stack, from 0: the page, and when it is needed next */
  readonly #page: Uint32Array;
  /** by level: maxima of WIDTH entries of the level below; level 0 is by place */
  readonly #needed: Uint32Array[];
  /** place of each page + 1; 0: not there yet */
  readonly #place: Uint32Array;
  #depth = 0;

  constructor(universe: number) {
    this.#page = new Uint32Array(universe);
    this.#place = new Uint32Array(universe);
    this.#needed = [new Uint32Array(universe)];
    for (let length = universe; length > WIDTH; ) {
      length = (length + WIDTH - 1) >> SHIFT;
      this.#needed.push(new Uint32Array(length));
    }
  }

  /** @param next position of the page's next reference, {@link NEVER} if there is none. @returns the distance from 1; 0 the first time */
  reference(page: number, next: number): number {
    const pages = this.#page;
    const needed = this.#needed[0]!;
    const place = this.#place;
    const found = place[page]!;
    const end = found === 0 ? this.#depth++ : found - 1;
    let carriedPage = page;
    let carriedNext = next;
    for (let at = 0; at < end; ) {
      const displacedPage = pages[at]!;
      const displacedNext = needed[at]!;
      pages[at] = carriedPage;
      place[carriedPage] = at + 1;
      this.#set(at, carriedNext);
      carriedPage = displacedPage;
      carriedNext = displacedNext;
      at = carriedNext === NEVER ? end : this.#later(at + 1, end, carriedNext);
    }
    pages[end] = carriedPage;
    place[carriedPage] = end + 1;
    this.#set(end, carriedNext);
    return found;
  }

  /** The first place from `from` on and before `end` whose page is needed later than `key`; `end` if there is none. */
  #later(from: number, end: number, key: number): number {
    const levels = this.#needed;
    let level = 0;
    let at = from;
    // Up, as long as the rest of a group holds nothing …
    for (;;) {
      const keys = levels[level]!;
      const limit = Math.min(keys.length, ((end - 1) >> (SHIFT * level)) + 1);
      const stop = Math.min(limit, (at | (WIDTH - 1)) + 1);
      while (at < stop && keys[at]! <= key) at++;
      if (at < stop) break;
      if (at >= limit || level === levels.length - 1) return end;
      level++;
      at >>= SHIFT;
    }
    // … then down to the place. The last group at a level may reach beyond the end.
    while (level > 0) {
      level--;
      at <<= SHIFT;
      const keys = levels[level]!;
      while (keys[at]! <= key) at++;
    }
    return Math.min(at, end);
  }

  #set(at: number, key: number): void {
    const levels = this.#needed;
    levels[0]![at] = key;
    for (let level = 1; level < levels.length; level++) {
      const below = levels[level - 1]!;
      const group = at >> SHIFT;
      const start = group << SHIFT;
      const stop = Math.min(start + WIDTH, below.length);
      let most = 0;
      for (let i = start; i < stop; i++) if (below[i]! > most) most = below[i]!;
      const keys = levels[level]!;
      if (keys[group] === most) return;
      keys[group] = most;
      at = group;
    }
  }
}
