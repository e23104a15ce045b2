/**
 * Cached pages ordered by a key, among equal keys by a second one; the least is on top. For policies whose victim is the page of least
 * worth: a heap of four children a node in typed arrays, and each page's place in it.
 */
export class PageHeap {
  size = 0;
  private readonly pages: Int32Array;
  private readonly keys: Float64Array;
  private readonly ties: Float64Array;
  /** A page's node plus one, 0 when it is not in the heap. */
  private readonly slot: Int32Array;

  constructor(frames: number, universe: number) {
    this.pages = new Int32Array(frames);
    this.keys = new Float64Array(frames);
    this.ties = new Float64Array(frames);
    this.slot = new Int32Array(universe);
  }

  has(page: number): boolean {
    return this.slot[page] !== 0;
  }

  /** Key of a page in the heap. */
  key(page: number): number {
    return this.keys[this.slot[page] - 1];
  }

  /** The page of least worth, in a heap that isn't empty. */
  least(): number {
    return this.pages[0];
  }

  add(page: number, key: number, tie: number): void {
    this.rise(this.size++, page, key, tie);
  }

  /** Gives a page of the heap another key. */
  change(page: number, key: number, tie: number): void {
    const node = this.slot[page] - 1;
    if (key < this.keys[node] || (key === this.keys[node] && tie < this.ties[node])) this.rise(node, page, key, tie);
    else this.sink(node, page, key, tie);
  }

  remove(page: number): void {
    const { pages, keys, ties, slot } = this;
    const node = slot[page] - 1;
    const last = --this.size;
    slot[page] = 0;
    if (node === last) return;
    // The last page takes the place: it may belong above it, in another branch, or below.
    const moved = pages[last];
    slot[moved] = node + 1;
    const [key, tie] = [keys[last], ties[last]];
    if (key < keys[node] || (key === keys[node] && tie < ties[node])) this.rise(node, moved, key, tie);
    else this.sink(node, moved, key, tie);
  }

  /** Places a page at the free node `at` or, passing pages worth more, above it. */
  private rise(at: number, page: number, key: number, tie: number): void {
    const { pages, keys, ties, slot } = this;
    let node = at;
    while (node > 0) {
      const parent = (node - 1) >> 2;
      const above = keys[parent];
      if (above < key || (above === key && ties[parent] <= tie)) break;
      const moved = pages[parent];
      keys[node] = above;
      ties[node] = ties[parent];
      pages[node] = moved;
      slot[moved] = node + 1;
      node = parent;
    }
    keys[node] = key;
    ties[node] = tie;
    pages[node] = page;
    slot[page] = node + 1;
  }

  /** Places a page at the free node `at` or, passing pages worth less, below it. */
  private sink(at: number, page: number, key: number, tie: number): void {
    const { pages, keys, ties, slot, size } = this;
    let node = at;
    for (;;) {
      let child = (node << 2) + 1;
      if (child >= size) break;
      const end = Math.min(child + 4, size);
      let least = keys[child];
      let leastTie = ties[child];
      for (let other = child + 1; other < end; other++) {
        const value = keys[other];
        if (value < least || (value === least && ties[other] < leastTie)) {
          least = value;
          leastTie = ties[other];
          child = other;
        }
      }
      if (least > key || (least === key && leastTie >= tie)) break;
      const moved = pages[child];
      keys[node] = least;
      ties[node] = leastTie;
      pages[node] = moved;
      slot[moved] = node + 1;
      node = child;
    }
    keys[node] = key;
    ties[node] = tie;
    pages[node] = page;
    slot[page] = node + 1;
  }

  /** For tests: throws when a page is out of order or out of place. */
  check(policy: string): void {
    const { pages, keys, ties, slot, size } = this;
    for (let node = 0; node < size; node++) {
      const parent = (node - 1) >> 2;
      if (node > 0 && (keys[parent] > keys[node] || (keys[parent] === keys[node] && ties[parent] > ties[node]))) {
        throw new Error(`${policy}: node ${node} is worth less than its parent`);
      }
      if (slot[pages[node]] !== node + 1)
        throw new Error(`${policy}: page ${pages[node]} does not know its node ${node}`);
    }
    const placed = slot.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    if (placed !== size) throw new Error(`${policy}: ${placed} pages have a node, ${size} counted`);
  }
}
