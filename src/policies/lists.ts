/**
 * Doubly linked lists over pages, in one array. A page is in at most one of an object's lists; a list is named by its sentinel, which
 * is page number `universe + k` for list k, and a list's front is its most recently added page.
 *
 * links[2p] is the neighbour towards the front, links[2p + 1] the one towards the back: interleaved, so that both share a cache line.
 */
export class PageLists {
  readonly links: Int32Array;
  private readonly universe: number;

  constructor(universe: number, lists: number) {
    this.universe = universe;
    this.links = new Int32Array(2 * (universe + lists));
    for (let list = universe; list < universe + lists; list++) {
      this.links[2 * list] = list;
      this.links[2 * list + 1] = list;
    }
  }

  pushFront(list: number, page: number): void {
    const links = this.links;
    const front = links[(list << 1) + 1];
    links[page << 1] = list;
    links[(page << 1) + 1] = front;
    links[front << 1] = page;
    links[(list << 1) + 1] = page;
  }

  /** Puts the page just in front of `place`, a page of a list or its sentinel: in front of the sentinel is the list's back. */
  insertBefore(place: number, page: number): void {
    const links = this.links;
    const before = links[place << 1];
    links[page << 1] = before;
    links[(page << 1) + 1] = place;
    links[(before << 1) + 1] = page;
    links[place << 1] = page;
  }

  /** Takes the page out of whichever list it is in. */
  remove(page: number): void {
    const links = this.links;
    const before = links[page << 1];
    const behind = links[(page << 1) + 1];
    links[(before << 1) + 1] = behind;
    links[behind << 1] = before;
  }

  moveToFront(list: number, page: number): void {
    this.remove(page);
    this.pushFront(list, page);
  }

  /** The page at the front, or the sentinel of an empty list. */
  front(list: number): number {
    return this.links[(list << 1) + 1];
  }

  /** The page at the back, or the sentinel of an empty list. */
  back(list: number): number {
    return this.links[list << 1];
  }

  /** Pages from the front to the back. For tests: throws when the list is torn or longer than the universe. */
  pages(list: number): number[] {
    const { links, universe } = this;
    const pages: number[] = [];
    for (let before = list, page = links[2 * list + 1]; ; before = page, page = links[2 * page + 1]) {
      if (links[2 * page] !== before) {
        throw new Error(`page ${page} follows ${before} but links back to ${links[2 * page]}`);
      }
      if (page === list) return pages;
      if (page >= universe) throw new Error(`list ${list - universe} runs into list ${page - universe}`);
      if (pages.push(page) > universe) throw new Error(`list ${list - universe} never ends`);
    }
  }
}

/** A FIFO of pages that were evicted, remembered by their state; the oldest is forgotten when there are more than its limit. */
export class Ghost {
  /** pages remembered now: who takes one out of the list counts it down */
  pages = 0;
  readonly limit: number;
  private readonly lists: PageLists;
  private readonly list: number;
  private readonly state: Uint8Array;
  private readonly mark: number;

  /** @param mark state of a page that is remembered; 0 is that of one that isn't */
  constructor(lists: PageLists, list: number, limit: number, state: Uint8Array, mark: number) {
    this.lists = lists;
    this.list = list;
    this.limit = limit;
    this.state = state;
    this.mark = mark;
  }

  /** A page, in no list, that was evicted. */
  remember(page: number): void {
    const { lists, state, list, limit } = this;
    if (limit === 0) {
      state[page] = 0;
      return;
    }
    if (this.pages === limit) {
      const forgotten = lists.back(list);
      lists.remove(forgotten);
      state[forgotten] = 0;
    } else this.pages++;
    state[page] = this.mark;
    lists.pushFront(list, page);
  }

  /** @param policy whose it is, for the error */
  check(policy: string): void {
    if (this.pages > this.limit) throw new Error(`${policy}: the ghost remembers ${this.pages} pages`);
    checkList(policy, this.lists, this.list, this.pages, (page) => this.state[page] === this.mark);
  }
}

/** For `check()`: throws unless the list is whole, as long as counted, and made of pages that say they are in it. */
export function checkList(
  policy: string,
  lists: PageLists,
  list: number,
  counted: number,
  belongs: (page: number) => boolean,
): void {
  const pages = lists.pages(list);
  if (pages.length !== counted) throw new Error(`${policy}: ${pages.length} pages in a list, ${counted} counted`);
  const stray = pages.find((page) => !belongs(page));
  if (stray !== undefined) throw new Error(`${policy}: page ${stray} is in a list it does not belong to`);
}
