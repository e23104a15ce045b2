import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { imageCommand } from '../../src/cli/image.ts';
import { checkImage, extractImage, Image, MemoryReader, nameBytes } from '../../src/erofs/index.ts';
import { build } from './build.ts';
import { fixtureBytes, fixtures, openFixture, treeOf } from './fixtures.ts';

const dir = mkdtempSync(join(tmpdir(), 'foliolab-extract-'));
afterAll(() => rmSync(dir, { recursive: true }));
afterEach(() => vi.restoreAllMocks());
const isRoot = process.geteuid?.() === 0;

/** The fixture without checksum, its bytes changed: each `from` becomes `to`, of equal length. */
function patched(name: string, ...changes: [from: string, to: string][]): Image {
  const bytes = Buffer.from(fixtureBytes(`${name}.erofs`));
  bytes[1024 + 8]! &= ~1;
  for (const [from, to] of changes) {
    const at = bytes.indexOf(from, 1200, 'latin1');
    expect([from, at > 0, from.length]).toEqual([from, true, to.length]);
    bytes.write(to, at, 'latin1');
  }
  return Image.open(new MemoryReader(new Uint8Array(bytes), `${name}.erofs`));
}

describe('extract', () => {
  test.each(['inline', 'chunk-19', 'metabox-fragments', 'dedupe-lzma'])(
    '%s: the tree is that of the source',
    (name) => {
      const fixture = fixtures.find((f) => f.name === name)!;
      const tree = treeOf(fixture);
      const to = join(dir, name);
      const warnings: string[] = [];
      const counts = extractImage(openFixture(name), to, (w) => warnings.push(w));
      for (const e of tree) {
        const path = Buffer.concat([Buffer.from(to), nameBytes(e.path)]);
        if (e.type === 'socket' || (!isRoot && /dev|fifo/.test(e.type))) {
          expect(existsSync(path)).toBe(false);
          expect(warnings.some((w) => w.startsWith(e.path))).toBe(true);
          continue;
        }
        const st = lstatSync(path);
        if (e.type !== 'symlink') expect([e.path, st.mode]).toEqual([e.path, e.mode]);
        if (isRoot) expect([e.path, st.uid, st.gid]).toEqual([e.path, e.uid, e.gid]);
        if (e.type === 'file') {
          const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
          expect([e.path, st.nlink, sha256]).toEqual([e.path, e.nlink, e.sha256]);
        }
        if (e.type === 'symlink')
          expect(Buffer.from(readlinkSync(path, 'buffer'))).toEqual(Buffer.from(nameBytes(e.target!)));
        expect([e.path, st.mtimeMs]).toEqual([e.path, 1_000_000_000_000]);
      }
      expect(counts.directories).toBe(tree.filter((e) => e.type === 'directory').length);
      const linked = tree.filter((e) => e.links);
      expect(counts.hardLinks).toBe(linked.length - new Set(linked.map((e) => e.links![0])).size);
    },
  );

  test.each<[what: string, name: string, change: [string, string]]>([
    ['a slash in a name', 'inline', ['tmp', '../']],
    ['a path in a name', 'inline', ['dev', '/ev']],
    ['a NUL in a name', 'inline', ['data', '..\0\0']],
    ['a name that comes twice, first as a symlink', 'inline', ['data', 'bin\0']],
  ])('%s: refused, and nothing is left', (_, name, change) => {
    const to = join(dir, 'attack');
    expect(() => extractImage(patched(name, change), to)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
    expect(existsSync(to)).toBe(false);
    mkdirSync(to);
    expect(() => extractImage(patched(name, change), to)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
    expect(readdirSync(to)).toEqual([]);
    rmSync(to, { recursive: true });
  });

  test('a file of 1 TiB that is one hole takes no room', () => {
    const to = join(dir, 'hole');
    const size = 2 ** 40;
    const bytes = build({
      blkszbits: 12,
      data: [],
      files: [{ name: 'hole', size, layout: 0, iu: 0xffffffff, inb: 0xffff }],
    });
    expect(extractImage(Image.open(bytes), to).dataBytes).toBe(size);
    const st = statSync(join(to, 'hole'));
    expect([st.size, st.blocks]).toEqual([size, 0]);
  });

  test('holes between data stay holes', () => {
    const to = join(dir, 'sparse');
    const image = openFixture('chunk-19');
    const inode = image.lookup('/data/sparse');
    extractImage(image, to);
    let data = 0;
    for (const { bytes } of image.pieces(inode)) data += bytes.length;
    expect(data).toBeLessThan(inode.size / 2);
    expect(statSync(join(to, 'data/sparse')).blocks * 512).toBeLessThan(inode.size / 2);
  });

  test.each([
    [0, 0],
    [1_700_000_000, 123_456_789],
    [2 ** 33, 999_999_999],
    [-5, 500_000_000],
    [-(2 ** 31), 0],
  ])('a file of time %i s and %i ns has it again, within what Node can say', (seconds, nsec) => {
    const to = join(dir, `time${seconds}`);
    const bytes = build({ blkszbits: 12, data: [], files: [{ name: 'f', size: 0, layout: 0 }] });
    const view = new DataView(bytes.buffer);
    const { offset } = Image.open(bytes).lookup('/f');
    view.setBigInt64(offset + 32, BigInt(seconds), true);
    view.setUint32(offset + 40, nsec, true);
    const warnings: string[] = [];
    extractImage(Image.open(bytes), to, (w) => warnings.push(w));
    const off = statSync(join(to, 'f'), { bigint: true }).mtimeNs - (BigInt(seconds) * 1_000_000_000n + BigInt(nsec));
    expect(warnings).toEqual([]);
    expect(Math.abs(Number(off))).toBeLessThanOrEqual(seconds < 0 ? 1_000_000 : 2_000);
  });

  test('a directory that is not empty, or no directory, is left as it is', () => {
    const to = join(dir, 'existing');
    mkdirSync(to);
    writeFileSync(join(to, 'mine'), 'mine');
    expect(() => extractImage(openFixture('plain'), to)).toThrow(expect.objectContaining({ code: 'ENOTEMPTY' }));
    expect(readFileSync(join(to, 'mine'), 'utf8')).toBe('mine');
    expect(() => extractImage(openFixture('plain'), join(to, 'mine'))).toThrow(
      expect.objectContaining({ code: 'ENOTDIR' }),
    );
    expect(readdirSync(to)).toEqual(['mine']);
    expect(() => extractImage(openFixture('plain'), join(to, 'absent/below'))).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    );
  });

  test('symlinks that lead outside are written as they are, and never through', () => {
    const to = join(dir, 'links');
    const outside = join(dir, 'outside');
    mkdirSync(outside);
    extractImage(patched('inline', ['usr/bin', '../../o']), to);
    expect(readlinkSync(join(to, 'bin'))).toBe('../../o');
    expect(readdirSync(outside)).toEqual([]);
    expect(readFileSync(join(to, 'usr/bin/env')).length).toBe(12000);
  });
});

describe('check', () => {
  test.each(fixtures.map((f) => f.name))('%s is sound', (name) => {
    const image = openFixture(name);
    const result = checkImage(image);
    const tree = treeOf(fixtures.find((f) => f.name === name)!);
    expect(result.faults).toEqual([]);
    expect(result.names).toBe(tree.length);
    expect(result.dataBytes).toBeGreaterThan(10_000);
  });

  test('every fault is listed, with its place', () => {
    const bytes = fixtureBytes('lz4hc.erofs');
    bytes[1024 + 8]! &= ~1;
    const image = Image.open(new MemoryReader(bytes, 'lz4hc.erofs'));
    const bad = ['/data/mixed', '/usr/bin/env'].map((p) => image.lookup(p));
    for (const inode of bad) for (const e of image.mapBlocks(inode)) bytes.fill(0xff, e.pa, e.pa + e.plen);
    bytes[image.lookup('/one').offset] = 0xff;
    const told: string[] = [];
    const { faults } = checkImage(image, (f) => told.push(f.message));
    expect(faults.map((f) => [f.path, f.code])).toEqual([
      ['/one', 'UNSUPPORTED'],
      ['/usr/bin/env', 'CORRUPT'],
      ['/data/mixed', 'CORRUPT'],
    ]);
    expect(told).toEqual(faults.map((f) => f.message));
    expect(faults[1]!.nid).toBe(bad[1]!.nid);
  });
});

describe('the command line', () => {
  async function run(...args: string[]): Promise<{ out: string; err: string; exitCode: unknown }> {
    let out = '';
    let err = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      out += chunk;
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
      err += chunk;
      return true;
    });
    const before = process.exitCode;
    process.exitCode = 0;
    try {
      await imageCommand().parseAsync(args, { from: 'user' });
      return { out, err, exitCode: process.exitCode };
    } finally {
      process.exitCode = before;
      vi.restoreAllMocks();
    }
  }

  test('extract and check', async () => {
    const image = join(dir, 'zstd.erofs');
    const bytes = fixtureBytes('zstd.erofs');
    writeFileSync(image, bytes);
    const { out, err } = await run('extract', image, '-o', join(dir, 'cli'));
    expect(out).toMatch(/cli: \d+ directories, \d+ files of \d+ bytes, 2 hard links, 4 symlinks, \d special files\n$/);
    expect(err).toMatch(/^foliolab: warning: \/dev\/sock: socket not written: /m);
    expect(err).toMatch(/extended attributes of 6 names not written/);
    expect(await run('check', image)).toMatchObject({ exitCode: 0, err: '' });

    const found = Image.open(image).lookup('/data/mixed');
    const [e] = [...Image.open(image).mapBlocks(found)];
    bytes.fill(0x55, e!.pa, e!.pa + e!.plen);
    writeFileSync(image, bytes);
    const bad = await run('check', image);
    expect(bad.exitCode).toBe(1);
    expect(bad.err).toMatch(
      /^foliolab: .*zstd.erofs: inode nid \d+ @ 0x\w+: zstd pcluster .* is wrong at its byte \d+\n$/,
    );
    expect(bad.out).toMatch(/: 1 fault in 197 inodes/);
    const { out: text, exitCode } = await run('check', image, '--json');
    expect(exitCode).toBe(1);
    expect(JSON.parse(text)).toMatchObject({
      schema: 'foliolab.image.check/1',
      ok: false,
      faults: [{ path: '/data/mixed', nid: found.nid, code: 'CORRUPT' }],
    });
  });
});
