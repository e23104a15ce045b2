import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { imageCommand } from '../../src/cli/image.ts';
import { Image, nameBytes } from '../../src/erofs/index.ts';
import { hasTool, need } from '../require.ts';
import { fixtureBytes, openFixture, tree } from './fixtures.ts';

const dir = mkdtempSync(join(tmpdir(), 'foliolab-cli-'));
afterAll(() => rmSync(dir, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

function file(name: string): string {
  const path = join(dir, name);
  writeFileSync(path, fixtureBytes(name));
  return path;
}

/** Runs `image ARGS` and gives what it writes to stdout. */
async function run(...args: string[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    parts.push(Buffer.from(chunk as Uint8Array));
    return true;
  });
  try {
    await imageCommand().parseAsync(args, { from: 'user' });
  } finally {
    vi.restoreAllMocks();
  }
  return Buffer.concat(parts);
}

const json = async (...args: string[]) => JSON.parse((await run(...args, '--json')).toString());

describe('image digest', () => {
  test('prints what sha256sum -c takes, sorted by bytes, every hard link', async () => {
    const image = file('lz4hc.erofs');
    const out = await run('digest', image);
    const lines = out.toString('latin1').trimEnd().split('\n');
    const files = tree.filter((e) => e.type === 'file');
    expect(lines.length).toBe(files.length);
    const sort = (a: string, b: string) => Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'));
    const paths = lines.map((l) => l.replace(/^\\?[0-9a-f]{64} {2}/, ''));
    const unescaped = paths.map((p, i) =>
      lines[i]!.startsWith('\\') ? p.replaceAll('\\n', '\n').replaceAll('\\\\', '\\') : p,
    );
    expect(unescaped).toEqual([...unescaped].sort(sort));
    expect(unescaped).toEqual(files.map((e) => Buffer.from(nameBytes(e.path)).toString('latin1')));
    for (const e of files) if (/^[\w/.+-]+$/.test(e.path)) expect(lines).toContain(`${e.sha256}  ${e.path}`);
  });

  test.skipIf(!need('sha256sum', hasTool('sha256sum')))('sha256sum agrees, odd names included', async () => {
    const image = openFixture('plain');
    const root = join(dir, 'names');
    mkdirSync(root);
    const check = await run('digest', file('plain.erofs'));
    for (const { path, inode } of image.walk()) {
      if (inode.type !== 'file' || !path.startsWith('/names/')) continue;
      const to = Buffer.concat([Buffer.from(root), nameBytes(path)]);
      mkdirSync(dirname(to.toString()), { recursive: true });
      writeFileSync(to, Buffer.concat([...image.stream(inode)]));
    }
    const lines = check
      .toString('latin1')
      .split('\n')
      .filter((l) => l.includes('  /names/'));
    const relative = Buffer.from(lines.map((l) => `${l.replace('  /', '  ')}\n`).join(''), 'latin1');
    execFileSync('sha256sum', ['-c', '--quiet', '--strict', '-'], { cwd: root, input: relative });
    expect(lines.length).toBe(10);
  });
});

describe('image ls', () => {
  test('--json has the fields of the contract, and names survive it', async () => {
    const path = file('fingerprint.erofs');
    const doc = await json('ls', path);
    expect(doc.schema).toBe('foliolab.image.ls/1');
    expect(doc.entries.map((e: { path: string }) => e.path).sort()).toEqual(tree.map((e) => e.path).sort());
    const image = Image.open(path);
    for (const e of doc.entries) {
      const { nid, type, mode, uid, gid, size, nlink, mtime, layout } = image.lookup(e.path);
      expect(e).toMatchObject({ nid, type, mode, uid, gid, size, nlink, mtime, layout });
    }
    const env = doc.entries.find((e: { path: string }) => e.path === '/usr/bin/env');
    expect(env.fingerprint).toBe(`sha256:${tree.find((e) => e.path === '/usr/bin/env')!.sha256}`);
    expect(doc.entries[0].fingerprint).toBe(null);
  });

  test('prints one line per name, whatever is in it', async () => {
    const image = file('plain.erofs');
    const lines = (await run('ls', image, '/names')).toString().trimEnd().split('\n');
    expect(lines).toEqual([
      '/names',
      '/names/!before-dot',
      '/names/-dash',
      '/names/back\\\\slash',
      '/names/caf\u00e9',
      '/names/caf\\xe9',
      '/names/new\\x0aline',
      `/names/${'n'.repeat(254)}`,
      '/names/\ufffd',
      '/names/\u{1f4d6}',
      '/names/\\xff',
    ]);
    const long = (await run('ls', '--long', image, '/')).toString();
    expect(long).toMatch(/^-rwsr-xr-x +1 +0 +0 +5000 2001-09-09T01:46:40Z +\d+ flat-plain +\/usr\/bin\/su$/m);
    expect(long).toMatch(/^drwxrwxrwt .* \/tmp$/m);
    expect(long).toMatch(/^brw-r----- .* 259,70000 .* \/dev\/big$/m);
    expect(long).toMatch(/^lrwxrwxrwx .* \/bin -> usr\/bin$/m);
  });
});

test('image cat gives the bytes, through symlinks', async () => {
  const image = file('lz4-64k.erofs');
  const expected = openFixture('lz4-64k');
  const inode = expected.lookup('/data/noise');
  expect(await run('cat', image, '/usr/rel')).toEqual(Buffer.concat([...expected.stream(inode)]));
  await expect(run('cat', image, '/usr')).rejects.toThrow(/is a directory, not a regular file/);
  await expect(run('cat', image, '/nope')).rejects.toThrow(`${image}: /nope: no such file or directory`);
});

test('image map --json has the fields of the contract', async () => {
  const doc = await json('map', file('lz4.erofs'), '/data/text');
  expect(doc.schema).toBe('foliolab.image.map/1');
  const { la, llen, pa, plen, device, algorithm } = doc.extents[1];
  const image = openFixture('lz4');
  expect({ la, llen, pa, plen, device, algorithm }).toEqual(
    (({ la, llen, pa, plen, device, algorithm }) => ({ la, llen, pa, plen, device, algorithm }))(
      [...image.mapBlocks(image.lookup('/data/text'))][1]!,
    ),
  );
  expect((await run('map', join(dir, 'lz4.erofs'), '/data/text')).toString()).toMatch(/ lz4\n/);
});

test('image map says what is a fragment, and where', async () => {
  const image = file('fragments-tail.erofs');
  const doc = await json('map', image, '/data/text');
  const last = doc.extents.at(-1);
  expect(last).toMatchObject({ pa: 0, plen: 0, hole: false, fragment: true });
  expect(last.fragmentOffset).toBeGreaterThanOrEqual(0);
  expect((await run('map', image, '/data/text')).toString()).toContain(
    `  fragment, at ${last.fragmentOffset} of the packed inode\n`,
  );
  expect((await run('info', image)).toString()).toMatch(/^packed inode +nid \d+$/m);
});

test('image info counts, with the devices given', async () => {
  const [image, blob] = [file('blob.erofs'), file('blob.blob')];
  const doc = await json('info', image, '--device', blob);
  expect(doc).toMatchObject({
    schema: 'foliolab.image.info/1',
    superblock: { blockSize: 4096, rootNid: openFixture('blob').superblock.rootNid },
    devices: [{ mappedBlkaddr: 0 }],
    counts: { names: tree.length, types: { symlink: 4, fifo: 1 } },
  });
  expect((await run('info', image)).toString()).toMatch(/^device 1 +\d+ blocks/m);
});
