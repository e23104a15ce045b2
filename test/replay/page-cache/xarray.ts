/*
 * Linux's XArray as far as the search for missing pages needs it, with the names of lib/xarray.c and include/linux/xarray.h: nodes of 64
 * slots, folios over several slots by sibling entries, and a cursor (struct xa_state). Plain objects; as slow as it is.
 */
const CHUNK_SHIFT = 6;
const CHUNK_SIZE = 2 ** CHUNK_SHIFT;

export interface Folio {
  page: number;
  order: number;
}

interface Node {
  kind: 'node';
  shift: number;
  offset: number;
  parent: Node | null;
  slots: Entry[];
}

type Entry = Node | Folio | { siblingOf: number } | null;

const isNode = (entry: Entry): entry is Node => entry !== null && 'kind' in entry;

export class XArray {
  head: Entry = null;

  constructor(folios: readonly Folio[]) {
    for (const folio of folios) this.#store(folio);
  }

  #store(folio: Folio): void {
    const shift = folio.order - (folio.order % CHUNK_SHIFT);
    // A folio alone at index 0 needs no node; xas_expand() makes them until the root reaches the index.
    if (this.head === null && folio.page === 0 && folio.order === 0) {
      this.head = folio;
      return;
    }
    if (!isNode(this.head)) this.head = newNode(shift, 0, null, this.head);
    while (folio.page + 2 ** folio.order - 1 >= 2 ** (this.head.shift + CHUNK_SHIFT)) {
      const root: Node = newNode(this.head.shift + CHUNK_SHIFT, 0, null, this.head);
      this.head.parent = root;
      this.head = root;
    }
    let node = this.head;
    while (node.shift > shift) {
      const offset = offsetIn(folio.page, node);
      let below = node.slots[offset]!;
      if (!isNode(below)) {
        below = newNode(node.shift - CHUNK_SHIFT, offset, node, below);
        node.slots[offset] = below;
      }
      node = below;
    }
    const offset = offsetIn(folio.page, node);
    node.slots[offset] = folio;
    for (let i = 1; i < 2 ** (folio.order % CHUNK_SHIFT); i++) node.slots[offset + i] = { siblingOf: offset };
  }
}

function newNode(shift: number, offset: number, parent: Node | null, first: Entry): Node {
  // What was the whole array is the first slot of the new root; into a node that isn't of one page a slot it moves through more of them.
  const node: Node = { kind: 'node', shift, offset, parent, slots: new Array(CHUNK_SIZE).fill(null) };
  if (first !== null && !isNode(first) && shift > 0) node.slots[0] = newNode(shift - CHUNK_SHIFT, 0, node, first);
  else node.slots[0] = first;
  return node;
}

/** get_offset() */
function offsetIn(index: number, node: Node): number {
  return Math.floor(index / 2 ** node.shift) % CHUNK_SIZE;
}

type Cursor = Node | 'RESTART' | 'BOUNDS' | null;

/** struct xa_state */
export class XaState {
  index: number;
  node: Cursor = 'RESTART';
  offset = 0;
  readonly #xa: XArray;

  constructor(xa: XArray, index: number) {
    this.#xa = xa;
    this.index = index;
  }

  load(): Entry {
    let entry = this.#xa.head;
    if (isNode(entry) ? Math.floor(this.index / 2 ** entry.shift) >= CHUNK_SIZE : this.index !== 0)
      return this.#setBounds();
    this.node = null;
    while (isNode(entry)) {
      const node: Node = entry;
      this.offset = offsetIn(this.index, node);
      entry = node.slots[this.offset]!;
      if (entry !== null && 'siblingOf' in entry) {
        this.offset = entry.siblingOf;
        entry = node.slots[this.offset]!;
      }
      this.node = node;
      if (node.shift === 0) break;
    }
    return entry;
  }

  next(): Entry {
    if (this.node === 'RESTART') return this.load();
    this.index++;
    return this.#move(1);
  }

  prev(): Entry {
    if (this.node === 'RESTART') return this.load();
    this.index--;
    return this.#move(-1);
  }

  /** Both __xas_next() and __xas_prev(); xas_next() and xas_prev() only spare the call inside a node of single pages. */
  #move(step: 1 | -1): Entry {
    if (this.node === null) return this.#setBounds();
    if (typeof this.node === 'string') return this.load();
    let node: Node = this.node;
    const inside = node.shift === 0 && this.offset !== (step > 0 ? CHUNK_SIZE - 1 : 0);
    if (inside || this.offset !== mod(offsetIn(this.index, node))) this.offset += step;
    while (this.offset < 0 || this.offset === CHUNK_SIZE) {
      this.offset = node.offset + step;
      if (node.parent === null) return this.#setBounds();
      node = node.parent;
    }
    this.node = node;
    for (;;) {
      const entry: Entry = node.slots[this.offset]!;
      if (!isNode(entry)) return entry;
      node = entry;
      this.node = node;
      this.offset = mod(offsetIn(this.index, node));
    }
  }

  #setBounds(): null {
    this.node = 'BOUNDS';
    return null;
  }
}

/** Indexes are unsigned: below 0 lies ULONG_MAX. */
function mod(offset: number): number {
  return (offset + CHUNK_SIZE) % CHUNK_SIZE;
}

/** page_cache_next_miss(), mm/filemap.c */
export function nextMiss(xa: XArray, index: number, most: number): number {
  const state = new XaState(xa, index);
  for (let nr = most; nr > 0; nr--) if (state.next() === null) return state.index;
  return index + most;
}

/** page_cache_prev_miss(), mm/filemap.c */
export function previousMiss(xa: XArray, index: number, most: number): number {
  const state = new XaState(xa, index);
  for (let nr = most; nr > 0; nr--) if (state.prev() === null || state.index < 0) break;
  return state.index;
}
