// Little-endian fields and file names. Callers have checked that the bytes are there.

/** @returns the u16 at `at` */
export function u16(b: Uint8Array, at: number): number {
  return b[at]! | (b[at + 1]! << 8);
}

/** @returns the u32 at `at`, as a non-negative number */
export function u32(b: Uint8Array, at: number): number {
  return (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0;
}

/** @returns the u64 at `at`; a value above 2^53 - 1 is rounded but stays above it, so `isSafeInteger` tells */
export function u64(b: Uint8Array, at: number): number {
  return u32(b, at + 4) * 0x100000000 + u32(b, at);
}

/** the bit of a folded nid that says: in the metabox */
export const METABOX_NID_BIT = 2 ** 31;

/**
 * The nid at `at`, a u64 whose bit 63 means "in the metabox" where the image has one. That bit moves to bit 31 then, and
 * bits 31-62 move up by one: the inode number that Linux shows (erofs_nid_to_ino64).
 * @returns a value above 2^53 - 1 when the nid is too large
 */
export function nidAt(b: Uint8Array, at: number, hasMetabox: boolean): number {
  if (!hasMetabox) return u64(b, at);
  const low = u32(b, at);
  const high = u32(b, at + 4);
  const upper = (high & 0x7fffffff) * 2 + (low >>> 31);
  return upper * 0x100000000 + (high >>> 31) * METABOX_NID_BIT + (low & 0x7fffffff);
}

/** @returns the s64 at `at`, rounded beyond ±2^53 */
export function s64(b: Uint8Array, at: number): number {
  return (u32(b, at + 4) | 0) * 0x100000000 + u32(b, at);
}

/** A plain Uint8Array (a Buffer's `slice` and equality differ) that isn't cleared: the caller fills it. */
export function uncleared(length: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}

/** Rounds up to a power of two; safe above 2^32, unlike a mask. */
export function roundUp(n: number, unit: number): number {
  return Math.ceil(n / unit) * unit;
}

/** Rounds down to a power of two; safe above 2^32. */
export function roundDown(n: number, unit: number): number {
  return n - (n % unit);
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * File names are bytes; here they are strings that give the bytes back. Valid UTF-8 becomes what it says; any other
 * byte `b` becomes the lone surrogate U+DC00 + b, as Python's `surrogateescape` does. {@link nameBytes} is the inverse.
 */
export function nameString(bytes: Uint8Array): string {
  let ascii = true;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i]! >= 0x80) {
      ascii = false;
      break;
    }
  }
  if (ascii) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  try {
    return strictUtf8.decode(bytes);
  } catch {
    let out = '';
    for (let i = 0; i < bytes.length; ) {
      const n = utf8Length(bytes, i);
      out += n === 0 ? String.fromCharCode(0xdc00 + bytes[i]!) : strictUtf8.decode(bytes.subarray(i, i + n));
      i += n || 1;
    }
    return out;
  }
}

/** @returns the length of the valid UTF-8 sequence at `i`, or 0 */
function utf8Length(b: Uint8Array, i: number): number {
  const c = b[i]!;
  if (c < 0x80) return 1;
  const n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
  try {
    strictUtf8.decode(b.subarray(i, i + n));
    return i + n <= b.length ? n : 0;
  } catch {
    return 0;
  }
}

/** @returns the bytes of a name or path made by {@link nameString} */
export function nameBytes(name: string): Uint8Array {
  if (!/[\udc80-\udcff]/.test(name)) return Buffer.from(name, 'utf8');
  // A well-formed pair holds no escape: the u flag keeps pairs whole, so only lone surrogates match.
  const parts: Uint8Array[] = [];
  let from = 0;
  for (const m of name.matchAll(/[\udc80-\udcff]/gu)) {
    parts.push(Buffer.from(name.slice(from, m.index), 'utf8'), Uint8Array.of(m[0].charCodeAt(0) - 0xdc00));
    from = m.index + 1;
  }
  parts.push(Buffer.from(name.slice(from), 'utf8'));
  return Buffer.concat(parts);
}

/**
 * A name or path that fits on one line and does a terminal no harm: controls, and bytes that aren't UTF-8, as `\xNN`,
 * a C1 control as `\uNNNN`, a backslash doubled.
 */
export function printableName(name: string): string {
  return name.replaceAll(/[\x00-\x1f\x7f-\x9f\\]|[\udc80-\udcff]/gu, (c) => {
    if (c === '\\') return '\\\\';
    const code = c.charCodeAt(0);
    if (code >= 0x80 && code < 0xa0) return `\\u${code.toString(16).padStart(4, '0')}`;
    return `\\x${(code & 0xff).toString(16).padStart(2, '0')}`;
  });
}

/** Orders names or paths by their bytes, as `LC_ALL=C sort` does. */
export function compareNames(a: string, b: string): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      // UTF-8 keeps code point order, and UTF-16 agrees with it below the surrogates.
      if (x < 0xd800 && y < 0xd800) return x - y;
      return Buffer.compare(nameBytes(a), nameBytes(b));
    }
  }
  return a.length - b.length;
}

const crcTable = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  let c = i;
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  crcTable[i] = c;
}

/** CRC-32C as the kernel's `crc32c()`: the seed is taken and the result given without the final inversion. */
export function crc32c(seed: number, bytes: Uint8Array): number {
  let crc = seed;
  for (let i = 0; i < bytes.length; i++) crc = crcTable[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return crc >>> 0;
}
