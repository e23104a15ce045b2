import type { Command } from 'commander';
import { UsageError } from '../error.ts';
import { parseBytes } from '../replay/sizes.ts';

/** The whole number that an option was given. */
export function whole(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
    throw new UsageError(`${option} '${text}' is not a whole number from ${least}`);
  return value;
}

/** The bytes that an option was given. */
export function size(option: string, text: string): number {
  const value = parseBytes(text);
  if (value === null) throw new UsageError(`${option} '${text}' is no size such as 65536, 256MiB or 64GiB`);
  return value;
}

/** What bounds the decoder against hostile images (docs/hostile-input.md), as flags. */
export interface BoundFlags {
  maxData?: string;
  maxMetadata?: string;
  maxBytes?: string;
}

const MAX_DATA = [
  '--max-data <size>',
  'how much file data may be decoded, such as 64GiB (default: 1 GiB plus 1,024 times the size of the image)',
] as const;
const MAX_METADATA = [
  '--max-metadata <size>',
  'how much of directories, xattrs and paths may be read (default: 64 MiB plus 64 times the size of the image)',
] as const;
const MAX_BYTES = [
  '--max-bytes <size>',
  'what any one buffer, and any one directory, may take (default: 64MiB)',
] as const;

/** Gives a verb the options of {@link BoundFlags}. @param data whether it decodes the data of all files */
export function withBounds(command: Command, data: boolean): Command {
  if (data) command.option(...MAX_DATA);
  return command.option(...MAX_METADATA).option(...MAX_BYTES);
}

/** The options of the decoder that flags stand for. */
export function boundsOf(flags: BoundFlags): { maxData?: number; maxMetadata?: number; maxBytes?: number } {
  const bounds: { maxData?: number; maxMetadata?: number; maxBytes?: number } = {};
  for (const [name, option] of [
    ['maxData', '--max-data'],
    ['maxMetadata', '--max-metadata'],
    ['maxBytes', '--max-bytes'],
  ] as const) {
    const text = flags[name];
    if (text === undefined) continue;
    bounds[name] = size(option, text);
  }
  return bounds;
}
