import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openImageIndex } from '../../../src/replay/image-index/open.ts';
import { CompressedExtents } from '../../../src/replay/page-cache/compressed-extents.ts';
import { FILL, MappingPages } from '../../../src/replay/page-cache/mapping-pages.ts';
import { type FileReadahead, MappingReadahead, openedFile } from '../../../src/replay/page-cache/readahead.ts';

const FIXTURES = new URL('../../fixtures/kernel-truth/', import.meta.url).pathname;
const FILE = '/same/big.bin';
const PAGE = 4096;

interface Measured {
  images: Record<string, string>;
  contiguous: { rows: [number, number, number][] };
  mounts: {
    name: string;
    kernels: string;
    readAheadKb: number;
    blockDevice: boolean;
    accesses: {
      layout: string;
      access: string;
      ranges: [number, number][];
      orders: Record<string, number>;
    }[];
  }[];
}

const measured = JSON.parse(readFileSync(join(FIXTURES, 'readahead.json'), 'utf8')) as Measured;

/** Pages that tell of a read's rounds: the folio whose mark was met is the last of one. */
class WatchedPages extends MappingPages {
  met = -1;

  override clearMark(page: number): void {
    this.met = this.head(page);
    super.clearMark(page);
  }
}

/** filemap_read(): rounds of at most 31 folios, to the end of the read. */
function read(
  readahead: MappingReadahead,
  pages: WatchedPages,
  file: FileReadahead,
  from: number,
  count: number,
): void {
  const end = from + count;
  for (let at = from; at < end; ) {
    pages.met = -1;
    readahead.read(file, at, end - at, at > from);
    for (let n = 0; n < 31 && at < end && pages.has(at); n++) {
      const head = pages.head(at);
      at = head + pages.folioPages(at);
      if (head === pages.met) break;
    }
  }
}

function ranges(pages: MappingPages): [number, number][] {
  const out: [number, number][] = [];
  for (let page = 0; page < pages.pages; page++) {
    if (!pages.has(page)) continue;
    const last = out.at(-1);
    if (last?.[1] === page - 1) last[1] = page;
    else out.push([page, page]);
  }
  return out;
}

function orders(pages: MappingPages): Record<string, number> {
  const out: Record<string, number> = {};
  for (let page = 0; page < pages.pages; page++)
    if (pages.has(page) && pages.head(page) === page) {
      const order = Math.log2(pages.folioPages(page));
      out[order] = (out[order] ?? 0) + 1;
    }
  return out;
}

describe.each(measured.mounts)('$name, as measured on $kernels', ({ readAheadKb, blockDevice, accesses }) => {
  it.each(accesses)('$layout: $access', async ({ layout, access, ranges: pagesThere, orders: ordersThere }) => {
    const index = await openImageIndex(join(FIXTURES, `${measured.images[layout]}.fidx`));
    const { ordinal } = [...index.entries()].find(({ path }) => path === FILE)!;
    const pages = new WatchedPages(index.pagesOf(ordinal));
    const further = index.isCompressed(ordinal) ? new CompressedExtents(index, ordinal) : null;
    // Of both devices: max_sectors_kb is 1280 and more.
    const limits = { windowPages: (readAheadKb * 1024) / PAGE, ioPages: blockDevice ? 320 : 0 };
    const readahead = new MappingReadahead(pages, limits, further);
    const file = openedFile();

    const sequential = /^(seq1M|full)-buf(\d+)$/.exec(access);
    const offsets = /^(pread4K|fault)@([\d,]+)/.exec(access);
    if (sequential) {
      const buffer = Number(sequential[2]) / PAGE;
      const end = sequential[1] === 'full' ? pages.pages : 2 ** 20 / PAGE;
      for (let page = 0; page < end; page += buffer) read(readahead, pages, file, page, buffer);
    } else if (offsets?.[1] === 'pread4K') {
      for (const offset of offsets[2]!.split(',')) read(readahead, pages, file, Number(offset) / PAGE, 1);
    } else {
      const at = access === 'fault-multi' ? [8388608, 1052672, 4206592, 12595200] : [Number(offsets![2])];
      for (const offset of at) readahead.fault(file, offset / PAGE, -1, false);
    }
    expect(ranges(pages)).toEqual(pagesThere);
    expect(orders(pages)).toEqual(ordersThere);
  });
});

describe('a read elsewhere, behind cached pages, as measured on 6.18', () => {
  it.each(measured.contiguous.rows)('%i pages before, %i asked for: %i cached', (before, asked, there) => {
    const pages = new WatchedPages(1156);
    for (let page = 300 - before; page < 300; page++) pages.add(page, 0, false, FILL.before);
    const readahead = new MappingReadahead(pages, { windowPages: 32, ioPages: 0 }, null);
    read(readahead, pages, openedFile(), 300, asked);
    expect(ranges(pages)).toEqual([[300 - before, 299 + there]]);
  });
});
