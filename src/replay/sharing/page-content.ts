import type { ReferenceSet } from '../references.ts';
import { assignByPage } from './assign.ts';
import type { ModelEntry, PageIds, SharingModel } from './model.ts';
import { oneOf } from './params.ts';

/**
 * page-content: pages of equal content are one page, whatever file they belong to. An upper bound that no kernel reaches today.
 *
 * index=any (the default): equal pages anywhere. index=aligned: only at the same page index, as a folio that several mappings share
 * without an offset of its own would need. The last page of a file counts as padded with zeroes, which is how it lies in the cache.
 * Content is told by the first 64 bits of the page's SHA-256.
 */
class PageContent implements SharingModel {
  readonly params: { index: string };

  constructor(
    readonly name: string,
    index: string,
  ) {
    this.params = { index };
  }

  identify(set: ReferenceSet): PageIds {
    const aligned = this.params.index === 'aligned';
    const ids = assignByPage(set, 3, (mapping, pageIndex, key) => {
      const { firstPage, pageDigest } = set.superblocks[mapping.superblock]!.image.columns;
      const page = firstPage[mapping.ordinal]! + pageIndex;
      key[0] = pageDigest[2 * page]!;
      key[1] = pageDigest[2 * page + 1]!;
      key[2] = aligned ? pageIndex : 0;
    });
    return { ...ids, notes: [] };
  }
}

const INDEXES = ['any', 'aligned'];

export const pageContent: ModelEntry = {
  defaults: { index: 'any' },
  create(name, params) {
    oneOf(name, 'index', params.index!, INDEXES);
    return new PageContent(name, params.index!);
  },
};
