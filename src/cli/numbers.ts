import { UsageError } from '../error.ts';
import { parseBytes } from '../replay/sizes.ts';

/** The whole number that an option was given. */
export function whole(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
    throw new UsageError(`${option} '${text}' is not a whole number from ${least}`);
  return value;
}

export const MAX_DATA = [
  '--max-data <size>',
  'how much file data may be decoded, such as 64GiB (default: 1 GiB plus 1,024 times the size of the image)',
] as const;

/** The value of {@link MAX_DATA} as an option of the decoder. */
export function maxDataOption(text: string | undefined): { maxData?: number } {
  if (text === undefined) return {};
  const maxData = parseBytes(text);
  if (maxData === null) throw new UsageError(`--max-data '${text}' is no size such as 65536, 256MiB or 64GiB`);
  return { maxData };
}
