import { UsageError } from '../../error.ts';
import { PAGE_SIZE } from '../result.ts';
import { parseBytes } from '../sizes.ts';

/** A cache size as asked for, in objects or pages. */
export type CacheSize = { readonly text: string } & ({ readonly pages: number } | { readonly fraction: number });

/**
 * `1000` or `1000p` objects or pages, `0.1` of the distinct ones (a decimal point makes it a fraction), and of pages `64MiB`.
 * @throws UsageError
 */
export function parseSize(text: string, unit: 'objects' | 'pages' | undefined): CacheSize {
  const fail = (why: string): never => {
    throw new UsageError(`--size '${text}' ${why}`);
  };
  const whole = /^(\d+)p?$/.exec(text);
  if (whole !== null) return { text, pages: inRange(Number(whole[1]), fail) };
  if (/^\d*\.\d+$/.test(text)) return Number(text) > 0 ? { text, fraction: Number(text) } : fail('is nothing');
  const bytes = parseBytes(text);
  if (bytes === null) return fail('is none of 1000, 64MiB, or a fraction of the footprint such as 0.1');
  if (unit === 'objects') fail('is in bytes, and objects are counted whatever their sizes');
  return { text, pages: inRange(Math.floor(bytes / PAGE_SIZE), fail) };
}

function inRange(pages: number, fail: (why: string) => never): number {
  return Number.isSafeInteger(pages) && pages >= 1 && pages < 2 ** 31 ? pages : fail('is not between 1 and 2^31');
}

/** @param footprint distinct pages */
export function pagesOf(size: CacheSize, footprint: number): number {
  return 'pages' in size ? size.pages : Math.max(1, Math.round(size.fraction * footprint));
}

/** About so many sizes from the least to the footprint, each about the same times the one before; all where there are no more. */
export function logSizes(points: number, least: number, footprint: number): number[] {
  const sizes = new Set<number>();
  for (let i = 0; i < points; i++)
    sizes.add(Math.round(points === 1 ? footprint : least * (footprint / least) ** (i / (points - 1))));
  return [...sizes];
}
