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
