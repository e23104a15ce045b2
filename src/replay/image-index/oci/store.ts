import { createHash } from 'node:crypto';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { printableName } from '../../../erofs/index.ts';
import { DataError, located } from '../../../error.ts';
import { type Compression, decompressed } from './decompress.ts';
import { TarFault, tarEntries } from './tar.ts';

const READ_BYTES = 1 << 18;
/** index.json, a manifest or a config is a few KiB; registries refuse manifests above 4 MiB. */
const MAX_JSON_BYTES = 16 * 2 ** 20;
const MAX_FILES = 2 ** 18;
const MAX_LINKS = 8;

/** A file of an image in its container, a folder or an archive. */
export interface StoredFile {
  sizeBytes: number;
  /** orders files so that those of an archive can be read in one sweep */
  position: number;
  read(): AsyncIterable<Uint8Array>;
}

/** Where the files of an OCI image lie. Names are relative and have no `..`. Nothing is ever unpacked. */
export interface Store {
  /** as the user named it */
  readonly path: string;
  /** hash of the archive; null for a folder */
  readonly sha256: string | null;
  readonly sizeBytes: number | null;
  /** @returns undefined when there is no such file */
  find(name: string): StoredFile | undefined;
}

/** Opens a folder, or an archive by reading it once from end to end. */
export async function openStore(path: string): Promise<Store> {
  try {
    if (statSync(path).isDirectory()) return new Folder(path);
  } catch (error) {
    throw located(path, error);
  }
  return Archive.open(path);
}

/** A small file, whole. */
export async function readSmall(store: Store, name: string, file: StoredFile): Promise<Buffer> {
  if (file.sizeBytes > MAX_JSON_BYTES)
    throw new DataError(store.path, `${name}: ${file.sizeBytes} bytes are more than JSON of an image has`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of file.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

class Folder implements Store {
  readonly sha256 = null;
  readonly sizeBytes = null;

  constructor(readonly path: string) {}

  find(name: string): StoredFile | undefined {
    const path = join(this.path, name);
    if (!existsSync(path)) return undefined;
    const found = statSync(path);
    // A FIFO would never end.
    if (!found.isFile()) throw new DataError(this.path, `${printableName(name)}: is not a file`);
    return {
      sizeBytes: found.size,
      position: 0,
      read: () => fileBytes(path),
    };
  }
}

async function* fileBytes(path: string, start = 0, sizeBytes = Number.POSITIVE_INFINITY): AsyncGenerator<Uint8Array> {
  if (sizeBytes === 0) return;
  try {
    yield* createReadStream(path, { start, end: start + sizeBytes - 1, highWaterMark: READ_BYTES });
  } catch (error) {
    throw located(path, error);
  }
}

async function* inflated(
  path: string,
  source: AsyncIterable<Uint8Array>,
  found?: (compression: Compression) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* decompressed(source, found);
  } catch (error) {
    throw error instanceof DataError
      ? error
      : new DataError(path, `archive: ${(error as Error).message}`, { cause: error });
  }
}

type Place = { at: number; sizeBytes: number } | { target: string };

/** A tar archive, compressed or not: where its files lie. */
class Archive implements Store {
  readonly #files: ReadonlyMap<string, Place>;
  readonly #cursor: Cursor | null;

  private constructor(
    readonly path: string,
    readonly sha256: string,
    readonly sizeBytes: number,
    files: ReadonlyMap<string, Place>,
    compression: Compression,
  ) {
    this.#files = files;
    this.#cursor = compression === 'none' ? null : new Cursor(path);
  }

  static async open(path: string): Promise<Archive> {
    const sum = createHash('sha256');
    let sizeBytes = 0;
    let compression: Compression = 'none';
    async function* tapped(): AsyncGenerator<Uint8Array> {
      for await (const chunk of fileBytes(path)) {
        sum.update(chunk);
        sizeBytes += chunk.length;
        yield chunk;
      }
    }
    const files = new Map<string, Place>();
    try {
      for await (const entry of tarEntries(
        inflated(path, tapped(), (found) => {
          compression = found;
        }),
      )) {
        const file = posix.normalize(entry.name.toString('latin1'));
        const target = entry.linkname.toString('latin1');
        if (entry.type === 'file') files.set(file, { at: entry.dataAt, sizeBytes: entry.sizeBytes });
        // docker save up to 24 stores a layer that comes twice once, and links to it.
        else if (entry.type === 'symlink') files.set(file, { target: posix.join(posix.dirname(file), target) });
        else if (entry.type === 'link') files.set(file, { target: posix.normalize(target) });
        if (files.size > MAX_FILES) throw new DataError(path, `holds more than ${MAX_FILES} files: no OCI image does`);
      }
    } catch (error) {
      throw error instanceof TarFault ? new DataError(path, `archive ${error.message}`, { cause: error }) : error;
    }
    return new Archive(path, sum.digest('hex'), sizeBytes, files, compression);
  }

  find(name: string): StoredFile | undefined {
    let found = this.#files.get(posix.normalize(name));
    for (let links = 0; found !== undefined && 'target' in found; links++) {
      if (links === MAX_LINKS)
        throw new DataError(this.path, `${printableName(name)}: is a link to a link without end`);
      found = this.#files.get(found.target);
    }
    if (found === undefined) return undefined;
    const { at, sizeBytes } = found;
    const read = (): AsyncIterable<Uint8Array> =>
      this.#cursor?.read(at, sizeBytes) ?? fileBytes(this.path, at, sizeBytes);
    return { sizeBytes, position: at, read };
  }
}

/** Reads ranges of a compressed file, forwards in one sweep; only a range that lies behind the last one starts over. */
class Cursor {
  readonly #path: string;
  #source: AsyncIterator<Uint8Array> | null = null;
  #chunk: Uint8Array = new Uint8Array(0);
  /** where #chunk begins */
  #at = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async *read(start: number, sizeBytes: number): AsyncGenerator<Uint8Array> {
    const end = start + sizeBytes;
    if (this.#source === null || start < this.#at) {
      await this.#source?.return?.();
      this.#chunk = new Uint8Array(0);
      this.#at = 0;
      this.#source = inflated(this.#path, fileBytes(this.#path));
    }
    for (let at = start; at < end; ) {
      const from = at - this.#at;
      if (from < this.#chunk.length) {
        const part = this.#chunk.subarray(from, end - this.#at);
        at += part.length;
        yield part;
        continue;
      }
      this.#at += this.#chunk.length;
      const next = await this.#source.next();
      if (next.done) throw new DataError(this.#path, 'was changed while it was read');
      this.#chunk = next.value;
    }
  }
}
