import { DataError, UsageError } from '../../error.ts';
import type { ImageIndex } from '../image-index/image-index.ts';
import { extentAt, locate, newPiece } from '../image-index/place.ts';
import type { Note } from '../notes.ts';
import type { Mapping, ReferenceSet } from '../references.ts';
import { PAGE_SIZE } from '../result.ts';
import { parseBytes } from '../sizes.ts';
import { assignByFile, assignByPage } from './assign.ts';
import type { ModelEntry, PageIds, SharingModel } from './model.ts';
import { oneOf } from './params.ts';
import { TupleInterner } from './tuple-interner.ts';

/**
 * physical-index: a cached page belongs to where its data lies, (device, physical address), so that files which share blocks share pages.
 * Argued for by Hellwig and Wilcox on linux-fsdevel, 2026.
 *
 * layout=images (the default): the images as they are, each its own device; two mounts of one image are the same device, and so are blobs
 * of equal bytes that several images name as an extra device. An uncompressed
 * page is its byte address, a compressed one its pcluster and the offset in the decoded extent. A page that is made of several pieces (its
 * extents are not page-aligned, or its tail is packed elsewhere) is the sequence of them; what lies in the packed inode (a fragment) is its
 * offset there; a tail-packed page has the byte address of the
 * tail within the metadata; a hole has no address and stays with its inode.
 *
 * layout=shared-blob: as if every distinct file lay once, contiguous, page-aligned and uncompressed, in one blob that all images refer to.
 *
 * layout=chunk-dedup: the same blob with distinct chunks instead of files, cut at multiples of `chunk` bytes from the start of a file
 * (1 MiB, Nydus' default).
 */
class PhysicalIndex implements SharingModel {
  readonly params: { layout: string; chunk: number };

  constructor(
    readonly name: string,
    layout: string,
    chunkBytes: number,
  ) {
    this.params = { layout, chunk: chunkBytes };
  }

  lacking(set: ReferenceSet): string[] {
    if (this.params.layout !== 'images') return [];
    const images = set.superblocks.map(({ image }) => image).filter(({ header }) => !header.known.layout);
    return [...new Set(images.map(({ path }) => path))];
  }

  identify(set: ReferenceSet): PageIds {
    const [path] = this.lacking(set);
    if (path !== undefined)
      throw new DataError(
        path,
        'physical-index needs physical addresses, and an index made from a manifest or an OCI image has none: use an EROFS image, or physical-index:layout=shared-blob',
      );
    const { layout, chunk } = this.params;
    if (layout === 'shared-blob') return { ...assignByFile(set, (mapping) => contentKey(set, mapping)), notes: [] };
    if (layout === 'chunk-dedup') return { ...assignByChunk(set, chunk / PAGE_SIZE), notes: [] };
    return assignByAddress(set);
  }
}

const LAYOUTS = ['images', 'shared-blob', 'chunk-dedup'];

export const physicalIndex: ModelEntry = {
  defaults: { layout: 'images', chunk: '1MiB' },
  create(name, params) {
    oneOf(name, 'layout', params.layout!, LAYOUTS);
    const chunkBytes = parseBytes(params.chunk!);
    if (chunkBytes === null || chunkBytes < PAGE_SIZE || chunkBytes % PAGE_SIZE !== 0)
      throw new UsageError(`sharing model '${name}': chunk '${params.chunk}' is not a multiple of ${PAGE_SIZE} bytes`);
    if (params.layout !== 'chunk-dedup' && params.chunk !== physicalIndex.defaults.chunk)
      throw new UsageError(`sharing model '${name}': chunk goes with layout=chunk-dedup`);
    return new PhysicalIndex(name, params.layout!, chunkBytes);
  },
};

function contentKey(set: ReferenceSet, mapping: Mapping): string {
  return set.superblocks[mapping.superblock]!.image.contentKey(mapping.ordinal);
}

// Tags of the tuples below, their first word: what the rest of the key is.
const PIECE = 0;
const SEQUENCE = 1;
const HOLE = 2;

function assignByAddress(set: ReferenceSet): PageIds {
  const numbers = new Map<string, number>();
  const numberOf = (sha256: string): number => {
    if (!numbers.has(sha256)) numbers.set(sha256, numbers.size);
    return numbers.get(sha256)!;
  };
  /** per superblock: the number of each of its devices, the image itself first; equal bytes are one device */
  const devicesOf = set.superblocks.map(({ image }) =>
    [image.header.image.sha256!, ...image.header.image.devices.map(({ sha256 }) => sha256)].map(numberOf),
  );
  const pieces = new TupleInterner(6);
  const tuple = new Uint32Array(6);
  let unaligned = 0;
  let holes = 0;
  const piece = newPiece();
  const ids = assignByPage(set, 1, (mapping, pageIndex, key) => {
    const { image } = set.superblocks[mapping.superblock]!;
    const start = pageIndex * PAGE_SIZE;
    const end = Math.min(start + PAGE_SIZE, image.columns.sizeBytes[mapping.ordinal]!);
    let id = -1;
    let count = 0;
    for (let la = start, e = extentAt(image, mapping.ordinal, la); la < end; e++) {
      locate(image, e, la, end, piece);
      if (piece.kind === 'hole') {
        tuple.set([HOLE, mapping.superblock, mapping.ordinal, pageIndex, la - start, 0]);
      } else {
        const { device, address, offset } = piece;
        // The packed inode and the metabox are the image's own, each an address space of its own.
        const space = (Math.max(-device, 0) << 1) | (piece.kind === 'pcluster' ? 1 : 0);
        const number = devicesOf[mapping.superblock]![Math.max(device, 0)]!;
        tuple.set([PIECE, number, Math.floor(address / 2 ** 32), address >>> 0, offset, space]);
      }
      const interned = pieces.intern(tuple);
      if (id < 0) {
        id = interned;
        if (piece.kind === 'hole') holes++;
      } else {
        tuple.set([SEQUENCE, id, interned, 0, 0, 0]);
        id = pieces.intern(tuple);
      }
      count++;
      la += piece.length;
    }
    if (count > 1) unaligned++;
    key[0] = id;
  });
  const notes: Note[] = [];
  if (unaligned > 0)
    notes.push({
      text: 'physical-index: pages that span several extents are identified by their sequence',
      count: unaligned,
    });
  if (holes > 0) notes.push({ text: 'physical-index: pages that are holes stay with their inode', count: holes });
  return { ...ids, notes };
}

function assignByChunk(set: ReferenceSet, chunkPages: number): Omit<PageIds, 'notes'> {
  const chunks = new Map<string, number>();
  const chain = new TupleInterner(4);
  const tuple = new Uint32Array(4);
  /** Equal chunks get equal numbers: each page's digest is chained to the number of those before it, so no digest of digests can collide. */
  const chunkId = (image: ImageIndex, ordinal: number, first: number): number => {
    const { firstPage, pageDigest, sizeBytes } = image.columns;
    const base = firstPage[ordinal]!;
    const pages = Math.min(image.pagesOf(ordinal) - first, chunkPages);
    const bytes = Math.min(sizeBytes[ordinal]! - first * PAGE_SIZE, chunkPages * PAGE_SIZE);
    tuple.set([0, 0, bytes, 0]);
    let id = chain.intern(tuple);
    for (let p = base + first; p < base + first + pages; p++) {
      tuple.set([1, id, pageDigest[2 * p]!, pageDigest[2 * p + 1]!]);
      id = chain.intern(tuple);
    }
    return id;
  };
  return assignByPage(set, 2, (mapping, pageIndex, key) => {
    const { image } = set.superblocks[mapping.superblock]!;
    const within = pageIndex % chunkPages;
    const first = pageIndex - within;
    const name = `${image.contentKey(mapping.ordinal)} ${first}`;
    let id = chunks.get(name);
    if (id === undefined) {
      id = chunkId(image, mapping.ordinal, first);
      chunks.set(name, id);
    }
    key[0] = id;
    key[1] = within;
  });
}
