// Makes what lies under traces/ from the recordings: node scripts/bundle-traces.mjs DATA
// DATA is the folder of recordings (a folder a service: images/, manifests, rec/); dist/ must be built; needs zstd and mkfs.erofs ≥ 1.9
// (MKFS=… names another one than the one on the PATH).
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const data = process.argv[2];
if (!data) throw new Error('usage: bundle-traces.mjs DATA');
const mkfs = process.env.MKFS ?? 'mkfs.erofs';
const services = { redis: 'image', nginx: 'image', postgres: 'manifest', tfjs: 'manifest', 'python-sci': 'manifest' };
const work = mkdtempSync(join(tmpdir(), 'bundle-'));
const run = (command, ...args) =>
  execFileSync(command, args, { maxBuffer: 2 ** 30, stdio: ['ignore', 'pipe', 'inherit'] });
const foliolab = (...args) => run('node', 'dist/cli.js', ...args);
const compress = (bytes, to) => {
  const plain = join(work, 'plain');
  writeFileSync(plain, bytes);
  run('zstd', '-q', '-f', '-19', plain, '-o', to);
};
const decompress = (path) => run('zstd', '-q', '-d', '-c', path);

for (const [service, source] of Object.entries(services)) {
  const from = join(data, service);
  const to = join('traces', service);
  mkdirSync(to, { recursive: true });
  const images = JSON.parse(readFileSync(join(from, 'images.json'), 'utf8'));
  const hashes = {};
  if (source === 'image') run('bash', join(from, 'images/unpack.sh'), join(work, service));
  for (const version of ['a', 'b']) {
    const index = join(to, `${version}.fidx`);
    const name = `${service}-${version}.plain.erofs`;
    const [, { sha256 }] = Object.entries(images).find(([key]) => key.endsWith(`-${version}.plain.erofs`));
    hashes[version] = sha256;
    if (source === 'image') {
      const image = join(work, name);
      symlinkSync(join(work, service, `${version}.plain.erofs`), image);
      foliolab('index', image, '-o', index);
    } else {
      const part = (kind, ending) => join(from, `${kind}-${version}.${ending}.zst`);
      foliolab(
        'index',
        '--manifest',
        part('manifest', 'tsv'),
        '--pages',
        part('pages', 'bin'),
        '--elf',
        part('elf', 'tsv'),
        '--image-name',
        name,
        '--image-sha256',
        sha256,
        '-o',
        index,
      );
    }
  }
  // The recording as it is, behind the lines that name its images.
  const mounts = { a: 'a', a2: 'a', b: 'b' };
  const header = [
    '# foliolab.trace-csv/1',
    ...Object.entries(mounts).map(([mount, v]) => `# mount ${mount} index=${v}.fidx image-sha256=${hashes[v]}`),
    '',
  ].join('\n');
  compress(
    Buffer.concat([Buffer.from(header), decompress(join(from, 'rec/multi-plain/events.csv.zst'))]),
    join(to, 'run.csv.zst'),
  );
  compress(decompress(join(from, 'rec/multi-plain/cached.csv.zst')), join(to, 'run-cached.csv.zst'));
  compress(decompress(join(from, 'rec/merged-plain/cached.csv.zst')), join(to, 'merged-cached.csv.zst'));
}

// The image of the project's own files.
const tree = join(work, 'tree');
mkdirSync(tree);
run('sh', '-c', `git archive HEAD LICENSE CONTRIBUTING.md src | tar -x -C '${tree}'`);
mkdirSync('traces/self', { recursive: true });
const options = [
  '-T0',
  '-U00000000-0000-4000-8000-000000000001',
  '--all-root',
  '-zlz4hc',
  '--xattr-inode-digest=trusted.erofs.fingerprint',
];
run(mkfs, '--quiet', ...options, 'traces/self/self.erofs', tree);
const sums = run('sh', '-c', `cd '${tree}' && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum`)
  .toString()
  .replaceAll('  ./', '  /');
writeFileSync('traces/self/SHA256SUMS', sums);
const version = run(mkfs, '--version').toString().split('\n')[0];
const digest = createHash('sha256').update(readFileSync('traces/self/self.erofs')).digest('hex');
writeFileSync(
  'traces/self/README.md',
  `# An EROFS image of the project's own files

\`self.erofs\` (sha256 ${digest}), made by \`scripts/bundle-traces.mjs\` with ${version}:

    mkfs.erofs ${options.join(' ')} self.erofs TREE

TREE: LICENSE, CONTRIBUTING.md and src/ as of commit ${run('git', 'rev-parse', '--short', 'HEAD').toString().trim()}. \`SHA256SUMS\` was made by sha256sum from TREE, not by foliolab.
\`foliolab demo\` decodes the image and compares. Licence: MIT, as the project's.
`,
);
rmSync(work, { recursive: true });
