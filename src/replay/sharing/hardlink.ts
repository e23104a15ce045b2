import type { ImageIndex } from '../image-index/image-index.ts';
import type { ReferenceSet } from '../references.ts';
import { assignByFile } from './assign.ts';
import type { ModelEntry, PageIds, SharingModel } from './model.ts';
import { oneOf } from './params.ts';

/**
 * hardlink: all images built into one filesystem in which identical files are hard links, hence one inode and one mapping.
 *
 * match=strict (the default): links need what an inode has only once to be equal, i.e. mode, owner, mtime and xattrs, besides the
 * content. match=content: content alone, as if the builder ignored the rest. Empty files have no pages and don't matter.
 *
 * The merged filesystem is mounted once, except with --mounts per-container, where each container mounts it for itself and nothing is
 * shared between them. Reference: the merged-plain recordings, one hard-linked image on Linux 6.18.
 */
class Hardlink implements SharingModel {
  readonly params: { match: string };

  constructor(
    readonly name: string,
    match: string,
  ) {
    this.params = { match };
  }

  identify(set: ReferenceSet): PageIds {
    const strict = this.params.match === 'strict';
    const unknown = new Set<ImageIndex>();
    const perContainer = set.mounts === 'per-container';
    const ids = assignByFile(set, (mapping) => {
      const superblock = set.superblocks[mapping.superblock]!;
      const { image } = superblock;
      let key = image.contentKey(mapping.ordinal);
      if (perContainer) key += ` ${superblock.container}`;
      if (!strict) return key;
      if (!image.header.known.mtime || !image.header.known.xattrs) unknown.add(image);
      const c = image.columns;
      const o = mapping.ordinal;
      return `${key} ${c.mode[o]} ${c.uid[o]} ${c.gid[o]} ${c.mtimeSec[o]} ${c.mtimeNsec[o]} ${image.xattrsKey(o)}`;
    });
    const images = [...unknown].map((image) => image.header.image.name);
    const text = 'hardlink: mtime and xattrs are unknown (indexed from a manifest) and taken as equal';
    return { ...ids, notes: images.length > 0 ? [{ text, images }] : [] };
  }
}

const MATCHES = ['strict', 'content'];

export const hardlink: ModelEntry = {
  defaults: { match: 'strict' },
  create(name, params) {
    oneOf(name, 'match', params.match!, MATCHES);
    return new Hardlink(name, params.match!);
  },
};
