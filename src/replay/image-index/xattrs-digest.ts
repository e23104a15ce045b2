import { createHash, type Hash } from 'node:crypto';

export interface XattrBytes {
  /** the full name, `user.mime_type` */
  name: Uint8Array;
  value: Uint8Array;
}

/** SHA-256 over xattrs in bytewise order of their names, each name and value behind its length (u32 le); null when there are none. */
export function xattrsDigest(xattrs: readonly XattrBytes[]): Uint8Array | null {
  if (xattrs.length === 0) return null;
  const sum = createHash('sha256');
  for (const { name, value } of [...xattrs].sort((a, b) => Buffer.compare(a.name, b.name))) {
    lengthPrefixed(sum, name);
    lengthPrefixed(sum, value);
  }
  return sum.digest();
}

function lengthPrefixed(sum: Hash, bytes: Uint8Array): void {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  sum.update(length).update(bytes);
}
