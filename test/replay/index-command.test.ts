import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Image } from '../../src/erofs/index.ts';
import { packImage } from '../../src/replay/image-index/from-image.ts';
import { fixtureBytes } from '../erofs/fixtures.ts';
import { temporaryFile, temporaryFolder } from './support.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const SELF = join(ROOT, 'traces/self/self.erofs');

function foliolab(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'dist/cli.js'), ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, NO_COLOR: '1', ...env },
  });
  return { status, stdout, stderr };
}

describe('foliolab index --jobs', () => {
  it.each(['lz4', 'zstd', 'fragments', 'chunk-map', 'fingerprint'])(
    'writes the same bytes of %s with 1, 2 and 3 threads',
    async (name) => {
      const folder = temporaryFolder();
      const image = join(folder, `${name}.erofs`);
      writeFileSync(image, fixtureBytes(`${name}.erofs`));
      const here = await packImage(image);
      for (const jobs of ['1', '2', '3']) {
        const output = join(folder, `${jobs}.fidx`);
        expect(foliolab(['index', image, '-o', output, '--jobs', jobs])).toMatchObject({ status: 0, stdout: '' });
        expect(readFileSync(output).equals(here), `${jobs} threads`).toBe(true);
      }
    },
  );

  it('has workers that need no help: they alone digest every file', async () => {
    const load = (name: string) => import(join(ROOT, `dist/replay/image-index/${name}.js`));
    const { DigestPool } = (await load('digest-pool')) as typeof import('../../src/replay/image-index/digest-pool.ts');
    const { digestJob, sha256Of } = (await load('digest')) as typeof import('../../src/replay/image-index/digest.ts');
    const path = temporaryFile('zstd.erofs', fixtureBytes('zstd.erofs'));
    const image = Image.open(path);
    const files = [...image.walk()].map(({ inode }) => inode).filter(({ type }) => type === 'file');
    const job = digestJob(path, [], [{ path, size: image.size }], files);
    const pool = new DigestPool(3, image.size);
    pool.begin(job);
    await pool.ended();
    expect(job.state).not.toContain(0);
    const sum = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
    const said = [...job.state].map((_, unit) => Buffer.from(sha256Of(job, unit)).toString('hex'));
    const whole = files.map((inode) => sum(Buffer.concat([...image.stream(inode)])));
    expect(said).toEqual([sum(readFileSync(path)), ...whole]);
    image.close();
  });

  it('with devices of its own', async () => {
    const image = temporaryFile('blob.erofs', fixtureBytes('blob.erofs'));
    const blob = temporaryFile('blob.blob', fixtureBytes('blob.blob'));
    const output = join(temporaryFolder(), 'x.fidx');
    const here = await packImage(image, { devices: [blob] });
    foliolab(['index', image, '--device', blob, '-o', output, '--jobs', '2']);
    expect(readFileSync(output).equals(here)).toBe(true);
    // A worker fails as this thread does: without its device the data can't be read.
    const errors = ['1', '2', '3'].map((jobs) => foliolab(['index', image, '-o', output, '--force', '--jobs', jobs]));
    for (const { status, stderr } of errors) expect([status, stderr]).toEqual([1, errors[0]!.stderr]);
    expect(errors[0]!.stderr).toMatch(
      /^foliolab: \S+blob\.erofs: inode nid \d+: unsupported: data on extra device 1, which was not given\n$/,
    );
  });

  it('of an image with several bad files names the first of them, whoever finds it', () => {
    const bytes = fixtureBytes('lz4.erofs');
    const sound = Image.open(bytes);
    const damaged: number[] = [];
    for (const { inode } of sound.walk()) {
      const extents = inode.type === 'file' ? [...sound.mapBlocks(inode)] : [];
      const extent = extents.find(({ algorithm, meta }) => algorithm === 'lz4' && !meta);
      if (extent === undefined || damaged.includes(inode.nid)) continue;
      bytes.fill(0xff, extent.pa, extent.pa + extent.plen);
      damaged.push(inode.nid);
    }
    expect(damaged.length).toBeGreaterThan(1);
    const image = temporaryFile('bad.erofs', bytes);
    const output = join(temporaryFolder(), 'x.fidx');
    for (const jobs of ['1', '2', '3']) {
      const { status, stderr } = foliolab(['index', image, '-o', output, '--jobs', jobs]);
      expect(status).toBe(1);
      expect(stderr).toMatch(
        new RegExp(`^foliolab: \\S+bad\\.erofs: inode nid ${damaged[0]} @ 0x[0-9a-f]+: lz4 .*\\n$`),
      );
    }
  });

  it.each(['0', '-1', '1.5', 'all'])('takes no %s', (jobs) => {
    const { status, stderr } = foliolab(['index', SELF, '-o', 'never.fidx', `--jobs=${jobs}`]);
    expect([status, stderr]).toEqual([2, `foliolab: --jobs '${jobs}' is not a whole number from 1\n`]);
  });
});

describe('foliolab index -o FILE', () => {
  const make = (image: string, output: string, ...more: string[]) => foliolab(['index', image, '-o', output, ...more]);
  const OLD = 1_000_000;
  /** Whether a command left a file as it is. */
  const leaves = (output: string, command: () => { status: number | null }): boolean => {
    utimesSync(output, OLD, OLD);
    expect(command().status).toBe(0);
    return statSync(output).mtimeMs === OLD * 1000;
  };

  it('leaves an index of the same image as it is, and says so; --force makes it anew', () => {
    const output = join(temporaryFolder(), 'self.fidx');
    const first = make(SELF, output);
    const bytes = readFileSync(output);
    expect(first.stderr).toMatch(/self\.fidx: \d+ inodes, \d+ pages, \d+ bytes\n$/);
    expect(leaves(output, () => make(SELF, output))).toBe(true);
    expect(make(SELF, output).stderr).toMatch(/self\.fidx: unchanged, reused: \d+ inodes, \d+ pages\n$/);
    expect(leaves(output, () => make(SELF, output, '--force'))).toBe(false);
    expect(readFileSync(output).equals(bytes)).toBe(true);
  });

  it('replaces whatever is not that: another image, other bytes under its name, a damaged index, any other file', () => {
    const folder = temporaryFolder();
    const output = join(folder, 'x.fidx');
    const image = join(folder, 'image.erofs');
    writeFileSync(image, fixtureBytes('lz4.erofs'));
    make(image, output);
    expect(leaves(output, () => make(SELF, output))).toBe(false);
    make(image, output);
    const one = readFileSync(output);
    writeFileSync(image, fixtureBytes('zstd.erofs'));
    expect(leaves(output, () => make(image, output))).toBe(false);
    const other = readFileSync(output);
    expect(other.equals(one)).toBe(false);
    for (const content of [other.subarray(0, 500), other.subarray(0, -1), Buffer.from('text')]) {
      writeFileSync(output, content);
      expect(leaves(output, () => make(image, output))).toBe(false);
      expect(readFileSync(output).equals(other)).toBe(true);
    }
  });

  it('knows the devices that it was made with', () => {
    const image = temporaryFile('blob.erofs', fixtureBytes('blob.erofs'));
    const blob = temporaryFile('blob.blob', fixtureBytes('blob.blob'));
    const output = join(temporaryFolder(), 'x.fidx');
    const run = () => make(image, output, '--device', blob);
    run();
    expect(leaves(output, run)).toBe(true);
    writeFileSync(blob, Buffer.concat([fixtureBytes('blob.blob'), Buffer.alloc(4096)]));
    expect(leaves(output, run)).toBe(false);
  });
});

describe('foliolab index --json', () => {
  interface Document {
    schema: string;
    kind: string;
    sha256: string;
    inodes: number;
    pages: number;
    codecs: Record<string, { extents: number; bytes: number }>;
    files: {
      paths: string[];
      identity: string;
      nid: number;
      type: string;
      size: number;
      contentSha256: string | null;
    }[];
  }
  const look = (path: string, env: NodeJS.ProcessEnv = {}): Document =>
    JSON.parse(foliolab(['index', path, '--json'], env).stdout) as Document;

  it('says what an image and its index hold, the same of both, and every field of each file', () => {
    const output = join(temporaryFolder(), 'self.fidx');
    foliolab(['index', SELF, '-o', output]);
    const [ofImage, ofIndex] = [look(SELF), look(output)];
    expect([ofImage.schema, ofImage.kind, ofIndex.kind]).toEqual(['foliolab.index.info/1', 'image', 'index']);
    expect(ofIndex.files).toEqual(ofImage.files);
    expect(ofImage.files).toHaveLength(ofImage.inodes);
    const sha256 = createHash('sha256').update(readFileSync(SELF)).digest('hex');
    expect(ofImage.sha256).toBe(sha256);
    const sums = readFileSync(join(ROOT, 'traces/self/SHA256SUMS'), 'utf8').trimEnd().split('\n');
    const said = ofImage.files
      .filter(({ type }) => type === 'f')
      .flatMap(({ paths, contentSha256 }) => paths.map((path) => `${contentSha256}  ${path}`));
    expect(said.sort()).toEqual(sums.sort());
    for (const { identity, nid } of ofImage.files) expect(identity).toBe(`${sha256}:${nid}`);
    expect(Object.keys(ofImage.files[0]!)).toEqual(
      'paths,identity,nid,type,mode,uid,gid,nlink,size,mtime,mtimeNsec,layout,codecs,contentSha256,xattrsSha256,fingerprintHex,pages,segments'.split(
        ',',
      ),
    );
  });

  it('without -o takes neither a manifest nor devices', () => {
    expect(foliolab(['index', SELF])).toMatchObject({ status: 2, stderr: expect.stringContaining('needs -o FILE') });
    expect(foliolab(['index', '--json'])).toMatchObject({ status: 2 });
    expect(foliolab(['index', SELF, '--json', '--device', SELF])).toMatchObject({ status: 2 });
  });

  it('keeps the index of an image in the cache that the environment names, and notes a damaged one', () => {
    const cache = join(temporaryFolder(), 'cache');
    const first = look(SELF, { FOLIOLAB_CACHE: cache });
    const [name] = readdirSync(cache);
    expect(name).toBe(`${first.sha256}.fidx`);
    writeFileSync(join(cache, name!), 'FOLIDX\0\n damaged');
    const { stdout, stderr } = foliolab(['index', SELF, '--json'], { FOLIOLAB_CACHE: cache });
    expect(JSON.parse(stdout)).toEqual(first);
    expect(stderr).toBe(`foliolab: note: ${join(cache, name!)}: is damaged: ${SELF} is indexed anew\n`);
  });
});

describe('foliolab replay --mount ID=IMAGE', () => {
  it('answers the same without a cache, with an empty one, and from what it kept', () => {
    const image = Image.open(SELF);
    const rows = [...image.walk()]
      .filter(({ inode }) => inode.type === 'file' && inode.size > 0)
      .map(({ inode }, at) => `${at},c,m,${inode.nid},read,0,${Math.ceil(inode.size / 4096)},`);
    image.close();
    const header = 'time_ns,container,dev,ino,op,page_index,nr_pages,touch';
    const trace = temporaryFile('trace.csv', [header, ...rows, ''].join('\n'));
    const cache = join(temporaryFolder(), 'cache');
    const replay = (folder: string) =>
      foliolab(['replay', '--trace', trace, '--mount', `m=${SELF}`, '--json'], { FOLIOLAB_CACHE: folder });
    const without = replay('');
    expect([without.status, without.stderr]).toEqual([0, '']);
    expect(replay(cache)).toEqual(without);
    expect(readdirSync(cache)).toHaveLength(1);
    expect(replay(cache)).toEqual(without);
  });
});
