import type { FileFacts, MountFacts } from '../trace.ts';

/** An error that says where. */
export type Where = (what: string) => Error;

const MOUNT_STRINGS = ['name', 'image', 'imageSha256', 'index', 'fstype', 'options'] as const;

/** What a trace says of a mount, held against what it may say. Unknown keys are left out. */
export function mountFacts(value: Record<string, unknown>, where: Where): MountFacts {
  const out: Record<string, unknown> = {};
  for (const key of MOUNT_STRINGS) {
    if (value[key] === undefined) continue;
    if (typeof value[key] !== 'string') throw where(`names a mount whose ${key} is no text`);
    out[key] = value[key];
  }
  if (!out.name) throw where('names a mount without a name');
  for (const key of ['index', 'image'] as const) {
    const file = value[key] as string | undefined;
    if (file !== undefined && (/[/\\]/.test(file) || file.startsWith('.') || file === ''))
      throw where(`names a mount whose ${key} is not the name of a file beside the trace`);
  }
  if (out.imageSha256 !== undefined && !/^[0-9a-f]{64}$/.test(out.imageSha256 as string))
    throw where('names a mount whose imageSha256 is not 64 hex digits');
  if (value.ids !== undefined)
    out.ids = oneOf(value.ids, ['inode', 'path', 'object', 'block'], 'ids of a mount', where);
  if (value.backing !== undefined) out.backing = oneOf(value.backing, ['file', 'block'], 'backing of a mount', where);
  if (value.readAheadKb !== undefined) out.readAheadKb = whole(value.readAheadKb, 'readAheadKb of a mount', where);
  return out as unknown as MountFacts;
}

/** What a trace says of a file. @param mounts how many there are */
export function fileFacts(value: Record<string, unknown>, mounts: number, where: Where): FileFacts {
  const mount = whole(value.mount, 'mount of a file', where);
  if (mount >= mounts) throw where(`names a file of mount ${mount} of ${mounts}`);
  if (value.path !== undefined && typeof value.path !== 'string') throw where('names a file whose path is no text');
  return {
    mount,
    ...(value.ino !== undefined && { ino: whole(value.ino, 'ino of a file', where) }),
    ...(value.path !== undefined && { path: value.path }),
    ...(value.sizeBytes !== undefined && { sizeBytes: whole(value.sizeBytes, 'sizeBytes of a file', where) }),
    ...(value.type !== undefined && {
      type: oneOf(value.type, ['file', 'directory', 'symlink', 'other'], 'type of a file', where),
    }),
  };
}

function whole(value: unknown, what: string, where: Where): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw where(`has as ${what} no whole number`);
  return value as number;
}

function oneOf<const T extends string>(value: unknown, known: readonly T[], what: string, where: Where): T {
  if (!known.includes(value as T)) throw where(`has as ${what} none of ${known.join(', ')}`);
  return value as T;
}
