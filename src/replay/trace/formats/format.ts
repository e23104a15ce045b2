import { DataError } from '../../../error.ts';
import type { FileFacts, MountFacts, TraceFacts, TraceSink } from '../trace.ts';

/** A file format of traces. One file each in this folder, and a line in index.ts. */
export interface TraceFormat {
  /** as the command line has it */
  readonly name: string;
  /** what it is, in a line */
  readonly title: string;
  /** what its events lack, and which questions can't be asked of it therefore; empty if nothing */
  readonly lacks: string;
  /** Whether a file that begins so is in this format. Left out: only `--format` says so. */
  detect?(head: Buffer): boolean;
  /**
   * Pushes a trace into a sink, all but its end.
   * @returns what the trace's end says; null if it has none though its format does; nothing where the format has no end
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: most formats have no end
  read?(input: TraceInput, sink: TraceSink, options: ReadOptions): Promise<TraceFacts | null | undefined | void>;
  /** @param path a file that appears there when it is whole */
  write?(path: string): Promise<TraceSink>;
}

/** A foreign trace, decompressed. */
export interface TraceInput {
  readonly path: string;
  readonly stream: AsyncIterable<Buffer>;
}

export interface ReadOptions {
  /** what to do about what can't be read */
  readonly bad: BadRecords;
  /** generic CSV: which column is what, as `--map` says */
  readonly columns?: ReadonlyMap<string, string>;
}

/** Says what is wrong with a record: by an error, or under `--skip-bad` by counting it. */
export class BadRecords {
  readonly #path: string;
  readonly #skip: boolean;
  /** skipped so far */
  count = 0;
  /** what the first of them was */
  first: string | null = null;

  constructor(path: string, skip: boolean) {
    this.#path = path;
    this.#skip = skip;
  }

  /** @param where `line 12`, `byte 4096`. @throws DataError unless bad records are skipped */
  record(where: string, what: string): void {
    if (!this.#skip) throw new DataError(this.#path, `${where}: ${what}`);
    this.first ??= `${where}: ${what}`;
    this.count++;
  }

  /** For what nothing can be read behind. @throws DataError always */
  fatal(where: string, what: string): never {
    throw new DataError(this.#path, `${where}: ${what}`);
  }
}

/** The tables of a trace that is being read, each entry pushed when it is first named. */
export class Tables {
  readonly #sink: TraceSink;
  readonly #containers = new Map<string, number>();
  readonly #mounts = new Map<string, number>();
  readonly #inodes: Map<number, number>[] = [];
  readonly #paths: Map<string, number>[] = [];
  /** of each mount, the file that has neither inode number nor path */
  readonly #only: number[] = [];

  constructor(sink: TraceSink) {
    this.#sink = sink;
  }

  container(name: string): number {
    let number = this.#containers.get(name);
    if (number === undefined) {
      const copy = ownText(name);
      number = this.#sink.container(copy);
      this.#containers.set(copy, number);
    }
    return number;
  }

  /** The mount of that name; its facts count when it is first named. */
  mount(name: string, facts: Omit<MountFacts, 'name'> = {}): number {
    let number = this.#mounts.get(name);
    if (number === undefined) {
      const copy = ownText(name);
      number = this.#sink.mount({ name: copy, ...facts });
      this.#mounts.set(copy, number);
      this.#inodes[number] = new Map();
      this.#paths[number] = new Map();
    }
    return number;
  }

  /** A file by its inode number. */
  inode(mount: number, ino: number, facts: Omit<FileFacts, 'mount' | 'ino'> = {}): number {
    const known = this.#inodes[mount]!;
    let number = known.get(ino);
    if (number === undefined) {
      number = this.#sink.file({ mount, ino, ...facts });
      known.set(ino, number);
    }
    return number;
  }

  /** A file by its path. */
  path(mount: number, path: string, facts: Omit<FileFacts, 'mount' | 'path'> = {}): number {
    const known = this.#paths[mount]!;
    let number = known.get(path);
    if (number === undefined) {
      const copy = ownText(path);
      number = this.#sink.file({ mount, path: copy, ...facts });
      known.set(copy, number);
    }
    return number;
  }

  /** A file by its inode number if it has one, else by its path, else the mount's only one. */
  named(mount: number, facts: Omit<FileFacts, 'mount'>): number {
    const { ino, path } = facts;
    if (ino !== undefined) return this.inode(mount, ino, facts);
    if (path !== undefined) return this.path(mount, path, facts);
    let number = this.#only[mount];
    if (number === undefined) {
      number = this.#sink.file({ mount, ...facts });
      this.#only[mount] = number;
    }
    return number;
  }
}

/** A text as it is, in memory of its own: a part of a chunk would keep the whole chunk. */
export function ownText(text: string): string {
  const copy = Buffer.from(text).toString();
  return copy === text ? copy : text;
}
