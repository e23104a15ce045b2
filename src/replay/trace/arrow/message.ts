import { Builder } from 'flatbuffers';
import { FlatbufferError, Table } from './flatbuffer.ts';

// Messages of the Arrow IPC stream: https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format, Message.fbs, Schema.fbs.
// Written here and not by the apache-arrow package, whose 21.2 writes compressed buffers that no other Arrow reads (the length ahead of
// a buffer is the compressed one), and which does not check what it reads.

/** A column: unsigned or signed integers, strings, or strings by number out of a dictionary. */
export type ColumnType = 'u8' | 'u16' | 'u32' | 'u64' | 'i32' | 'i64' | 'utf8' | 'dictionary';

export interface Field {
  readonly name: string;
  readonly type: ColumnType;
  /** utf8: may be null */
  readonly nullable?: boolean;
}

export type Message =
  | { readonly kind: 'schema'; readonly fields: readonly Field[]; readonly metadata: ReadonlyMap<string, string> }
  | { readonly kind: 'dictionary'; readonly body: BodyLayout; readonly bodyBytes: number }
  | { readonly kind: 'batch'; readonly body: BodyLayout; readonly bodyBytes: number };

/** How the body behind a message is cut into buffers. */
export interface BodyLayout {
  readonly rows: number;
  /** per column: rows, nulls */
  readonly nodes: readonly (readonly [number, number])[];
  /** offset in the body, length */
  readonly buffers: readonly (readonly [number, number])[];
  readonly compression: 'none' | 'zstd';
}

const VERSION_V5 = 4;
const HEADER_SCHEMA = 1;
const HEADER_DICTIONARY = 2;
const HEADER_BATCH = 3;
const TYPE_INT = 2;
const TYPE_UTF8 = 5;
const CODEC_ZSTD = 1;
const DICTIONARY_ID = 0n;

/** What stands at the head of every message: so that streams of before 2019 are told apart. */
export const CONTINUATION = 0xffffffff;
/** A stream's end: a continuation, and no metadata. */
export const END_OF_STREAM = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);

/** The message that names the columns. The one dictionary there can be is that of the field of type `dictionary`, u8 numbers. */
export function schemaMessage(fields: readonly Field[], metadata: ReadonlyMap<string, string>): Uint8Array {
  const b = new Builder(1024);
  const columns = fields.map((field) => {
    const name = b.createString(field.name);
    const children = offsets(b, []);
    const utf8 = field.type === 'utf8' || field.type === 'dictionary';
    let dictionary = 0;
    if (field.type === 'dictionary') {
      const index = int(b, 8, false);
      b.startObject(4);
      b.addFieldInt64(0, DICTIONARY_ID, 0n);
      b.addFieldOffset(1, index, 0);
      dictionary = b.endObject();
    }
    let type: number;
    if (utf8) {
      b.startObject(0);
      type = b.endObject();
    } else {
      type = int(b, Number(field.type.slice(1)), field.type[0] === 'i');
    }
    b.startObject(7);
    b.addFieldOffset(0, name, 0);
    b.addFieldInt8(1, field.nullable ? 1 : 0, 0);
    b.addFieldInt8(2, utf8 ? TYPE_UTF8 : TYPE_INT, 0);
    b.addFieldOffset(3, type, 0);
    b.addFieldOffset(4, dictionary, 0);
    b.addFieldOffset(5, children, 0);
    return b.endObject();
  });
  const pairs = [...metadata].map(([key, value]) => {
    const k = b.createString(key);
    const v = b.createString(value);
    b.startObject(2);
    b.addFieldOffset(0, k, 0);
    b.addFieldOffset(1, v, 0);
    return b.endObject();
  });
  const fieldVector = offsets(b, columns);
  const metadataVector = offsets(b, pairs);
  b.startObject(4);
  b.addFieldOffset(1, fieldVector, 0);
  b.addFieldOffset(2, metadataVector, 0);
  return finish(b, HEADER_SCHEMA, b.endObject(), 0);
}

/** The message ahead of a body of columns, or of the dictionary's strings. */
export function bodyMessage(kind: 'batch' | 'dictionary', body: BodyLayout, bodyBytes: number): Uint8Array {
  const b = new Builder(1024);
  const nodes = structs(b, body.nodes);
  const buffers = structs(b, body.buffers);
  let compression = 0;
  if (body.compression === 'zstd') {
    b.startObject(2);
    b.addFieldInt8(0, CODEC_ZSTD, 0);
    compression = b.endObject();
  }
  b.startObject(5);
  b.addFieldInt64(0, BigInt(body.rows), 0n);
  b.addFieldOffset(1, nodes, 0);
  b.addFieldOffset(2, buffers, 0);
  b.addFieldOffset(3, compression, 0);
  let header = b.endObject();
  if (kind === 'dictionary') {
    b.startObject(3);
    b.addFieldInt64(0, DICTIONARY_ID, 0n);
    b.addFieldOffset(1, header, 0);
    header = b.endObject();
  }
  return finish(b, kind === 'batch' ? HEADER_BATCH : HEADER_DICTIONARY, header, bodyBytes);
}

/** @param metadata a message without its continuation and length. @throws FlatbufferError, also for what a trace doesn't hold */
export function readMessage(metadata: Uint8Array): Message {
  const message = Table.root(metadata);
  const header = message.table(2);
  if (header === null) throw new FlatbufferError('has no header');
  const bodyBytes = message.size(3);
  switch (message.u8(1)) {
    case HEADER_SCHEMA:
      return {
        kind: 'schema',
        fields: header.tables(1).map(readField),
        metadata: new Map(header.tables(2).map((pair) => [pair.string(0), pair.string(1)])),
      };
    case HEADER_DICTIONARY: {
      const data = header.table(1);
      if (data === null) throw new FlatbufferError('is a dictionary without data');
      if (header.u8(2) !== 0) throw new FlatbufferError('is a delta of a dictionary');
      return { kind: 'dictionary', body: readBody(data), bodyBytes };
    }
    case HEADER_BATCH:
      return { kind: 'batch', body: readBody(header), bodyBytes };
    default:
      throw new FlatbufferError(`has a header of type ${message.u8(1)}`);
  }
}

function readField(field: Table): Field {
  const name = field.string(0);
  const type = field.table(3);
  if (field.u8(2) === TYPE_UTF8)
    return { name, type: field.table(4) === null ? 'utf8' : 'dictionary', nullable: field.u8(1) !== 0 };
  if (field.u8(2) !== TYPE_INT || type === null) throw new FlatbufferError(`has a column '${name}' of another type`);
  return { name, type: `${type.u8(1) === 0 ? 'u' : 'i'}${type.i32(0)}` as ColumnType, nullable: field.u8(1) !== 0 };
}

function readBody(batch: Table): BodyLayout {
  const compression = batch.table(3);
  if (compression !== null && compression.u8(0) !== CODEC_ZSTD)
    throw new FlatbufferError('is compressed with LZ4, not with Zstandard');
  return {
    rows: batch.size(0),
    nodes: batch.pairs(1),
    buffers: batch.pairs(2),
    compression: compression === null ? 'none' : 'zstd',
  };
}

function int(b: Builder, bits: number, signed: boolean): number {
  b.startObject(2);
  b.addFieldInt32(0, bits, 0);
  b.addFieldInt8(1, signed ? 1 : 0, 0);
  return b.endObject();
}

function offsets(b: Builder, items: readonly number[]): number {
  b.startVector(4, items.length, 4);
  for (const item of items.toReversed()) b.addOffset(item);
  return b.endVector();
}

function structs(b: Builder, items: readonly (readonly [number, number])[]): number {
  b.startVector(16, items.length, 8);
  for (const [first, second] of items.toReversed()) {
    b.prep(8, 16);
    b.writeInt64(BigInt(second));
    b.writeInt64(BigInt(first));
  }
  return b.endVector();
}

/** A message with its continuation and length, padded so that the body begins at a multiple of 8. */
function finish(b: Builder, type: number, header: number, bodyBytes: number): Uint8Array {
  b.startObject(5);
  b.addFieldInt16(0, VERSION_V5, 0);
  b.addFieldInt8(1, type, 0);
  b.addFieldOffset(2, header, 0);
  b.addFieldInt64(3, BigInt(bodyBytes), 0n);
  b.finish(b.endObject());
  const metadata = b.asUint8Array();
  const padded = (metadata.length + 7) & ~7;
  const out = new Uint8Array(8 + padded);
  const view = new DataView(out.buffer);
  view.setUint32(0, CONTINUATION, true);
  view.setUint32(4, padded, true);
  out.set(metadata, 8);
  return out;
}
