import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { located } from '../../../error.ts';
import { linkTarget } from '../../io/output.ts';

const FLUSH_CHARACTERS = 1 << 16;

/** A file that appears under its name when it is whole. What is there and is no regular file, such as a pipe, is written to as it is. */
export class Output {
  readonly path: string;
  readonly #special: boolean;
  readonly #target: string;
  readonly #written: string;
  #fd: number;
  #text = '';

  /** @throws DataError when it can't be written */
  constructor(path: string) {
    this.path = path;
    const there = statSync(path, { throwIfNoEntry: false });
    this.#special = there !== undefined && !there.isFile();
    this.#target = this.#special ? path : linkTarget(path);
    this.#written = this.#special ? path : `${this.#target}.tmp-${process.pid}`;
    try {
      mkdirSync(dirname(this.#target), { recursive: true });
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
      if (!this.#special) fsyncSync(this.#fd);
      closeSync(this.#fd);
      this.#fd = -1;
      if (!this.#special) renameSync(this.#written, this.#target);
    } catch (error) {
      throw located(this.path, error);
    }
  }

  abort(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
    if (!this.#special) rmSync(this.#written, { force: true });
  }

  #flush(): void {
    const text = this.#text;
    this.#text = '';
    this.bytes(Buffer.from(text));
  }
}
