import { CODECS, type ImageIndex, INODE_TYPES, TYPE_FILE } from './image-index.ts';

/** An index as JSON, foliolab.index.info/1: what it is of, and a line for each inode with all that it says of it but pages and extents. */
export function* indexDocument(index: ImageIndex): Generator<string> {
  const { path, kind, fileSha256, header } = index;
  const { schema: indexSchema, ...rest } = header;
  const head = {
    schema: 'foliolab.index.info/1',
    path,
    kind,
    sha256: fileSha256,
    indexSchema,
    ...rest,
    codecs: codecCounts(index),
  };
  yield `${JSON.stringify(head).slice(0, -1)},"files":[`;
  const paths: string[][] = Array.from({ length: header.inodes }, () => []);
  for (const { path: name, ordinal } of index.entries()) paths[ordinal]!.push(name);
  for (let ordinal = 0; ordinal < header.inodes; ordinal++)
    yield `${ordinal === 0 ? '' : ','}\n${JSON.stringify(describe(index, ordinal, paths[ordinal]!))}`;
  yield '\n]}\n';
}

/** Extents and decoded bytes of each codec; a last extent may be counted to the end of its block. */
function codecCounts(index: ImageIndex): Record<string, { extents: number; bytes: number }> {
  const { extentCodec, extentLlen } = index.columns;
  const counts: Record<string, { extents: number; bytes: number }> = {};
  extentCodec.forEach((codec, e) => {
    counts[CODECS[codec]!] ??= { extents: 0, bytes: 0 };
    const count = counts[CODECS[codec]!]!;
    count.extents++;
    count.bytes += extentLlen[e]!;
  });
  return counts;
}

function describe(index: ImageIndex, o: number, paths: readonly string[]): object {
  const { known } = index.header;
  const c = index.columns;
  const isFile = c.type[o] === TYPE_FILE;
  const none = '0'.repeat(64);
  const xattrs = index.xattrsKey(o);
  return {
    paths,
    identity: index.identityOf(o),
    nid: c.nid[o],
    type: INODE_TYPES[c.type[o]!],
    mode: c.mode[o],
    uid: c.uid[o],
    gid: c.gid[o],
    nlink: c.nlink[o],
    size: c.sizeBytes[o],
    mtime: known.mtime ? c.mtimeSec[o] : null,
    mtimeNsec: known.mtime ? c.mtimeNsec[o] : null,
    layout: index.layoutOf(o),
    codecs: index.codecsOf(o),
    contentSha256: isFile ? index.contentKey(o) : null,
    xattrsSha256: xattrs === none ? null : xattrs,
    fingerprintHex: index.fingerprintKey(o),
    pages: index.pagesOf(o),
    segments: index.segmentsOf(o).length,
  };
}
