import { expect } from 'vitest';
import { ErofsError, Image, MemoryReader } from '../../src/erofs/index.ts';

/** Asks for everything; of each file no more than its first 16 extents and two pages, so that a lying size can't take long. */
function exercise(bytes: Uint8Array, blob: Uint8Array | null): void {
  const image = Image.open(new MemoryReader(bytes, 'bad.erofs'), {
    devices: blob ? [new MemoryReader(blob, 'bad.blob')] : [],
    maxBytes: 1 << 20,
  });
  let names = 0;
  const attempt = (f: () => void) => {
    try {
      f();
    } catch (e) {
      if (!(e instanceof ErofsError)) throw e;
    }
  };
  for (const { path, inode } of image.walk()) {
    if (++names > 5000) throw new Error('walk does not end');
    if (/^\/(many|wide)\//.test(path) && names % 16 !== 0) continue;
    attempt(() => (image.superblock.ishareXattrPrefixId < 0 ? image.xattrs(inode) : image.fingerprint(inode)));
    if (inode.type === 'symlink') attempt(() => image.readlink(inode));
    if (inode.type === 'file') {
      attempt(() => image.read(inode, 0, 4096));
      attempt(() => image.read(inode, Math.max(0, inode.size - 100), 100));
    }
    attempt(() => {
      let n = 0;
      for (const _ of image.mapBlocks(inode)) if (++n === 16) break;
    });
  }
  attempt(() => image.lookup('/usr/../bin/env', { follow: true }));
  attempt(() => image.lookup('/loop', { follow: true }));
}

/** The outcome of an exercise, for counting; anything but an answer or an ErofsError is a failure. */
export function outcome(bytes: Uint8Array, blob: Uint8Array | null, what: string): string {
  const start = performance.now();
  try {
    exercise(bytes, blob);
    return 'answer';
  } catch (e) {
    if (!(e instanceof ErofsError)) throw new Error(`${what}: ${e}`, { cause: e });
    expect(e.message).toMatch(/^bad\.(erofs|blob): \S/);
    return e.code;
  } finally {
    expect([what, performance.now() - start < 5000]).toEqual([what, true]);
  }
}

// The crc would catch what the flips are for: the superblock must look sound to get further.
export function withoutChecksum(bytes: Uint8Array): Uint8Array {
  bytes[1024 + 8]! &= ~1;
  return bytes;
}
