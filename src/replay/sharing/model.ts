import type { Note } from '../notes.ts';
import type { ReferenceSet } from '../references.ts';

/** No identity: the logical page was never referenced. */
export const NO_PAGE = 0xffffffff;

/** Which cached page each logical page is, under one sharing model. */
export interface PageIds {
  /** logical page → dense id in the order of first reference; {@link NO_PAGE} where it was never referenced */
  ids: Uint32Array;
  /** number of dense ids: the footprint in pages */
  count: number;
  /** What a reader must know about how the identities came about. */
  notes: Note[];
}

/** A page-cache design, as far as it decides which accesses meet in one cached page. */
export interface SharingModel {
  /** As it was asked for, parameters that differ from the default included. */
  readonly name: string;
  /** Every effective parameter. */
  readonly params: Readonly<Record<string, string | number>>;
  /** Images that lack what the model needs, by path; a model without this method takes any. */
  lacking?(set: ReferenceSet): string[];
  /**
   * Identifies every touched logical page.
   * @throws DataError when an image lacks what the model needs
   */
  identify(set: ReferenceSet): PageIds;
}

/** What a model is made with. */
export interface ModelContext {
  /** `auto`: the xattr where the image has fingerprints, else computed as mkfs.erofs would. */
  fingerprints: 'auto' | 'xattr' | 'computed';
}

/** A registry line: how to build the model and what its parameters default to. */
export interface ModelEntry {
  readonly create: (name: string, params: Readonly<Record<string, string>>, context: ModelContext) => SharingModel;
  readonly defaults: Readonly<Record<string, string>>;
}
