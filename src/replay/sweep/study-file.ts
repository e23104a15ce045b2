import { readFile, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml';
import { DataError, located } from '../../error.ts';
import { parsePolicy } from '../../policies/index.ts';
import { loadPlugins, splitPlugin } from '../../policies/plugin.ts';
import { MOUNT_MODES, type MountMode } from '../references.ts';
import { parseSharing } from '../sharing/index.ts';
import { type Memory, parseMemory } from '../sizes.ts';
import { formatOf } from '../trace/open.ts';

/** A study: every combination of what it lists is a cell. */
export interface Study {
  readonly path: string;
  readonly traces: readonly StudyTrace[];
  /** null: what the trace itself calls a page of a file, or an object */
  readonly sharing: readonly string[] | null;
  readonly mounts: readonly MountMode[];
  readonly policies: readonly StudyPolicy[];
  readonly memory: readonly { readonly text: string; readonly size: Memory }[];
  readonly seeds: readonly number[];
  readonly warmup: number;
  readonly fingerprints: 'auto' | 'xattr' | 'computed';
}

export interface StudyTrace {
  readonly name: string;
  /** from the working directory, as all files */
  readonly path: string;
  /** recognised if left out */
  readonly format?: string;
  readonly images: ReadonlyMap<string, string>;
}

export interface StudyPolicy {
  /** as the study file has it */
  readonly label: string;
  /** what `parsePolicy` takes */
  readonly spec: string;
  readonly params: Readonly<Record<string, number>>;
  /** of a policy in a file of its own */
  readonly file: string | null;
}

const MAX_BYTES = 2 ** 20;
const KEYS = ['traces', 'sharing', 'mounts', 'policies', 'memory', 'seeds', 'warmup', 'fingerprints'] as const;
const TRACE_KEYS = ['path', 'name', 'format', 'images'] as const;
const FINGERPRINTS = ['auto', 'xattr', 'computed'] as const;

/**
 * Reads a study from YAML, of which JSON is a part. Files are named from the folder that it lies in.
 * @throws DataError with line and column
 */
export async function readStudy(path: string): Promise<Study> {
  let text: string;
  try {
    if ((await stat(path)).size > MAX_BYTES) throw new DataError(path, `is larger than ${MAX_BYTES} bytes`);
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw located(path, error);
  }
  const study = new StudyReader(path, text).read();
  for (const { label, spec, fail } of study.policies) {
    try {
      await loadPlugins([spec]);
      parsePolicy(spec);
    } catch (error) {
      throw fail((error as Error).message.replace(spec, label));
    }
  }
  return {
    ...study,
    policies: study.policies.map(({ label, spec, file }) => ({ label, spec, file, params: parsePolicy(spec).params })),
  };
}

type Unchecked = Omit<StudyPolicy, 'params'> & { readonly fail: (what: string) => DataError };

class StudyReader {
  readonly #path: string;
  readonly #lines = new LineCounter();
  readonly #document: ReturnType<typeof parseDocument>;

  constructor(path: string, text: string) {
    this.#path = path;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const [error] = this.#document.errors;
    if (error !== undefined) throw this.#at(error.pos[0], error.message.replaceAll(/\s+/g, ' '));
  }

  read(): Omit<Study, 'policies'> & { policies: Unchecked[] } {
    const top = this.#map(this.#document.contents, 'a study', KEYS);
    const need = (key: (typeof KEYS)[number]): Node => {
      const value = top.get(key);
      if (value === undefined) throw this.#fail(this.#document.contents, `a study needs '${key}'`);
      return value;
    };
    const list = (key: (typeof KEYS)[number]): Node[] | null => {
      const value = top.get(key);
      return value === undefined ? null : this.#list(value, key);
    };
    const traces = this.#list(need('traces'), 'traces').map((node) => this.#trace(node));
    this.#distinct(traces, ({ trace }) => trace.name, 'trace');
    const fingerprints = top.get('fingerprints');
    const sharing = list('sharing')?.map((node) =>
      this.#checked(node, (text) => parseSharing(text, { fingerprints: 'auto' })),
    );
    const policies = (list('policies') ?? []).map((node) => ({ node, policy: this.#policy(node) }));
    const memory = this.#list(need('memory'), 'memory').map((node) => this.#checked(node, parseMemory));
    const mounts = list('mounts')?.map((node) => ({ node, value: this.#choice(node, MOUNT_MODES) }));
    const seeds = list('seeds')?.map((node) => ({ node, value: this.#whole(node) }));
    for (const [values, what] of [
      [sharing?.map(({ node, text }) => ({ node, value: text })), 'sharing'],
      [policies.map(({ node, policy }) => ({ node, value: policy.label })), 'policy'],
      [memory.map(({ node, text }) => ({ node, value: text })), 'memory'],
      [mounts, 'mounts'],
      [seeds, 'seed'],
    ] as const)
      this.#distinct<{ node: Node; value: string | number }>(values ?? [], ({ value }) => value, what);
    if (sharing === undefined && mounts !== undefined)
      throw this.#fail(top.get('mounts')!, "'mounts' goes with 'sharing'");
    const warmup = top.get('warmup');
    return {
      path: this.#path,
      traces: traces.map(({ trace }) => trace),
      sharing: sharing?.map(({ text }) => text) ?? null,
      mounts: mounts?.map(({ value }) => value) ?? ['recorded'],
      policies:
        policies.length > 0 ? policies.map(({ policy }) => policy) : [this.#named('lru', this.#document.contents)],
      memory: memory.map(({ text, value }) => ({ text, size: value })),
      seeds: seeds?.map(({ value }) => value) ?? [1],
      warmup: warmup === undefined ? 0 : this.#whole(warmup),
      fingerprints: fingerprints === undefined ? 'auto' : this.#choice(fingerprints, FINGERPRINTS),
    };
  }

  #trace(node: Node): { node: Node; trace: StudyTrace } {
    if (!isMap(node)) {
      const path = this.#file(this.#text(node));
      return { node, trace: { name: nameOf(path), path, images: new Map() } };
    }
    const map = this.#map(node, 'a trace', TRACE_KEYS);
    const pathNode = map.get('path');
    if (pathNode === undefined) throw this.#fail(node, "a trace needs 'path'");
    const path = this.#file(this.#text(pathNode));
    const name = map.get('name');
    const format = map.get('format');
    const images = map.get('images');
    return {
      node,
      trace: {
        path,
        name: name === undefined ? nameOf(path) : this.#text(name),
        ...(format !== undefined && { format: this.#checked(format, (text) => formatOf(text, 'read')).text }),
        images: new Map(
          images === undefined
            ? []
            : [...this.#map(images, 'images', null)].map(([id, file]) => [id, this.#file(this.#text(file))]),
        ),
      },
    };
  }

  #policy(node: Node): Unchecked {
    return this.#named(this.#text(node), node);
  }

  #named(label: string, node: Node | null): Unchecked {
    const fail = (what: string): DataError => this.#fail(node, what);
    const plugin = splitPlugin(label);
    if (plugin === null) return { label, spec: label, file: null, fail };
    const [file, ...settings] = plugin;
    const path = this.#file(file);
    return { label, spec: [path, ...settings].join(':'), file: path, fail };
  }

  /** A file's name from the working directory. */
  #file(path: string): string {
    return path.startsWith('/') ? path : relative('', join(dirname(this.#path), path));
  }

  /** A text that something else understands. */
  #checked<T>(node: Node, parse: (text: string) => T): { node: Node; text: string; value: T } {
    const text = this.#text(node);
    try {
      return { node, text, value: parse(text) };
    } catch (error) {
      throw this.#fail(node, (error as Error).message);
    }
  }

  #map(node: Node | null, what: string, keys: readonly string[] | null): Map<string, Node> {
    if (!isMap(node)) throw this.#fail(node, `${what} is a map${keys === null ? '' : ` with ${keys.join(', ')}`}`);
    const map = new Map<string, Node>();
    for (const { key, value } of (node as YAMLMap).items as Pair<Node, Node | null>[]) {
      const name = this.#text(key);
      if (keys !== null && !keys.includes(name))
        throw this.#fail(key, `'${name}' is nothing that ${what} has: ${keys.join(', ')}`);
      if (value === null || (isScalar(value) && value.value === null)) throw this.#fail(key, `'${name}' has no value`);
      map.set(name, this.#resolved(value));
    }
    return map;
  }

  /** Several, or one by itself. */
  #list(node: Node, what: string): Node[] {
    if (isScalar(node)) return [node];
    if (!isSeq(node)) throw this.#fail(node, `'${what}' is a list`);
    if (node.items.length === 0) throw this.#fail(node, `'${what}' lists nothing`);
    return node.items.map((item) => this.#resolved(item as Node));
  }

  #resolved(node: Node): Node {
    if (!isAlias(node)) return node;
    const target = node.resolve(this.#document);
    if (target === undefined) throw this.#fail(node, `alias '${node.source}' is of nothing`);
    return target;
  }

  /** A scalar as it is written: 0.10 stays 0.10. */
  #text(node: Node): string {
    if (!isScalar(node) || node.value === null) throw this.#fail(node, 'is no text or number');
    return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
  }

  #whole(node: Node): number {
    const text = this.#text(node);
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw this.#fail(node, `'${text}' is no whole number`);
    return value;
  }

  #choice<T extends string>(node: Node, choices: readonly T[]): T {
    const text = this.#text(node);
    if (!(choices as readonly string[]).includes(text))
      throw this.#fail(node, `'${text}' is none of ${choices.join(', ')}`);
    return text as T;
  }

  #distinct<T extends { node: Node }>(values: readonly T[], nameOf: (value: T) => string | number, what: string): void {
    const seen = new Set<string | number>();
    for (const value of values) {
      const name = nameOf(value);
      if (seen.has(name)) throw this.#fail(value.node, `${what} '${name}' is there twice`);
      seen.add(name);
    }
  }

  #fail(node: Node | null, what: string): DataError {
    return this.#at(node?.range?.[0] ?? 0, what);
  }

  #at(offset: number, what: string): DataError {
    const { line, col } = this.#lines.linePos(offset);
    return new DataError(this.#path, `line ${Math.max(1, line)}, column ${Math.max(1, col)}: ${what}`);
  }
}

/** A trace's file without its endings, or its folder where the file says nothing. */
function nameOf(path: string): string {
  const parts = path.split('/');
  const name = parts
    .at(-1)!
    .replace(/(\.(zst|gz|bin))+$/, '')
    .replace(/\.\w+$/, '');
  return ['run', 'events', 'trace'].includes(name) && parts.length > 1 ? parts.at(-2)! : name;
}
