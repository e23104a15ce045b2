import type { Mapping, ReferenceSet } from '../references.ts';
import { NO_PAGE, type PageIds } from './model.ts';
import { TupleInterner } from './tuple-interner.ts';

/** For each touched page the position of its mapping; pages come in long runs of one mapping, so the last one is tried first. */
export function mappingFinder(set: ReferenceSet): (page: number) => number {
  const bases = Float64Array.from(set.mappings, (mapping) => mapping.base);
  let last = 0;
  return (page) => {
    const mapping = set.mappings[last];
    if (mapping && page >= mapping.base && page < mapping.base + mapping.pages) return last;
    let low = 0;
    let high = bases.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (bases[middle]! <= page) low = middle;
      else high = middle - 1;
    }
    last = low;
    return low;
  };
}

/**
 * Identities of a design that shares whole files: mappings of one class are one mapping, and a page is (class, page index).
 * @param classOf called once per mapping, in the order in which the mappings were first referenced; equal answers share
 */
export function assignByFile(set: ReferenceSet, classOf: (mapping: Mapping) => string): Omit<PageIds, 'notes'> {
  const bases = new Map<string, { base: number; pages: number }>();
  const classes: string[] = set.mappings.map((mapping) => classOf(mapping));
  // A class is as long as its longest member; members differ in length only where the key leaves the size out.
  let slots = 0;
  classes.forEach((key, at) => {
    const pages = set.mappings[at]!.pages;
    const known = bases.get(key);
    if (known === undefined) bases.set(key, { base: 0, pages });
    else if (pages > known.pages) known.pages = pages;
  });
  for (const entry of bases.values()) {
    entry.base = slots;
    slots += entry.pages;
  }
  const slotBase = Float64Array.from(classes, (key) => bases.get(key)!.base);
  const idOfSlot = new Uint32Array(slots).fill(NO_PAGE);
  const ids = newIds(set);
  const find = mappingFinder(set);
  let count = 0;
  for (const page of set.touched) {
    const at = find(page);
    const slot = slotBase[at]! + (page - set.mappings[at]!.base);
    if (idOfSlot[slot] === NO_PAGE) idOfSlot[slot] = count++;
    ids[page] = idOfSlot[slot]!;
  }
  return { ids, count };
}

/**
 * Identities of a design that shares single pages.
 * @param keyOf writes the page's key into `key`; equal keys are one page
 */
export function assignByPage(
  set: ReferenceSet,
  width: number,
  keyOf: (mapping: Mapping, pageIndex: number, key: Uint32Array) => void,
): Omit<PageIds, 'notes'> {
  const interner = new TupleInterner(width);
  const key = new Uint32Array(width);
  const ids = newIds(set);
  const find = mappingFinder(set);
  for (const page of set.touched) {
    const at = find(page);
    const mapping = set.mappings[at]!;
    keyOf(mapping, page - mapping.base, key);
    ids[page] = interner.intern(key);
  }
  return { ids, count: interner.size };
}

function newIds(set: ReferenceSet): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(set.logicalPages * 4)).fill(NO_PAGE);
}
