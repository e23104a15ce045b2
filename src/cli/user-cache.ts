import { IndexCache } from '../replay/image-index/cache.ts';

/** The user's cache of indexes, its notes on stderr; null where it is switched off. */
export function userCache(): IndexCache | null {
  return IndexCache.ofUser((sentence) => process.stderr.write(`foliolab: note: ${sentence}\n`));
}
