import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/error.ts';
import type { ImageIndex } from '../../src/replay/image-index/image-index.ts';
import type { ReferenceSet } from '../../src/replay/references.ts';
import { parseSharing } from '../../src/replay/sharing/index.ts';
import { NO_PAGE } from '../../src/replay/sharing/model.ts';
import type { TraceRow } from '../../src/replay/trace/row.ts';
import { type FileSpec, load, makeIndex, row } from './support.ts';

const model = (text: string, fingerprints: 'auto' | 'xattr' | 'computed' = 'auto') =>
  parseSharing(text, { fingerprints });

/** Distinct pages under a model. */
const footprint = (set: ReferenceSet, text: string): number => model(text).identify(set).count;

const readAll = (mount: string, image: ImageIndex, container = mount): TraceRow[] =>
  Array.from(image.columns.nid, (nid, ordinal) =>
    row({ mount, container, nid, op: 'read', pageCount: image.pagesOf(ordinal) }),
  );

describe('two images that have one file in common', () => {
  // a: 1 = xy (shared), 2 = x    b: 1 = xy (shared), 3 = yx
  const a = makeIndex('a.erofs', [
    { nid: 1, pages: ['x', 'y'] },
    { nid: 2, pages: ['x'] },
  ]);
  const b = makeIndex('b.erofs', [
    { nid: 1, pages: ['x', 'y'] },
    { nid: 3, pages: ['y', 'x'] },
  ]);

  it.each([
    ['per-inode', 7], // 2 + 1 + 2 + 2
    ['hardlink', 5], // xy once, x, yx
    ['hardlink:match=content', 5],
    ['fingerprint', 5],
    ['physical-index', 7], // two devices
    ['physical-index:layout=shared-blob', 5],
    ['physical-index:layout=chunk-dedup:chunk=4096', 2], // every page is a chunk
    ['physical-index:layout=chunk-dedup:chunk=8KiB', 5],
    ['page-content:index=aligned', 4], // x@0 y@1 y@0 x@1
    ['page-content', 2],
  ])('%s keeps %i pages', async (name, pages) => {
    expect(footprint(await load([...readAll('a', a), ...readAll('b', b)], { a, b }), name)).toBe(pages);
  });

  it('mounted a second time costs per-inode another copy and no other design anything', async () => {
    const set = await load([...readAll('a', a), ...readAll('a2', a)], { a, a2: a });
    expect(footprint(set, 'per-inode')).toBe(6);
    for (const name of ['hardlink', 'fingerprint', 'physical-index']) expect(footprint(set, name)).toBe(3);
  });

  it('mounted once for all containers of an image, costs per-inode one copy', async () => {
    const set = await load([...readAll('a', a), ...readAll('a2', a)], { a, a2: a }, { mounts: 'per-image' });
    expect(footprint(set, 'per-inode')).toBe(3);
  });

  it('mounted per container, is a copy each even on one recorded mount, and a merged filesystem as well', async () => {
    const rows = [...readAll('a', a, 'c1'), ...readAll('a', a, 'c2')];
    expect(footprint(await load(rows, { a }), 'per-inode')).toBe(3);
    const set = await load(rows, { a }, { mounts: 'per-container' });
    expect(footprint(set, 'per-inode')).toBe(6);
    expect(footprint(set, 'hardlink')).toBe(6);
    expect(footprint(set, 'fingerprint')).toBe(3);
    expect(footprint(set, 'physical-index')).toBe(3);
  });
});

describe('hardlink', () => {
  it.each<[string, Partial<FileSpec>]>([
    ['mode', { mode: 0o100755 }],
    ['owner', { uid: 7 }],
    ['mtime', { mtimeSec: 1 }],
    ['xattrs', { xattrs: 'security.capability' }],
  ])('links files that differ in %s only when content alone counts', async (_what, change) => {
    const a = makeIndex('a', [{ nid: 1, pages: ['x'] }]);
    const b = makeIndex('b', [{ nid: 1, pages: ['x'], ...change }]);
    const set = await load([...readAll('a', a), ...readAll('b', b)], { a, b });
    expect(footprint(set, 'hardlink')).toBe(2);
    expect(footprint(set, 'hardlink:match=content')).toBe(1);
  });

  it('says so where mtime and xattrs are unknown', async () => {
    const a = makeIndex('a', [{ nid: 1, pages: ['x'] }], { layout: false });
    const { notes } = model('hardlink').identify(await load(readAll('a', a), { a }));
    expect(notes).toEqual([{ text: expect.stringContaining('mtime and xattrs are unknown'), images: ['a'] }]);
  });
});

describe('fingerprint', () => {
  const file = (change: Partial<FileSpec> = {}): FileSpec => ({ nid: 1, pages: ['x'], ...change });

  it('refuses compressed with plain, as the kernel does', async () => {
    const a = makeIndex('a', [file()]);
    const b = makeIndex('b', [file({ layout: 'compressed-compact' })]);
    const set = await load([...readAll('a', a), ...readAll('b', b)], { a, b });
    const pages = model('fingerprint').identify(set);
    expect(pages.count).toBe(2);
    expect(pages.notes).toContainEqual({
      text: expect.stringContaining('their address-space operations differ'),
      count: 1,
    });
  });

  it('refuses plain file-backed with plain on a block device, but not compressed with compressed', async () => {
    for (const [layout, expected] of [
      ['flat-plain', 2],
      ['compressed-full', 1],
    ] as const) {
      const a = makeIndex('a', [file({ layout })]);
      const b = makeIndex('b', [file({ layout })]);
      expect(
        footprint(
          await load([...readAll('a', a), ...readAll('b', b)], { a, b }, { backings: { a: 'block' } }),
          'fingerprint',
        ),
      ).toBe(expected);
    }
  });

  it('believes the xattr: a lie about content is shared, unless the size gives it away', async () => {
    const fingerprint = 'sha256:made up';
    const a = makeIndex('a', [file({ fingerprint })], { fingerprints: true });
    const b = makeIndex('b', [file({ pages: ['y'], fingerprint })], { fingerprints: true });
    const c = makeIndex('c', [file({ pages: ['z'], short: 1, fingerprint })], { fingerprints: true });
    const set = await load([...readAll('a', a), ...readAll('b', b), ...readAll('c', c)], { a, b, c });
    expect(footprint(set, 'fingerprint')).toBe(2);
    expect(model('fingerprint', 'computed').identify(set).count).toBe(3);
  });

  it('finds a computed fingerprint equal to the xattr mkfs.erofs writes', async () => {
    const b = makeIndex('b', [file()]);
    const written = Buffer.concat([Buffer.from('sha256:'), Buffer.from(b.contentKey(0), 'hex')]);
    const a = makeIndex('a', [file({ fingerprint: written })], { fingerprints: true });
    const rows = [...readAll('a', a), ...readAll('b', b)];
    expect(footprint(await load(rows, { a, b }), 'fingerprint')).toBe(1);
    expect(model('fingerprint', 'xattr').identify(await load(rows, { a, b })).count).toBe(2);
  });

  it('shares nothing between domains, yet duplicates within one image', async () => {
    const a = makeIndex('a', [file(), file({ nid: 2 })]);
    const b = makeIndex('b', [file()]);
    const rows = [...readAll('a', a), ...readAll('b', b)];
    expect(footprint(await load(rows, { a, b }, { domainOf: (_c, mount) => mount }), 'fingerprint')).toBe(2);
    expect(footprint(await load(rows, { a, b }), 'fingerprint')).toBe(1);
  });

  it('leaves one mount in one domain', async () => {
    const a = makeIndex('a', [file()]);
    const rows = [...readAll('a', a, 'c1'), ...readAll('a', a, 'c2')];
    await expect(load(rows, { a }, { domainOf: (container) => container })).rejects.toThrow(UsageError);
    expect(
      footprint(
        await load(rows, { a }, { domainOf: (container) => container, mounts: 'per-container' }),
        'fingerprint',
      ),
    ).toBe(2);
  });
});

describe('physical-index', () => {
  const extent = (la: number, llen: number, pa: number, more = {}) => ({
    la,
    llen,
    pa,
    plen: llen,
    device: 0,
    hole: false,
    compressed: false,
    ...more,
  });

  it('shares what lies in one place: two inodes of one chunk', async () => {
    const a = makeIndex('a', [
      {
        nid: 1,
        pages: ['x', 'y'],
        layout: 'chunk-based',
        extents: [extent(0, 4096, 40_960), extent(4096, 4096, 81_920)],
      },
      { nid: 2, pages: ['y'], layout: 'chunk-based', extents: [extent(0, 4096, 81_920)] },
    ]);
    const set = await load(readAll('a', a), { a });
    expect(footprint(set, 'physical-index')).toBe(2);
    expect(footprint(set, 'per-inode')).toBe(3);
  });

  it('tells pages of one pcluster apart by their place in the decoded extent', async () => {
    const packed = { plen: 4096, compressed: true };
    const a = makeIndex('a', [
      { nid: 1, pages: ['x', 'x', 'x'], layout: 'compressed-compact', extents: [extent(0, 12_288, 8192, packed)] },
    ]);
    expect(footprint(await load(readAll('a', a), { a }), 'physical-index')).toBe(3);
  });

  it('identifies a page of several pieces by all of them, and says how many there are', async () => {
    const packed = { plen: 4096, compressed: true };
    const head = extent(0, 6000, 8192, packed);
    const a = makeIndex('a', [
      { nid: 1, pages: ['x', 'x'], layout: 'compressed-compact', extents: [head, extent(6000, 2192, 12_288, packed)] },
      { nid: 2, pages: ['x', 'x'], layout: 'compressed-compact', extents: [head, extent(6000, 2192, 16_384, packed)] },
    ]);
    const pages = model('physical-index').identify(await load(readAll('a', a), { a }));
    expect(pages.count).toBe(3);
    expect(pages.notes).toEqual([{ text: expect.stringContaining('span several extents'), count: 2 }]);
  });

  it('takes a fragment for its place in the packed inode', async () => {
    const fragment = (pa: number) => extent(0, 4096, pa, { fragment: true });
    const a = makeIndex('a', [
      { nid: 1, pages: ['x'], layout: 'compressed-compact', extents: [fragment(8192)] },
      { nid: 2, pages: ['x'], layout: 'compressed-compact', extents: [fragment(8192)] },
      { nid: 3, pages: ['y'], layout: 'compressed-compact', extents: [fragment(12_288)] },
      // The same number as an address of the device is another place.
      { nid: 4, pages: ['z'], extents: [extent(0, 4096, 8192)] },
    ]);
    expect(footprint(await load(readAll('a', a), { a }), 'physical-index')).toBe(3);
  });

  it('leaves holes with their inode', async () => {
    const hole = extent(0, 4096, 0, { hole: true, plen: 0 });
    const a = makeIndex('a', [
      { nid: 1, pages: ['\0'], layout: 'chunk-based', extents: [hole] },
      { nid: 2, pages: ['\0'], layout: 'chunk-based', extents: [hole] },
    ]);
    expect(footprint(await load(readAll('a', a), { a }), 'physical-index')).toBe(2);
  });

  it('says that an index without layout has no addresses', async () => {
    const a = makeIndex('manifest.fidx', [{ nid: 1, pages: ['x'] }], { layout: false });
    const set = await load(readAll('a', a), { a });
    expect(() => model('physical-index').identify(set)).toThrow(
      'manifest.fidx: physical-index needs physical addresses',
    );
    expect(footprint(set, 'physical-index:layout=shared-blob')).toBe(1);
  });
});

describe('parseSharing', () => {
  it.each([
    ['hardlnk', "unknown sharing model 'hardlnk'; there are per-inode, hardlink, fingerprint"],
    ['hardlink:metadata', "sharing model 'hardlink' has no parameter 'metadata'; it has match"],
    ['per-inode:x=1', "sharing model 'per-inode' has no parameter 'x'; it has none"],
    ['hardlink:match=loose', 'match is one of strict, content'],
    ['physical-index:layout=chunk-dedup:chunk=5000', "chunk '5000' is not a multiple of 4096"],
    ['toString', "unknown sharing model 'toString'"],
  ])('refuses %s', (text, message) => {
    expect(() => model(text)).toThrow(message);
    expect(() => model(text)).toThrow(UsageError);
  });
});

describe('a second, naive implementation', () => {
  const letters = fc.constantFrom('a', 'b', '\0');
  const fileSpec = fc.record({
    pages: fc.array(letters, { minLength: 1, maxLength: 4 }),
    short: fc.constantFrom(0, 0, 100),
    mode: fc.constantFrom(0o100644, 0o100755),
    layout: fc.constantFrom('flat-plain' as const, 'compressed-compact' as const),
  });
  const imageSpecs = fc.array(fc.array(fileSpec, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 });
  const accesses = fc.array(fc.tuple(fc.nat(5), fc.nat(5), fc.nat(5)), { maxLength: 40 });

  type Spec = FileSpec & { short: number; mode: number };
  interface Access {
    mount: number;
    image: number;
    file: Spec;
    page: number;
  }
  const text = (file: Spec): string => `${file.pages.join(',')} -${file.short}`;
  const pageText = (file: Spec, page: number): string => {
    const cut = page === file.pages.length - 1 && file.pages[page] !== '\0' ? file.short : 0;
    return `${file.pages[page]} -${cut}`;
  };
  const naive: Record<string, () => (access: Access) => string> = {
    'per-inode': () => (x) => `${x.mount} ${x.file.nid} ${x.page}`,
    hardlink: () => (x) => `${text(x.file)} ${x.file.mode} ${x.page}`,
    'hardlink:match=content': () => (x) => `${text(x.file)} ${x.page}`,
    fingerprint: () => {
      const first = new Map<string, string>();
      const decided = new Map<string, boolean>();
      return (x) => {
        const inode = `${x.mount} ${x.file.nid}`;
        const key = text(x.file);
        if (!first.has(key)) first.set(key, x.file.layout!);
        if (!decided.has(inode)) decided.set(inode, first.get(key) === x.file.layout);
        return decided.get(inode) ? `${key} ${x.page}` : `${inode} ${x.page}`;
      };
    },
    'physical-index': () => (x) => `${x.image} ${x.file.nid} ${x.page}`,
    'physical-index:layout=shared-blob': () => (x) => `${text(x.file)} ${x.page}`,
    'physical-index:layout=chunk-dedup:chunk=8192': () => (x) => {
      const from = x.page - (x.page % 2);
      const last = from + 2 >= x.file.pages.length;
      return `${x.file.pages.slice(from, from + 2)} -${last ? x.file.short : 0} ${x.page % 2}`;
    },
    'page-content:index=aligned': () => (x) => `${pageText(x.file, x.page)} ${x.page}`,
    'page-content': () => (x) => pageText(x.file, x.page),
  };

  it.each(Object.keys(naive))('agrees on %s, page by page', async (name) => {
    await fc.assert(
      fc.asyncProperty(imageSpecs, accesses, async (specs, picks) => {
        const files = specs.map((list) => list.map((file, at): Spec => ({ ...file, nid: at + 1 })));
        const images = files.map((list, at) => makeIndex(`image-${at}`, list));
        const mounts = Object.fromEntries([...images, ...images].map((image, at) => [`m${at}`, image]));
        const log: Access[] = picks.map(([m, f, p]) => {
          const mount = m % (images.length * 2);
          const image = mount % images.length;
          const file = files[image]![f % files[image]!.length]!;
          return { mount, image, file, page: p % file.pages.length };
        });
        const set = await load(
          log.map(({ mount, file, page }) => row({ mount: `m${mount}`, nid: file.nid, op: 'fault', pageIndex: page })),
          mounts,
        );
        const { ids, count } = model(name).identify(set);
        const keyOf = naive[name]!();
        const expected = new Map<string, number>();
        for (const access of log) {
          const key = keyOf(access);
          if (!expected.has(key)) expected.set(key, expected.size);
          const mapping = set.mappings.find(
            ({ superblock, ordinal }) =>
              set.superblocks[superblock]!.name === `m${access.mount}` &&
              set.superblocks[superblock]!.image.columns.nid[ordinal] === access.file.nid,
          )!;
          expect(ids[mapping.base + access.page]).toBe(expected.get(key));
        }
        expect(count).toBe(expected.size);
        expect(ids.filter((id) => id !== NO_PAGE)).toHaveLength(set.touched.length);
      }),
      { seed: 11, numRuns: 150 },
    );
  });
});
