import { createHash, hash } from 'node:crypto';
import { PAGE_SIZE } from '../result.ts';

const ELF_MAGIC = 0x7f454c46;

/** The SHA-256 of a file and of each of its pages, from its bytes in pieces of any size. */
export class FileDigest {
  /** 8 bytes a page: the first 8 of the SHA-256 of the page padded with zeroes; it may be longer than that */
  pages: Uint8Array;
  /** bytes of `pages` that are filled in */
  length = 0;
  /** whether the content begins like an ELF file's */
  elf = false;
  readonly #whole = createHash('sha256');
  readonly #page = Buffer.alloc(PAGE_SIZE);
  #filled = 0;

  /** @param pages where the pages' digests go, if it is long enough; else memory grows with what is really there */
  constructor(pages: Uint8Array = new Uint8Array(0)) {
    this.pages = pages;
  }

  update(chunk: Uint8Array): void {
    const page = this.#page;
    this.#whole.update(chunk);
    let from = 0;
    if (this.#filled > 0) {
      from = Math.min(PAGE_SIZE - this.#filled, chunk.length);
      page.set(chunk.subarray(0, from), this.#filled);
      this.#filled += from;
      if (this.#filled === PAGE_SIZE) {
        this.#add(page);
        this.#filled = 0;
      }
    }
    for (; from + PAGE_SIZE <= chunk.length; from += PAGE_SIZE) this.#add(chunk.subarray(from, from + PAGE_SIZE));
    if (from < chunk.length) {
      page.set(chunk.subarray(from), 0);
      this.#filled = chunk.length - from;
    }
  }

  /** @returns the whole file's SHA-256 */
  end(): Uint8Array {
    if (this.#filled > 0) this.#add(this.#page.fill(0, this.#filled));
    return this.#whole.digest();
  }

  #add(page: Uint8Array): void {
    const at = this.length;
    if (at === 0) this.elf = beginsLikeElf(page);
    if (at + 8 > this.pages.length) this.pages = grown(this.pages);
    const { pages } = this;
    // As a latin1 string: 3.7 µs a page, where a Buffer takes 4.8 and a Hash object 5.4 (the hash itself takes 2.7).
    const digest = hash('sha256', page, 'binary');
    for (let i = 0; i < 8; i++) pages[at + i] = digest.charCodeAt(i);
    this.length = at + 8;
  }
}

function beginsLikeElf(page: Uint8Array): boolean {
  return ((page[0]! << 24) | (page[1]! << 16) | (page[2]! << 8) | page[3]!) === ELF_MAGIC;
}

function grown(bytes: Uint8Array): Uint8Array {
  const more = new Uint8Array(Math.max(64, bytes.length * 2));
  more.set(bytes);
  return more;
}
