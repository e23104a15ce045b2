import { createHash } from 'node:crypto';
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { located } from '../../error.ts';
import type { ReplayInput } from '../result.ts';

/** What a cell counted. */
export interface CellCounts {
  references: number;
  misses: number;
  coldMisses: number;
  footprintPages: number;
  /** null: unlimited */
  capacityPages: number | null;
}

/** A line of the journal: files that were read for one trace, or a cell that is done. */
export type JournalLine =
  | { readonly kind: 'inputs'; readonly key: string; readonly inputs: readonly ReplayInput[] }
  | { readonly kind: 'cell'; readonly key: string; readonly counts: CellCounts };

const NAME = 'journal.jsonl';
const CHECK = 16;

/**
 * What a sweep has done so far, in its folder: a line for each finished cell, which is on the disk before the next is begun on the same thread. A
 * line begins with a part of the SHA-256 of what follows it, so that the piece of a line that a crash leaves is known as one; it is cut off, and
 * what it was of counted again.
 */
export class Journal {
  readonly #path: string;
  readonly #fd: number;
  readonly cells = new Map<string, CellCounts>();
  readonly inputs = new Map<string, readonly ReplayInput[]>();
  /** bytes that were cut off */
  readonly lost: number;

  /** @throws DataError when it can't be read or written */
  constructor(directory: string) {
    this.#path = join(directory, NAME);
    try {
      mkdirSync(directory, { recursive: true });
      this.#fd = openSync(this.#path, 'a+', 0o644);
      const bytes = readFileSync(this.#fd);
      const good = this.#replay(bytes);
      this.lost = bytes.length - good;
      if (this.lost > 0) ftruncateSync(this.#fd, good);
      const folder = openSync(directory, 'r');
      fsyncSync(folder);
      closeSync(folder);
    } catch (error) {
      throw located(this.#path, error);
    }
  }

  /** Writes a line. It is durable when this returns. */
  add(line: JournalLine): void {
    const json = JSON.stringify(line);
    const bytes = Buffer.from(`${check(json)} ${json}\n`);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
      fdatasyncSync(this.#fd);
    } catch (error) {
      throw located(this.#path, error);
    }
    this.#take(line);
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** @returns how many bytes are whole lines */
  #replay(bytes: Buffer): number {
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      const line = bytes.toString('utf8', from, end);
      const json = line.slice(CHECK + 1);
      if (line !== `${check(json)} ${json}`) break;
      this.#take(JSON.parse(json) as JournalLine);
      from = end + 1;
    }
    return from;
  }

  #take(line: JournalLine): void {
    if (line.kind === 'cell') this.cells.set(line.key, line.counts);
    else this.inputs.set(line.key, line.inputs);
  }
}

function check(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, CHECK);
}
