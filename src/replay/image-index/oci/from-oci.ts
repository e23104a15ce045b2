import { basename } from 'node:path';
import { nameString, printableName } from '../../../erofs/index.ts';
import { DataError } from '../../../error.ts';
import { type HeaderFields, IndexBuilder, MAX_PAGES } from '../builder.ts';
import type { ImageIndex } from '../image-index.ts';
import { compressionOf } from './decompress.ts';
import { type Budget, MAX_NAMES, readLayer } from './layer.ts';
import { type Choice, type OciImage, selectImage } from './manifest.ts';
import { openStore, type Store } from './store.ts';
import { type Change, LayeredTree, type LayerInode } from './tree.ts';

/**
 * Inodes are numbered from here on, beyond the nids of any EROFS image (a nid counts 32 bytes): a trace of another filesystem then names an
 * inode that isn't there, which is an error, instead of one that is and is another.
 */
export const FIRST_NID = 1e14;

/** All paths together. */
const MAX_PATHS_BYTES = 2 ** 28;

/**
 * Indexes an OCI image: a folder in the OCI image layout, an archive of one, or what docker save writes. Nothing is unpacked. Each layer is
 * read once, digesting its files as they come; what a later layer hides is let go when that layer is applied.
 * @returns the index as a file's bytes
 * @throws DataError with the layer and the entry at fault; UsageError when the container has several images that fit
 */
export async function packOci(path: string, choice: Choice = {}): Promise<Buffer> {
  const { builder, header } = await lookThrough(path, choice);
  return builder.pack(header);
}

/** As {@link packOci}, without the detour over bytes. */
export async function indexOci(path: string, choice: Choice = {}): Promise<ImageIndex> {
  const { builder, header } = await lookThrough(path, choice);
  return builder.build(header);
}

/**
 * Whether a file may be an OCI image, by its first bytes: a tar archive, or something compressed.
 * @param head at least 512 bytes, if the file has as many
 */
export function looksLikeOci(head: Uint8Array): boolean {
  const magic = Buffer.from(head.subarray(257, 262)).toString('latin1');
  return magic === 'ustar' || compressionOf(head) !== 'none';
}

async function lookThrough(path: string, choice: Choice): Promise<{ builder: IndexBuilder; header: HeaderFields }> {
  const store = await openStore(path);
  const image = await selectImage(store, choice);
  const tree = await readTree(store, image);
  const builder = new IndexBuilder(path);
  addTree(builder, path, tree);
  const sizeBytes = store.sizeBytes ?? image.layers.reduce((sum, { file }) => sum + file.sizeBytes, 0);
  const header: HeaderFields = {
    source: { kind: 'oci', name: basename(path), sha256: store.sha256 ?? image.manifestSha256, sizeBytes },
    image: { name: image.name, sha256: image.sha256, blockSize: null, uuid: null, fingerprints: false, devices: [] },
    known: { layout: false, mtime: true, xattrs: true, nid: false },
  };
  return { builder, header };
}

async function readTree({ path }: Store, { layers }: OciImage): Promise<LayeredTree> {
  const budget: Budget = { names: MAX_NAMES, pages: MAX_PAGES };
  const changes = new Map<number, Change[]>();
  // In the order in which they lie in the archive: a compressed one is read in a single sweep then.
  const order = layers.map((_, at) => at).sort((a, b) => layers[a]!.file.position - layers[b]!.file.position);
  for (const at of order) changes.set(at, await readLayer(path, layers[at]!, budget));
  const tree = new LayeredTree(MAX_NAMES);
  layers.forEach(({ label }, at) => {
    const fault = (names: readonly string[], what: string): DataError =>
      new DataError(path, `${label}: '${printableName(nameString(Buffer.from(names.join('/'), 'latin1')))}': ${what}`);
    tree.apply(changes.get(at)!, fault);
    changes.delete(at);
  });
  return tree;
}

function addTree(builder: IndexBuilder, path: string, tree: LayeredTree): void {
  const inodes: { inode: LayerInode; nlink: number }[] = [];
  const ordinals = new Map<LayerInode, number>();
  const names: { name: Buffer; ordinal: number }[] = [];
  let bytes = 0;
  for (const { path: name, inode, subdirectories } of tree.walk()) {
    // Directories that nobody described have one description in common; files have one each.
    let ordinal = inode.type === 'directory' ? undefined : ordinals.get(inode);
    if (ordinal === undefined) {
      ordinal = inodes.push({ inode, nlink: inode.type === 'directory' ? 2 + subdirectories : 0 }) - 1;
      ordinals.set(inode, ordinal);
    }
    if (inode.type !== 'directory') inodes[ordinal]!.nlink++;
    bytes += name.length;
    if (bytes > MAX_PATHS_BYTES)
      throw new DataError(path, `its paths together have more than ${MAX_PATHS_BYTES} bytes`);
    names.push({ name: Buffer.from(name === '' ? '/' : name, 'latin1'), ordinal });
  }
  inodes.forEach(({ inode, nlink }, at) => {
    const { type } = inode;
    builder.addInode({
      ...inode,
      nid: FIRST_NID + at,
      type: type === 'file' ? 'f' : type === 'directory' ? 'd' : type === 'symlink' ? 'l' : 'o',
      nlink,
      layout: 'unknown',
      fingerprint: null,
      extents: [],
    });
  });
  for (const { name, ordinal } of names) builder.addPath(name, ordinal);
}
