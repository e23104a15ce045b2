/** The data is bad: one line, `FILE: what is wrong and where`. The command line exits with 1. */
export class DataError extends Error {
  override readonly name: string = 'DataError';
  /**
   * @param path the file at fault, as the user named it
   * @param what what is wrong and where in the file
   */
  constructor(
    readonly path: string,
    what: string,
    options?: ErrorOptions,
  ) {
    super(`${path}: ${what}`, options);
  }
}

/** The request itself makes no sense. The command line exits with 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'is a directory, not a file',
  ENOTDIR: 'a part of the path is not a directory',
  ENOSPC: 'no space left on the device',
};

/** Turns a system error (ENOENT …) about `path` into a {@link DataError}; leaves every other error as it is. */
export function located(path: string, error: unknown): Error {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const syscall = (error as NodeJS.ErrnoException | undefined)?.syscall;
  if (code && syscall) return new DataError(path, SYSTEM_ERRORS[code] ?? code, { cause: error });
  return error instanceof Error ? error : new DataError(path, String(error));
}
