import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ImageIndex } from '../../src/replay/image-index/image-index.ts';
import { INODE_TYPES } from '../../src/replay/image-index/image-index.ts';

/** An entry of a tar archive, as written by {@link tar}. */
export interface Entry {
  name: string | Buffer;
  /** the letter in the header; a file unless it is said */
  type?: string;
  mode?: number;
  uid?: number;
  mtime?: number;
  link?: string;
  content?: string | Buffer;
  /** bytes of content that the header claims, where they aren't the content's */
  size?: number;
  pax?: Readonly<Record<string, string | Buffer>>;
  magic?: string;
}

const BLOCK = 512;

/** A tar archive by POSIX.1-2001, chapter pax: a writer of our own, so that it can also write what no tool does. */
export function tar(entries: readonly Entry[], { end = true } = {}): Buffer {
  const parts = entries.flatMap((entry) => {
    const content = Buffer.from(entry.content ?? '');
    const body = [header(entry, entry.size ?? content.length), content, Buffer.alloc(-content.length & (BLOCK - 1))];
    if (entry.pax === undefined) return body;
    const records = Buffer.concat(Object.entries(entry.pax).map(([key, value]) => paxRecord(key, Buffer.from(value))));
    return [
      header({ name: 'pax', type: 'x' }, records.length),
      records,
      Buffer.alloc(-records.length & (BLOCK - 1)),
      ...body,
    ];
  });
  return Buffer.concat(end ? [...parts, Buffer.alloc(2 * BLOCK)] : parts);
}

function header({ name, type = '0', mode = 0o644, uid = 0, mtime = 0, link = '', magic }: Entry, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.set(Buffer.from(name).subarray(0, 100), 0);
  const octal = (value: number, at: number, length: number): void => {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  };
  octal(mode, 100, 8);
  octal(uid, 108, 8);
  octal(0, 116, 8);
  if (size < 2 ** 33) octal(size, 124, 12);
  else {
    block[124] = 0x80;
    block.writeUIntBE(size, 130, 6);
  }
  octal(mtime, 136, 12);
  block.write(type, 156, 'latin1');
  block.write(link, 157, 'latin1');
  block.write(magic ?? 'ustar\0' + '00', 257, 'latin1');
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

export function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length;
  while (`${length}`.length + rest.length !== length) length = `${length}`.length + rest.length;
  return Buffer.concat([Buffer.from(`${length}`), rest]);
}

export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export interface Layer {
  /** the tar archive */
  archive: Buffer;
  /** as it is stored, where it is compressed */
  stored?: Buffer;
  mediaType?: string;
}

export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
}

export const AMD64: Platform = { os: 'linux', architecture: 'amd64' };

/** Files of an image, by name: its blobs, and the descriptor of its manifest. */
export function ociImage(
  layers: readonly Layer[],
  { platform = AMD64, diffIds = layers.map(({ archive }) => digestOf(archive)) } = {},
): { files: Map<string, Buffer>; manifest: Descriptor } {
  const files = new Map<string, Buffer>();
  const config = json(files, { ...platform, rootfs: { type: 'layers', diff_ids: diffIds } });
  const manifest = json(files, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { ...config, mediaType: 'application/vnd.oci.image.config.v1+json' },
    layers: layers.map(({ archive, stored = archive, mediaType = 'application/vnd.oci.image.layer.v1.tar' }) => ({
      ...blob(files, stored),
      mediaType,
    })),
  });
  return { files, manifest: { ...manifest, mediaType: 'application/vnd.oci.image.manifest.v1+json' } };
}

export interface Descriptor {
  mediaType?: string;
  digest: string;
  size: number;
  platform?: Platform;
  annotations?: Record<string, string>;
}

/** Adds a blob. @returns its descriptor, but for the type */
export function blob(files: Map<string, Buffer>, bytes: Buffer): Descriptor {
  const digest = digestOf(bytes);
  files.set(`blobs/${digest.replace(':', '/')}`, bytes);
  return { digest, size: bytes.length };
}

export function json(files: Map<string, Buffer>, value: unknown): Descriptor {
  return blob(files, Buffer.from(JSON.stringify(value)));
}

/** Adds what makes a layout of blobs. */
export function layout(files: Map<string, Buffer>, manifests: readonly Descriptor[]): Map<string, Buffer> {
  files.set('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  files.set('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests })));
  return files;
}

/** A layout of one image. */
export function singleLayout(
  layers: readonly Layer[],
  options: Parameters<typeof ociImage>[1] = {},
): Map<string, Buffer> {
  const { files, manifest } = ociImage(layers, options);
  return layout(files, [manifest]);
}

/** What docker save wrote up to version 24; a layer that comes twice is stored once, and linked to. */
export function dockerSave(layers: readonly Layer[], tags = ['x:1']): Buffer {
  const diffIds = layers.map(({ archive }) => digestOf(archive));
  const config = Buffer.from(JSON.stringify({ ...AMD64, rootfs: { type: 'layers', diff_ids: diffIds } }));
  const id = digestOf(config).slice(7);
  const names = diffIds.map((digest, at) => `${digest.slice(7, 39)}${at}/layer.tar`);
  const manifest = [{ Config: `${id}.json`, RepoTags: tags, Layers: names }];
  return tar([
    ...layers.map(({ archive }, at): Entry => {
      const first = diffIds.indexOf(diffIds[at]!);
      return first === at
        ? { name: names[at]!, content: archive }
        : { name: names[at]!, type: '2', link: `../${names[first]!}` };
    }),
    { name: `${id}.json`, content: config },
    { name: 'manifest.json', content: JSON.stringify(manifest) },
  ]);
}

export function tarOf(files: ReadonlyMap<string, Buffer>): Buffer {
  return tar([...files].map(([name, content]) => ({ name, content })));
}

export function writeFiles(folder: string, files: ReadonlyMap<string, Buffer>): string {
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  return folder;
}

/** All that two indexes of one tree have in common, a line a path; sizes and link counts of directories are each filesystem's own. */
export function listing(index: ImageIndex): string[] {
  const { columns: c } = index;
  const groups = new Map<number, string>();
  return [...index.entries()].map(({ path, ordinal: o }) => {
    const isDirectory = INODE_TYPES[c.type[o]!] === 'd';
    if (!groups.has(o)) groups.set(o, path);
    const segments = index
      .segmentsOf(o)
      .map((s) => [
        c.segmentFlags[s],
        c.segmentOffset[s],
        c.segmentFileBytes[s],
        c.segmentAddress[s],
        c.segmentMemoryBytes[s],
      ]);
    return JSON.stringify({
      path,
      sameAs: groups.get(o),
      type: INODE_TYPES[c.type[o]!],
      mode: c.mode[o]!.toString(8),
      owner: [c.uid[o], c.gid[o]],
      size: isDirectory ? null : c.sizeBytes[o],
      nlink: c.nlink[o],
      mtime: [c.mtimeSec[o], c.mtimeNsec[o]],
      xattrs: index.xattrsKey(o),
      content: index.contentKey(o),
      pages: Buffer.from(c.pageDigest.slice(2 * c.firstPage[o]!, 2 * c.firstPage[o + 1]!).buffer).toString('base64'),
      segments,
    });
  });
}
