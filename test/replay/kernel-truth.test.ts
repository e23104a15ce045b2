import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packImage } from '../../src/replay/image-index/from-image.ts';
import { ImageIndex } from '../../src/replay/image-index/image-index.ts';
import { openImageIndex } from '../../src/replay/image-index/open.ts';
import type { Backing } from '../../src/replay/references.ts';
import { parseSharing } from '../../src/replay/sharing/index.ts';
import { hasTool, need } from '../require.ts';
import { load, row, temporaryFolder } from './support.ts';

const FIXTURES = new URL('../fixtures/kernel-truth/', import.meta.url).pathname;

interface Golden {
  directoryBytesPerImage: number;
  scenarios: Record<string, { sharedInodesBytes: number; ownInodesBytes: Record<string, number> }>;
}

const golden = JSON.parse(readFileSync(join(FIXTURES, 'golden.json'), 'utf8')) as Golden;

/** File data that the kernel cached in a scenario: shared inodes, and the mounts' own without their directories. */
function cachedFileBytes(scenario: string): number {
  const { sharedInodesBytes, ownInodesBytes } = golden.scenarios[scenario]!;
  const own = Object.entries(ownInodesBytes).map(([mount, bytes]) => bytes - directoryBytes(mount));
  return sharedInodesBytes + own.reduce((a, b) => a + b, 0);
}

/** The merged image has 15 directories of a page each: both images' 7, less their roots, below A, B and its own root, twice 6 + 3. */
const directoryBytes = (mount: string): number => (mount === 'M' ? 61_440 : golden.directoryBytesPerImage);

interface Mount {
  image: ImageIndex;
  backing?: Backing;
  domain?: string;
}

/** Reads every file of each mount once, in the order of the mounts, as the golden scenarios did. */
async function readAll(
  mounts: Record<string, Mount>,
  sharing: string,
  fingerprints: 'auto' | 'xattr' | 'computed' = 'xattr',
): Promise<number> {
  const rows = Object.entries(mounts).flatMap(([mount, { image }]) =>
    Array.from(image.columns.nid, (nid, ordinal) => ({ nid, pages: image.pagesOf(ordinal) }))
      .filter(({ pages }) => pages > 0)
      .map(({ nid, pages }) => row({ mount, container: mount, nid, op: 'read', pageCount: pages })),
  );
  const set = await load(rows, Object.fromEntries(Object.entries(mounts).map(([id, { image }]) => [id, image])), {
    backings: Object.fromEntries(Object.entries(mounts).map(([id, { backing = 'block' }]) => [id, backing])),
    domainOf: (_container, mount) => mounts[mount]!.domain ?? 'd1',
  });
  return parseSharing(sharing, { fingerprints }).identify(set).count * 4096;
}

const index = (name: string) => openImageIndex(join(FIXTURES, `${name}.fidx`));

describe('inode_share of Linux 7.3, byte for byte', () => {
  it.each<[string, string, string, Partial<Mount>, Partial<Mount>]>([
    ['matrix/vblk/plain/same/readall', 'plainA', 'plainB', {}, {}],
    ['matrix/vblk/plain/diff/readall', 'plainA', 'plainB', {}, { domain: 'd2' }],
    ['matrix/vblk/plain/none/readall', 'plainA', 'plainB', { domain: '' }, { domain: '' }],
    ['matrix/file/plain/same/readall', 'plainA', 'plainB', { backing: 'file' }, { backing: 'file' }],
    ['matrix/vblk/lz4/same/readall', 'lz4A', 'lz4B', {}, {}],
    ['matrix/vblk/lz4/diff/readall', 'lz4A', 'lz4B', {}, { domain: 'd2' }],
    ['matrix/vblk/lz4/none/readall', 'lz4A', 'lz4B', { domain: '' }, { domain: '' }],
    ['mix/A-share_B-noshare', 'plainA', 'plainB', {}, { domain: '' }],
    ['mix/plain+lz4', 'plainA', 'lz4B', {}, {}],
    ['mix/lz4+l64', 'lz4A', 'l64B', {}, {}],
    ['mix/plain-vblk+plain-file', 'plainA', 'plainB', {}, { backing: 'file' }],
    // A loop device is a block device.
    ['mix/plain-vblk+plain-loop', 'plainA', 'plainB', {}, {}],
    ['mix/lz4-vblk+lz4-file', 'lz4A', 'lz4B', {}, { backing: 'file' }],
    ['mix/fp-trusted+fp-default', 'plainA', 'deffpB', { backing: 'file' }, { backing: 'file' }],
    ['mix/nofp+fp', 'nofpA', 'plainB', { backing: 'file' }, { backing: 'file' }],
    ['mix/chunk+chunk', 'chunkA', 'chunkB', { backing: 'file' }, { backing: 'file' }],
    ['mix/plain+chunk', 'plainA', 'chunkB', { backing: 'file' }, { backing: 'file' }],
  ])('%s', async (scenario, a, b, optionsA, optionsB) => {
    const mounts = { A: { image: await index(a), ...optionsA }, B: { image: await index(b), ...optionsB } };
    expect(await readAll(mounts, 'fingerprint')).toBe(cachedFileBytes(scenario));
  });

  it('per-inode is what it caches without inode_share, and hard links what it caches of the merged image', async () => {
    const mounts = { A: { image: await index('plainA') }, B: { image: await index('plainB') } };
    expect(await readAll(mounts, 'per-inode')).toBe(cachedFileBytes('matrix/vblk/plain/none/readall'));
    expect(await readAll({ M: { image: await index('plainM') } }, 'per-inode')).toBe(
      cachedFileBytes('matrix/vblk/plain/merged/readall'),
    );
    for (const model of ['hardlink', 'hardlink:match=content'])
      expect(await readAll(mounts, model)).toBe(cachedFileBytes('matrix/vblk/plain/merged/readall'));
  });

  it('computed fingerprints find the same as the xattrs', async () => {
    const mounts = { A: { image: await index('nofpA') }, B: { image: await index('plainB') } };
    expect(await readAll(mounts, 'fingerprint', 'computed')).toBe(19_804_160);
    expect(await readAll(mounts, 'fingerprint', 'auto')).toBe(19_804_160);
  });
});

const canRebuild = need('python3', hasTool('python3')) && need('mkfs.erofs', hasTool('mkfs.erofs'));

it.skipIf(!canRebuild)(
  'trees generated anew and packed by the installed mkfs.erofs give the golden bytes',
  async () => {
    const folder = temporaryFolder();
    execFileSync('python3', [join(FIXTURES, 'trees.py'), join(folder, 'trees')]);
    const images: Record<string, ImageIndex> = {};
    for (const tree of ['A', 'B', 'M']) {
      const path = join(folder, `${tree}.erofs`);
      execFileSync('mkfs.erofs', ['-T0', '--all-root', path, join(folder, 'trees', tree)], { stdio: 'ignore' });
      expect(existsSync(path)).toBe(true);
      images[tree] = ImageIndex.parse(path, await packImage(path), 'image');
    }
    const mounts = { A: { image: images.A! }, B: { image: images.B! } };
    expect(await readAll(mounts, 'per-inode')).toBe(38_510_592);
    expect(await readAll(mounts, 'fingerprint', 'auto')).toBe(19_804_160);
    expect(await readAll({ A: mounts.A, B: { ...mounts.B, domain: 'd2' } }, 'fingerprint', 'auto')).toBe(38_379_520);
    expect(await readAll(mounts, 'hardlink:match=content')).toBe(19_804_160);
    expect(await readAll({ M: { image: images.M! } }, 'per-inode')).toBe(19_804_160);
  },
  120_000,
);
