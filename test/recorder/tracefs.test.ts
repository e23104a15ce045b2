import { existsSync, mkdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseLine } from '../../src/recorder/text-events.ts';
import { staleInstances } from '../../src/recorder/tracefs.ts';
import { temporaryFolder } from '../replay/support.ts';

test.skipIf(!existsSync('/proc/self/stat'))(
  'an instance is stale whose process is gone, or began after it: its number is another’s now, or our own',
  () => {
    const dir = temporaryFolder();
    const make = (name: string, began = new Date()): void => {
      const path = join(dir, 'instances', name);
      mkdirSync(path, { recursive: true });
      utimesSync(path, began, began);
    };
    make(`foliolab-${process.ppid}-cache`);
    make(`foliolab-${process.ppid}-faults`, new Date(0));
    make(`foliolab-${process.pid}-cache`);
    make('foliolab-999999999-cache');
    make('somebody-else');
    expect(staleInstances(dir).sort()).toEqual(
      [`foliolab-${process.ppid}-faults`, `foliolab-${process.pid}-cache`, 'foliolab-999999999-cache'].sort(),
    );
  },
);

test('a cgroup’s path is UTF-8, as text too', () => {
  const line =
    '            sh-4711    [001] .....  1234.567890: cgroup_attach_task: dst_root=1 dst_id=7 dst_level=1 dst_path=/Büro pid=12 comm=sh';
  expect(parseLine(Buffer.from(line).toString('latin1'))).toMatchObject({ a: 12, c: 1, path: '/Büro' });
});
