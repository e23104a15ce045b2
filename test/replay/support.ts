import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { onTestFinished } from 'vitest';
import { IndexBuilder, type IndexedExtent, type IndexedInode } from '../../src/replay/image-index/builder.ts';
import type { ImageIndex } from '../../src/replay/image-index/image-index.ts';
import {
  type Backing,
  loadReferences,
  type MountMode,
  type ReferenceSet,
  type TraceBinding,
} from '../../src/replay/references.ts';
import type { TraceRow } from '../../src/replay/trace/row.ts';

/** A folder that is removed when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'foliolab-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A file in a folder that is removed when the test ends. */
export function temporaryFile(name: string, content: string | Uint8Array): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  return path;
}

/** The lines of a CSV with the content of a Parquet file, as hyparquet reads it; no field of it needs quotes. */
export async function parquetLines(path: string): Promise<string[]> {
  const { buffer, byteOffset, length } = readFileSync(path);
  const file = buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer;
  const { schema } = await parquetMetadataAsync(file);
  const names = schema.slice(1).map(({ name }) => name);
  const rows = await parquetReadObjects({ file });
  return [names, ...rows.map((row) => names.map((name) => row[name] ?? ''))].map((cells) => cells.join(','));
}

export interface FileSpec {
  nid: number;
  /** one string a page; the page is that string repeated */
  pages: readonly string[];
  /** bytes cut off the last page */
  short?: number;
  mode?: number;
  uid?: number;
  mtimeSec?: number;
  xattrs?: string;
  layout?: IndexedInode['layout'];
  extents?: readonly IndexedExtent[];
  fingerprint?: Uint8Array | string;
}

/** An index of an image that never existed, from a description of its files. */
export function makeIndex(
  name: string,
  files: readonly FileSpec[],
  options: { fingerprints?: boolean; layout?: boolean } = {},
): ImageIndex {
  const builder = new IndexBuilder(name);
  for (const file of files) {
    const content = Buffer.concat(file.pages.map((text) => Buffer.alloc(4096, text)));
    const bytes = content.subarray(0, content.length - (file.short ?? 0));
    const ordinal = builder.addInode({
      nid: file.nid,
      type: 'f',
      mode: file.mode ?? 0o100644,
      uid: file.uid ?? 0,
      gid: 0,
      nlink: 1,
      sizeBytes: bytes.length,
      mtimeSec: file.mtimeSec ?? 0,
      mtimeNsec: 0,
      layout: file.layout ?? 'flat-plain',
      contentSha256: createHash('sha256').update(bytes).digest(),
      xattrsSha256: file.xattrs === undefined ? null : createHash('sha256').update(file.xattrs).digest(),
      fingerprint: typeof file.fingerprint === 'string' ? Buffer.from(file.fingerprint) : (file.fingerprint ?? null),
      pageDigests: Buffer.concat(file.pages.map((_, at) => pageDigest(bytes.subarray(at * 4096, (at + 1) * 4096)))),
      extents:
        file.extents ??
        (bytes.length === 0
          ? []
          : [
              {
                la: 0,
                llen: file.pages.length * 4096,
                pa: file.nid * 65_536,
                plen: file.pages.length * 4096,
                device: 0,
                hole: false,
                compressed: false,
              },
            ]),
      segments: [],
    });
    builder.addPath(Buffer.from(`/file-${file.nid}`), ordinal);
  }
  const sha256 = createHash('sha256').update(name).digest('hex');
  const known = options.layout ?? true;
  return builder.build({
    source: { kind: 'image', name, sha256, sizeBytes: 0 },
    image: { name, sha256, blockSize: 4096, uuid: null, fingerprints: options.fingerprints ?? false, devices: [] },
    known: { layout: known, mtime: known, xattrs: known },
  });
}

function pageDigest(bytes: Uint8Array): Buffer {
  const page = Buffer.alloc(4096);
  page.set(bytes);
  return createHash('sha256').update(page).digest().subarray(0, 8);
}

/** A row with the fields a test does not care about filled in. */
export function row(fields: Partial<TraceRow> & Pick<TraceRow, 'nid' | 'op'>): TraceRow {
  return {
    timeNs: 0,
    container: 'c',
    mount: 'm',
    pageIndex: 0,
    pageCount: 1,
    touch: -1,
    bytes: 0,
    task: 0,
    before: false,
    line: 0,
    ...fields,
  };
}

/** A trace in memory, its mounts bound to images. */
export function bind(
  rows: readonly TraceRow[],
  images: Readonly<Record<string, ImageIndex>>,
  backings: Readonly<Record<string, Backing>> = {},
): TraceBinding {
  return {
    unit: 'line',
    path: 'test.csv',
    imageOf(mount) {
      const image = images[mount];
      if (!image) throw new Error(`no image for ${mount}`);
      return image;
    },
    backingOf: (mount) => backings[mount] ?? 'file',
    async *batches() {
      yield [...rows];
    },
  };
}

/** Binds and loads at once. */
export function load(
  rows: readonly TraceRow[],
  images: Readonly<Record<string, ImageIndex>>,
  options: {
    from?: 'demand' | 'fills';
    mounts?: MountMode;
    domainOf?: (container: string, mount: string, image: ImageIndex) => string;
    backings?: Readonly<Record<string, Backing>>;
  } = {},
): Promise<ReferenceSet> {
  const { from = 'demand', mounts = 'recorded', domainOf, backings } = options;
  return loadReferences([bind(rows, images, backings)], { from, mounts, ...(domainOf ? { domainOf } : {}) });
}
