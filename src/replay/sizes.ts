import { UsageError } from '../error.ts';
import { PAGE_SIZE } from './result.ts';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/** Bytes of `4096`, `256KiB`, `64MiB` …; null when it is no size. */
export function parseBytes(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]iB|[KMGTB])?$/.exec(text);
  if (!match) return null;
  const bytes = Number(match[1]) * UNITS[match[2] ?? '']!;
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : null;
}

/** A memory size as asked for; the fraction is of the unshared footprint, so that every model gets the same number of frames. */
export type Memory = { kind: 'unlimited' } | { kind: 'pages'; pages: number } | { kind: 'fraction'; fraction: number };

/**
 * `unlimited`, bytes (`1048576`, `64MiB`), pages (`1000p`), or a fraction of the footprint (`0.1`: a decimal point makes it one).
 * @throws UsageError when it is none of these, or less than one page
 */
export function parseMemory(text: string): Memory {
  if (text === 'unlimited') return { kind: 'unlimited' };
  if (/^\d+p$/.test(text)) return atLeastOnePage(text, Number(text.slice(0, -1)));
  if (/^\d*\.\d+$/.test(text)) {
    const fraction = Number(text);
    if (fraction > 0) return { kind: 'fraction', fraction };
  }
  const bytes = parseBytes(text);
  if (bytes === null)
    throw new UsageError(
      `memory '${text}' is none of unlimited, bytes, 256KiB, 64MiB, 1000p, or a fraction of the footprint such as 0.1`,
    );
  return atLeastOnePage(text, Math.floor(bytes / PAGE_SIZE));
}

/** Frames of a memory size; null for unlimited. */
export function capacityPages(memory: Memory, footprintPages: number): number | null {
  if (memory.kind === 'unlimited') return null;
  if (memory.kind === 'pages') return memory.pages;
  return Math.max(1, Math.round(memory.fraction * footprintPages));
}

function atLeastOnePage(text: string, pages: number): Memory {
  if (!Number.isSafeInteger(pages) || pages < 1 || pages >= 2 ** 31)
    throw new UsageError(`memory '${text}' is not between one page (${PAGE_SIZE} bytes) and 2^31 pages`);
  return { kind: 'pages', pages };
}
