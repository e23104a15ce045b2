import { stat } from 'node:fs/promises';
import { UsageError } from '../error.ts';

/** The entries of a comma-separated option. @throws UsageError when one is empty or there twice */
export function list(option: string, text: string): string[] {
  const items = text.split(',').map((item) => item.trim());
  if (items.some((item) => item === '')) throw new UsageError(`${option} '${text}' has an empty entry`);
  const twice = items.find((item, at) => items.indexOf(item) !== at);
  if (twice !== undefined) throw new UsageError(`${option} names '${twice}' twice`);
  return items;
}

/** Finds before a long run what would keep its reports from being written. @throws UsageError when it is a file */
export async function checkFolder(path: string): Promise<void> {
  if (path === '') throw new UsageError('-o names no folder');
  const target = await stat(path).catch(() => null);
  if (target !== null && !target.isDirectory()) throw new UsageError(`-o ${path} is a file, not a folder`);
}

/** Reads `ID=VALUE` options into a map. @throws UsageError for anything else, and for an id that is given twice */
export function keyValues(option: string, texts: readonly string[]): Map<string, string> {
  const map = new Map<string, string>();
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at <= 0 || at === text.length - 1) throw new UsageError(`${option} '${text}' is not of the form ID=VALUE`);
    const id = text.slice(0, at);
    if (map.has(id)) throw new UsageError(`${option} names '${id}' twice`);
    map.set(id, text.slice(at + 1));
  }
  return map;
}
