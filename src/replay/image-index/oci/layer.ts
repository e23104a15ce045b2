import { createHash } from 'node:crypto';
import { nameString, printableName } from '../../../erofs/index.ts';
import { DataError } from '../../../error.ts';
import { PAGE_SIZE } from '../../result.ts';
import { MAX_PAGES } from '../builder.ts';
import { FileDigest } from '../file-digest.ts';
import { xattrsDigest } from '../xattrs-digest.ts';
import { decompressed } from './decompress.ts';
import { ElfCapture } from './elf-capture.ts';
import type { OciLayer } from './manifest.ts';
import { type TarEntry, TarFault, tarEntries } from './tar.ts';
import type { Change, LayerInode } from './tree.ts';

/** More names than this in an image, those that are replaced included, are refused. */
export const MAX_NAMES = 2 ** 22;
const MAX_NAME_BYTES = 255;
/** Digests are made in this much memory at first, which is all that a file of 512 MiB needs. */
const PAGES_AT_ONCE = 2 ** 17;
const MAX_LAYER_BYTES = MAX_PAGES * PAGE_SIZE * 2;

const FORMATS = { file: 0o100000, directory: 0o040000, symlink: 0o120000, other: 0 };
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** aufs kept its own files under such names; they are no part of an image. */
const AUFS = '.wh..wh.';
const NO_PAGES = new Uint8Array(0);

/** What may still come, over all layers of an image. */
export interface Budget {
  names: number;
  pages: number;
}

/**
 * Reads a layer once, as a stream, digesting each file; its bytes and those of the archive in them are held against the image's digests.
 * @returns its changes, in the order of the archive
 */
export async function readLayer(path: string, layer: OciLayer, budget: Budget): Promise<Change[]> {
  const fault = (what: string, cause?: unknown): DataError =>
    new DataError(path, `${layer.label}: ${what}`, cause === undefined ? {} : { cause });
  const stored = new Tap(layer.digest, layer.file.read());
  let plain = false;
  const inflated = decompressed(stored.bytes(), (compression) => {
    plain = compression === 'none' && layer.digest === layer.diffId;
  });
  const archive = new Tap(layer.diffId, inflated, MAX_LAYER_BYTES, () => plain);
  const changes: Change[] = [];
  try {
    for await (const entry of tarEntries(archive.bytes())) {
      const at = `'${printableName(nameString(entry.name))}' @ 0x${(entry.dataAt - 512).toString(16)}: `;
      if (--budget.names < 0) throw fault(`${at}with it the image has more than ${MAX_NAMES} names`);
      const change = await changeOf(entry, budget, (what) => fault(at + what));
      if (change !== null) changes.push(change);
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    // Tar's faults and codecs' are plain errors; anything else is none of the data's doing.
    if (!(error instanceof TarFault) && (error as Error).constructor !== Error) throw error;
    throw fault((error as Error).message, error);
  }
  const wrong = stored.wrong() ?? (plain ? null : archive.wrong());
  if (wrong !== null) throw fault(wrong);
  return changes;
}

/** Passes bytes on and digests them. */
class Tap {
  readonly #digest: string | null;
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #max: number;
  readonly #idle: () => boolean;
  #actual = '';

  /** @param idle whether there is nothing to digest after all; asked when the first byte has come */
  constructor(
    digest: string | null,
    source: AsyncIterable<Uint8Array>,
    max = Number.POSITIVE_INFINITY,
    idle = () => false,
  ) {
    this.#digest = digest;
    this.#source = source;
    this.#max = max;
    this.#idle = idle;
  }

  async *bytes(): AsyncGenerator<Uint8Array> {
    const algorithm = this.#digest?.slice(0, 6);
    let sum = algorithm === undefined ? null : createHash(algorithm);
    let length = 0;
    for await (const chunk of this.#source) {
      if (length === 0 && this.#idle()) sum = null;
      length += chunk.length;
      if (length > this.#max) throw new Error(`expands to more than ${this.#max} bytes`);
      sum?.update(chunk);
      yield chunk;
    }
    this.#actual = sum === null ? '' : `${algorithm}:${sum.digest('hex')}`;
  }

  /** @returns how the digest differs; null when it doesn't */
  wrong(): string | null {
    if (this.#digest === null || this.#actual === this.#digest) return null;
    return `its content is ${this.#actual}, not ${this.#digest}`;
  }
}

async function changeOf(entry: TarEntry, budget: Budget, fault: (what: string) => Error): Promise<Change | null> {
  const path = components(entry.name, fault);
  if (path.some((name) => name !== OPAQUE && name.startsWith(AUFS))) return null;
  const marked = path.findIndex((name) => name.startsWith(WHITEOUT));
  if (marked >= 0) {
    if (marked < path.length - 1) throw fault('it lies in a whiteout');
    const name = path.pop()!;
    if (name === OPAQUE) return { kind: 'opaque', path };
    const hidden = name.slice(WHITEOUT.length);
    if (['', '.', '..'].includes(hidden)) throw fault('a whiteout of nothing');
    return { kind: 'whiteout', path: [...path, hidden] };
  }
  if (entry.type === 'link') return { kind: 'link', path, target: components(entry.linkname, fault) };
  return { kind: 'set', path, inode: await inodeOf(entry, entry.type, budget, fault) };
}

async function inodeOf(
  entry: TarEntry,
  type: LayerInode['type'],
  budget: Budget,
  fault: (what: string) => Error,
): Promise<LayerInode> {
  const { mode, format, uid, gid, mtimeSec, mtimeNsec, linkname, sizeBytes } = entry;
  const inode: LayerInode = {
    type,
    mode: mode | FORMATS[type] | format,
    uid,
    gid,
    sizeBytes: type === 'symlink' ? linkname.length : sizeBytes,
    mtimeSec,
    mtimeNsec,
    xattrsSha256: xattrsDigest(entry.xattrs),
    contentSha256: null,
    pageDigests: NO_PAGES,
    segments: [],
  };
  if (type !== 'file') return inode;
  const pages = Math.ceil(sizeBytes / PAGE_SIZE);
  budget.pages -= pages;
  if (budget.pages < 0)
    throw fault(`with its ${sizeBytes} bytes the layers have more than ${MAX_PAGES} pages of file data`);
  const digest = new FileDigest(new Uint8Array(Math.min(pages, PAGES_AT_ONCE) * 8));
  const elf = new ElfCapture(sizeBytes);
  for await (const chunk of entry.content) {
    digest.update(chunk);
    elf.update(chunk);
  }
  inode.contentSha256 = digest.end();
  inode.pageDigests = digest.pages.subarray(0, digest.length);
  if (digest.elf) inode.segments = elf.segments();
  return inode;
}

/** Names of a path from the root; a leading slash, which ko writes and every runtime takes for the root, says nothing. */
function components(path: Buffer, fault: (what: string) => Error): string[] {
  const names = path
    .toString('latin1')
    .split('/')
    .filter((name) => name !== '' && name !== '.');
  for (const name of names) {
    if (name === '..') throw fault(`a path with '..'`);
    if (name.length > MAX_NAME_BYTES) throw fault(`a name of ${name.length} bytes`);
  }
  return names;
}
