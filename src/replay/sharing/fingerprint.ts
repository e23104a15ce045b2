import type { ImageIndex } from '../image-index/image-index.ts';
import type { Note } from '../notes.ts';
import type { Mapping, ReferenceSet, Superblock } from '../references.ts';
import { assignByFile } from './assign.ts';
import type { ModelContext, ModelEntry, PageIds, SharingModel } from './model.ts';

/**
 * fingerprint: EROFS inode_share as merged in Linux 7.0 (fs/erofs/ishare.c). Inodes whose fingerprint xattr and domain_id are equal byte
 * for byte use one shared inode's mapping; a whole file is shared or none of it.
 *
 * Refused, so that the file keeps a mapping of its own, as the kernel refuses: another size than the shared inode's, other address-space
 * operations than its (compressed with plain, or plain file-backed with plain on a block device), no fingerprint, a mount
 * without inode_share (an empty domain). Which inode comes first
 * decides; here that is the order of first reference, in the kernel the order in which inodes are instantiated.
 *
 * Not modelled: the end of a shared inode's life (reclaim, unmount).
 */
class Fingerprint implements SharingModel {
  readonly params: { fingerprints: ModelContext['fingerprints'] };

  constructor(
    readonly name: string,
    fingerprints: ModelContext['fingerprints'],
  ) {
    this.params = { fingerprints };
  }

  identify(set: ReferenceSet): PageIds {
    const shared = new Map<string, { size: number; operations: string }>();
    const images = {
      xattr: new Set<ImageIndex>(),
      computed: new Set<ImageIndex>(),
      none: new Set<ImageIndex>(),
      unknownLayout: new Set<ImageIndex>(),
    };
    const refused = { size: 0, operations: 0 };
    const decide = (mapping: Mapping): string | null => {
      const superblock = set.superblocks[mapping.superblock]!;
      const { image } = superblock;
      const value = superblock.domain === '' ? null : this.#fingerprint(mapping, image, images);
      if (value === null) return null;
      if (!image.header.known.layout) images.unknownLayout.add(image);
      const key = `shared ${value} ${superblock.domain}`;
      const size = image.columns.sizeBytes[mapping.ordinal]!;
      const operations = addressSpaceOperations(mapping, superblock);
      const first = shared.get(key);
      if (first === undefined) {
        shared.set(key, { size, operations });
        return key;
      }
      if (first.size === size && first.operations === operations) return key;
      refused[first.size === size ? 'operations' : 'size']++;
      return null;
    };
    // An inode is decided once, however many recorded mounts are folded into its superblock.
    const decided = new Map<string, string>();
    const ids = assignByFile(set, (mapping) => {
      const inode = `${mapping.superblock} ${mapping.ordinal}`;
      const known = decided.get(inode);
      if (known !== undefined) return known;
      const key = decide(mapping) ?? `private ${inode}`;
      decided.set(inode, key);
      return key;
    });
    return { ...ids, notes: notesOf(images, refused) };
  }

  #fingerprint(
    mapping: Mapping,
    image: ImageIndex,
    images: Record<'xattr' | 'computed' | 'none', Set<ImageIndex>>,
  ): string | null {
    const { fingerprints } = this.params;
    if (image.header.image.fingerprints && fingerprints !== 'computed') {
      images.xattr.add(image);
      return image.fingerprintKey(mapping.ordinal);
    }
    if (fingerprints === 'xattr') {
      images.none.add(image);
      return null;
    }
    images.computed.add(image);
    return COMPUTED_PREFIX + image.contentKey(mapping.ordinal);
  }
}

/** mkfs.erofs --xattr-inode-digest writes `sha256:` and the 32 raw bytes of the content's digest; here in hex, like the xattr's key. */
const COMPUTED_PREFIX = Buffer.from('sha256:').toString('hex');

/** The a_ops that fs/erofs/inode.c gives a regular file: z_erofs_aops, erofs_fileio_aops or erofs_aops. */
function addressSpaceOperations(mapping: Mapping, superblock: Superblock): string {
  if (superblock.image.isCompressed(mapping.ordinal)) return 'compressed';
  return superblock.backing === 'file' ? 'plain, file-backed' : 'plain, block device';
}

function notesOf(
  images: Record<'xattr' | 'computed' | 'none' | 'unknownLayout', Set<ImageIndex>>,
  refused: { size: number; operations: number },
): Note[] {
  const about = (set: Set<ImageIndex>, text: string): Note[] =>
    set.size === 0 ? [] : [{ text: `fingerprint: ${text}`, images: [...set].map((image) => image.header.image.name) }];
  const files = (count: number, why: string): Note[] =>
    count === 0 ? [] : [{ text: `fingerprint: files that kept a cache of their own, as ${why}`, count }];
  return [
    ...about(images.xattr, 'read from the xattrs'),
    ...about(images.computed, 'computed from the content, as mkfs.erofs --xattr-inode-digest would'),
    ...about(images.none, 'there is none, so inode_share is silently off'),
    ...about(
      images.unknownLayout,
      'data layouts are unknown (not indexed from an EROFS image) and taken as uncompressed',
    ),
    ...files(refused.size, "their size differs from the shared inode's"),
    ...files(refused.operations, "their address-space operations differ from the shared inode's"),
  ];
}

export const fingerprint: ModelEntry = {
  create: (name, _params, context) => new Fingerprint(name, context.fingerprints),
  defaults: {},
};
