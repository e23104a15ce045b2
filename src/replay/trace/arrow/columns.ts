import type { Field } from './message.ts';

/** The columns of a trace, in the order they are written; see traces/FORMAT.md. */
export const COLUMNS = [
  { name: 'time', type: 'i64' },
  { name: 'op', type: 'dictionary' },
  { name: 'container', type: 'u32' },
  { name: 'file', type: 'u32' },
  { name: 'page', type: 'u64' },
  { name: 'pages', type: 'u32' },
  { name: 'touch', type: 'i32' },
  { name: 'bytes', type: 'u32' },
  { name: 'task', type: 'i32' },
  { name: 'text', type: 'utf8', nullable: true },
] as const satisfies readonly Field[];

/** Rows that define what events name, rather than being events. Their `text` is JSON. */
export const DEFINITIONS = ['facts', 'container-is', 'mount-is', 'file-is', 'end'] as const;
export type Definition = (typeof DEFINITIONS)[number];

/** Rows of a record batch: at most when read, and as it is written. */
export const MAX_ROWS = 1 << 20;
export const BATCH_ROWS = 1 << 16;
/** Text of the definitions of a batch. */
export const MAX_TEXT_BYTES = 1 << 26;
export const BATCH_TEXT_BYTES = 1 << 20;
