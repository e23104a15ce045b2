/**
 * What a mount is.
 * - recorded: what the trace says; each of its mount ids is a superblock of its own.
 * - per-image: containers of one image share one superblock, whatever was recorded.
 * - per-container: every container has a superblock of its own.
 */
export const MOUNT_MODES = ['recorded', 'per-image', 'per-container'] as const;
export type MountMode = (typeof MOUNT_MODES)[number];
