/**
 * foliolab as a library: bind recorded traces to images, replay them under sharing models, eviction policies and memory sizes.
 *
 * @module
 */
export { DataError, UsageError } from './error.ts';
export { type BindingOptions, Bindings, ImageShelf } from './replay/binding.ts';
export { IndexCache } from './replay/image-index/cache.ts';
export { type ImageOptions, indexImage, packImage } from './replay/image-index/from-image.ts';
export {
  CODECS,
  type Codec,
  ImageIndex,
  type IndexColumns,
  type IndexHeader,
  LAYOUTS,
  type Layout,
} from './replay/image-index/image-index.ts';
export { type ManifestSource, packManifest } from './replay/image-index/manifest.ts';
export type { Choice } from './replay/image-index/oci/manifest.ts';
export { type OpenIndexOptions, openImageIndex } from './replay/image-index/open.ts';
export { METABOX, PACKED_INODE, type Piece } from './replay/image-index/place.ts';
export { countPages, type PageSets, pagesLeftByFills, readPageSets } from './replay/page-sets.ts';
export type { Backing, Mapping, MountMode, ReferenceSet, Superblock, TraceBinding } from './replay/references.ts';
export * from './replay/result.ts';
export { type Replayed, type ReplayOptions, replay, resultOf } from './replay/run.ts';
export { parseSharing, sharingModels } from './replay/sharing/index.ts';
export type { ModelContext, ModelEntry, PageIds, SharingModel } from './replay/sharing/model.ts';
export { VERSION } from './version.ts';
