import { describe, expect, it } from 'vitest';
import { NEVER, nextUses, parsePolicy } from '../../src/policies/index.ts';
import { ANOMALY, countMisses, internals, narrate, TEXTBOOK } from './trace.ts';

function opt(capacityPages: number, pages: readonly number[]) {
  return parsePolicy('opt').create(capacityPages, 8, 0, nextUses(Uint32Array.from(pages), 8));
}

describe('nextUses', () => {
  it('says when each page is referenced again', () => {
    expect([...nextUses(Uint32Array.of(3, 1, 3, 3, 1), 4)]).toEqual([2, 4, 3, NEVER, NEVER]);
  });
});

describe('opt', () => {
  it('misses 9 times on the textbook references', () => {
    expect(countMisses(opt(3, TEXTBOOK), TEXTBOOK)).toBe(9);
  });

  it('misses 7 times with three frames and 6 with four on the references of Belady, Nelson and Shedler', () => {
    expect(countMisses(opt(3, ANOMALY), ANOMALY)).toBe(7);
    expect(countMisses(opt(4, ANOMALY), ANOMALY)).toBe(6);
  });

  it('evicts what is used last, and first of all what is never used again', () => {
    // 3 is never used again; after it 4 is, though 2 was used longer ago.
    const pages = [1, 2, 3, 4, 2, 5, 1, 2];
    expect(narrate(opt(3, pages), pages)).toBe('+ + + 3 . 4 . .');
  });

  it('refuses to guess: without next uses, beyond them, and with those of other pages', () => {
    expect(() => parsePolicy('opt').create(3, 8, 0)).toThrow(
      new RangeError('opt needs the next use of every reference'),
    );
    const short = opt(3, [1, 2]);
    narrate(short, [1, 2]);
    expect(() => short.access(3)).toThrow(new RangeError('opt knows the next use of 2 references only'));
    const other = opt(3, [1, 2, 1]);
    narrate(other, [1, 2]);
    expect(() => other.access(2)).toThrow(new RangeError('opt: the next uses are not those of the pages replayed'));
  });

  it('check() notices a node later than its parent and a page in a wrong slot', () => {
    const pages = [1, 2, 3, 1, 2, 3];
    const heap = opt(3, pages);
    narrate(heap, pages.slice(0, 3));
    internals(heap).keys[2] = 7;
    expect(() => heap.check()).toThrow('opt: node 2 is used after its parent');
    const slots = opt(3, pages);
    narrate(slots, pages.slice(0, 3));
    internals(slots).slot[2] = 1;
    expect(() => slots.check()).toThrow(/^opt: page 2 is in slot [12] but says 0$/);
  });
});
