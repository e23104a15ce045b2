import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { located } from '../../../error.ts';

const FLUSH_CHARACTERS = 1 << 16;

/** A file that appears under its name when it is whole. What is there and is no regular file, such as a pipe, is written to as it is. */
export class Output {
  readonly path: string;
  readonly #written: string;
  #fd: number;
  #text = '';

  /** @throws DataError when it can't be written */
  constructor(path: string) {
    this.path = path;
    const there = statSync(path, { throwIfNoEntry: false });
    this.#written = there !== undefined && !there.isFile() ? path : `${path}.tmp-${process.pid}`;
    try {
      mkdirSync(dirname(path), { recursive: true });
      this.#fd = openSync(this.#written, 'w');
    } catch (error) {
      throw located(path, error);
    }
  }

  text(text: string): void {
    this.#text += text;
    if (this.#text.length >= FLUSH_CHARACTERS) this.#flush();
  }

  bytes(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
    } catch (error) {
      throw located(this.path, error);
    }
  }

  end(): void {
    this.#flush();
    try {
      if (this.#written !== this.path) fsyncSync(this.#fd);
      closeSync(this.#fd);
      this.#fd = -1;
      if (this.#written !== this.path) renameSync(this.#written, this.path);
    } catch (error) {
      throw located(this.path, error);
    }
  }

  abort(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
    if (this.#written !== this.path) rmSync(this.#written, { force: true });
  }

  #flush(): void {
    const text = this.#text;
    this.#text = '';
    this.bytes(Buffer.from(text));
  }
}
