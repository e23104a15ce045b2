import { describe, expect, test } from 'vitest';
import { PageSet } from '../../../src/recorder/page-set.ts';
import { type Access, Accesses } from '../../../src/replay/trace/kernel/accesses.ts';
import { TRACE_OP_NAMES } from '../../../src/replay/trace/trace.ts';
import { random } from '../../erofs/random.ts';

const all = new PageSet();
all.add(0, 10_000);

function access(page: number, pages = 1, task = 1, timeNs = 0): Access {
  return { timeNs, op: 0, container: 'a1', mount: 0, ino: 36, page, pages, touch: -1, task, address: -1 };
}

const told = (accesses: Accesses): [string, number, number, number][] =>
  [...accesses.release(Number.POSITIVE_INFINITY)].map((a) => [TRACE_OP_NAMES[a.op]!, a.page, a.pages, a.touch]);

describe('accesses', () => {
  test('a read is clipped to the file, its rest is no other read, and past the end is nothing', () => {
    const accesses = new Accesses(() => all);
    accesses.read(access(0), 255, 100);
    accesses.read(access(32), 255, 100);
    accesses.read(access(64), 255, 100);
    accesses.read(access(0), 255, 100);
    accesses.read(access(100), 120, 100);
    accesses.read(access(0), 3, -1);
    expect(told(accesses)).toEqual([
      ['read', 0, 100, -1],
      ['read-rest', 32, 68, -1],
      ['read-rest', 64, 36, -1],
      ['read', 0, 100, -1],
      ['read-nothing', 100, 0, -1],
      ['read', 0, 4, -1],
    ]);
  });

  test('windows around a fault are the fault’s, before and after it', () => {
    const accesses = new Accesses(() => all);
    accesses.pageFault(1, 0x7f0000);
    accesses.faultAround(access(96, 16));
    accesses.fault(access(100));
    accesses.faultAround(access(96, 16));
    accesses.pageFault(1, 0x7f0001);
    accesses.faultAround(access(96, 16));
    expect(told(accesses).map(([op]) => op)).toEqual(['map-before-fault', 'fault', 'map-after-fault', 'fault-around']);
  });

  test('the page of a window that was wanted: do_fault_around() undone, never wrong where it is exact', () => {
    // A naive do_fault_around(), mm/memory.c of 6.18, on random mappings of random files.
    const next = random(5);
    let known = 0;
    let wrong = 0;
    let windows = 0;
    for (let round = 0; round < 200; round++) {
      const accesses = new Accesses(() => all);
      const start = 0x7f0000000 + next(1 << 20);
      const pages = 1 + next(600);
      const offset = next(3) === 0 ? 0 : next(100);
      const wanted: number[] = [];
      for (let i = 0; i < 12; i++) {
        const page = next(pages);
        const address = start + page;
        accesses.pageFault(1, address);
        if (i === 5) {
          accesses.fault(access(offset + page));
          continue;
        }
        const pte = address % 512;
        const from = Math.max(pte - (pte % 16), pte - Math.min(pte, page));
        const to = Math.min(from + 16, 512, pte + pages - page) - 1;
        wanted.push(offset + page);
        accesses.faultAround(access(offset + page + from - pte, to - from + 1));
      }
      const got = told(accesses).filter(([op]) => op === 'fault-around');
      expect(got.length).toBe(wanted.length);
      for (const [i, [, first, , touch]] of got.entries()) {
        windows++;
        if (touch < 0) continue;
        known++;
        if (first + touch !== wanted[i]) wrong++;
      }
      expect(accesses.touches.agreed + accesses.touches.exact + accesses.touches.unknown).toBe(wanted.length);
    }
    expect(wrong).toBe(0);
    expect(known / windows).toBeGreaterThan(0.9);
  });

  test('without a fault that names its page, one window proves nothing and two that agree do', () => {
    const accesses = new Accesses(() => all);
    accesses.pageFault(1, 0x7f0003);
    accesses.faultAround(access(0, 16));
    expect(told(accesses)).toEqual([['fault-around', 0, 16, -1]]);
    accesses.pageFault(1, 0x7f0015);
    accesses.faultAround(access(16, 16));
    expect(told(accesses)).toEqual([['fault-around', 16, 16, 5]]);
    expect(accesses.touches).toEqual({ exact: 0, agreed: 1, unknown: 1 });
  });
});

describe('page set', () => {
  test('is a set of pages', () => {
    const next = random(11);
    const set = new PageSet();
    const naive = new Set<number>();
    for (let i = 0; i < 2000; i++) {
      const [first, pages] = [next(3000), 1 + next(40)];
      const into = next(5) < 3;
      if (into) set.add(first, pages);
      else set.delete(first, pages);
      for (let page = first; page < first + pages; page++)
        if (into) naive.add(page);
        else naive.delete(page);
      expect(set.size).toBe(naive.size);
    }
    const pages = [...set.runs()].flatMap(([first, count]) => Array.from({ length: count }, (_, i) => first + i));
    expect(pages).toEqual([...naive].sort((a, b) => a - b));
    const other = new PageSet();
    other.add(2900, 900);
    const difference = pages.filter((p) => p < 2900).length + 900 - pages.filter((p) => p >= 2900).length;
    expect(set.difference(other)).toBe(difference);
    expect(other.difference(set)).toBe(difference);
  });
});
