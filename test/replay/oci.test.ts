import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataError, UsageError } from '../../src/error.ts';
import { elfSegments } from '../../src/replay/image-index/elf.ts';
import type { ImageIndex } from '../../src/replay/image-index/image-index.ts';
import { ElfCapture } from '../../src/replay/image-index/oci/elf-capture.ts';
import { FIRST_NID, indexOci, packOci } from '../../src/replay/image-index/oci/from-oci.ts';
import type { Choice } from '../../src/replay/image-index/oci/manifest.ts';
import { openImageIndex } from '../../src/replay/image-index/open.ts';
import { parseSharing } from '../../src/replay/sharing/index.ts';
import { hasTool, need } from '../require.ts';
import {
  type Descriptor,
  digestOf,
  dockerSave,
  type Entry,
  json,
  type Layer,
  layout,
  listing,
  ociImage,
  paxRecord,
  singleLayout,
  tar,
  tarOf,
  writeFiles,
} from './oci-images.ts';
import { load, row, temporaryFile, temporaryFolder } from './support.ts';

const GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
const ZSTD = 'application/vnd.oci.image.layer.v1.tar+zstd';

const layersOf = (...layers: (readonly Entry[])[]): Layer[] => layers.map((entries) => ({ archive: tar(entries) }));

/** Indexes layers as a layout in a folder. */
const indexLayers = (...layers: (readonly Entry[])[]): Promise<ImageIndex> =>
  indexOci(writeFiles(temporaryFolder(), singleLayout(layersOf(...layers))));

const pathsOf = (index: ImageIndex): string[] => [...index.entries()].map(({ path }) => path);

const at = (index: ImageIndex, wanted: string): number => {
  for (const { path, ordinal } of index.entries()) if (path === wanted) return ordinal;
  throw new Error(`no ${wanted}`);
};

const sample = layersOf(
  [
    { name: 'bin/', type: '5', mode: 0o755 },
    { name: 'bin/sh', mode: 0o755, content: readFileSync('/bin/true') },
    { name: 'etc/old', content: 'old' },
  ],
  [{ name: 'etc/.wh.old' }, { name: 'etc/new', content: Buffer.alloc(5000, 'n') }],
);

describe('an OCI image', () => {
  it('is the same in every container: folder, archive, docker save; plain, gzip', async () => {
    const expected = await indexOci(writeFiles(temporaryFolder(), singleLayout(sample)));
    expect(pathsOf(expected)).toEqual(['/', '/bin', '/bin/sh', '/etc', '/etc/new']);
    const zipped = sample.map(({ archive }) => ({ archive, stored: gzipSync(archive), mediaType: GZIP }));
    const archive = tarOf(singleLayout(sample));
    const containers = {
      archive,
      'archive.gz': gzipSync(archive),
      'gzip layers': tarOf(singleLayout(zipped)),
      'docker save': dockerSave(sample),
      'docker save, gzip': gzipSync(dockerSave(sample)),
    };
    for (const [name, bytes] of Object.entries(containers)) {
      const index = await openImageIndex(temporaryFile(name, bytes));
      expect(listing(index), name).toEqual(listing(expected));
      expect(index.header.source, name).toEqual({
        kind: 'oci',
        name,
        sha256: digestOf(bytes).slice(7),
        sizeBytes: bytes.length,
      });
      // The config holds the diff_ids and so names the tree, however the layers are stored.
      expect(index.header.image.sha256, name).toBe(expected.header.image.sha256);
    }
  });

  it.skipIf(!need('zstd', hasTool('zstd')))('may be compressed by zstd, in its layers and as a whole', async () => {
    const zstd = (input: Buffer): Buffer => execFileSync('zstd', ['-c'], { input, maxBuffer: 2 ** 28 });
    const layers = sample.map(({ archive }) => ({ archive, stored: zstd(archive), mediaType: ZSTD }));
    const index = await indexOci(temporaryFile('x.tar.zst', zstd(tarOf(singleLayout(layers)))));
    expect(listing(index)).toEqual(listing(await indexOci(writeFiles(temporaryFolder(), singleLayout(sample)))));
  });

  it('says what it does not know, and numbers inodes beyond the nids of any EROFS image', async () => {
    const index = await indexOci(writeFiles(temporaryFolder(), singleLayout(sample)));
    expect(index.header.known).toEqual({ layout: false, mtime: true, xattrs: true, nid: false });
    expect([...index.columns.nid]).toEqual([0, 1, 2, 3, 4].map((n) => FIRST_NID + n));
    const bytes = await packOci(temporaryFile('x', tarOf(singleLayout(sample))));
    expect((await openImageIndex(temporaryFile('x.fidx', bytes))).header.known.nid).toBe(false);
  });

  it('has the last one of a name that docker save stores twice', async () => {
    const twice = [sample[0]!, sample[1]!, sample[0]!];
    const index = await indexOci(temporaryFile('x.tar', dockerSave(twice)));
    expect(pathsOf(index)).toEqual(['/', '/bin', '/bin/sh', '/etc', '/etc/new', '/etc/old']);
  });

  it('keeps names and xattrs byte for byte', async () => {
    const value = Buffer.from('00ff0a3dc328', 'hex');
    const index = await indexLayers([
      { name: Buffer.from('h\xe9', 'latin1'), content: 'x' },
      { name: 'short', pax: { path: Buffer.from('p\xe9'.repeat(80), 'latin1'), 'SCHILY.xattr.user.b': value } },
      { name: 'many', pax: { 'SCHILY.xattr.user.b': '2', 'SCHILY.xattr.user.a': '', comment: 'no xattr' } },
    ]);
    const names = Buffer.from(index.columns.paths).toString('latin1').split('\0');
    expect(names).toEqual(['/', '/h\xe9', '/many', `/${'p\xe9'.repeat(80)}`, '']);
    // Name and value, each behind its length in four bytes.
    const digest = (...parts: (string | Buffer)[]): string => {
      const sum = createHash('sha256');
      for (const part of parts) sum.update(Buffer.of(part.length, 0, 0, 0)).update(part);
      return sum.digest('hex');
    };
    expect(index.xattrsKey(index.columns.pathInode[3]!)).toBe(digest('user.b', value));
    expect(index.xattrsKey(at(index, '/many'))).toBe(digest('user.a', '', 'user.b', '2'));
  });

  it.each([
    ['1700000000.123456789123', 1_700_000_000, 123_456_789],
    ['-1.25', -2, 750_000_000],
    ['-3', -3, 0],
    ['-0.5', -1, 500_000_000],
    ['12.', 12, 0],
  ])('has the pax mtime %s', async (mtime, sec, nsec) => {
    const index = await indexLayers([{ name: 'a', mtime: 5, pax: { mtime } }]);
    expect([index.columns.mtimeSec[at(index, '/a')], index.columns.mtimeNsec[at(index, '/a')]]).toEqual([sec, nsec]);
  });

  it('takes a name with a leading slash from the root, as runtimes do and ko writes it', async () => {
    const index = await indexLayers([
      { name: '/ko-app/x', content: 'x' },
      { name: './y//z', content: 'z' },
    ]);
    expect(pathsOf(index)).toEqual(['/', '/ko-app', '/ko-app/x', '/y', '/y/z']);
  });

  it('links across layers, and a later change of one name leaves the other', async () => {
    const index = await indexLayers(
      [{ name: 'a', content: 'one' }],
      [
        { name: 'b', type: '1', link: 'a' },
        { name: 'c', type: '1', link: './b' },
      ],
      [{ name: 'a', content: 'two' }],
    );
    expect(at(index, '/b')).toBe(at(index, '/c'));
    expect(index.columns.nlink[at(index, '/b')]).toBe(2);
    expect(index.contentKey(at(index, '/b'))).toBe(digestOf('one').slice(7));
    expect(index.contentKey(at(index, '/a'))).toBe(digestOf('two').slice(7));
  });

  it('hides by a whiteout only what is lower, wherever in the archive it stands', async () => {
    const index = await indexLayers(
      [
        { name: 'd/old', content: '1' },
        { name: 'e/old', content: '1' },
        { name: 'f', content: '1' },
      ],
      [
        { name: 'd/new', content: '2' },
        { name: 'd/.wh..wh..opq' },
        { name: 'e/new', content: '2' },
        { name: '.wh.e' },
        { name: 'f', content: '2' },
        { name: '.wh.f' },
        { name: '.wh.never' },
        { name: '.wh..wh.plnk/1.2', content: 'aufs' },
      ],
    );
    expect(pathsOf(index)).toEqual(['/', '/d', '/d/new', '/e', '/e/new', '/f']);
    expect(index.contentKey(at(index, '/f'))).toBe(digestOf('2').slice(7));
  });

  it('finds ELF segments wherever the table of them is', () => {
    const program = readFileSync(process.execPath).subarray(0, 1 << 20);
    const little = readFileSync('/bin/true');
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1 }),
        fc.nat(),
        (small, cuts, far) => {
          const bytes = Buffer.from(small ? little : program);
          const tableBytes = bytes.readUInt16LE(54) * bytes.readUInt16LE(56);
          const tableAt = far % 3 === 0 ? 64 : far % (bytes.length - tableBytes);
          bytes.copy(bytes, tableAt, 64, 64 + tableBytes);
          bytes.writeBigUInt64LE(BigInt(tableAt), 32);
          const capture = new ElfCapture(bytes.length);
          for (let from = 0, i = 0; from < bytes.length; i++) {
            const length = cuts[i % cuts.length]! * (i < 50 ? 1 : 100);
            capture.update(bytes.subarray(from, from + length));
            from += length;
          }
          expect(capture.segments()).toEqual(
            elfSegments(bytes.length, (offset, length) => bytes.subarray(offset, offset + length)),
          );
        },
      ),
      { seed: 4, numRuns: 60 },
    );
  });
});

describe('of several images', () => {
  const image = (content: string, platform = { os: 'linux', architecture: 'amd64' }) =>
    ociImage(layersOf([{ name: content, content }]), { platform });
  const open = async (files: Map<string, Buffer>, choice: Choice = {}) =>
    pathsOf(await indexOci(writeFiles(temporaryFolder(), files), choice))[1];
  const name = (ref: string) => ({ annotations: { 'org.opencontainers.image.ref.name': ref } });
  const host = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' }[process.arch as string] ?? process.arch;
  const INDEX = 'application/vnd.oci.image.index.v1+json';

  it('the one for the platform asked for is taken, by default this machine’s', async () => {
    const platforms = [
      { os: 'linux', architecture: host },
      { os: 'linux', architecture: 'arm', variant: 'v6' },
      { os: 'linux', architecture: 'arm', variant: 'v7' },
    ];
    const images = platforms.map((platform, n) => image(`file-${n}`, platform));
    const files = new Map(images.flatMap((each) => [...each.files]));
    // One entry says its platform, the others leave it to their configs; another stands for an attestation, one for a foreign thing.
    const inner: Descriptor[] = [
      ...images.map(({ manifest }, n) => (n === 1 ? { ...manifest, platform: platforms[1]! } : manifest)),
      { ...image('attestation').manifest, annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } },
      { digest: digestOf('chart'), size: 5, mediaType: 'application/vnd.cncf.helm.chart' },
    ];
    const index = json(files, { schemaVersion: 2, manifests: inner });
    layout(files, [{ ...index, mediaType: INDEX }]);
    expect(await open(files)).toBe('/file-0');
    expect(await open(files, { platform: 'linux/arm/v7' })).toBe('/file-2');
    await expect(open(files, { platform: 'linux/arm' })).rejects.toThrow(
      /: several images fit: add --platform; there are linux\/\w+, linux\/arm\/v6, linux\/arm\/v7$/,
    );
    await expect(open(files, { platform: 'windows/amd64' })).rejects.toThrow('no image for windows/amd64; there are');
    await expect(open(files, { platform: 'arm' })).rejects.toThrow(UsageError);
  });

  it('the only one is taken, whatever its platform', async () => {
    const files = singleLayout(layersOf([{ name: 'a' }]), { platform: { os: 'linux', architecture: 'm68k' } });
    expect(await open(files)).toBe('/a');
    await expect(open(files, { platform: 'linux/amd64' })).rejects.toThrow(
      'no image for linux/amd64; there is linux/m68k',
    );
  });

  it('the one of a name is taken, never one by chance', async () => {
    const [a, b] = [image('a'), image('b')];
    const files = new Map([...a.files, ...b.files]);
    layout(files, [
      { ...a.manifest, ...name('one:1') },
      { ...b.manifest, ...name('two:2') },
      { ...a.manifest, ...name('also:1') },
    ]);
    expect(await open(files, { image: 'two:2' })).toBe('/b');
    expect(await open(files, { image: 'also:1' })).toBe('/a');
    expect(await open(files, { image: b.manifest.digest })).toBe('/b');
    await expect(open(files)).rejects.toThrow('several images: add --image NAME; there are one:1, two:2');
    await expect(open(files, { image: 'three' })).rejects.toThrow("no image 'three'; there are one:1, two:2");
  });

  it('docker save’s are told apart by their tags', async () => {
    const saved = dockerSave(sample, ['a:1', 'a:latest']);
    expect((await indexOci(temporaryFile('x', saved), { image: 'a:latest' })).header.image.name).toBe('a:1');
    await expect(indexOci(temporaryFile('x', saved), { image: 'b' })).rejects.toThrow("no image 'b'; there is a:1");
  });

  it('platforms that were not pulled are none', async () => {
    const [here, elsewhere] = [image('here', { os: 'linux', architecture: 'm68k' }), image('elsewhere')];
    const files = new Map(here.files);
    const index = json(files, { schemaVersion: 2, manifests: [elsewhere.manifest, here.manifest] });
    expect(await open(layout(files, [{ ...index, mediaType: INDEX }]))).toBe('/here');
  });
});

describe('a bad image is one located error:', () => {
  const failing = async (bytes: Buffer | Map<string, Buffer>, message: string | RegExp): Promise<void> => {
    const path = bytes instanceof Map ? writeFiles(temporaryFolder(), bytes) : temporaryFile('bad.tar', bytes);
    const error = await openImageIndex(path).then(
      () => null,
      (reason: unknown) => reason as Error,
    );
    expect(error).toBeInstanceOf(DataError);
    expect(error!.message).toMatch(message);
    expect(error!.message.startsWith(`${path}: `)).toBe(true);
    expect(error!.message).not.toContain('\n');
  };

  it.each<[string, Entry, string]>([
    ['a path with dots', { name: '../etc/passwd' }, "'../etc/passwd' @ 0x0: a path with '..'"],
    ['dots in the midst', { name: 'a/../../b' }, "a path with '..'"],
    ['dots in a link', { name: 'a', type: '1', link: '../../etc/passwd' }, "a path with '..'"],
    ['a link to nothing', { name: 'a', type: '1', link: 'b' }, "'a': its target is not there"],
    ['a link to itself', { name: 'a', type: '1', link: 'a' }, "'a': its target is not there"],
    ['a link to a directory', { name: 'a', type: '1', link: '/' }, "'a': its target is a directory"],
    ['a terabyte', { name: 'a', size: 2 ** 40 }, 'more than 134217728 pages'],
    [
      'a size beyond numbers',
      { name: 'a', pax: { size: '9'.repeat(20) } },
      'size 99999999999999999999 is out of range',
    ],
    ['a size that is none', { name: 'a', pax: { size: '1x' } }, 'size 1x is out of range'],
    ['content that ends early', { name: 'a', size: 9999 }, 'Unexpected end of data'],
    ['a link with content', { name: 'a', type: '1', link: 'b', content: 'xx' }, 'a link with 2 bytes of content'],
    ['an unknown type', { name: 'a', type: 'S' }, "unsupported: entry type 'S'"],
    ['a sparse file', { name: 'a', pax: { 'GNU.sparse.major': '1' } }, 'unsupported: a sparse file'],
    ['a long name', { name: 'a', pax: { path: 'x'.repeat(256) } }, 'a name of 256 bytes'],
    ['a long path', { name: 'a', pax: { path: 'x/'.repeat(2049) } }, 'its name is 4098 bytes long'],
    ['a NUL in a name', { name: 'a', pax: { path: 'a\0b' } }, 'its name has a NUL'],
    ['a large xattr', { name: 'a', pax: { 'SCHILY.xattr.user.x': 'x'.repeat(65_537) } }, 'longer than Linux allows'],
    ['a huge pax header', { name: 'a', pax: { comment: 'x'.repeat(5 * 2 ** 20) } }, 'Header exceeds max size'],
    ['a uid beyond 32 bits', { name: 'a', pax: { uid: '4294967296' } }, 'uid 4294967296 is out of range'],
    ['a mtime that is none', { name: 'a', pax: { mtime: 'noon' } }, 'its pax mtime is not a number'],
    [
      'a global pax record',
      { name: 'a', type: 'g', content: paxRecord('path', Buffer.from('b')) },
      'unsupported: a global pax record, path',
    ],
    ['a broken pax record', { name: 'a', type: 'x', content: '99 path=b\n' }, 'a malformed pax record, byte 0'],
    ['a pax record of no length', { name: 'a', type: 'x', content: '-5 path=b\n' }, 'a malformed pax record, byte 0'],
    ['no tar header', { name: 'a', magic: 'nonsense' }, 'no tar header is here'],
    ['a whiteout of nothing', { name: 'd/.wh.' }, 'a whiteout of nothing'],
    ['a whiteout of the folder itself', { name: 'd/.wh..' }, 'a whiteout of nothing'],
    ['a file in a whiteout', { name: '.wh.a/b' }, 'it lies in a whiteout'],
    ['a root that is a file', { name: './', type: '2', link: 'x' }, 'the root is no directory'],
    ['a name that would break the line', { name: '../a\nb' }, "'../a\\x0ab'"],
  ])('%s', async (_what, entry, message) => {
    await failing(
      singleLayout([{ archive: tar([entry, { name: 'last' }]) }]),
      new RegExp(
        `^.*: layer 1 of 1 \\(sha256:[0-9a-f]{12}…\\): .*${message.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}`,
      ),
    );
  });

  it('links in a circle', () =>
    failing(
      singleLayout(
        layersOf([
          { name: 'a', type: '1', link: 'b' },
          { name: 'b', type: '1', link: 'a' },
        ]),
      ),
      "'a': its target is not there",
    ));

  it('an entry through a symlink of the same layer', () =>
    failing(
      singleLayout(layersOf([{ name: 'bin', type: '2', link: 'usr/bin' }, { name: 'bin/sh' }])),
      "'bin/sh': it lies in a symlink of the same layer",
    ));

  it('entries behind the end mark', () =>
    failing(
      singleLayout([{ archive: Buffer.concat([tar([{ name: 'a' }]), tar([{ name: 'b' }])]) }]),
      'an entry behind the end mark',
    ));

  it('extended headers without end', () => {
    const more = { name: 'x', type: 'x', content: paxRecord('comment', Buffer.alloc(4_000_000, 'x')) };
    return failing(
      singleLayout([{ archive: tar([more, more, more, more, more, { name: 'a' }]) }]),
      'more than 16777216 bytes of extended headers',
    );
  });

  const broken = (change: (files: Map<string, Buffer>, layer: string) => void): Map<string, Buffer> => {
    const files = singleLayout(sample);
    const [, layer] = sample.map(({ archive }) => `blobs/${digestOf(archive).replace(':', '/')}`);
    change(files, layer!);
    return files;
  };

  it.each<[string, Map<string, Buffer>, RegExp]>([
    [
      'a layer of another size',
      broken((files, layer) => files.set(layer, Buffer.alloc(512))),
      /: sha256:[0-9a-f]{64}: is 512 bytes, where its descriptor says \d+/,
    ],
    [
      'a layer of other content',
      broken((files, layer) => {
        const bytes = Buffer.from(files.get(layer)!);
        bytes[1100]! ^= 1;
        files.set(layer, bytes);
      }),
      /layer 2 of 2 .*: its content is sha256:[0-9a-f]{64}, not sha256:[0-9a-f]{64}/,
    ],
    [
      'a layer that is not there',
      broken((files, layer) => files.delete(layer)),
      /: blobs\/sha256\/[0-9a-f]{64} is not there/,
    ],
    [
      'another diff_id',
      singleLayout(sample, { diffIds: [digestOf('x'), digestOf('y')] }),
      /layer 1 of 2 .*: its content is sha256:[0-9a-f]{64}, not sha256:[0-9a-f]{64}/,
    ],
    [
      'too few diff_ids',
      singleLayout(sample, { diffIds: [digestOf('x')] }),
      /: 2 layers, but 1 diff_ids in the config/,
    ],
    [
      'a digest of another kind',
      broken((files) =>
        files.set('index.json', Buffer.from('{"schemaVersion":2,"manifests":[{"digest":"md5:0","size":1}]}')),
      ),
      /: index.json: manifests.0.digest: is no sha256 or sha512 digest/,
    ],
    [
      'index.json that is no JSON',
      broken((files) => files.set('index.json', Buffer.from('{'))),
      /: index.json: is not JSON/,
    ],
    ['an index without images', layout(new Map(), []), /: holds no container image/],
    ['a folder of something else', new Map([['README', Buffer.from('hello')]]), /: has neither index.json/],
    [
      'a foreign layer',
      singleLayout([{ archive: tar([]), mediaType: 'application/vnd.wasm' }]),
      /unsupported: a layer of type application\/vnd.wasm/,
    ],
    [
      'a layer cut off within gzip',
      singleLayout([{ archive: tar([]), stored: gzipSync(tar([])).subarray(0, -9), mediaType: GZIP }]),
      /layer 1 of 1 .*: unexpected end of file/,
    ],
  ])('%s', (_what, files, message) => failing(files, message));

  it.each<[string, Buffer, RegExp]>([
    [
      'an archive cut off',
      tarOf(singleLayout(sample)).subarray(0, 5000),
      /archive @ 0x[0-9a-f]+ or behind: Unexpected end of data/,
    ],
    [
      'a compressed archive cut off',
      gzipSync(tarOf(singleLayout(sample))).subarray(0, 500),
      /: archive: unexpected end of file/,
    ],
    ['an archive of something else', tar([{ name: 'hello', content: 'x' }]), /has neither index.json/],
    ['something compressed', gzipSync('hello, world'), /Unexpected end of data/],
    [
      'a link without end',
      tar([{ name: 'index.json', type: '2', link: 'index.json' }]),
      /index.json: is a link to a link without end/,
    ],
    [
      'docker save that leads outside',
      tar([{ name: 'manifest.json', content: '[{"Config":"../x","Layers":[]}]' }]),
      /'\.\.\/x' would lie outside/,
    ],
  ])('%s', (_what, bytes, message) => failing(bytes, message));

  it('whatever bytes are damaged, the answer is right or an error of the library', async () => {
    const whole = tarOf(
      singleLayout(sample.map(({ archive }) => ({ archive, stored: gzipSync(archive), mediaType: GZIP }))),
    );
    const expected = listing(await indexOci(temporaryFile('x.tar', whole)));
    let errors = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(7), fc.boolean(), async (where, bit, cut) => {
        const damaged = Buffer.from(cut ? whole.subarray(0, where) : whole);
        if (!cut) damaged[where]! ^= 1 << bit;
        const path = temporaryFile('x.tar', damaged);
        try {
          expect(listing(await openImageIndex(path))).toEqual(expected);
        } catch (error) {
          errors++;
          if (!(error instanceof DataError || error instanceof UsageError)) throw error;
          expect(error.message.startsWith(`${path}: `)).toBe(true);
        }
      }),
      { seed: 12, numRuns: 300 },
    );
    expect(errors).toBeGreaterThan(150);
  }, 60_000);

  it('a bomb takes time, not memory', async () => {
    // 256 MiB of zeroes in 256 KiB, thrown away by the next layer.
    const archive = Buffer.concat([tar([{ name: 'zeroes', content: Buffer.alloc(2 ** 28) }])]);
    const files = singleLayout([
      { archive, stored: gzipSync(archive, { level: 1 }), mediaType: GZIP },
      { archive: tar([{ name: '.wh.zeroes' }, { name: 'a', content: 'a' }]) },
    ]);
    const folder = writeFiles(temporaryFolder(), files);
    const script = join(temporaryFolder(), 'run.mjs');
    const module = new URL('../../dist/replay/image-index/oci/from-oci.js', import.meta.url);
    writeFileSync(
      script,
      `const { indexOci } = await import(${JSON.stringify(module.href)});
       const before = process.resourceUsage().maxRSS;
       const index = await indexOci(process.argv[2]);
       console.log(index.header.pages, process.resourceUsage().maxRSS - before);`,
    );
    const [pages, kib] = execFileSync(process.execPath, [script, folder], { encoding: 'utf8' }).split(' ').map(Number);
    expect(pages).toBe(1);
    expect(kib).toBeLessThan(100 * 1024);
  }, 60_000);
});

/** What the specification says, the naive way: a flat list of paths, lower ones removed by prefix. */
class FlatTree {
  files = new Map<string, { what: string; layer: number }>();

  apply(entries: readonly Entry[], layer: number): void {
    const under = (path: string, of: string): boolean => path.startsWith(of === '' ? '' : `${of}/`);
    const remove = (test: (path: string) => boolean): void => {
      for (const path of [...this.files.keys()]) if (test(path)) this.files.delete(path);
    };
    const isDirectory = (path: string): boolean => path === '' || this.files.get(path)?.what.startsWith('d') === true;
    for (const { name } of entries as { name: string }[]) {
      const [, folder, hidden] = /^(?:(.*)\/)?\.wh\.(.*)$/.exec(name) ?? [];
      if (hidden === undefined) continue;
      const base = folder ?? '';
      if (hidden === '.wh..opq') {
        if (isDirectory(base)) remove((path) => under(path, base));
      } else if (isDirectory(base)) {
        const whole = base === '' ? hidden : `${base}/${hidden}`;
        remove((path) => path === whole || under(path, whole));
      }
    }
    for (const { name, type = '0', mode = 0, content = '', link = '' } of entries as (Entry & { name: string })[]) {
      if (/(^|\/)\.wh\./.test(name)) continue;
      let what = type === '5' ? `d${mode}` : type === '2' ? `l${link}` : `f${content}`;
      if (type === '1') {
        const target = this.files.get(link);
        if (target === undefined || target.what.startsWith('d') || link === name) throw new Error('target');
        what = target.what;
      }
      const names = name.split('/');
      for (let depth = 1; depth < names.length; depth++) {
        const parent = names.slice(0, depth).join('/');
        if (isDirectory(parent)) continue;
        if (this.files.get(parent)?.layer === layer) throw new Error('parent');
        this.files.set(parent, { what: `d${0o755}`, layer });
      }
      if (!(type === '5' && isDirectory(name))) remove((path) => under(path, name));
      this.files.set(name, { what, layer });
    }
  }

  listing(): string[] {
    return [...this.files].map(([path, { what }]) => `/${path} ${what}`).sort();
  }
}

describe('random stacks of layers', () => {
  it('give what a naive model gives, errors included', async () => {
    const name = fc
      .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
      .map((names) => names.join('/'));
    const entry: fc.Arbitrary<Entry & { name: string }> = fc.oneof(
      { weight: 4, arbitrary: fc.record({ name, content: fc.constantFrom('1', '22', '333') }) },
      { weight: 4, arbitrary: fc.record({ name, type: fc.constant('5'), mode: fc.constantFrom(0o700, 0o750) }) },
      { weight: 2, arbitrary: fc.record({ name, type: fc.constant('2'), link: fc.constantFrom('a', 'b/c') }) },
      { weight: 1, arbitrary: fc.record({ name, type: fc.constant('1'), link: name }) },
      { weight: 3, arbitrary: name.map((path) => ({ name: path.replace(/[^/]*$/, '.wh.$&') })) },
      { weight: 1, arbitrary: name.map((path) => ({ name: `${path}/.wh..wh..opq` })) },
    );
    const contents = new Map(['1', '22', '333'].map((text) => [digestOf(text).slice(7), text]));
    let errors = 0;
    let whole = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(entry, { maxLength: 7 }), { minLength: 1, maxLength: 4 }), async (stack) => {
        const naive = new FlatTree();
        let failed = false;
        try {
          for (const [layer, entries] of stack.entries()) naive.apply(entries, layer);
        } catch {
          failed = true;
        }
        const path = temporaryFile('x.tar', tarOf(singleLayout(layersOf(...stack))));
        const ours = await indexOci(path).then(
          (index) =>
            [...index.entries()]
              .filter(({ path: file }) => file !== '/')
              .map(({ path: file, ordinal: o }) => {
                const letter = 'fdlo'[index.columns.type[o]!]!;
                if (letter === 'd') return `${file} d${index.columns.mode[o]! & 0o7777}`;
                return letter === 'f'
                  ? `${file} f${contents.get(index.contentKey(o))}`
                  : `${file} l${index.columns.sizeBytes[o]}`;
              })
              .sort(),
          () => null,
        );
        if (failed) {
          errors++;
          expect(ours).toBeNull();
        } else {
          whole++;
          // An index has a symlink's length for its target.
          expect(ours).toEqual(
            naive.listing().map((line) => line.replace(/ l(.*)$/, (_, target: string) => ` l${target.length}`)),
          );
        }
      }),
      { seed: 7, numRuns: 600 },
    );
    expect(Math.min(errors, whole)).toBeGreaterThan(100);
  }, 120_000);
});

describe('replay', () => {
  it('shares what it can without physical addresses, and says what it cannot', async () => {
    const index = await indexOci(writeFiles(temporaryFolder(), singleLayout(sample)));
    const nid = index.columns.nid[at(index, '/etc/new')]!;
    const rows = ['m', 'n'].map((mount) => row({ mount, nid, op: 'read', pageCount: 2 }));
    const set = await load(rows, { m: index, n: index });
    const count = (name: string): number => parseSharing(name, { fingerprints: 'auto' }).identify(set).count;
    expect(
      ['per-inode', 'hardlink', 'fingerprint', 'page-content', 'physical-index:layout=shared-blob'].map(count),
    ).toEqual([4, 2, 2, 2, 2]);
    expect(() => count('physical-index')).toThrow(
      /: physical-index needs physical addresses, and an index made from a manifest or an OCI image has none/,
    );
  });

  it('refuses a trace of another filesystem, whose inodes are others', async () => {
    const index = await indexOci(writeFiles(temporaryFolder(), singleLayout(sample)));
    await expect(load([row({ nid: 36, op: 'read' })], { m: index })).rejects.toThrow(
      /no inode with nid 36 \(its inodes are numbered by foliolab: see docs\/oci.md\): mount 'm' did not run this image/,
    );
  });
});

describe('docs/oci.md', () => {
  const docs = readFileSync(new URL('../../docs/oci.md', import.meta.url), 'utf8');

  it('has a script that binds a trace of paths, which replay then takes', () => {
    const folder = temporaryFolder();
    const dist = new URL('../../dist/', import.meta.url);
    const script = /```js\n(.*?)```/s.exec(docs)![1]!.replace("'foliolab'", `'${dist.href}index.js'`);
    writeFileSync(join(folder, 'paths.mjs'), script);
    // The trace in the text, its indentation gone.
    const trace = docs.match(/^ {4}(time_ns|\d).*$/gm)!.map((line) => line.trim());
    writeFileSync(join(folder, 'paths.csv'), `${trace.join('\n')}\n`);
    const run = (...args: string[]): string =>
      execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });
    const cli = new URL('cli.js', dist).pathname;
    for (const name of ['a', 'b']) {
      const layers = layersOf([{ name: 'usr/bin/server', content: 'same' }, { name: name }]);
      writeFileSync(join(folder, `${name}.tar`), tarOf(singleLayout(layers)));
      run(cli, 'index', `${name}.tar`, '-o', `${name}.fidx`);
    }
    const bound = run('paths.mjs', 'paths.csv', 'a=a.fidx', 'b=b.fidx');
    expect(bound.split('\n')[1]).toMatch(/^0,a1,a,1000000000\d{5},fault,0,1,$/);
    writeFileSync(join(folder, 'run.csv'), bound);
    const sharing = 'per-inode,hardlink,fingerprint,page-content,physical-index:layout=shared-blob';
    const args = ['replay', '--trace', 'run.csv', '--mount', 'a=a.fidx', 'b=b.fidx', '--json'];
    const { rows } = JSON.parse(run(cli, ...args, '--sharing', sharing)) as { rows: { footprintPages: number }[] };
    expect(rows.map(({ footprintPages }) => footprintPages)).toEqual([2, 1, 1, 1, 1]);
    // Without --sharing, the designs that the images allow.
    const all = JSON.parse(run(cli, ...args)) as { rows: { sharing: string }[] };
    expect(all.rows.map(({ sharing: name }) => name)).toEqual(['per-inode', 'hardlink', 'fingerprint', 'page-content']);
  });

  it('names the first inode number as it is', () => {
    expect(docs).toContain(`from ${FIRST_NID},`);
  });
});

describe('foliolab index', () => {
  const cli = new URL('../../dist/cli.js', import.meta.url).pathname;
  const run = (...args: string[]) => spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' });

  it('takes a layout, and is asked for what is not clear', () => {
    const folder = writeFiles(temporaryFolder(), singleLayout(sample));
    const output = join(temporaryFolder(), 'x.fidx');
    const made = run('index', folder, '-o', output);
    expect(made).toMatchObject({ status: 0, stdout: '' });
    expect(made.stderr).toMatch(/5 inodes, \d+ pages, \d+ bytes; layout unknown\n$/);
    expect(JSON.parse(run('index', output, '--json').stdout).known.nid).toBe(false);
    const other = run('index', folder, '-o', output, '--platform', 'linux/m68k');
    expect([other.status, other.stderr.trim().split('\n').length]).toEqual([2, 1]);
    expect(other.stderr).toContain('no image for linux/m68k; there is linux/amd64');
    expect(run('index', folder, '-o', output, '--device', 'x').stderr).toContain('--device goes with an EROFS image');
    const erofs = new URL('../../traces/self/self.erofs', import.meta.url).pathname;
    expect(run('index', erofs, '-o', output, '--platform', 'linux/amd64')).toMatchObject({ status: 2 });
  });
});
