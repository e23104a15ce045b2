import { readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { UsageError } from '../error.ts';
import { mountOf, readMountInfo } from './mounts.ts';

/** Nobody we know: a kernel thread, or a task of no container that is recorded. */
export const UNKNOWN = '?';

/** A container to tell apart, `NAME=PID|CGROUP`. */
export interface ContainerRequest {
  readonly name: string;
  /** a process of it, or the folder of its cgroup */
  readonly what: string;
}

/** Whether a container is told by a process. */
export function isPid(what: string): boolean {
  return /^\d+$/.test(what);
}

interface Cgroup {
  /** as /proc/PID/cgroup and the kernel's events number it; 0 is version 2 */
  readonly hierarchy: number;
  /** from the hierarchy's root: `/docker/4f…` */
  readonly path: string;
}

interface Container {
  readonly name: string;
  readonly cgroups: readonly Cgroup[];
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
    const ours = cgroupsOf(process.pid);
    for (const { name, what } of requests) {
      if (isPid(what)) {
        const namespace = pidNamespace(Number(what));
        if (namespace === null) throw new UsageError(`--container ${name}=${what}: there is no process ${what}`);
        // In a pid namespace of its own it is a container, whose cgroups are its own as well, but for those that we are in, too.
        const separate = namespace !== own;
        const cgroups = separate ? cgroupsOf(Number(what)).filter((each) => !ours.some((us) => within(each, us))) : [];
        this.#containers.push({ name, cgroups, pidNamespace: separate ? namespace : null });
        if (!separate) for (const pid of descendants(Number(what))) this.#of.set(pid, name);
      } else {
        const cgroup = cgroupOf(what);
        if (cgroup === null)
          throw new UsageError(`--container ${name}=${what}: is neither a process nor the folder of a cgroup`);
        this.#containers.push({ name, cgroups: [cgroup], pidNamespace: null });
      }
    }
    for (const pid of allTasks()) this.of(pid);
  }

  /** A task whose descendants are a container. */
  root(pid: number, name: string): void {
    this.#of.set(pid, name);
  }

  fork(parent: number, child: number): void {
    const name = this.of(parent);
    // Nobody's child may be a container's: clone3(2) can put it into a cgroup, setns(2) into a pid namespace.
    if (name === UNKNOWN) this.#of.delete(child);
    else this.#of.set(child, name);
  }

  exit(pid: number): void {
    this.#of.delete(pid);
  }

  /** A task came into a cgroup. */
  moved(pid: number, hierarchy: number, path: string): void {
    const into = this.#containers.find(({ cgroups }) => cgroups.some((each) => within(each, { hierarchy, path })));
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
    const cgroups = cgroupsOf(pid);
    const found = this.#containers.find(
      (container) =>
        (container.pidNamespace !== null && namespace === container.pidNamespace) ||
        container.cgroups.some((each) => cgroups.some((its) => within(each, its))),
    );
    return found?.name ?? UNKNOWN;
  }
}

function pidNamespace(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return null;
  }
}

/** Whether one is the other or below it. */
function within(cgroup: Cgroup, { hierarchy, path }: Cgroup): boolean {
  return (
    hierarchy === cgroup.hierarchy &&
    (cgroup.path === '/' || path === cgroup.path || path.startsWith(`${cgroup.path}/`))
  );
}

/** The cgroup whose folder this is, or null. */
function cgroupOf(folder: string): Cgroup | null {
  let real: string;
  try {
    statSync(join(folder, 'cgroup.procs'));
    real = realpathSync(folder);
  } catch {
    return null;
  }
  const mount = mountOf(real, readMountInfo());
  if (!mount.fstype.startsWith('cgroup')) return null;
  const path = join(mount.root, relative(mount.mountPoint, real));
  if (mount.fstype === 'cgroup2') return { hierarchy: 0, path };
  // Version 1: a hierarchy is told by its controllers, or the name, which are among the mount's options.
  const options = new Set(mount.options.split(','));
  const line = cgroupLines('self').find(([, controllers]) => controllers.split(',').every((each) => options.has(each)));
  return line === undefined ? null : { hierarchy: Number(line[0]), path };
}

/** The lines of /proc/PID/cgroup: number of the hierarchy, controllers, path. Of a thread, too. */
function cgroupLines(pid: number | 'self'): [string, string, string][] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  } catch {
    return [];
  }
  return [...text.matchAll(/^(\d+):([^:]*):(.*)$/gm)].map(([, hierarchy, controllers, path]) => [
    hierarchy!,
    controllers!,
    path!,
  ]);
}

function cgroupsOf(pid: number): Cgroup[] {
  return cgroupLines(pid).map(([hierarchy, , path]) => ({ hierarchy: Number(hierarchy), path }));
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
