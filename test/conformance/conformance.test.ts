import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual, promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMPAT_NAMES, INCOMPAT_NAMES } from '../../src/erofs/format.ts';
import { checkImage, type Extent, Image } from '../../src/erofs/index.ts';
import { fixtureBytes, fixtures, openFixture } from '../erofs/fixtures.ts';
import { hasTool, need } from '../require.ts';
import { describeImage, type Row } from './decoder.ts';
import { firstInlinePcluster, misreadExtents, ofFsck, ofTree, portable, type Spec } from './expected.ts';

// One tree, every encoding: what the decoder makes of an image against the tree it was made of, the kernel's mount of it, what
// fsck.erofs extracts and what dump.erofs prints. README.md says how to run it by itself.

const UTILS = process.env.FOLIOLAB_EROFS_UTILS ?? '';
const TABLE = process.env.FOLIOLAB_CONFORMANCE_TABLE;

const able =
  need('root, to mount images', process.getuid?.() === 0) &&
  need('Linux 6.17, which reads all that mkfs.erofs writes', kernel() >= 6.17) &&
  need('python3', hasTool('python3')) &&
  need('mkfs.erofs', hasTool('mkfs.erofs')) &&
  need('FOLIOLAB_EROFS_UTILS (scripts/erofs-utils.sh)', UTILS !== '');

/** What images.py found out about an image. */
interface Made {
  image: string;
  devices: string[];
  fsck: { status: number; said: string[] };
  /** la, llen, pa, plen, device; or what dump.erofs said instead */
  extents: Record<string, [number, number, number, number, number][] | string>;
}

type Witness = 'kernel' | 'fsck' | 'tree' | 'dump';

const specs: Spec[] = able
  ? JSON.parse(execFileSync('python3', [join(import.meta.dirname, 'images.py'), '--list'], utf8()))
  : [];
let dir = '';
let made: Record<string, Pick<Made, 'image' | 'devices'> & Partial<Made>> = {};
let refused: Record<string, string> = {};
const table = new Map<string, Record<Witness, string>>(
  specs.map(({ name }) => [name, { kernel: 'DIFFERS', fsck: 'DIFFERS', tree: 'DIFFERS', dump: 'DIFFERS' }]),
);

beforeAll(async () => {
  if (!able) return;
  const run = promisify(execFile);
  dir = mkdtempSync(join(tmpdir(), 'foliolab-conformance-'));
  // Two processes for minutes: other tests go first.
  await run('nice', ['python3', join(import.meta.dirname, 'images.py'), dir]);
  made = { ...json<typeof made>('made'), ...unpackFixtures() };
  writeFileSync(join(dir, 'made.json'), JSON.stringify(made));
  const mounts = ['-m', '--propagation', 'private', 'python3', join(import.meta.dirname, 'mounts.py'), dir];
  await run('nice', ['unshare', ...mounts]);
  refused = json<{ refused: Record<string, string> }>('mounts').refused;
}, 1_800_000);

afterAll(() => {
  if (dir) rmSync(dir, { recursive: true });
  if (table.size > 0) report();
});

const whole = specs.filter((s) => !s.refused);

describe.each(whole)('$name ($suite: $options)', (spec) => {
  const { name } = spec;
  let image: Image;
  let rows: Row[];

  beforeAll(() => {
    image = Image.open(made[name]!.image, { devices: made[name]!.devices });
    rows = describeImage(image);
  });
  afterAll(() => image?.close());

  test('holds the tree it was made of', () => {
    expectSame(portable(rows), ofTree(json(spec.tree), spec, image));
    expect(checkImage(image).faults).toEqual([]);
    table.get(name)!.tree = 'equal';
  });

  test('is to Linux what it is to the decoder', () => {
    expect(refused[name]).toBe(undefined);
    expectSame(rows, json(`kernel/${name}`));
    table.get(name)!.kernel = 'equal';
  });

  test('is extracted by fsck.erofs as it is decoded, but for known faults', () => {
    const { status, said } = made[name]!.fsck!;
    const extracted = portable(json<Row[]>(`fsck/${name}`));
    const last = firstInlinePcluster(image);
    if (last !== null) {
      // What came before is there, half done: directories and the last file have neither owner nor mode yet.
      expect([status, said]).toEqual([1, []]);
      const paths = [...image.walk()].map((e) => e.path);
      expect(extracted.map((r) => r.path).sort()).toEqual(paths.slice(0, paths.indexOf(last) + 1).sort());
      table.get(name)!.fsck = 'inline pcluster in metabox';
      return;
    }
    const expected = ofFsck(rows, image);
    expect(status).toBe(0);
    expect(said.map((s) => s.replace(/^<E> erofs: (.*) @ nid \d+$/, '$1'))).toEqual(expected.said);
    expectSame(expected.rows, extracted);
    table.get(name)!.fsck = ['equal', ...expected.known].join(', ');
  });

  test('has the extents that dump.erofs prints, but for known faults', () => {
    const asked = Object.entries(made[name]!.extents!);
    let misread = false;
    for (const [path, printed] of asked) {
      if (typeof printed === 'string') throw new Error(`dump.erofs ${path}: ${printed}`);
      const inode = image.lookup(path);
      const extents = misreadExtents(image, inode);
      misread ||= extents.some((e) => e.misread === 'chunk map in metabox');
      expect([path, extents.map((e, i) => comparable(e, printed[i]))]).toEqual([path, printed]);
    }
    table.get(name)!.dump = `${asked.length} files${misread ? ', chunk map in metabox' : ''}`;
  });
});

describe.each(specs.filter((s) => s.refused))('$name ($suite: $options)', ({ name, refused: reason }) => {
  test('is damaged to the decoder, to Linux and to fsck.erofs: mkfs.erofs wrote it so', () => {
    expect(refused[name]).toBe(reason);
    const { image, fsck } = made[name]!;
    expect(fsck!.status).toBe(1);
    expect(fsck!.said[0]).toMatch(/bogus i_mode \(0\)/);
    expect(() => describeImage(Image.open(image))).toThrow(expect.objectContaining({ name: 'ErofsCorruptError' }));
    Object.assign(table.get(name)!, { kernel: 'refused', fsck: 'refused', tree: 'refused', dump: 'not asked' });
  });
});

describe.skipIf(!able)('the fixtures of test/fixtures/erofs', () => {
  test.each(fixtures.map((f) => f.name))('%s is to Linux what it is to the decoder', (name) => {
    expect(refused[`fixture-${name}`]).toBe(undefined);
    const image = openFixture(name);
    expectSame(describeImage(image), json(`kernel/fixture-${name}`));
  });
});

describe.skipIf(!able)('mkfs.erofs', () => {
  test('writes every feature but the shared xattrs in a metabox and HEAD2, which handmade images have', () => {
    // Device tables and HEAD2 share a bit.
    const seen = (some: readonly Spec[]) =>
      new Set(
        some.flatMap(({ name }) => {
          const { features, devices } = Image.open(made[name]!.image).superblock;
          return features.map((f) => (f !== 'device_table/compr_head2' ? f : devices.length > 0 ? 'devices' : 'HEAD2'));
        }),
      );
    const all = ['devices', 'HEAD2', ...COMPAT_NAMES, ...INCOMPAT_NAMES].filter(
      (f) => f !== 'device_table/compr_head2',
    );
    const byMkfs = seen(whole.filter((s) => !s.handmade));
    const unwritten = all.filter((f) => !byMkfs.has(f));
    expect(unwritten).toEqual(['HEAD2', 'shared_ea_in_metabox']);
    expect([...seen(whole.filter((s) => s.handmade))]).toEqual(expect.arrayContaining(unwritten));
  });

  test('writes no blocks larger than a page', () => {
    const argv = ['--quiet', '-b8192', join(dir, 'images/b8192'), join(dir, 'tree')];
    expect(() => execFileSync(join(UTILS, 'bin/mkfs.erofs'), argv, { stdio: 'pipe' })).toThrow(
      'invalid block size 8192',
    );
  });
});

/** The committed fixtures as files, to be mounted. */
function unpackFixtures(): Record<string, Pick<Made, 'image' | 'devices'>> {
  const unpacked = (file: string) => {
    const path = join(dir, 'images', `fixture-${file}`);
    writeFileSync(path, fixtureBytes(file));
    return path;
  };
  const some = fixtures.map(({ name, device }) => [
    `fixture-${name}`,
    { image: unpacked(`${name}.erofs`), devices: device ? [unpacked(`${name}.blob`)] : [] },
  ]);
  return Object.fromEntries(some);
}

function kernel(): number {
  const [major, minor] = release().split('.');
  return Number(major) + Number(minor) / 100;
}

function utf8(): { encoding: 'utf8' } {
  return { encoding: 'utf8' };
}

function json<T>(name: string): T {
  return JSON.parse(readFileSync(join(dir, `${name}.json`), 'utf8'));
}

/** Compares rows by path, so that a failure shows those that differ and no others. */
function expectSame(found: readonly Row[], expected: readonly Row[]): void {
  const wanted = new Map(expected.map((r) => [r.path, r]));
  const differing = found.filter((r) => !isDeepStrictEqual(r, wanted.get(r.path)));
  expect(differing).toEqual(differing.map((r) => wanted.get(r.path)));
  const paths = new Set(found.map((r) => r.path));
  expect(expected.filter((r) => !paths.has(r.path))).toEqual([]);
  expect(paths.size).toBe(expected.length);
}

/** An extent as dump.erofs prints it: a hole or a fragment with the null address, or with that of the extent before it. */
function comparable(e: Extent, printed: readonly number[] | undefined): number[] {
  if (e.hole || e.fragment) return [e.la, e.llen, ...(printed ?? []).slice(2)];
  return [e.la, e.llen, e.pa, e.plen, e.device];
}

/** What was found, by image: on the terminal, and in the file that FOLIOLAB_CONFORMANCE_TABLE names, as JSON. */
function report(): void {
  const version = (command: string) =>
    /\d+\.\d[\d.]*/.exec(execFileSync('sh', ['-c', `${command} --version 2>&1; true`], utf8()))![0];
  const versions = {
    linux: release(),
    bookworm: version('mkfs.erofs'),
    trixie: version(join(UTILS, 'trixie/bin/mkfs.erofs')),
    sid: version(join(UTILS, 'bin/mkfs.erofs')),
  };
  const rows = specs.map(({ name, suite, options }) => ({ name, suite, options, ...table.get(name)! }));
  if (TABLE) writeFileSync(TABLE, `${JSON.stringify({ versions, rows }, null, 1)}\n`);
  const columns = ['name', 'suite', 'tree', 'kernel', 'fsck', 'dump'] as const;
  const cells = [columns as readonly string[], ...rows.map((r) => columns.map((c) => r[c]))];
  const widths = columns.map((_, i) => Math.max(...cells.map((c) => c[i]!.length)));
  const lines = cells.map((c) =>
    c
      .map((text, i) => text.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  );
  const made = Object.entries(versions).map(([who, what]) => `${who} ${what}`);
  process.stderr.write(`${lines.join('\n')}\n${rows.length} images; ${made.join(', ')}\n`);
}
