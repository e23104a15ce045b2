import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Image, MemoryReader } from '../src/erofs/index.ts';
import { fixtureBytes } from './erofs/fixtures.ts';
import { DECODED, largeImage } from './erofs/large.ts';

// The examples run as they would for a reader: in a process of their own, on the built library.

const ROOT = new URL('../', import.meta.url).pathname;
const BLOCK = 64 << 10;

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

interface Ran {
  out: Buffer;
  err: string;
  status: number | null;
}

function node(...args: string[]): Promise<Ran> {
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...process.env, NO_COLOR: '1' } });
  const out: Buffer[] = [];
  let err = '';
  child.stdout.on('data', (chunk) => out.push(chunk));
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.on('close', (status) => resolve({ out: Buffer.concat(out), err, status })));
}

type Answer = (request: IncomingMessage, response: ServerResponse, n: number) => boolean;

/** Serves `bytes` by ranges, unless `first` answers itself. @returns the URL, and the ranges asked for */
async function serve(bytes: Uint8Array, first: Answer = () => false): Promise<{ url: string; ranges: string[] }> {
  const ranges: string[] = [];
  const server = createServer((request, response) => {
    const { range } = request.headers;
    ranges.push(range ?? '(none)');
    if (first(request, response, ranges.length)) return;
    const [from, to] = /bytes=(\d+)-(\d+)/
      .exec(range ?? '')!
      .slice(1)
      .map(Number) as [number, number];
    const part = bytes.subarray(from, to + 1);
    response.writeHead(206, {
      etag: '"one"',
      'content-length': part.length,
      'content-range': `bytes ${from}-${from + part.length - 1}/${bytes.length}`,
    });
    response.end(part);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/golden.erofs`, ranges };
}

/** Runs `body` with a reader. */
function withReader(url: string, options: object, body: string): Promise<Ran> {
  const lines = [
    `import { HttpReader } from './examples/http-reader.mjs';`,
    `import { Image } from 'foliolab/erofs';`,
    `import { createHash } from 'node:crypto';`,
    `try { const reader = new HttpReader(${JSON.stringify(url)}, ${JSON.stringify(options)});\n${body}\n}`,
    `catch (e) { console.log(e.name, e.code, e.offset, e.message.replace(/^.*golden.erofs: /, '')); }`,
  ];
  return node('--input-type=module', '-e', lines.join('\n'));
}

test('one page of a file of a large image over HTTP: equal, for a hundredth of the image', async () => {
  const { image, bytes } = largeImage(8000);
  const at = 5000 * DECODED + 4096;
  // The blocks of 64 KiB that the same question touches in memory.
  const blocks = new Set([0]);
  const memory = new MemoryReader(image);
  const local = Image.open({
    path: 'local',
    size: image.length,
    readAt(offset, length) {
      for (let i = Math.floor(offset / BLOCK); i * BLOCK < offset + length; i++) blocks.add(i);
      return memory.readAt(offset, length);
    },
  });
  local.read(local.lookup('/large'), at, 4096);
  let expected = 0;
  for (const i of blocks) expected += Math.min(BLOCK, image.length - i * BLOCK);
  expect(expected).toBeLessThan(image.length / 64);

  const { url, ranges } = await serve(image);
  const page = await node('examples/remote-image.mjs', url, '/large', String(at), '4096');
  expect(page.err).toBe(`${expected} of ${image.length} bytes in ${ranges.length} requests\n`);
  expect(page.status).toBe(0);
  expect(Buffer.compare(page.out, bytes(at, 4096))).toBe(0);
  expect(new Set(ranges).size).toBe(ranges.length);
});

test('a whole image over HTTP is what it is in memory', async () => {
  const bytes = fixtureBytes('dedupe-zstd.erofs');
  const local = Image.open(bytes);
  const { url } = await serve(bytes);
  const names = await node('examples/remote-image.mjs', url);
  const files = [...local.walk()];
  expect(names.out.toString().split('\n').length - 1).toBe(files.length);
  expect(names.err).toMatch(new RegExp(`^\\d+ of ${bytes.length} bytes in \\d+ requests\n$`));
  const file = files.find((e) => e.inode.type === 'file' && e.inode.size > 3 * 4096)!;
  const { out } = await node('examples/remote-image.mjs', url, file.path);
  expect(Buffer.compare(out, Buffer.concat([...local.stream(file.inode)]))).toBe(0);
});

test('the cache is bounded, joins what is missing in a row into one request, and gives the bytes at any boundary', async () => {
  const bytes = Uint8Array.from({ length: 5 * BLOCK + 1000 }, (_, i) => (i * 7919) >> 5);
  const { url, ranges } = await serve(bytes);
  const asks = [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK - 3, 4 * BLOCK + 9, 5 * BLOCK].flatMap((o) =>
    [0, 1, 5, 1000, BLOCK, 3 * BLOCK + 7].filter((n) => o + n <= bytes.length).map((n) => [o, n] as [number, number]),
  );
  const body = `for (const [o, n] of ${JSON.stringify(asks)}) {
      console.log(createHash('sha256').update(reader.readAt(o, n)).digest('hex'));
    }
    reader.readAt(0, reader.size - 1);
    const before = reader.transferred;
    reader.readAt(0, reader.size);
    console.log(reader.transferred - before);`;
  const { out } = await withReader(url, { cacheBlocks: 2 }, body);
  // A scan longer than the cache leaves nothing that the same scan could use: LRU.
  const again = `${bytes.length}\n`;
  expect(out.toString()).toBe(asks.map(([o, n]) => `${sha256(bytes.subarray(o, o + n))}\n`).join('') + again);
  expect(ranges).toContain(`bytes=${BLOCK}-${4 * BLOCK - 1}`);
});

test.each<[what: string, said: string, answer: Answer, tries: number]>([
  ['ignores Range', 'EIO 0 @ 0x0: the server sends whole files only: it ignores Range', (_, r) => !!r.end('all'), 1],
  ['has no such file', 'EIO 0 @ 0x0: the server answers 404', (_, r) => !!r.writeHead(404).end(), 1],
  ['is out of order', 'EIO 0 @ 0x0: the server answers 503', (_, r) => !!r.writeHead(503).end(), 2],
  ['never answers', 'EIO 0 @ 0x0: no answer within 300 ms', () => true, 2],
  [
    'hangs up',
    'EIO 0 @ 0x0: fetch failed: other side closed',
    (_, r) => {
      r.socket!.destroy();
      return true;
    },
    2,
  ],
  [
    'sends another range',
    'EIO 0 @ 0x0: the server sends other bytes than asked for (bytes 1-65536/99999)',
    (_, r) => !!r.writeHead(206, { 'content-range': 'bytes 1-65536/99999' }).end(),
    1,
  ],
  [
    'sends more than it says',
    'EIO 0 @ 0x0: the server sends more than the 10 bytes asked for',
    (_, r) => !!r.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end(Buffer.alloc(11)),
    1,
  ],
  [
    'sends less than it says',
    'EIO 0 @ 0x0: the answer ended after 9 of 10 bytes',
    (_, r) => !!r.writeHead(206, { 'content-range': 'bytes 0-9/10' }).end(Buffer.alloc(9)),
    2,
  ],
])('a server that %s: one located error', async (_, said, answer, tries) => {
  const { url, ranges } = await serve(new Uint8Array(0), answer);
  const { out } = await withReader(url, { timeoutMs: 300, attempts: 2 }, '');
  expect(out.toString()).toBe(`ErofsError ${said}\n`);
  expect(ranges.length).toBe(tries);
});

test('an answer of 503 is asked for again', async () => {
  const { url, ranges } = await serve(fixtureBytes('lz4.erofs'), (_, r, n) => n < 3 && !!r.writeHead(503).end());
  const { out } = await withReader(url, {}, `console.log(Image.open(reader).root().type);`);
  expect(out.toString()).toBe('directory\n');
  expect(ranges.slice(0, 3)).toEqual(Array(3).fill(`bytes=0-${BLOCK - 1}`));
});

test.each<[string, Answer, RegExp]>([
  [
    'and says so',
    (q, r, n) => n > 1 && q.headers['if-match'] === '"one"' && !!r.writeHead(412).end(),
    /the image changed while it was read \(it was "one"\)/,
  ],
  [
    'and has another ETag',
    (_, r, n) =>
      n > 1 &&
      !!r
        .writeHead(206, { etag: '"two"', 'content-range': `bytes ${BLOCK}-${2 * BLOCK - 1}/${3 * BLOCK}` })
        .end(Buffer.alloc(BLOCK)),
    /the image changed while it was read \("one", now "two"\)/,
  ],
])('an image that changes under the reader %s: an error, not a mixture', async (_, answer, said) => {
  const { url } = await serve(new Uint8Array(3 * BLOCK), answer);
  const { out } = await withReader(url, {}, `reader.readAt(${BLOCK} + 5, 10);`);
  expect(out.toString()).toMatch(/^ErofsError EIO 65536 @ 0x10000: /);
  expect(out.toString()).toMatch(said);
});

test('a question outside the image, and one to a closed reader, are refused', async () => {
  const { url } = await serve(new Uint8Array(100));
  const outside = await withReader(url, {}, `reader.readAt(90, 11);`);
  expect(outside.out.toString()).toBe('ErofsError EINVAL 90 @ 0x5a: 11 bytes asked for, of 100\n');
  const closed = await withReader(url, {}, `reader.close(); reader.readAt(0, 1);`);
  expect(closed.out.toString()).toBe('ErofsError EBADF 0 @ 0x0: the reader was closed\n');
});

test('remote-image without a URL is wrong usage', () => {
  const { status, stderr } = spawnSync(process.execPath, ['examples/remote-image.mjs'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([2, 'remote-image: usage: remote-image.mjs URL [PATH [OFFSET LENGTH]]\n']);
});
