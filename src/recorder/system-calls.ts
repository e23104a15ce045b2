import { constants as OS } from 'node:os';
import { UsageError } from '../error.ts';

/** The system calls that Node.js lacks, through koffi, which is an optional dependency: only recording and verifying need it. */
export interface SystemCalls {
  /** mount(2). @throws Error with its code */
  mount(source: string, target: string, type: string, flags: number, options: string): void;
  /** umount2(2) with MNT_DETACH */
  unmount(target: string): void;
  /**
   * mincore(2) of a whole file, through a mapping that is never touched.
   * @returns a byte a page, its lowest bit set if the page is in the page cache
   */
  cachedPages(fd: number, sizeBytes: number): Uint8Array;
  /** cachestat(2) of a whole file, Linux 6.5: pages in the page cache. Null where the kernel hasn't got it. */
  cachestat(fd: number): { cached: number; evicted: number } | null;
}

export const MS_RDONLY = 1;
export const MS_NOATIME = 1024;
const MNT_DETACH = 2;
const PAGE = 4096;
const PROT_READ = 1;
const MAP_SHARED = 1;
const SYS_CACHESTAT = 451;
const ENOSYS = 38;

let calls: Promise<SystemCalls> | null = null;

/** @throws UsageError when koffi isn't installed */
export function systemCalls(): Promise<SystemCalls> {
  calls ??= load();
  return calls;
}

async function load(): Promise<SystemCalls> {
  const koffi = await import('koffi').then(
    (module) => module.default,
    () => {
      throw new UsageError('the package koffi is not installed: npm install koffi');
    },
  );
  const libc = koffi.load(null);
  const mount = libc.func('int mount(const char *, const char *, const char *, unsigned long, const char *)');
  const umount2 = libc.func('int umount2(const char *, int)');
  const mmap = libc.func('intptr_t mmap(intptr_t, size_t, int, int, int, int64_t)');
  const munmap = libc.func('int munmap(intptr_t, size_t)');
  const mincore = libc.func('int mincore(intptr_t, size_t, _Out_ uint8_t *)');
  const syscall = libc.func('long syscall(long, int, const void *, _Out_ uint64_t *, unsigned int)');
  const fail = (what: string): never => {
    const errno = koffi.errno();
    const code = Object.entries(OS.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`;
    throw Object.assign(new Error(`${what}: ${code}`), { code, errno, syscall: what });
  };
  return {
    mount(source, target, type, flags, options) {
      if (mount(source, target, type, flags, options) !== 0) fail('mount');
    },
    unmount(target) {
      if (umount2(target, MNT_DETACH) !== 0) fail('umount2');
    },
    cachedPages(fd, sizeBytes) {
      const pages = Math.ceil(sizeBytes / PAGE);
      const out = new Uint8Array(pages);
      if (pages === 0) return out;
      const length = pages * PAGE;
      const address: number | bigint = mmap(0, length, PROT_READ, MAP_SHARED, fd, 0);
      if (Number(address) === -1) fail('mmap');
      try {
        if (mincore(address, length, out) !== 0) fail('mincore');
      } finally {
        munmap(address, length);
      }
      return out;
    },
    cachestat(fd) {
      const range = new BigUint64Array(2);
      const counts = new BigUint64Array(5);
      if (syscall(SYS_CACHESTAT, fd, range, counts, 0) !== 0) {
        if (koffi.errno() === ENOSYS) return null;
        fail('cachestat');
      }
      return { cached: Number(counts[0]), evicted: Number(counts[3]) };
    },
  };
}
