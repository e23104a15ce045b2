import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decompress } from 'fzstd';
import { describe, expect, test } from 'vitest';
import { Image } from '../../src/erofs/index.ts';
import { hasTool, need, SHARED_DATA, sharedImages } from '../require.ts';

// Images of Debian services, made by mkfs.erofs 1.5 and 1.9.4; the manifests were made from the trees.

interface Row {
  path: string;
  type: string;
  nid: number;
  size: number;
  nlink: number;
  mode: number | null;
  uid: number | null;
  gid: number | null;
  sha256: string;
}

const EMPTY = createHash('sha256').digest('hex');

function table(pair: string, name: string): Record<string, string>[] {
  const text = Buffer.from(decompress(readFileSync(join(SHARED_DATA, pair, name)))).toString();
  const [head, ...lines] = text.replace(/\n$/, '').split('\n');
  const columns = head!.split('\t');
  return lines.map((line) => Object.fromEntries(line.split('\t').map((v, i) => [columns[i]!, v])));
}

function manifest(pair: string, side: string, kind: string): Row[] {
  return table(pair, `manifest-${side}.tsv.zst`).map((r) => ({
    path: r.path!,
    type: r.type!,
    nid: Number(r[`nid_${kind}`]),
    size: Number(r.size),
    nlink: Number(r.nlink),
    mode: Number(r.mode),
    uid: Number(r.uid),
    gid: Number(r.gid),
    sha256: r.sha256!,
  }));
}

/** The merged image has its own nids and link counts; the contents are those of a and b. */
function mergedManifest(pair: string): Row[] {
  const sides = new Map<string, Row>();
  for (const side of ['a', 'b']) for (const r of manifest(pair, side, 'plain')) sides.set(`/${side}${r.path}`, r);
  const text = Buffer.from(decompress(readFileSync(join(SHARED_DATA, pair, 'paths-merged.tsv.zst')))).toString();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [nid, type, size, nlink, path] = line.split('\t') as [string, string, string, string, string];
      const sha256 = sides.get(path)?.sha256 ?? '';
      const unknown = { mode: null, uid: null, gid: null };
      return { path, type, nid: Number(nid), size: Number(size), nlink: Number(nlink), sha256, ...unknown };
    });
}

const LETTERS: Record<string, string> = { file: 'f', directory: 'd', symlink: 'l' };

for (const pair of ['redis', 'nginx']) {
  const dir = sharedImages(pair);
  const images = ['a.plain', 'a.lz4hc', 'a.fp', 'b.plain', 'b.lz4hc', 'b.fp', 'merged'];
  describe.skipIf(dir === null).each(images)(`${pair}/%s.erofs`, (name) => {
    const [side, kind] = name.split('.') as [string, string];
    const open = () => Image.open(join(dir!, `${name}.erofs`));

    test('nids, metadata and the digest of every file are those of the manifest', () => {
      const image = open();
      const rows = new Map((kind ? manifest(pair, side, kind) : mergedManifest(pair)).map((r) => [r.path, r]));
      let names = 0;
      for (const { path, inode } of image.walk()) {
        const row = rows.get(path)!;
        const { nid, size, nlink, mode, uid, gid } = inode;
        const found = {
          ...{ path, type: LETTERS[inode.type] ?? 'o', nid, size, nlink, sha256: '' },
          ...(row.mode === null ? { mode: null, uid: null, gid: null } : { mode, uid, gid }),
        };
        if (inode.type === 'file') {
          const hash = createHash('sha256');
          for (const chunk of image.stream(inode)) hash.update(chunk);
          found.sha256 = hash.digest('hex');
          if (found.sha256 === EMPTY) found.sha256 = row.sha256 && EMPTY; // the manifest leaves empty files' out
        }
        expect(found).toEqual(row);
        if (kind === 'fp') {
          const value = image.fingerprint(inode);
          const expected =
            inode.type === 'file' && size > 0 ? `sha256:${Buffer.from(row.sha256, 'hex').toString('latin1')}` : null;
          expect(value && Buffer.from(value).toString('latin1')).toBe(expected);
        }
        names++;
      }
      expect(names).toBe(rows.size);
      image.close();
    });

    // dump.erofs 1.5 doesn't know the xattr_prefixes of the images with fingerprints.
    if (kind === 'fp') return;
    test.skipIf(!need('dump.erofs', hasTool('dump.erofs')))(
      'the extents of every 20th file are those that dump.erofs prints',
      () => {
        const image = open();
        const files = [...image.walk()].filter((e) => e.inode.type === 'file' && e.inode.size > 0);
        for (let i = 0; i < files.length; i += 20) {
          const { path, inode } = files[i]!;
          const text = execFileSync('dump.erofs', ['-e', `--path=${path}`, join(dir!, `${name}.erofs`)]).toString();
          const rows = [...text.matchAll(/^ *\d+: *(\d+)\.\. *\d+ \| *(\d+) : *(\d+)\.\. *\d+ \| *(\d+)/gm)];
          const found = [...image.mapBlocks(inode)].map((e) => [e.la, e.llen, e.pa, e.plen]);
          expect([path, found]).toEqual([path, rows.map((r) => r.slice(1).map(Number))]);
        }
        image.close();
      },
    );
  });
}
