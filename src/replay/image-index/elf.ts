/** A loadable segment of an ELF file; offsets, addresses and lengths in bytes. */
export interface Segment {
  /** 1 executable, 2 writable, 4 readable */
  flags: number;
  offset: number;
  fileBytes: number;
  address: number;
  memoryBytes: number;
}

const PT_LOAD = 1;
const MAX_HEADERS = 512;

/**
 * The PT_LOAD segments of an ELF file (System V ABI, program header): what an executable mapping covers, which bounds how far the
 * kernel reads ahead in it. 32 and 64 bit, both byte orders.
 * @param size bytes of the file
 * @param read bytes [offset, offset + length) of the file; called for the header and the program header table only
 * @returns an empty list for anything that is not a well-formed ELF file
 */
export function elfSegments(size: number, read: (offset: number, length: number) => Uint8Array): Segment[] {
  if (size < 52) return [];
  const head = view(read(0, Math.min(64, size)));
  if (head.byteLength < 52 || head.getUint32(0) !== 0x7f454c46) return [];
  const wide = head.getUint8(4) === 2;
  const little = head.getUint8(5) === 1;
  if (wide && head.byteLength < 64) return [];
  const u64 = (data: DataView, at: number): number => Number(data.getBigUint64(at, little));
  // e_phoff, e_phentsize, e_phnum
  const tableAt = wide ? u64(head, 32) : head.getUint32(28, little);
  const entryBytes = head.getUint16(wide ? 54 : 42, little);
  const count = head.getUint16(wide ? 56 : 44, little);
  if (entryBytes < (wide ? 56 : 32) || count > MAX_HEADERS || tableAt + count * entryBytes > size) return [];
  const table = view(read(tableAt, count * entryBytes));
  if (table.byteLength < count * entryBytes) return [];
  const segments: Segment[] = [];
  for (let i = 0; i < count; i++) {
    const at = i * entryBytes;
    if (table.getUint32(at, little) !== PT_LOAD) continue;
    const segment = wide
      ? {
          flags: table.getUint32(at + 4, little) & 7,
          offset: u64(table, at + 8),
          address: u64(table, at + 16),
          fileBytes: u64(table, at + 32),
          memoryBytes: u64(table, at + 40),
        }
      : {
          flags: table.getUint32(at + 24, little) & 7,
          offset: table.getUint32(at + 4, little),
          address: table.getUint32(at + 8, little),
          fileBytes: table.getUint32(at + 16, little),
          memoryBytes: table.getUint32(at + 20, little),
        };
    segments.push(segment);
  }
  return segments;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
