// Asks a damaged image for everything a user can ask for. Whatever comes is an answer or an ErofsError that says where.
import { checkImage, ErofsError, Image, MemoryReader } from '../../dist/erofs/index.js';

const CODES = new Set(['CORRUPT', 'UNSUPPORTED', 'LIMIT', 'ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EINVAL']);
/** small, so that what ignores it is seen */
export const MAX_BYTES = 1 << 20;
const MAX_NAMES = 5000;

/**
 * @param {Uint8Array} bytes the image
 * @param {Uint8Array | null} blob its extra device
 * @param {string[]} paths what was damaged
 * @param next random numbers: they choose what is asked, for all of it of every image would take too long
 * @returns {string} the code of the first error, or `answer`
 * @throws whatever isn't an ErofsError
 */
export function exercise(bytes, blob, paths, next) {
  let outcome = 'answer';
  const attempt = (ask) => {
    try {
      return ask();
    } catch (e) {
      if (!(e instanceof ErofsError)) throw e;
      if (!CODES.has(e.code)) throw new Error(`an error of code ${e.code}: ${e.message}`);
      if (!/^bad\.(erofs|blob): \S[^\n]*$/.test(e.message))
        throw new Error(`an error that says no place: ${e.message}`);
      if (outcome === 'answer') outcome = e.code;
      return undefined;
    }
  };
  const image = attempt(() =>
    Image.open(new MemoryReader(bytes, 'bad.erofs'), {
      devices: blob ? [new MemoryReader(blob, 'bad.blob')] : [],
      maxBytes: MAX_BYTES,
    }),
  );
  if (image === undefined) return outcome;

  const some = [];
  // What was damaged is asked for by name below; the whole tree, of hundreds of names, only now and then.
  if (next(4) === 0)
    attempt(() => {
      let names = 0;
      for (const { path, inode } of image.walk()) {
        if (++names > MAX_NAMES) throw new Error('walk does not end');
        if (path !== '/' && /\0|\/\/|\/\.{0,2}$/.test(path)) throw new Error(`walk gives ${JSON.stringify(path)}`);
        if (next(32) === 0) some.push(inode);
      }
    });
  for (const path of paths) {
    const inode = attempt(() => image.lookup(path));
    if (inode !== undefined) some.push(inode);
    attempt(() => image.lookup(path, { follow: true }));
  }
  for (const inode of some) ask(image, inode, attempt, next);
  if (next(16) === 0) {
    const { faults } = checkImage(image);
    for (const fault of faults) {
      if (!CODES.has(fault.code)) throw new Error(`a fault of code ${fault.code}: ${fault.message}`);
      if (outcome === 'answer') outcome = fault.code;
    }
  }
  return outcome;
}

function ask(image, inode, attempt, next) {
  attempt(() => image.fingerprint(inode));
  attempt(() => image.xattrs(inode));
  if (inode.type === 'symlink') attempt(() => image.readlink(inode));
  if (inode.type === 'directory') attempt(() => image.readdir(inode));
  attempt(() => {
    let end = 0;
    let count = 0;
    for (const e of image.mapBlocks(inode)) {
      if (e.la !== end) throw new Error(`extent at ${e.la}, not ${end}`);
      end = e.la + e.llen;
      if (++count === 64) break;
    }
  });
  if (inode.type !== 'file') return;
  for (const offset of [0, Math.max(0, inode.size - 100), next(1 << 20)]) {
    attempt(() => {
      const bytes = image.read(inode, offset, 4096);
      const due = Math.min(4096, Math.max(0, inode.size - offset));
      if (bytes.length !== due) throw new Error(`read gives ${bytes.length} bytes, not ${due}`);
    });
  }
  attempt(() => image.verify(inode));
  attempt(() => {
    let bytes = 0;
    for (const chunk of image.stream(inode)) {
      bytes += chunk.length;
      if (bytes > 4 * MAX_BYTES) break; // a hole may say any size
    }
  });
}
