import { UsageError } from '../error.ts';

/** The whole number that an option was given. */
export function whole(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
    throw new UsageError(`${option} '${text}' is not a whole number from ${least}`);
  return value;
}
