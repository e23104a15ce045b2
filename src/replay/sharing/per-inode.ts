import type { ReferenceSet } from '../references.ts';
import { assignByFile } from './assign.ts';
import type { ModelEntry, PageIds, SharingModel } from './model.ts';

/**
 * per-inode: the mainline page cache. A folio belongs to the mapping of one inode of one superblock at one index, so nothing is shared
 * between mounts and hard links share within one. Kernel: struct address_space, mm/filemap.c.
 */
class PerInode implements SharingModel {
  readonly params = {};
  constructor(readonly name: string) {}

  identify(set: ReferenceSet): PageIds {
    return { ...assignByFile(set, ({ superblock, ordinal }) => `${superblock} ${ordinal}`), notes: [] };
  }
}

export const perInode: ModelEntry = { create: (name) => new PerInode(name), defaults: {} };
