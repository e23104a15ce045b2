import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** What tests read but the repository doesn't hold, beside the project's root. */
export const SHARED_DATA = resolve(import.meta.dirname, '../../shared/data');

const said = new Set<string>();

/**
 * Says whether a test that needs `what` can run: `describe.skipIf(!need('dump.erofs', hasTool('dump.erofs')))`.
 * @throws when it can't and FOLIOLAB_REQUIRE=all forbids skipping
 */
export function need(what: string, ok: boolean): boolean {
  if (!ok && process.env.FOLIOLAB_REQUIRE === 'all') throw new Error(`FOLIOLAB_REQUIRE=all, but there is no ${what}`);
  if (!ok && !said.has(what)) process.stderr.write(`skipping tests: there is no ${what}\n`);
  said.add(what);
  return ok;
}

/** @returns whether a program is in PATH */
export function hasTool(name: string): boolean {
  return (process.env.PATH ?? '').split(':').some((dir) => dir !== '' && existsSync(join(dir, name)));
}

const unpacked = new Map<string, string | null>();

/**
 * The images of one pair of the shared data set, unpacked once per machine and checked against images.json.
 * @returns the folder with `a.plain.erofs` and so on, or null when this machine can't have it
 */
export function sharedImages(pair: string): string | null {
  let dir = unpacked.get(pair);
  if (dir === undefined) {
    const packed = join(SHARED_DATA, pair, 'images');
    const ok = need(`shared data ${packed}`, existsSync(join(packed, 'unpack.sh'))) && need('zstd', hasTool('zstd'));
    dir = ok ? unpack(pair, packed) : null;
    unpacked.set(pair, dir);
  }
  return dir;
}

function unpack(pair: string, packed: string): string {
  const wanted = new Map<string, string>();
  const list = JSON.parse(readFileSync(join(packed, '../images.json'), 'utf8')) as Record<string, { sha256: string }>;
  // images.json calls them rediss-a.plain.erofs and rediss.merged.erofs
  for (const [name, { sha256 }] of Object.entries(list)) wanted.set(name.replace(/^[^.-]*[.-]/, ''), sha256);

  const dir = join(tmpdir(), `foliolab-images-${pair}`);
  if (verified(dir, wanted)) return dir;
  const own = mkdtempSync(`${dir}-`);
  execFileSync('sh', [join(packed, 'unpack.sh'), own], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (!verified(own, wanted)) throw new Error(`${packed}: unpack.sh gave images that images.json doesn't know`);
  try {
    if (existsSync(dir) && !verified(dir, wanted)) renameSync(dir, `${own}/damaged`);
    renameSync(own, dir);
    rmSync(join(dir, 'damaged'), { recursive: true, force: true });
  } catch (e) {
    // Another worker was faster.
    if (!verified(dir, wanted)) throw e;
    rmSync(own, { recursive: true });
  }
  return dir;
}

function verified(dir: string, wanted: Map<string, string>): boolean {
  for (const [name, sha256] of wanted) {
    const path = join(dir, name);
    if (!existsSync(path)) return false;
    if (createHash('sha256').update(readFileSync(path)).digest('hex') !== sha256) return false;
  }
  return true;
}
