import { UsageError } from '../../error.ts';
import { openInput, readHead } from '../io/input.ts';
import { ArrowTraceReader } from './arrow/reader.ts';
import { CsvTrace } from './csv.ts';
import { ROW_OPS, type TraceHeader, type TraceRow } from './row.ts';
import { type FileFacts, OP } from './trace.ts';

/** A trace that can be replayed: rows of files of mounts. */
export interface RowTrace {
  readonly path: string;
  /** what its rows are counted in, for errors */
  readonly unit: 'line' | 'row';
  /** Complete once the first row has been read. */
  readonly header: TraceHeader;
  batches(): AsyncGenerator<TraceRow[]>;
  /** SHA-256 of the file, once every row has been read. */
  sha256(): string;
}

/** Opens a trace in either of our own formats; its first bytes tell which it is. */
export async function openTraceRows(path: string): Promise<RowTrace> {
  return (await isArrow(path)) ? new ArrowRows(await ArrowTraceReader.open(path)) : CsvTrace.open(path);
}

/** Whether a file, decompressed, begins as an Arrow stream does. */
export async function isArrow(path: string): Promise<boolean> {
  const head = await readHead(path, 4);
  const compressed = head.length === 4 && (head.readUInt32LE(0) === 0xfd2fb528 || head.readUInt16LE(0) === 0x8b1f);
  if (!compressed) return beginsArrow(head);
  const { stream } = await openInput(path);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) return beginsArrow(chunk);
  } finally {
    stream.destroy();
  }
  return false;
}

function beginsArrow(head: Buffer): boolean {
  return head.length >= 4 && head.readUInt32LE(0) === 0xffffffff;
}

/** Where the index of an image goes by default. */
function indexName(image: string): string {
  return `${image.replace(/\.(erofs|img)$/, '')}.fidx`;
}

class ArrowRows implements RowTrace {
  readonly path: string;
  readonly unit = 'row';
  readonly header: TraceHeader = { mounts: new Map() };
  readonly #reader: ArrowTraceReader;

  constructor(reader: ArrowTraceReader) {
    this.path = reader.path;
    this.#reader = reader;
  }

  sha256(): string {
    return this.#reader.sha256();
  }

  async *batches(): AsyncGenerator<TraceRow[]> {
    const { containers, mounts, files } = this.#reader;
    let known = 0;
    for await (const b of this.#reader.batches()) {
      if (this.#reader.facts.readsClipped === false) this.header.readsClipped = false;
      for (; known < mounts.length; known++) {
        const { name, index, image, imageSha256, readAheadKb = null, ids } = mounts[known]!;
        if (ids === 'object' || ids === 'block')
          throw new UsageError(`${this.path} is of ${ids}s, not of files: no image can be bound to it`);
        const beside = index !== undefined ? [index] : image !== undefined ? [indexName(image), image] : [];
        this.header.mounts.set(name, { beside, imageSha256: imageSha256 ?? null, readAheadKb, line: known });
      }
      const rows: TraceRow[] = [];
      for (let i = 0; i < b.rows; i++) {
        const op = ROW_OPS[b.op[i]!]!;
        if (op === null) continue;
        const file: FileFacts = files[b.file[i]!]!;
        const pageIndex = b.pageHigh[i]! * 2 ** 32 + b.page[i]!;
        const touch = b.touch[i]!;
        rows.push({
          timeNs: b.timeNs[i]!,
          container: containers[b.container[i]!]!,
          mount: mounts[file.mount]!.name,
          nid: file.ino ?? -1,
          ...(file.ino === undefined && { filePath: file.path ?? '' }),
          op,
          pageIndex,
          pageCount: b.pages[i]!,
          touch: touch < 0 ? -1 : pageIndex + touch,
          bytes: b.bytes[i]!,
          task: b.task[i]!,
          before: b.op[i] === OP['cached-before'],
          line: b.firstRow + i,
        });
      }
      if (rows.length > 0) yield rows;
    }
  }
}
