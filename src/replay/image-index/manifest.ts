import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { DataError } from '../../error.ts';
import { readWhole } from '../io/input.ts';
import { tableRecords } from '../io/table.ts';
import { PAGE_SIZE } from '../result.ts';
import { IndexBuilder } from './builder.ts';
import type { Segment } from './elf.ts';
import type { INODE_TYPES } from './image-index.ts';

/** The image whose nids the traces use; the manifest has a column for each. */
export const MANIFEST_NIDS = ['plain', 'lz4hc', 'fp'] as const;

export interface ManifestSource {
  /** TSV: path, type, nid_plain, nid_lz4hc, nid_fp, size, nlink, mode, uid, gid, sha256, page_off */
  manifest: string;
  /** 8 bytes a page: the first 8 of its SHA-256 */
  pages: string;
  /** TSV: path, segment, flags, offset, vaddr, filesz, memsz, align */
  elf?: string | undefined;
  nid: (typeof MANIFEST_NIDS)[number];
  /** Name and hash of the image itself, when they are known. */
  imageName?: string | undefined;
  imageSha256?: string | undefined;
}

/**
 * Makes an index from a manifest of an image instead of from the image. What a manifest does not hold (layout, extents, mtimes, xattrs)
 * is marked unknown in the index.
 * @throws DataError with the line at fault
 */
export async function packManifest(source: ManifestSource): Promise<Buffer> {
  const manifest = await readWhole(source.manifest);
  const pages = await readWhole(source.pages);
  const elf =
    source.elf === undefined
      ? null
      : await readTable(source.elf, ['path', 'segment', 'flags', 'offset', 'vaddr', 'filesz', 'memsz']);
  if (pages.bytes.length % 8 !== 0)
    throw new DataError(source.pages, `is ${pages.bytes.length} bytes, not 8 for each page`);

  const rows = parseTable(source.manifest, manifest.bytes, [
    'path',
    'type',
    `nid_${source.nid}`,
    'size',
    'nlink',
    'mode',
    'uid',
    'gid',
    'sha256',
    'page_off',
  ]);
  const segments = elf === null ? new Map<string, Segment[]>() : segmentsByPath(source.elf!, elf);
  const builder = new IndexBuilder(source.manifest);
  const byNid = new Map<number, number>();
  const paths = new Set<string>();
  let lastPage = 0;
  for (const row of rows) {
    const at = (what: string): DataError => new DataError(source.manifest, `line ${row.line}: ${what}`);
    const number = (column: string, radix = 10): number => {
      const text = row.fields[column]!.replace(/^0o/, '');
      const value = Number.parseInt(text, radix);
      if (!(radix === 8 ? /^[0-7]+$/ : /^\d+$/).test(text) || !Number.isSafeInteger(value))
        throw at(`${column} '${row.fields[column]}' is not a whole number`);
      return value;
    };
    const path = unescapePath(row.fields.path!);
    if (!path.startsWith('/')) throw at(`path '${path}' does not begin with a slash`);
    paths.add(path);
    const nid = number(`nid_${source.nid}`);
    const known = byNid.get(nid);
    if (known !== undefined) {
      builder.addPath(Buffer.from(path), known);
      continue;
    }
    const type = row.fields.type as (typeof INODE_TYPES)[number];
    if (!['f', 'd', 'l', 'o'].includes(type)) throw at(`type '${type}' is none of f, d, l, o`);
    const sizeBytes = number('size');
    const pageCount = type === 'f' ? Math.ceil(sizeBytes / PAGE_SIZE) : 0;
    const firstPage = pageCount === 0 ? 0 : number('page_off');
    if ((firstPage + pageCount) * 8 > pages.bytes.length)
      throw at(`pages ${firstPage} to ${firstPage + pageCount - 1} are not in ${source.pages}`);
    lastPage = Math.max(lastPage, firstPage + pageCount);
    // A file of one whole page says whether the pages are this image's: both digests are of the same bytes.
    if (
      type === 'f' &&
      sizeBytes === PAGE_SIZE &&
      row.fields.sha256!.slice(0, 16) !== pages.bytes.toString('hex', firstPage * 8, firstPage * 8 + 8)
    )
      throw at(
        `sha256 of one page is not the digest of page ${firstPage} in ${source.pages}: it belongs to another image`,
      );
    const ordinal = builder.addInode({
      nid,
      type,
      mode: number('mode', 8) & 0xffff,
      uid: number('uid'),
      gid: number('gid'),
      nlink: number('nlink'),
      sizeBytes,
      mtimeSec: 0,
      mtimeNsec: 0,
      layout: 'unknown',
      contentSha256: type === 'f' ? contentHash(row.fields.sha256!, sizeBytes, at) : null,
      xattrsSha256: null,
      fingerprint: null,
      pageDigests: pages.bytes.subarray(firstPage * 8, (firstPage + pageCount) * 8),
      extents: [],
      segments: segments.get(path) ?? [],
    });
    byNid.set(nid, ordinal);
    builder.addPath(Buffer.from(path), ordinal);
  }
  if (lastPage * 8 !== pages.bytes.length)
    throw new DataError(
      source.pages,
      `holds ${pages.bytes.length / 8} pages where ${source.manifest} has ${lastPage}: it belongs to another image`,
    );
  for (const path of segments.keys())
    if (!paths.has(path))
      throw new DataError(
        source.elf!,
        `has segments of '${path}', which ${source.manifest} does not have: it belongs to another image`,
      );
  return builder.pack({
    source: {
      kind: 'manifest',
      name: basename(source.manifest),
      sha256: manifest.sha256,
      sizeBytes: manifest.bytes.length,
    },
    image: {
      name: source.imageName ?? basename(source.manifest),
      sha256: source.imageSha256 ?? null,
      blockSize: null,
      uuid: null,
      fingerprints: false,
      devices: [],
    },
    known: { layout: false, mtime: false, xattrs: false },
  });
}

interface TableRow {
  fields: Record<string, string>;
  line: number;
}

async function readTable(path: string, columns: readonly string[]): Promise<TableRow[]> {
  return parseTable(path, (await readWhole(path)).bytes, columns);
}

/** A tab-separated table without quoting; tabs and newlines within a field are escaped as \t and \n. */
function parseTable(path: string, bytes: Buffer, columns: readonly string[]): TableRow[] {
  const records = tableRecords(path, bytes, { delimiter: '\t', quote: false, skip_empty_lines: true });
  const header = records[0] ?? [];
  const missing = columns.filter((name) => !header.includes(name));
  if (missing.length > 0)
    throw new DataError(path, `line 1: column ${missing.map((name) => `'${name}'`).join(', ')} missing`);
  return records.slice(1).map((record, i) => {
    if (record.length !== header.length)
      throw new DataError(path, `line ${i + 2}: has ${record.length} fields where the header has ${header.length}`);
    return { fields: Object.fromEntries(header.map((name, at) => [name, record[at]!])), line: i + 2 };
  });
}

function segmentsByPath(path: string, rows: readonly TableRow[]): Map<string, Segment[]> {
  const segments = new Map<string, Segment[]>();
  for (const { fields, line } of rows) {
    const number = (column: string): number => {
      const value = Number(fields[column]);
      if (!/^\d+$/.test(fields[column]!) || !Number.isSafeInteger(value))
        throw new DataError(path, `line ${line}: ${column} '${fields[column]}' is not a whole number`);
      return value;
    };
    const letters = fields.flags!;
    const segment: Segment = {
      flags: (letters.includes('x') ? 1 : 0) | (letters.includes('w') ? 2 : 0) | (letters.includes('r') ? 4 : 0),
      offset: number('offset'),
      address: number('vaddr'),
      fileBytes: number('filesz'),
      memoryBytes: number('memsz'),
    };
    const file = unescapePath(fields.path!);
    const list = segments.get(file);
    if (list) list.push(segment);
    else segments.set(file, [segment]);
  }
  return segments;
}

function contentHash(text: string, sizeBytes: number, at: (what: string) => DataError): Uint8Array {
  if (sizeBytes === 0 && text === '') return createHash('sha256').digest();
  if (!/^[0-9a-f]{64}$/.test(text)) throw at(`sha256 '${text}' is not 64 hex digits`);
  return Buffer.from(text, 'hex');
}

function unescapePath(text: string): string {
  return text.replace(/\\([tn])/g, (_, letter: string) => (letter === 't' ? '\t' : '\n'));
}
