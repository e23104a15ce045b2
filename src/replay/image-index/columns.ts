import { createHash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { DataError } from '../../error.ts';

/** Column types of the container: little-endian numbers, or raw bytes. */
const TYPES = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f64: Float64Array } as const;
type TypeName = keyof typeof TYPES;
export type Column = Uint8Array | Uint16Array | Uint32Array | Float64Array;

const MAGIC = 'FOLIDX\0\n';
const VERSION = 1;
const MAX_HEADER_BYTES = 16 * 2 ** 20;
const MAX_TOTAL_BYTES = 2 ** 31 - 1;
const HASH_BYTES = 32;

export interface ColumnEntry {
  name: string;
  type: TypeName;
  /** values */
  length: number;
  /** bytes as stored, raw DEFLATE */
  stored: number;
}

/**
 * The container of an index: a JSON header and named columns of numbers, each compressed by itself.
 *
 *     magic    8 bytes  "FOLIDX\0\n"
 *     version  u32 le   1
 *     length   u32 le   bytes of the header that follows
 *     header   JSON     {…, columns: [{name, type, length, stored}]}
 *     columns  raw DEFLATE each, one after the other, little-endian values
 *     sha256   32 bytes of everything before it
 */
export function packColumns(header: object, columns: Readonly<Record<string, Column>>, level = 6): Buffer {
  const entries: ColumnEntry[] = [];
  const bodies: Buffer[] = [];
  for (const [name, column] of Object.entries(columns)) {
    const body = deflateRawSync(new Uint8Array(column.buffer, column.byteOffset, column.byteLength), { level });
    entries.push({ name, type: typeOf(column), length: column.length, stored: body.length });
    bodies.push(body);
  }
  const json = Buffer.from(JSON.stringify({ ...header, columns: entries }));
  const fixed = Buffer.alloc(16);
  fixed.write(MAGIC, 'latin1');
  fixed.writeUInt32LE(VERSION, 8);
  fixed.writeUInt32LE(json.length, 12);
  const content = Buffer.concat([fixed, json, ...bodies]);
  return Buffer.concat([content, createHash('sha256').update(content).digest()]);
}

/** Whether the first bytes of a file are an index's. */
export function looksLikeIndex(head: Uint8Array): boolean {
  return Buffer.from(head.buffer, head.byteOffset, Math.min(8, head.length)).toString('latin1') === MAGIC;
}

/**
 * Reads the container back.
 * @param check judges the header and the lengths that the columns claim, before any of them is inflated
 * @throws DataError when the file is foreign, of another version, truncated or altered
 */
export function unpackColumns<Header>(
  path: string,
  bytes: Buffer,
  check: (header: Record<string, unknown>, entries: readonly ColumnEntry[]) => Header,
): { header: Header; columns: Map<string, Column> } {
  if (!looksLikeIndex(bytes)) throw new DataError(path, 'is not an index of foliolab');
  if (bytes.length < 16 + HASH_BYTES) throw new DataError(path, `index is cut off after ${bytes.length} bytes`);
  const version = bytes.readUInt32LE(8);
  if (version !== VERSION)
    throw new DataError(path, `unsupported: index version ${version}; this foliolab reads version ${VERSION}`);
  const end = bytes.length - HASH_BYTES;
  const digest = createHash('sha256').update(bytes.subarray(0, end)).digest();
  if (!digest.equals(bytes.subarray(end)))
    throw new DataError(path, 'index is damaged: it is cut off, or its checksum is not that of its content');
  const headerLength = bytes.readUInt32LE(12);
  if (headerLength > MAX_HEADER_BYTES || 16 + headerLength > end)
    throw new DataError(path, `index header of ${headerLength} bytes @ 0xc does not fit`);
  const { rest, columns: entries } = parseHeader(path, bytes.subarray(16, 16 + headerLength));
  const header = check(rest, entries);
  const total = entries.reduce((sum, entry) => sum + entry.length * TYPES[entry.type].BYTES_PER_ELEMENT, 0);
  if (total > MAX_TOTAL_BYTES)
    throw new DataError(path, `index columns of ${total} bytes together are more than ${MAX_TOTAL_BYTES}`);
  const columns = new Map<string, Column>();
  let at = 16 + headerLength;
  for (const entry of entries) {
    if (at + entry.stored > end)
      throw new DataError(path, `index column '${entry.name}' @ 0x${at.toString(16)} runs past the end`);
    columns.set(entry.name, inflateColumn(path, entry, bytes.subarray(at, at + entry.stored)));
    at += entry.stored;
  }
  if (at !== end) throw new DataError(path, `index has ${end - at} bytes behind its last column`);
  return { header, columns };
}

function inflateColumn(path: string, entry: ColumnEntry, stored: Buffer): Column {
  const Type: new (buffer: SharedArrayBuffer) => Column = TYPES[entry.type];
  const size = entry.length * TYPES[entry.type].BYTES_PER_ELEMENT;
  let raw: Buffer;
  try {
    raw = inflateRawSync(stored, { maxOutputLength: Math.max(size, 1) });
  } catch (error) {
    throw new DataError(path, `index column '${entry.name}' can't be inflated to ${size} bytes`, { cause: error });
  }
  if (raw.length !== size)
    throw new DataError(path, `index column '${entry.name}' inflates to ${raw.length} bytes, not ${size}`);
  // A copy of its own: aligned for every type, and shared between workers without copying again.
  const shared = new SharedArrayBuffer(size);
  new Uint8Array(shared).set(raw);
  return new Type(shared);
}

function parseHeader(path: string, bytes: Buffer): { rest: Record<string, unknown>; columns: ColumnEntry[] } {
  let header: unknown;
  try {
    header = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new DataError(path, 'index header @ 0x10 is not JSON', { cause: error });
  }
  if (typeof header !== 'object' || header === null || !Array.isArray((header as { columns?: unknown }).columns))
    throw new DataError(path, 'index header @ 0x10 lists no columns');
  const { columns, ...rest } = header as { columns: unknown[] } & Record<string, unknown>;
  const names = new Set<string>();
  for (const entry of columns as Partial<ColumnEntry>[]) {
    const whole = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
    if (
      typeof entry?.name !== 'string' ||
      names.has(entry.name) ||
      !Object.hasOwn(TYPES, entry.type ?? '') ||
      !whole(entry.length) ||
      !whole(entry.stored)
    )
      throw new DataError(path, `index header @ 0x10: column ${names.size} is malformed`);
    names.add(entry.name);
  }
  return { rest, columns: columns as ColumnEntry[] };
}

function typeOf(column: Column): TypeName {
  return columnTypeName(column.constructor as new (length: number) => Column);
}

/** Name of a column's type in the header. */
export function columnTypeName(Type: new (length: number) => Column): TypeName {
  for (const name of Object.keys(TYPES) as TypeName[]) if (Type === TYPES[name]) return name;
  // A Buffer is bytes, too.
  if (Type.prototype instanceof Uint8Array) return 'u8';
  throw new TypeError('no such column type');
}
