import { describe, expect, it } from 'vitest';
import {
  containersTable,
  headlineTable,
  hitRatioTable,
  toTable,
  wantsColor,
} from '../../../src/replay/report/table.ts';
import { hostileResult, realisticResult, smallResult } from './fixture.ts';

describe('tables', () => {
  it('fit 110 columns with ordinary and with hostile names', () => {
    for (const result of [realisticResult(), hostileResult(), smallResult()]) {
      // Wide characters take two columns.
      const widths = toTable(result)
        .split('\n')
        .map(
          (l) =>
            [...l.replace(/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uff00-\uff60]|\p{Emoji_Presentation}/gu, 'xx')]
              .length,
        );
      expect(Math.max(...widths)).toBeLessThanOrEqual(110);
    }
  });

  it('split what more models than fit in 110 columns need', () => {
    const result = smallResult();
    const rows = Array.from({ length: 14 }, (_, i) => ({ ...result.rows[0]!, sharing: `model-number-${i}` }));
    const lines = headlineTable({ ...result, rows: [...result.rows, ...rows] })!.split('\n');
    expect(Math.max(...lines.map((l) => l.length))).toBeLessThanOrEqual(110);
    expect(lines.filter((l) => l.startsWith('workload')).length).toBe(3);
    for (let i = 0; i < 14; i++) expect(lines.join('\n')).toContain(`number-${i}`.slice(-6));
  });

  it('have colour only when asked, and never an escape from a name', () => {
    expect(toTable(realisticResult(), { color: true })).toContain('\x1b[');
    expect(toTable(hostileResult(), { color: false })).not.toContain('\x1b');
    const colored = toTable(hostileResult(), { color: true });
    expect(colored).not.toContain('\x1b[31m');
  });

  it('ask for colour on a terminal without NO_COLOR only', () => {
    expect(wantsColor({ isTTY: true }, {})).toBe(true);
    expect(wantsColor({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
    expect(wantsColor({ isTTY: true }, { TERM: 'dumb' })).toBe(false);
    expect(wantsColor({}, {})).toBe(false);
  });

  it('show a dash for a model that was not replayed and the kernel where it was measured', () => {
    const line = headlineTable(realisticResult())!
      .split('\n')
      .find((l) => l.startsWith('redis a1+b1+a2'))!;
    expect(line.split(/ {2,}/)).toEqual([
      'redis a1+b1+a2',
      '42.9',
      '21.8 49.2%',
      '21.8 49.2%',
      '—',
      '20.4 52.5%',
      '21.8 hardlink',
    ]);
  });

  it('are absent without their data', () => {
    const result = smallResult();
    expect(hitRatioTable(result)).toBeNull();
    expect(containersTable(result)).toContain('is charged');
    expect(toTable({ ...result, rows: [] })).toBe('No rows.\n');
  });
});
