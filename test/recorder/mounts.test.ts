import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { everyErofs, readMountInfo, watchedMounts } from '../../src/recorder/mounts.ts';
import { temporaryFolder } from '../replay/support.ts';

// Lines as proc_pid_mountinfo(5) describes them.
const table = (...lines: string[]) => readMountInfo(lines.join('\n'));
const ROOT = '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw';
const quiet = (): void => {};

describe('mounts to record', () => {
  test('inode_share is refused, in an overlay’s lower layer too', async () => {
    const dir = temporaryFolder();
    for (const name of ['lower', 'merged']) mkdirSync(join(dir, name));
    const mounts = table(
      ROOT,
      `40 22 0:40 / ${dir}/lower ro,noatime - erofs /images/a.erofs ro,user_xattr,acl,cache_strategy=readaround,inode_share,domain_id=one`,
      `41 22 0:41 / ${dir}/merged rw - overlay overlay rw,lowerdir=${dir}/lower,upperdir=/u,workdir=/w`,
    );
    for (const asked of ['lower', 'merged'])
      await expect(watchedMounts([{ dir: join(dir, asked), name: null }], quiet, mounts)).rejects.toThrow(
        `${dir}/lower is mounted with inode_share, under which all shared inodes look alike: record it mounted without`,
      );
  });

  test('an overlay’s layers on one filesystem are one mount, with the files of each, and not those elsewhere', async () => {
    const dir = temporaryFolder();
    for (const name of ['l1', 'l2:x', 'merged', 'other']) {
      mkdirSync(join(dir, name));
      writeFileSync(join(dir, name, `in-${name.slice(0, 2)}`), 'x');
    }
    const mounts = table(
      ROOT,
      `41 22 0:41 / ${dir}/merged rw - overlay overlay rw,lowerdir=${dir}/l1:${dir}/l2\\:x,upperdir=/u`,
    );
    const [mount, ...others] = await watchedMounts([{ dir: join(dir, 'merged'), name: 'c' }], quiet, mounts);
    expect(others).toEqual([]);
    expect([...mount!.files.values()].map(({ path }) => path).sort()).toEqual(
      [`${dir}/l1`, `${dir}/l1/in-l1`, `${dir}/l2:x`, `${dir}/l2:x/in-l2`].sort(),
    );
    expect([mount!.whole, mount!.image, mount!.device]).toEqual([false, null, 8 * 2 ** 20 + 1]);
  });

  test('an overlay that names its layers relatively is refused, and so are two mounts of one name', async () => {
    const dir = temporaryFolder();
    for (const name of ['merged', 'a', 'b', 'a/x', 'b/x']) mkdirSync(join(dir, name));
    const relative = table(ROOT, `41 22 0:41 / ${dir}/merged rw - overlay overlay rw,lowerdir=l/AB:l/CD`);
    await expect(watchedMounts([{ dir: join(dir, 'merged'), name: null }], quiet, relative)).rejects.toThrow(
      "the overlay doesn't say where its lower layers are: --mount each of them",
    );
    const two = table(ROOT, `41 22 0:41 / ${dir}/a/x rw - tmpfs t rw`, `42 22 0:42 / ${dir}/b/x rw - tmpfs t rw`);
    await expect(
      watchedMounts(
        [
          { dir: join(dir, 'a/x'), name: null },
          { dir: join(dir, 'b/x'), name: null },
        ],
        quiet,
        two,
      ),
    ).rejects.toThrow('two mounts are named x: give each a name, --mount DIR=NAME');
  });

  test('every EROFS filesystem once, by the last part of its mount point where that tells it apart', () => {
    const mounts = table(
      ROOT,
      '40 22 0:40 / /run/1/rootfs ro - erofs /a ro',
      '41 22 0:41 / /run/2/rootfs ro - erofs /b ro',
      '42 22 0:42 / /mnt/with\\040space ro - erofs /c ro',
      '43 22 0:40 / /elsewhere ro - erofs /a ro',
      '44 22 0:44 / /tmp rw - tmpfs tmpfs rw',
    );
    expect(everyErofs([], mounts)).toEqual([
      { dir: '/run/1/rootfs', name: '/run/1/rootfs' },
      { dir: '/run/2/rootfs', name: '/run/2/rootfs' },
      { dir: '/mnt/with space', name: 'with space' },
    ]);
  });
});
