/**
 * Reads EROFS images: inodes, directories, xattrs and fingerprints, extents, and data.
 *
 * ```ts
 * const image = Image.open('alpine.erofs');
 * for (const { path, inode } of image.walk()) console.log(path, inode.nid, inode.size);
 * const page = image.read(image.lookup('/usr/bin/env'), 4096, 4096);
 * ```
 *
 * The guide is `docs/erofs.md`; `examples/` reads an image over HTTP.
 *
 * @module
 */
export { DataBudget, MetadataBudget } from './budget.ts';
export { compareNames, nameBytes, nameString, printableName } from './bytes.ts';
export { type CheckFault, type CheckResult, checkImage } from './check.ts';
export { type CheckOptions, checkImageFile } from './check-lanes.ts';
export type { Piece } from './contents.ts';
export type { Extent } from './data.ts';
export type { Dirent } from './dir.ts';
export { ErofsCorruptError, ErofsError, ErofsUnsupportedError, type Fault } from './error.ts';
export { type ExtractResult, extractImage } from './extract.ts';
export type { Algorithm, FileType, Layout } from './format.ts';
export { Image, type ImageSource, type OpenOptions, type WalkEntry } from './image.ts';
export type { Inode } from './inode.ts';
export { type BlockReader, FileReader, MemoryReader, OffsetReader, type Window } from './reader.ts';
export type { DeviceSlot, Superblock } from './superblock.ts';
export type { Sweep } from './sweep.ts';
export type { LongPrefixes, Xattr } from './xattr.ts';
