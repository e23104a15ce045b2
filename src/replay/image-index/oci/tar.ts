import { type ExtractEvents, extract } from 'tar-stream';
import type { XattrBytes } from '../xattrs-digest.ts';

const BLOCK = 512;
type Source = ExtractEvents['entry'][1];

/** tar-stream takes extended headers of up to 4 MiB each; an entry may have one of each kind. */
const MAX_AHEAD_BYTES = 16 * 2 ** 20;
/** PATH_MAX and XATTR_SIZE_MAX of Linux */
const MAX_PATH_BYTES = 4096;
const MAX_XATTR_BYTES = 65_536;
const MAX_ID = 2 ** 32 - 1;

export type TarType = 'file' | 'directory' | 'symlink' | 'link' | 'other';

/** One entry of a tar archive, its names byte for byte. */
export interface TarEntry {
  name: Buffer;
  type: TarType;
  /** permissions, set-id and sticky bits */
  mode: number;
  /** S_IFMT of what isn't a file, directory or link: fifo or device */
  format: number;
  uid: number;
  gid: number;
  /** bytes of content that follow; files only */
  sizeBytes: number;
  mtimeSec: number;
  mtimeNsec: number;
  linkname: Buffer;
  xattrs: readonly XattrBytes[];
  /** where the content begins in the archive */
  dataAt: number;
  /** The content. What of it isn't taken is skipped when the next entry is asked for. */
  content: AsyncIterable<Uint8Array>;
}

/** What is wrong with an archive, and where: `@ 0xOFFSET: what`. */
export class TarFault extends Error {}

const S_IFIFO = 0o010000;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;

const TYPES: Readonly<Record<string, [TarType, number]>> = {
  file: ['file', 0],
  'contiguous-file': ['file', 0],
  link: ['link', 0],
  symlink: ['symlink', 0],
  directory: ['directory', 0],
  'character-device': ['other', S_IFCHR],
  'block-device': ['other', S_IFBLK],
  fifo: ['other', S_IFIFO],
};

/**
 * Reads a tar archive as a stream: ustar, GNU long names, pax. tar-stream frames it; it decodes pax records as UTF-8 though, which destroys
 * a binary xattr (security.capability) and a name in another encoding, so records are read here once more, as bytes.
 * @throws TarFault for what is damaged, unsupported, or read differently by different tools
 */
export async function* tarEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const archive = extract({ filenameEncoding: 'latin1' } as object);
  const raw = new RawWindow();
  const fed = feed(source, archive, raw);
  try {
    for await (const body of archive) {
      yield describe(body, raw);
      body.resume();
    }
    await fed;
  } catch (error) {
    if (error instanceof TarFault) throw error;
    // The source's own error is what ended the archive, if it has one.
    await fed;
    const reason = (error as Error).message.replace(/^Invalid tar header.*/, 'no tar header is here');
    throw new TarFault(`@ 0x${raw.from.toString(16)} or behind: ${reason}`);
  } finally {
    archive.destroy(null);
  }
}

/** Writes the source into the archive's parser, no faster than entries are taken. @throws what the source throws */
function feed(source: AsyncIterable<Uint8Array>, archive: ReturnType<typeof extract>, raw: RawWindow): Promise<void> {
  const run = async (): Promise<void> => {
    let wake = (): void => {};
    archive.on('drain', () => wake());
    archive.on('close', () => wake());
    for await (const chunk of source) {
      if (archive.destroyed) return;
      if (!raw.add(chunk))
        throw new TarFault(`@ 0x${raw.from.toString(16)}: more than ${MAX_AHEAD_BYTES} bytes of extended headers`);
      if (archive.write(chunk)) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (archive.destroyed) resolve();
      });
    }
    archive.end(null);
  };
  const done = run().catch((error: unknown) => {
    archive.destroy(error as Error);
    throw error;
  });
  // It is awaited when the archive ends; until then it is nobody's.
  done.catch(() => {});
  return done;
}

/** The bytes fed since the last entry's content ended: the headers of the next one. */
class RawWindow {
  /** where the window begins in the archive */
  from = 0;
  #end = 0;
  #chunks: { at: number; bytes: Uint8Array }[] = [];

  /** @returns false when the window is larger than any headers may be */
  add(bytes: Uint8Array): boolean {
    if (this.#end + bytes.length > this.from) this.#chunks.push({ at: this.#end, bytes });
    this.#end += bytes.length;
    return this.#end - bytes.length - this.from <= MAX_AHEAD_BYTES;
  }

  slice(from: number, to: number): Buffer {
    const parts: Uint8Array[] = [];
    for (const { at, bytes } of this.#chunks)
      if (at < to && at + bytes.length > from) parts.push(bytes.subarray(Math.max(from - at, 0), to - at));
    return Buffer.concat(parts);
  }

  /** Lets go of everything ahead of an offset. */
  moveTo(offset: number): void {
    this.from = offset;
    this.#chunks = this.#chunks.filter(({ at, bytes }) => at + bytes.length > offset);
  }
}

function describe(body: Source, raw: RawWindow): TarEntry {
  const { header, offset } = body;
  const headers = raw.slice(raw.from, offset + BLOCK);
  const fault = (what: string): TarFault => new TarFault(`@ 0x${offset.toString(16)}: ${what}`);
  const pax = paxRecords(headers.subarray(0, -BLOCK), fault);
  // The type says null for a letter that tar-stream doesn't know.
  const known = header.type === null ? undefined : TYPES[header.type];
  if (known === undefined) throw fault(`unsupported: entry type '${String.fromCharCode(headers.at(-BLOCK + 156)!)}'`);
  let [type] = known;
  const name = pathBytes('name', pax.get('path'), header.name, fault);
  const linkname = pathBytes('link target', pax.get('linkpath'), header.linkname ?? '', fault);
  // Before POSIX a directory was a file with a slash at the end.
  if (type === 'file' && name.at(-1) === 0x2f) type = 'directory';
  for (const key of pax.keys())
    if (key.startsWith('GNU.sparse.'))
      throw fault('unsupported: a sparse file (GNU.sparse): make the archive without --sparse');
  const size = pax.get('size')?.toString('latin1') ?? `${header.size}`;
  if (!/^\d+$/.test(size) || !Number.isSafeInteger(header.size))
    throw fault(`size ${size.slice(0, 20)} is out of range`);
  // GNU tar, Go and tar-stream differ in whether such bytes are there.
  if (header.size !== 0 && type !== 'file' && header.type !== 'directory')
    throw fault(`a ${type === 'other' ? 'special file' : type} with ${header.size} bytes of content`);
  const sizeBytes = type === 'file' ? header.size : 0;
  raw.moveTo(offset + BLOCK + (sizeBytes === 0 ? 0 : Math.ceil(sizeBytes / BLOCK) * BLOCK));
  if (!(header.mode >= 0)) throw fault('its mode is not a number');
  return {
    name,
    type,
    mode: header.mode & 0o7777,
    format: known[1],
    uid: id('uid', pax.get('uid'), header.uid, fault),
    gid: id('gid', pax.get('gid'), header.gid, fault),
    sizeBytes,
    ...mtime(pax.get('mtime'), header.mtime, fault),
    linkname,
    xattrs: xattrs(pax, fault),
    dataAt: offset + BLOCK,
    content: body as AsyncIterable<Uint8Array>,
  };
}

/**
 * The pax records ahead of an entry, keys in latin1, values as bytes. `bytes` is a sequence of headers and their contents: pax (x, g), GNU
 * long names (L, K), which tar-stream has applied already.
 */
function paxRecords(bytes: Buffer, fault: (what: string) => TarFault): Map<string, Buffer> {
  let records = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const block = bytes.subarray(at, at + BLOCK);
    if (block.every((byte) => byte === 0))
      throw fault('an entry behind the end mark: it would be read by some tools and not by others');
    const letter = String.fromCharCode(block[156]!);
    const size =
      Number.parseInt(
        block
          .toString('latin1', 124, 136)
          .trimStart()
          .replace(/[\0 ].*$/s, ''),
        8,
      ) || 0;
    const content = bytes.subarray(at + BLOCK, at + BLOCK + size);
    if (letter === 'x') records = recordsOf(content, fault);
    // Go's archive/tar, and so containerd, leaves global records to the caller, who ignores them; tar-stream and GNU tar apply them.
    if (letter === 'g')
      for (const key of recordsOf(content, fault).keys())
        if (key !== 'comment') throw fault(`unsupported: a global pax record, ${key.slice(0, 40)}`);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    if (at > bytes.length) throw fault('its extended headers overlap it');
  }
  return records;
}

/** Records of a pax header: `LENGTH KEY=VALUE\n`, the length in decimal and that of the whole record. */
function recordsOf(bytes: Buffer, fault: (what: string) => TarFault): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 || space - at > 8 ? '' : bytes.toString('latin1', at, space);
    const end = at + Number(digits);
    const equals = bytes.indexOf(0x3d, space);
    if (!/^\d+$/.test(digits) || end > bytes.length || equals <= space + 1 || equals >= end || bytes[end - 1] !== 0x0a)
      throw fault(`a malformed pax record, byte ${at} of its pax header`);
    records.set(bytes.toString('latin1', space + 1, equals), bytes.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

function pathBytes(what: string, pax: Buffer | undefined, header: string, fault: (what: string) => TarFault): Buffer {
  const bytes = pax !== undefined && pax.length > 0 ? Buffer.from(pax) : Buffer.from(header, 'latin1');
  if (bytes.length > MAX_PATH_BYTES) throw fault(`its ${what} is ${bytes.length} bytes long`);
  if (bytes.includes(0)) throw fault(`its ${what} has a NUL`);
  return bytes;
}

function id(what: string, pax: Buffer | undefined, header: number, fault: (what: string) => TarFault): number {
  const text = pax?.toString('latin1');
  const value = text === undefined ? header : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isInteger(value) || value < 0 || value > MAX_ID)
    throw fault(`${what} ${text?.slice(0, 20) ?? header} is out of range`);
  return value;
}

function mtime(
  pax: Buffer | undefined,
  header: Date,
  fault: (what: string) => TarFault,
): Pick<TarEntry, 'mtimeSec' | 'mtimeNsec'> {
  const match = pax === undefined ? null : /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(pax.toString('latin1'));
  if (pax !== undefined && match === null) throw fault('its pax mtime is not a number');
  if (match === null) {
    if (Number.isNaN(header.getTime())) throw fault('its mtime is out of range');
    return { mtimeSec: Math.floor(header.getTime() / 1000), mtimeNsec: 0 };
  }
  const seconds = Number(match[2]);
  const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  if (match[1] === '') return { mtimeSec: seconds, mtimeNsec: nanoseconds };
  return nanoseconds === 0
    ? { mtimeSec: 0 - seconds, mtimeNsec: 0 }
    : { mtimeSec: -seconds - 1, mtimeNsec: 1e9 - nanoseconds };
}

const XATTR_PREFIX = 'SCHILY.xattr.';

function xattrs(pax: ReadonlyMap<string, Buffer>, fault: (what: string) => TarFault): XattrBytes[] {
  const found: XattrBytes[] = [];
  for (const [key, value] of pax) {
    if (!key.startsWith(XATTR_PREFIX)) continue;
    if (key.length - XATTR_PREFIX.length > 255 || value.length > MAX_XATTR_BYTES)
      throw fault(`xattr ${key.slice(XATTR_PREFIX.length, 53)} is longer than Linux allows`);
    found.push({ name: Buffer.from(key.slice(XATTR_PREFIX.length), 'latin1'), value });
  }
  return found;
}
