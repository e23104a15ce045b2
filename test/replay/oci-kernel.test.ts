import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { indexImage } from '../../src/replay/image-index/from-image.ts';
import { indexOci } from '../../src/replay/image-index/oci/from-oci.ts';
import { hasTool, need } from '../require.ts';
import { type Layer, listing, singleLayout, writeFiles } from './oci-images.ts';
import { temporaryFolder } from './support.ts';

const tools = ['tar', 'python3', 'mkfs.erofs', 'mount', 'mknod'];
const able =
  need(tools.join(', '), tools.every(hasTool)) &&
  need(
    'root, to mount overlayfs',
    process.getuid?.() === 0 && readFileSync('/proc/filesystems', 'utf8').includes('overlay'),
  );

/** Sets an xattr, which Node can't. */
function setXattr(path: string, name: string, value: Buffer): void {
  const code =
    'import os,sys; os.setxattr(sys.argv[1].encode("utf8","surrogateescape"),sys.argv[2],bytes.fromhex(sys.argv[3]))';
  execFileSync('python3', ['-c', code, path, name, value.toString('hex')]);
}

/** A tar archive of a folder by GNU tar, with everything that it can hold. */
function gnuTar(folder: string, format: 'pax' | 'gnu'): Buffer {
  const xattrs = format === 'pax' ? ['--xattrs', '--xattrs-include=*'] : [];
  return execFileSync('tar', [`--format=${format}`, ...xattrs, '--numeric-owner', '-C', folder, '-cf', '-', '.'], {
    maxBuffer: 2 ** 28,
  });
}

/** Unpacks an archive by GNU tar, and turns its whiteouts into overlayfs': a character device 0/0, an xattr. */
function unpack(archive: Buffer, folder: string): void {
  mkdirSync(folder);
  execFileSync('tar', ['--xattrs', '--xattrs-include=*', '--numeric-owner', '-p', '-C', folder, '-xf', '-'], {
    input: archive,
  });
  convert(folder);
}

function convert(folder: string): void {
  const { mtimeNs } = lstatSync(bytes(folder), { bigint: true });
  for (const name of names(folder)) {
    const path = join(folder, name);
    if (lstatSync(bytes(path)).isDirectory()) convert(path);
    if (!name.startsWith('.wh.')) continue;
    unlinkSync(path);
    if (name === '.wh..wh..opq') setXattr(folder, 'trusted.overlay.opaque', Buffer.from('y'));
    else {
      const hidden = join(folder, name.slice(4));
      if (!existsSync(hidden)) execFileSync('mknod', [hidden, 'c', '0', '0']);
      else if (lstatSync(hidden).isDirectory()) setXattr(hidden, 'trusted.overlay.opaque', Buffer.from('y'));
    }
  }
  if (lstatSync(bytes(folder), { bigint: true }).mtimeNs !== mtimeNs)
    execFileSync('python3', [
      '-c',
      'import os,sys; os.utime(sys.argv[1],ns=(int(sys.argv[2]),)*2)',
      folder,
      `${mtimeNs}`,
    ]);
}

/** An EROFS image of what the kernel shows of the layers. */
function mergedByKernel(folder: string, archives: readonly Buffer[]): string {
  const lower = archives.map((archive, at) => {
    const path = join(folder, `lower${at}`);
    unpack(archive, path);
    return path;
  });
  if (lower.length === 1) lower.unshift(join(folder, 'empty'));
  mkdirSync(join(folder, 'empty'), { recursive: true });
  const merged = join(folder, 'merged');
  mkdirSync(merged);
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `ro,lowerdir=${lower.reverse().join(':')}`, merged]);
  try {
    const image = join(folder, 'merged.erofs');
    execFileSync('mkfs.erofs', ['--quiet', image, merged], { stdio: ['ignore', 'ignore', 'inherit'] });
    return image;
  } finally {
    execFileSync('umount', [merged]);
  }
}

const CAPABILITY = Buffer.from('0100000202000a00000000000000000000000000', 'hex');

/** Folders of three layers, in which every kind of change comes. */
function makeLayers(folder: string): string[] {
  const [one, two, three] = ['one', 'two', 'three'].map((name) => join(folder, name)) as [string, string, string];
  for (const path of [one, two, three]) mkdirSync(path);
  const file = (layer: string, name: string, content: string | Buffer, mode = 0o644): string => {
    const path = join(layer, name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, content);
    chmodSync(path, mode);
    return path;
  };
  const long = `${'long-'.repeat(20)}/${'name-'.repeat(40)}/${'x'.repeat(250)}`;

  file(one, 'kept', 'kept as it is');
  file(one, 'replaced', 'old');
  file(one, 'deleted', 'old');
  file(one, 'empty', '');
  file(one, 'page', Buffer.alloc(4096, 'p'));
  file(one, 'pages', Buffer.alloc(3 * 4096 + 17, 'q'));
  file(one, long, 'long');
  symlinkSync('x'.repeat(200), join(one, 'long-symlink'));
  file(one, 'ünï', 'utf-8');
  writeFileSync(Buffer.from(`${one}/latin-\xe4`, 'latin1'), 'not utf-8');
  copyFileSync(process.execPath, join(one, 'program'));
  file(one, 'setuid', 'x', 0o4755);
  lchownSync(join(one, 'setuid'), 0, 3_000_000);
  chmodSync(join(one, 'setuid'), 0o6755);
  file(one, 'capable', 'x');
  setXattr(join(one, 'capable'), 'security.capability', CAPABILITY);
  setXattr(join(one, 'capable'), 'user.binary', Buffer.from('00ff0a3d80', 'hex'));
  file(one, 'linked', 'one inode');
  linkSync(join(one, 'linked'), join(one, 'linked-too'));
  linkSync(join(one, 'linked'), join(one, 'linked-three'));
  file(one, 'directory/a', 'a');
  file(one, 'directory/sub/b', 'b');
  file(one, 'opaque/a', 'a');
  file(one, 'opaque/sub/b', 'b');
  file(one, 'gone/sub/c', 'c');
  file(one, 'to-file/x', 'x');
  file(one, 'to-directory', 'x');
  symlinkSync('directory', join(one, 'to-real-directory'));
  file(one, 'remade/old', 'x');
  execFileSync('mknod', [join(one, 'fifo'), 'p']);
  execFileSync('mknod', [join(one, 'null'), 'c', '1', '3']);

  file(two, 'replaced', 'new and longer');
  file(two, '.wh.deleted', '');
  file(two, '.wh.gone', '');
  file(two, 'directory/.wh.a', '');
  file(two, 'directory/c', 'c');
  chmodSync(join(two, 'directory'), 0o700);
  lchownSync(join(two, 'directory'), 7, 8);
  setXattr(join(two, 'directory'), 'user.changed', Buffer.from('yes'));
  file(two, 'opaque/.wh..wh..opq', '');
  file(two, 'opaque/new', 'new');
  file(two, 'to-file', 'a file now');
  file(two, 'to-directory/y', 'y');
  file(two, 'to-real-directory/z', 'z');
  file(two, '.wh.remade', '');
  file(two, 'remade/new', 'x');
  // Only one of three names is another file now.
  file(two, 'linked-too', 'an inode of its own');

  file(three, 'deleted', 'there again');
  file(three, 'gone/again', 'c');
  file(three, 'opaque/sub/d', 'd');
  file(three, 'directory/.wh.sub', '');
  file(three, '.wh.program', '');
  file(three, 'elf', readFileSync('/bin/true'), 0o755);
  let second = 1_600_000_000;
  for (const path of [one, two, three]) stamp(path, () => second++);
  return [one, two, three];
}

/** Names in a folder, and a path that holds them, as latin1: bytes that needn't be UTF-8. */
function names(folder: string): string[] {
  return readdirSync(bytes(folder), 'latin1');
}

function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/** Gives everything in a folder a time of its own, before 1970 and with nanoseconds among them. */
function stamp(path: string, next: () => number): void {
  if (lstatSync(bytes(path)).isDirectory()) for (const name of names(path)) stamp(join(path, name), next);
  const time = next();
  lutimesSync(bytes(path), time, time % 5 === 0 ? time + 0.125 : time);
}

describe.skipIf(!able)('layers by GNU tar, merged by the overlayfs of the kernel and packed by mkfs.erofs', () => {
  it.each(['pax', 'gnu'] as const)(
    'give the same index, inode by inode and page by page (%s)',
    async (format) => {
      const folder = temporaryFolder();
      const archives = makeLayers(folder).map((path) => gnuTar(path, format));
      const image = mergedByKernel(folder, archives);
      const layers = archives.map((archive, at): Layer => {
        if (at !== 1) return { archive };
        return { archive, stored: gzipSync(archive), mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' };
      });
      const oci = await indexOci(writeFiles(join(folder, 'layout'), singleLayout(layers)));
      const erofs = await indexImage(image);
      expect(listing(oci)).toEqual(listing(erofs));
      // What the comparison is about is really there.
      const paths = [...oci.entries()].map(({ path }) => path);
      for (const path of ['/remade/new', '/opaque/sub/d', '/to-directory/y', '/to-real-directory/z', '/deleted'])
        expect(paths).toContain(path);
      for (const path of ['/remade/old', '/opaque/a', '/opaque/sub/b', '/to-file/x', '/directory/a', '/program'])
        expect(paths).not.toContain(path);
      expect(oci.header.pages).toBeGreaterThan(10);
      rmSync(join(folder, 'merged'), { recursive: true });
    },
    60_000,
  );
});
