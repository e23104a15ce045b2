import { describe, expect, test } from 'vitest';
import { type Access, Accesses } from '../../../src/replay/trace/kernel/accesses.ts';
import { PageSet } from '../../../src/replay/trace/kernel/page-set.ts';
import { TRACE_OP_NAMES } from '../../../src/replay/trace/trace.ts';
import { random } from '../../erofs/random.ts';

const all = new PageSet();
all.add(0, 10_000);

function access(page: number, pages = 1, task = 1, timeNs = 0): Access {
  return { timeNs, op: 0, container: 'a1', mount: 0, ino: 36, page, pages, bytes: 0, touch: -1, task, window: null };
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

  test('without a fault that names its page, two windows prove nothing and three that begin at different pages do', () => {
    const accesses = new Accesses(() => all);
    const window = (address: number, page: number): void => {
      accesses.pageFault(1, address);
      accesses.faultAround(access(page, 16));
    };
    window(0x7f0003, 0);
    window(0x7f0015, 16);
    window(0x7f0001, 0);
    expect(told(accesses).map(([, , , touch]) => touch)).toEqual([-1, -1, -1]);
    window(0x7f0028, 32);
    expect(told(accesses)).toEqual([['fault-around', 32, 16, 8]]);
    expect(accesses.touches).toEqual({ exact: 0, agreed: 1, unknown: 3 });
  });

  test('the starts of two mappings that lie as far behind a boundary of 64 KiB agree on nothing', () => {
    // As Linux 6.18 gave them for a library of Python's: its headers at an address 9 pages behind one, its code 16 pages on.
    const accesses = new Accesses(() => all);
    accesses.pageFault(1, 0x7f0009);
    accesses.faultAround(access(0, 16));
    accesses.pageFault(1, 0x7f0019);
    accesses.faultAround(access(16, 16));
    expect(told(accesses).map(([, , , touch]) => touch)).toEqual([-1, -1]);
  });

  test('a mapping of data, a page further shifted than that of code before it, says nothing of that', () => {
    // ld.so maps the parts of a library so; of the code only windows come, of the data faults as it is written to.
    const accesses = new Accesses(() => all);
    accesses.pageFault(1, 0x7f0000 + 100 + 1);
    accesses.fault(access(100));
    accesses.pageFault(1, 0x7f0000 + 37);
    accesses.faultAround(access(32, 16));
    expect(told(accesses)).toEqual([
      ['fault', 100, 1, -1],
      ['fault-around', 32, 16, -1],
    ]);
    for (const page of [10, 55, 37]) {
      accesses.pageFault(1, 0x7f0000 + page);
      accesses.faultAround(access(page - (page % 16), 16));
    }
    expect(told(accesses).map(([, page, , touch]) => page + touch)).toEqual([10, 55, 37]);
  });

  test('a window that begins a mapping is known by pages of it that the mapping is known to have', () => {
    const accesses = new Accesses(() => all);
    // A mapping of pages 20 to 99 at an address 5 pages behind a boundary of 64 KiB.
    const start = 0x7f0005;
    accesses.pageFault(1, start + 3);
    accesses.faultAround(access(20, 16));
    accesses.pageFault(1, start + 10);
    accesses.fault(access(30));
    expect(told(accesses)).toEqual([
      ['fault-around', 20, 16, 3],
      ['fault', 30, 1, -1],
    ]);
    expect(accesses.touches).toEqual({ exact: 1, agreed: 0, unknown: 0 });
  });

  test('in the parts of libraries, side by side and differently shifted, only the window at the start of one can be taken for another’s', () => {
    // A naive do_fault_around(), mm/memory.c of 6.18, on parts as ld.so maps them: code, data without relocations, data that is written to.
    const next = random(41);
    let known = 0;
    let windows = 0;
    let wrong = 0;
    for (let round = 0; round < 300; round++) {
      const accesses = new Accesses(() => all);
      const wanted: { page: number; start: boolean }[] = [];
      let page = 0;
      let address = 0x7f0000000 + next(1 << 20);
      const parts = [16 + next(40), 30 + next(200), 10 + next(60), 8 + next(20)].map((pages, i) => {
        const part = { page, address, pages };
        page += pages - (i === 2 ? 1 : 0);
        address += pages;
        return part;
      });
      for (let i = 0; i < 30; i++) {
        const part = parts[next(4)]!;
        const at = next(part.pages);
        const pte = (part.address + at) % 512;
        accesses.pageFault(1, part.address + at);
        if (part === parts[3]) {
          accesses.fault(access(part.page + at));
          continue;
        }
        const from = Math.max(pte - (pte % 16), pte - Math.min(pte, at));
        const to = Math.min(from + 16, 512, pte + part.pages - at) - 1;
        wanted.push({ page: part.page + at, start: at + from - pte === 0 && part.address % 16 !== 0 });
        accesses.faultAround(access(part.page + at + from - pte, to - from + 1));
      }
      const got = told(accesses).filter(([op]) => op === 'fault-around');
      windows += got.length;
      for (const [i, [, first, , touch]] of got.entries()) {
        if (touch < 0) continue;
        known++;
        if (first + touch === wanted[i]!.page) continue;
        expect(wanted[i]!.start).toBe(true);
        wrong++;
      }
    }
    expect(wrong / windows).toBeLessThan(0.01);
    expect(known / windows).toBeGreaterThan(0.8);
  });

  test('the address of a page fault is that of one access: what is populated without one has none', () => {
    const accesses = new Accesses(() => all);
    accesses.pageFault(1, 0x7f0000);
    accesses.fault(access(0));
    for (const page of [4, 5, 6]) accesses.fault(access(page));
    accesses.faultAround(access(16, 16));
    accesses.pageFault(1, 0x7f0021);
    accesses.faultAround(access(32, 16));
    expect(told(accesses).map(([op, , , touch]) => [op, touch])).toEqual([
      ...Array(4).fill(['fault', -1]),
      ['fault-around', -1],
      ['fault-around', 1],
    ]);
  });

  test('a fault that the kernel takes up again is one access, and the same page after another page fault is another', () => {
    // Linux 6.18: a cold write to a private mapping; MADV_DONTNEED and a write again; a read of a cold page that lay under the readahead's mark.
    const accesses = new Accesses(() => all);
    const fault = (page: number): void => accesses.fault(access(page));
    accesses.pageFault(1, 0x7f0005);
    fault(5);
    fault(5);
    accesses.pageFault(1, 0x7f0005);
    fault(5);
    accesses.pageFault(1, 0x7f0009);
    fault(9);
    accesses.faultAround(access(0, 16));
    fault(9);
    expect(told(accesses).map(([op]) => op)).toEqual([
      'fault',
      'fault-again',
      'fault',
      'fault',
      'map-after-fault',
      'fault-again',
    ]);
  });

  test('where page faults are unknown, a fault comes again once, after a page that was not cached and is', () => {
    const pages = new PageSet();
    const accesses = new Accesses(() => pages);
    const ops = (): string[] => told(accesses).map(([op]) => op);
    accesses.fault(access(5));
    pages.add(5, 1);
    for (let i = 0; i < 2; i++) accesses.fault(access(5));
    expect(ops()).toEqual(['fault', 'fault-again', 'fault']);
    accesses.fault(access(6));
    pages.add(6, 1);
    pages.delete(6, 1);
    accesses.fault(access(6));
    expect(ops()).toEqual(['fault', 'fault']);
    pages.add(6, 1);
    accesses.read(access(0), 0, -1);
    accesses.fault(access(6));
    expect(ops()).toEqual(['read', 'fault']);
  });

  test('a rest comes where the kernel had to stop: at a page on its way in or away, and at 31 folios; else a program reads on', () => {
    const pages = new PageSet();
    const accesses = new Accesses(() => pages);
    const fill = (page: number, count: number): void => {
      pages.add(page, count);
      accesses.effect({ ...access(page, count), op: TRACE_OP_NAMES.indexOf('fill') });
    };
    const read = (first: number, last: number): void => accesses.read(access(first), last, -1);
    const ops = (): string[] => told(accesses).map(([op]) => op);
    fill(0, 4);
    read(0, 1);
    read(1, 1);
    read(1, 1);
    read(1, 2);
    read(2, 2);
    expect(ops()).toEqual(['fill', 'read', 'read-rest', 'read', 'read', 'read']);
    read(3, 4);
    fill(4, 1);
    read(4, 4);
    expect(ops()).toEqual(['read', 'fill', 'read-rest']);
    fill(100, 60);
    for (let page = 100; page < 160; page++) read(page, page);
    told(accesses);
    read(100, 140);
    read(120, 140);
    read(100, 140);
    read(131, 140);
    expect(ops()).toEqual(['read', 'read', 'read', 'read-rest']);
  });
});

describe('page set', () => {
  test('is a set of pages', () => {
    const next = random(11);
    const set = new PageSet();
    const naive = new Set<number>();
    for (let i = 0; i < 2000; i++) {
      const [first, pages] = [next(3000) + (next(2) === 0 ? 0 : 2 ** 31), 1 + next(40)];
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
    const both = pages.filter((p) => p >= 2900 && p < 3800).length;
    const difference = pages.length + 900 - 2 * both;
    expect(set.difference(other)).toBe(difference);
    expect(other.difference(set)).toBe(difference);
  });
});
