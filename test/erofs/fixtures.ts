import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type FileType, Image, MemoryReader } from '../../src/erofs/index.ts';

const dir = join(import.meta.dirname, '../fixtures/erofs');

/** One row of tree.json or tree2.json: what the source tree had. */
export interface TreeEntry {
  path: string;
  type: FileType;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  links?: string[];
  size?: number;
  sha256?: string;
  target?: string;
  rdev?: [number, number];
  xattrs?: Record<string, string>;
}

/** NAME.json: how the image was made, and what is special about it. */
export interface Fixture {
  name: string;
  command: string;
  version: string;
  /** what the decoder doesn't know, as its error says it */
  refused?: string;
  fingerprint?: string;
  mtime?: [number, number];
  device?: boolean;
  /** whether its device was put behind it: extents count from there */
  joined?: boolean;
  /** which source tree; `tree` when it doesn't say */
  tree?: 'tree2';
  /** la, llen, pa, plen, device as dump.erofs of the same version prints them */
  extents: Record<string, [number, number, number, number, number][]>;
}

const TREES = ['tree', 'tree2'];
const trees = new Map(TREES.map((t) => [t, JSON.parse(readFileSync(join(dir, `${t}.json`), 'utf8')) as TreeEntry[]]));

export const tree = trees.get('tree')!;

export function treeOf(fixture: Fixture): TreeEntry[] {
  return trees.get(fixture.tree ?? 'tree')!;
}

export const fixtures: Fixture[] = readdirSync(dir)
  .filter((f) => f.endsWith('.json') && !TREES.includes(f.slice(0, -5)))
  .sort()
  .map((f) => ({ name: f.slice(0, -5), ...JSON.parse(readFileSync(join(dir, f), 'utf8')) }));

/** The bytes of a fixture: NAME.erofs or NAME.blob. A new copy each time. */
export function fixtureBytes(file: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(join(dir, `${file}.gz`)))); // a Buffer would slice without a copy
}

export function openFixture(name: string, bytes: Uint8Array = fixtureBytes(`${name}.erofs`)): Image {
  const blob = fixtures.find((f) => f.name === name)?.device;
  const devices = blob ? [new MemoryReader(fixtureBytes(`${name}.blob`), `${name}.blob`)] : [];
  return Image.open(new MemoryReader(bytes, `${name}.erofs`), { devices });
}
