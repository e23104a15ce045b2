import { elfSegments, type Segment } from '../elf.ts';

const HEADER_BYTES = 64;
const NOTHING = new Uint8Array(0);

/**
 * Loadable segments of a file whose bytes come once, in order. The header says where the table of segments is, most often behind it, at the
 * end of the file where patchelf has been; only these two are kept.
 */
export class ElfCapture {
  readonly #sizeBytes: number;
  readonly #head: Buffer;
  #table: Buffer | null = null;
  #tableAt = 0;
  #at = 0;

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
    this.#head = Buffer.alloc(Math.min(HEADER_BYTES, sizeBytes));
  }

  update(chunk: Uint8Array): void {
    const at = this.#at;
    this.#at += chunk.length;
    if (at < this.#head.length) {
      copyOverlap(chunk, at, this.#head, 0);
      if (this.#at >= this.#head.length) this.#findTable();
    }
    if (this.#table !== null) copyOverlap(chunk, at, this.#table, this.#tableAt);
  }

  /** Call it when all bytes have been there. */
  segments(): Segment[] {
    return elfSegments(this.#sizeBytes, (offset) => (offset === 0 ? this.#head : (this.#table ?? NOTHING)));
  }

  #findTable(): void {
    elfSegments(this.#sizeBytes, (offset, length) => {
      if (offset === 0) return this.#head;
      this.#tableAt = offset;
      this.#table = Buffer.alloc(length);
      copyOverlap(this.#head, 0, this.#table, offset);
      return NOTHING;
    });
  }
}

/** Copies what `from`, which lies at `fromAt` in the file, has of `to`, which lies at `toAt`. */
function copyOverlap(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number): void {
  const start = Math.max(fromAt, toAt);
  const end = Math.min(fromAt + from.length, toAt + to.length);
  if (start < end) to.set(from.subarray(start - fromAt, end - fromAt), start - toAt);
}
