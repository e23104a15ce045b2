import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DataError } from '../../../src/error.ts';
import { ArrowTraceWriter } from '../../../src/replay/trace/arrow/writer.ts';
import { convert, traceHead, traceInfo } from '../../../src/replay/trace/open.ts';
import { TRACE_OP_NAMES } from '../../../src/replay/trace/trace.ts';
import { random } from '../../erofs/random.ts';
import { temporaryFolder } from '../support.ts';
import { event } from './memory-sink.ts';

/** A recording of ten batches, and where in its file each ends and how many events are there by then. */
async function sample(path: string): Promise<{ ends: { bytes: number; events: number }[] }> {
  const next = random(11);
  const writer = await ArrowTraceWriter.create(path, true);
  writer.facts({ kernel: '6.18' });
  const ends: { bytes: number; events: number }[] = [];
  let events = 0;
  for (let batch = 0; batch < 10; batch++) {
    if (batch % 3 === 0) {
      writer.container(`c${batch}`);
      writer.mount({ name: `m${batch}`, image: 'a.erofs' });
      writer.file({ mount: batch / 3, ino: 36 + batch, path: `/usr/lib/${batch}.so` });
    }
    for (let i = 0; i < 40; i++) {
      const known = Math.floor(batch / 3) + 1;
      writer.event(
        event(TRACE_OP_NAMES[next(8)]!, {
          timeNs: events * 1000,
          container: next(known),
          file: next(known),
          page: next(500),
          pages: 16,
          touch: next(17) - 1,
        }),
      );
      events++;
    }
    writer.flush();
    ends.push({ bytes: statSync(path).size, events });
  }
  await writer.end({ lost: 0 });
  return { ends };
}

/** Asks everything of a file. @returns what was wrong with it, null if nothing was */
async function exercise(path: string, skipBad: boolean): Promise<string | null> {
  const output = `${path}.out`;
  let wrong: string | null = null;
  for (const ask of [
    () => traceInfo(path, { reuse: true, skipBad }),
    () => traceHead(path, 1000, { skipBad }),
    () => convert(path, { to: 'arrow', output, skipBad }),
    () => convert(path, { to: 'lcs', output, skipBad }),
  ]) {
    const start = performance.now();
    try {
      await ask();
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      // In our own words, about the file that was given and with the place; or what the other format has no numbers for.
      if (error.path === output) expect(error.message).toMatch(/can['’]t (be said in \d+ bits|hold both)/);
      else
        expect(error.message.replace(path, 'T')).toMatch(
          /^T: (message at byte \d+: |row \d+ \(message at byte \d+\): |event \d+: |is in no format that is known)/,
        );
      expect(existsSync(output)).toBe(false);
      wrong = error.message;
    }
    expect(performance.now() - start).toBeLessThan(10_000);
    rmSync(output, { force: true });
  }
  return wrong;
}

describe('a trace that lies', () => {
  test('cut behind any batch: all that is ahead of the cut, and that it is not whole', async () => {
    const folder = temporaryFolder();
    const { ends } = await sample(join(folder, 'whole.arrows'));
    const whole = readFileSync(join(folder, 'whole.arrows'));
    const path = join(folder, 'cut.arrows');
    for (const { bytes, events } of ends) {
      writeFileSync(path, whole.subarray(0, bytes));
      expect(await traceInfo(path, { reuse: false })).toMatchObject({ events, whole: false, lost: null });
      expect(await exercise(path, false)).toBe(null);
      // Into the message that follows, and into the one ahead: there the batch is lost, and it is said.
      for (const cut of [1, 9, -1, -70]) {
        writeFileSync(path, whole.subarray(0, bytes + cut));
        expect(await exercise(path, false)).toMatch(/message at byte \d+: ends within a message$/);
        const got = await traceInfo(path, { reuse: false, skipBad: true });
        expect(got).toMatchObject({ events: cut > 0 ? events : events - 40, whole: false, skippedRecords: 1 });
      }
    }
    expect(await traceInfo(join(folder, 'whole.arrows'), { reuse: false })).toMatchObject({
      events: 400,
      whole: true,
      lost: 0,
    });
  });

  test('with bits flipped and counts made huge: answers, or errors that say where; soon, and with nothing left behind', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'bad.arrows');
    await sample(path);
    const whole = readFileSync(path);
    const next = random(2024);
    const HUGE = [-1, 0, 1, 0x7fffffff, -0x80000000, 0x00ffffff, 0x01000000];
    let errors = 0;
    for (let i = 0; i < 200; i++) {
      const bad = Buffer.from(whole);
      for (let k = 1 + next(3); k > 0; k--) {
        const at = next(bad.length - 8);
        if (next(3) === 0) bad.writeInt32LE(HUGE[next(HUGE.length)]!, at & ~3);
        else if (next(8) === 0) bad.copy(bad, at, next(bad.length - 64), next(bad.length));
        else bad[at]! ^= 1 << next(8);
      }
      writeFileSync(path, bad);
      if ((await exercise(path, false)) !== null) errors++;
      // A fault far behind leaves an answer; one that no format begins with doesn't.
      await exercise(path, true);
    }
    expect(errors).toBeGreaterThan(100);
  }, 120_000);
});
