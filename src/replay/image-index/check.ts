import { DataError } from '../../error.ts';
import { PAGE_SIZE } from '../result.ts';
import { type ColumnEntry, columnTypeName } from './columns.ts';
import {
  CODECS,
  COLUMN_TYPES,
  EXTENT_FLAGS,
  Header,
  INODE_TYPES,
  type IndexColumns,
  type IndexHeader,
  LAYOUTS,
  READABLE_SCHEMAS,
  TYPE_FILE,
} from './format.ts';

/** @throws DataError unless an index's header is of a schema that is read, and whole */
export function checkHeader(path: string, json: Record<string, unknown>): IndexHeader {
  if (!(READABLE_SCHEMAS as readonly unknown[]).includes(json.schema))
    throw new DataError(
      path,
      `unsupported: index schema '${String(json.schema)}'; this foliolab reads ${READABLE_SCHEMAS.join(' and ')}`,
    );
  const parsed = Header.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new DataError(path, `index header: ${issue.path.join('.')}: ${issue.message}`);
}

/** Columns whose lengths are equal: the first of each group says how long. */
const EXTENT_COLUMNS = ['extentLa', 'extentLlen', 'extentPa', 'extentPlen', 'extentDevice', 'extentFlags'];
const SEGMENT_COLUMNS = [
  'segmentInode',
  'segmentFlags',
  'segmentOffset',
  'segmentFileBytes',
  'segmentAddress',
  'segmentMemoryBytes',
];
const INODE_COLUMNS = ['nid', 'type', 'mode', 'uid', 'gid', 'nlink', 'sizeBytes', 'mtimeSec', 'mtimeNsec', 'layout'];

/** Columns that a schema lacks. */
export function missingColumns(schema: IndexHeader['schema']): readonly string[] {
  return schema === 'foliolab.index/1' ? ['extentCodec'] : [];
}

/**
 * Every column of the schema is there, none is unknown, and each has the type and the number of values that the header's counts ask for.
 * @throws DataError
 */
export function checkLengths(
  path: string,
  { schema, inodes, pages }: IndexHeader,
  entries: readonly ColumnEntry[],
): void {
  const fail = (what: string): never => {
    throw new DataError(path, `index is inconsistent: ${what}`);
  };
  const missing = missingColumns(schema);
  const wanted = Object.keys(COLUMN_TYPES).filter((name) => !missing.includes(name));
  const found = new Map(entries.map((entry) => [entry.name, entry]));
  for (const [name, { type }] of found) {
    if (!wanted.includes(name)) fail(`column ${name.slice(0, 40)} is unknown`);
    if (columnTypeName(COLUMN_TYPES[name as keyof IndexColumns]) !== type) fail(`column ${name} has another type`);
  }
  for (const name of wanted) if (!found.has(name)) fail(`column ${name} is missing`);
  const expect = (names: readonly string[], length: number): void => {
    for (const name of names)
      if (found.get(name)!.length !== length)
        fail(`column ${name} has ${found.get(name)!.length} values, not ${length}`);
  };
  expect(INODE_COLUMNS, inodes);
  expect(['contentSha256', 'xattrsSha256'], inodes * 32);
  expect(['fingerprintAt', 'firstPage', 'firstExtent'], inodes + 1);
  expect(['pageDigest'], pages * 2);
  expect(EXTENT_COLUMNS, found.get('extentLa')!.length);
  if (!missing.includes('extentCodec')) expect(['extentCodec'], found.get('extentLa')!.length);
  expect(SEGMENT_COLUMNS, found.get('segmentInode')!.length);
}

/**
 * Every reference in an index leads somewhere, so that no later look-up can leave its column.
 * @throws DataError
 */
export function checkContent(path: string, header: IndexHeader, c: IndexColumns): void {
  const fail = (what: string): never => {
    throw new DataError(path, `index is inconsistent: ${what}`);
  };
  const n = header.inodes;
  checkOffsets(c.fingerprintAt, c.fingerprints.length, (at) => fail(`fingerprintAt of inode ${at}`));
  checkOffsets(c.firstPage, header.pages, (at) => fail(`firstPage of inode ${at}`));
  checkOffsets(c.firstExtent, c.extentLa.length, (at) => fail(`firstExtent of inode ${at}`));
  const nids = new Set<number>();
  for (let i = 0; i < n; i++) {
    const nid = c.nid[i]!;
    if (!Number.isSafeInteger(nid) || nid < 0 || nids.has(nid)) fail(`nid ${nid} of inode ${i}`);
    nids.add(nid);
    if (c.type[i]! >= INODE_TYPES.length) fail(`type of inode ${i}`);
    if (c.layout[i]! >= LAYOUTS.length) fail(`layout of inode ${i}`);
    const size = c.sizeBytes[i]!;
    if (!Number.isSafeInteger(size) || size < 0) fail(`size of inode ${i}`);
    const pages = c.type[i] === TYPE_FILE ? Math.ceil(size / PAGE_SIZE) : 0;
    if (c.firstPage[i + 1]! - c.firstPage[i]! !== pages)
      fail(`inode ${i} of ${size} bytes has ${c.firstPage[i + 1]! - c.firstPage[i]!} pages`);
  }
  for (const column of [c.extentLa, c.extentLlen, c.extentPa, c.extentPlen])
    for (const value of column) if (!Number.isSafeInteger(value) || value < 0) fail('an extent is out of range');
  for (let i = 0; i < n; i++)
    for (let e = c.firstExtent[i]!; e < c.firstExtent[i + 1]!; e++) {
      const expected = e === c.firstExtent[i] ? 0 : c.extentLa[e - 1]! + c.extentLlen[e - 1]!;
      if (c.extentLa[e] !== expected || c.extentLlen[e] === 0) fail(`extents of inode ${i} have gaps`);
    }
  for (const device of c.extentDevice)
    if (device > header.image.devices.length)
      fail(`an extent lies on device ${device} of ${header.image.devices.length}`);
  for (const flags of c.extentFlags) if (flags > EXTENT_FLAGS) fail(`an extent has flags ${flags}`);
  for (const codec of c.extentCodec) if (codec >= CODECS.length) fail(`an extent has codec ${codec}`);
  for (const inode of c.pathInode) if (inode >= n) fail('a path names no inode');
  for (const inode of c.segmentInode) if (inode >= n) fail('a segment names no inode');
  let terminators = 0;
  for (const byte of c.paths) if (byte === 0) terminators++;
  if (terminators !== c.pathInode.length || (c.paths.length > 0 && c.paths[c.paths.length - 1] !== 0))
    fail('paths and pathInode differ in number');
}

function checkOffsets(offsets: Uint32Array, end: number, fail: (at: number) => void): void {
  if (offsets[0] !== 0 || offsets[offsets.length - 1] !== end) fail(0);
  for (let i = 1; i < offsets.length; i++) if (offsets[i]! < offsets[i - 1]!) fail(i);
}
