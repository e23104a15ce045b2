/**
 * Where a fault is: the image, and what in it.
 * `object` names the structure; without it, `inode nid N` is used when `nid` is given.
 */
export interface Fault {
  /** the image, or the device or file at fault */
  readonly path: string;
  /** byte offset in the image (primary device unless the message says otherwise) */
  readonly offset?: number | null;
  /** the inode at fault */
  readonly nid?: number | null;
  /** the structure at fault, in words */
  readonly object?: string;
}

/**
 * Any failure of the decoder. The message is one line, `FILE: WHERE: WHAT`, for example
 * `alpine.erofs: inode nid 36 @ 0x4a80: data layout 6 is reserved`.
 *
 * Codes of this base class: the errno names `ENOENT`, `ENOTDIR`, `EISDIR`, `ELOOP`, `EINVAL` for a question that has no
 * answer on a sound image, `EIO` and other errno names when the image file itself could not be read, and `LIMIT` when an
 * answer would exceed {@link OpenOptions.maxBytes}.
 */
export class ErofsError extends Error {
  /** what kind of failure: `CORRUPT`, `UNSUPPORTED`, `LIMIT` or an errno name */
  readonly code: string;
  /** the image, or the device or file at fault */
  readonly path: string;
  /** byte offset in the image, or null when the fault has no single place */
  readonly offset: number | null;
  /** the inode at fault, or null */
  readonly nid: number | null;

  constructor(code: string, what: string, fault: Fault) {
    const { path, offset = null, nid = null } = fault;
    let where = fault.object ?? (nid === null ? '' : `inode nid ${nid}`);
    if (offset !== null) where += `${where ? ' ' : ''}@ 0x${offset.toString(16)}`;
    super(`${path}: ${where ? `${where}: ` : ''}${what}`);
    this.name = new.target.name;
    this.code = code;
    this.path = path;
    this.offset = offset;
    this.nid = nid;
  }
}

/** The bytes contradict the format, or each other. Code `CORRUPT`. */
export class ErofsCorruptError extends ErofsError {
  constructor(what: string, fault: Fault) {
    super('CORRUPT', what, fault);
  }
}

/** The image may be sound, but uses what this decoder doesn't know. Code `UNSUPPORTED`. */
export class ErofsUnsupportedError extends ErofsError {
  constructor(what: string, fault: Fault) {
    super('UNSUPPORTED', what, fault);
  }
}
