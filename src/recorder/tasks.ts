import { readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../error.ts';
import { readMountInfo } from './mounts.ts';

/** Nobody we know: a kernel thread, or a task of no container that is recorded. */
export const UNKNOWN = '?';

/** A container to tell apart, `NAME=PID|CGROUP`. */
export interface ContainerRequest {
  readonly name: string;
  /** a process of it, or the folder of its cgroup */
  readonly what: string;
}

interface Container {
  readonly name: string;
  /** folder in a cgroup filesystem, and the cgroup's path in its hierarchy */
  readonly cgroup: { readonly folder: string; readonly path: string } | null;
  /** a pid namespace, as /proc/PID/ns/pid names it */
  readonly pidNamespace: string | null;
}

/**
 * Which container a task belongs to. What a task forks is of its container; a task that was there before, or came from elsewhere, is looked
 * up by its cgroup or pid namespace when it is first seen.
 */
export class Tasks {
  readonly #containers: Container[] = [];
  readonly #of = new Map<number, string>();

  /** @throws UsageError when there is no such process or cgroup */
  constructor(requests: readonly ContainerRequest[]) {
    const own = pidNamespace(process.pid);
    for (const { name, what } of requests) {
      if (/^\d+$/.test(what)) {
        const namespace = pidNamespace(Number(what));
        if (namespace === null) throw new UsageError(`--container ${name}=${what}: there is no process ${what}`);
        const separate = namespace !== own;
        this.#containers.push({ name, cgroup: null, pidNamespace: separate ? namespace : null });
        if (!separate) for (const pid of descendants(Number(what))) this.#of.set(pid, name);
      } else {
        try {
          statSync(join(what, 'cgroup.procs'));
        } catch {
          throw new UsageError(`--container ${name}=${what}: is neither a process nor the folder of a cgroup`);
        }
        this.#containers.push({ name, cgroup: { folder: what, path: cgroupPath(what) }, pidNamespace: null });
      }
    }
    for (const pid of allTasks()) this.of(pid);
  }

  /** A task whose descendants are a container. */
  root(pid: number, name: string): void {
    this.#of.set(pid, name);
  }

  fork(parent: number, child: number): void {
    this.#of.set(child, this.of(parent));
  }

  exit(pid: number): void {
    this.#of.delete(pid);
  }

  /** A task came into a cgroup. */
  moved(pid: number, path: string): void {
    const into = this.#containers.find(
      ({ cgroup }) => cgroup !== null && (path === cgroup.path || path.startsWith(`${cgroup.path}/`)),
    );
    if (into !== undefined) this.#of.set(pid, into.name);
  }

  of(pid: number): string {
    const known = this.#of.get(pid);
    if (known !== undefined) return known;
    const name = this.#lookUp(pid);
    this.#of.set(pid, name);
    return name;
  }

  /** Tasks of containers, as far as they are known. */
  known(): number[] {
    return [...this.#of].filter(([, name]) => name !== UNKNOWN).map(([pid]) => pid);
  }

  #lookUp(pid: number): string {
    if (this.#containers.length === 0) return UNKNOWN;
    const namespace = pidNamespace(pid);
    for (const { name, cgroup, pidNamespace: wanted } of this.#containers) {
      if (wanted !== null && namespace === wanted) return name;
      if (cgroup !== null && inCgroup(cgroup.folder, pid)) return name;
    }
    return UNKNOWN;
  }
}

function pidNamespace(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return null;
  }
}

/** The path of a cgroup in its hierarchy, as the kernel's events have it. */
function cgroupPath(folder: string): string {
  const real = realpathSync(folder);
  const mount = readMountInfo()
    .filter(({ fstype, mountPoint }) => fstype.startsWith('cgroup') && real.startsWith(`${mountPoint}/`))
    .reduce<string>((longest, { mountPoint }) => (mountPoint.length > longest.length ? mountPoint : longest), '');
  return real.slice(mount.length);
}

/** Whether a task is in a cgroup or one below it: in cgroup.procs (v2, v1) or tasks (threads, v1). */
function inCgroup(folder: string, pid: number): boolean {
  for (const list of ['cgroup.procs', 'cgroup.threads', 'tasks']) {
    try {
      if (readFileSync(join(folder, list), 'utf8').split('\n').includes(String(pid))) return true;
    } catch {}
  }
  try {
    return readdirSync(folder, { withFileTypes: true }).some(
      (entry) => entry.isDirectory() && inCgroup(join(folder, entry.name), pid),
    );
  } catch {
    return false;
  }
}

function allTasks(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return readdirSync(`/proc/${pid}/task`).map(Number);
      } catch {
        return [];
      }
    });
}

/** A process and all it has forked that are still there. */
function descendants(pid: number): number[] {
  const out: number[] = [];
  const visit = (process: number): void => {
    try {
      for (const task of readdirSync(`/proc/${process}/task`).map(Number)) {
        out.push(task);
        for (const child of readFileSync(`/proc/${process}/task/${task}/children`, 'utf8').split(' '))
          if (child !== '') visit(Number(child));
      }
    } catch {}
  };
  visit(pid);
  return out;
}
