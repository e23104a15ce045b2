import { createHash } from 'node:crypto';
import { UsageError } from '../../error.ts';
import { VERSION } from '../../version.ts';
import type { PolicyJob } from '../curves/job.ts';
import { runJobs } from '../curves/lanes.ts';
import type { IndexCache } from '../image-index/cache.ts';
import { hashFile } from '../io/input.ts';
import type { MountMode } from '../references.ts';
import type { ReplayInput } from '../result.ts';
import { capacityPages } from '../sizes.ts';
import { type CellCounts, Journal } from './journal.ts';
import { byCell, type SweepRow } from './result.ts';
import type { Study, StudyPolicy, StudyTrace } from './study-file.ts';
import { eachUnit, NO_SHARING } from './units.ts';

export interface SweepOptions {
  readonly workers?: number | undefined;
  readonly cache: IndexCache | null;
  /** Told whenever a cell is done. @param done of all cells; @param counted in this run, with its references */
  readonly progress: (done: number, total: number, counted: { cells: number; references: number }) => void;
}

export interface Swept {
  readonly rows: SweepRow[];
  readonly inputs: ReplayInput[];
  /** cells that were there already, and bytes of the journal that a crash had left broken */
  readonly found: number;
  readonly lost: number;
}

/** A cell but for its trace and what a page is. */
interface Choice {
  readonly policy: StudyPolicy;
  readonly memory: Study['memory'][number];
  readonly seed: number;
}

/** Counts what is missing of a study in a folder. @throws DataError, UsageError */
export async function sweep(study: Study, directory: string, options: SweepOptions): Promise<Swept> {
  const journal = new Journal(directory);
  try {
    return await new Sweep(study, journal, options).run();
  } finally {
    journal.close();
  }
}

class Sweep {
  readonly #study: Study;
  readonly #journal: Journal;
  readonly #options: SweepOptions;
  readonly #choices: readonly Choice[];
  readonly #rows: SweepRow[] = [];
  readonly #inputs = new Map<string, ReplayInput>();
  readonly #total: number;
  readonly #counted = { cells: 0, references: 0 };
  #found = 0;

  constructor(study: Study, journal: Journal, options: SweepOptions) {
    this.#study = study;
    this.#journal = journal;
    this.#options = options;
    this.#choices = study.policies.flatMap((policy) =>
      study.memory.flatMap((memory) => study.seeds.map((seed) => ({ policy, memory, seed }))),
    );
    this.#total = study.traces.length * study.mounts.length * (study.sharing?.length ?? 1) * this.#choices.length;
  }

  async run(): Promise<Swept> {
    const { traces, mounts, policies } = this.#study;
    const plugins = new Map<string, string>();
    for (const { file } of policies) if (file !== null) plugins.set(file, await hashFile(file));
    for (const trace of traces) for (const mode of mounts) await this.#trace(trace, mode, plugins);
    return {
      rows: this.#rows.sort(byCell),
      inputs: [...this.#inputs.values()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)),
      found: this.#found,
      lost: this.#journal.lost,
    };
  }

  async #trace(trace: StudyTrace, mounts: MountMode, plugins: ReadonlyMap<string, string>): Promise<void> {
    const { sharing } = this.#study;
    const key = keyOf({ trace: [trace.path, trace.format ?? null, [...trace.images]] });
    const known = this.#journal.inputs.get(key);
    if (known !== undefined && (await unchanged(known))) {
      const rows = (sharing ?? [NO_SHARING]).flatMap((model) =>
        this.#choices.map((choice) => {
          const counts = this.#journal.cells.get(this.#cellKey(known, trace, mounts, model, choice, plugins));
          return counts === undefined ? null : rowOf(trace, mounts, model, choice, counts);
        }),
      );
      if (rows.every((row) => row !== null)) {
        this.#take(rows, known);
        this.#found += rows.length;
        this.#report();
        return;
      }
    }
    await eachUnit(this.#study, trace, mounts, this.#options.cache, async (unit, inputs) => {
      const { warmup } = this.#study;
      if (warmup > 0 && unit.trace.counted <= 0)
        throw new UsageError(
          `${this.#study.path}: warmup ${warmup} leaves nothing to count of the ${unit.trace.references} references of ${trace.path}`,
        );
      if (JSON.stringify(this.#journal.inputs.get(key)) !== JSON.stringify(inputs))
        this.#journal.add({ kind: 'inputs', key, inputs });
      const missing: { choice: Choice; key: string; capacity: number | null }[] = [];
      for (const choice of this.#choices) {
        const cell = this.#cellKey(inputs, trace, mounts, unit.sharing, choice, plugins);
        const counts = this.#journal.cells.get(cell);
        if (counts === undefined)
          missing.push({ choice, key: cell, capacity: capacityPages(choice.memory.size, unit.baselinePages) });
        else {
          this.#found++;
          this.#take([rowOf(trace, mounts, unit.sharing, choice, counts)], inputs);
        }
      }
      const finish = ({ choice, key, capacity }: (typeof missing)[number], misses: number): void => {
        const { counted, coldMisses, universe } = unit.trace;
        const counts = { references: counted, misses, coldMisses, footprintPages: universe, capacityPages: capacity };
        this.#journal.add({ kind: 'cell', key, counts });
        this.#take([rowOf(trace, mounts, unit.sharing, choice, counts)], inputs);
        this.#counted.cells++;
        this.#counted.references += unit.trace.references;
        this.#report();
      };
      // Without a limit a policy decides nothing.
      for (const cell of missing) if (cell.capacity === null) finish(cell, unit.trace.coldMisses);
      const limited = missing.filter(({ capacity }) => capacity !== null);
      const jobs = limited.map(
        ({ choice, capacity }): PolicyJob => ({
          kind: 'policy',
          policy: choice.policy.spec,
          capacity: capacity!,
          seed: choice.seed,
          refaults: false,
        }),
      );
      await runJobs(unit.trace, jobs, {
        workers: this.#options.workers,
        done: (at, { misses }) => finish(limited[at]!, misses),
      });
    });
  }

  /** Everything that decides what a cell counts. */
  #cellKey(
    inputs: readonly ReplayInput[],
    trace: StudyTrace,
    mounts: MountMode,
    sharing: string,
    { policy, memory, seed }: Choice,
    plugins: ReadonlyMap<string, string>,
  ): string {
    const { warmup, fingerprints } = this.#study;
    return keyOf({
      version: VERSION,
      inputs: inputs.map(({ kind, sha256 }) => [kind, sha256]),
      format: trace.format ?? null,
      images: [...trace.images.keys()],
      mounts,
      sharing,
      fingerprints,
      warmup,
      policy: [policy.label, policy.params, policy.file === null ? null : plugins.get(policy.file)],
      memory: memory.text,
      seed,
    });
  }

  #take(rows: readonly SweepRow[], inputs: readonly ReplayInput[]): void {
    this.#rows.push(...rows);
    for (const input of inputs) this.#inputs.set(input.path, input);
  }

  #report(): void {
    this.#options.progress(this.#rows.length, this.#total, this.#counted);
  }
}

function rowOf(trace: StudyTrace, mounts: MountMode, sharing: string, choice: Choice, counts: CellCounts): SweepRow {
  const { references, misses, coldMisses, footprintPages, capacityPages } = counts;
  return {
    trace: trace.name,
    mounts,
    sharing,
    policy: choice.policy.label,
    memory: choice.memory.text,
    capacityPages,
    seed: choice.seed,
    references,
    misses,
    coldMisses,
    refaults: misses - coldMisses,
    missRatio: references === 0 ? 0 : misses / references,
    footprintPages,
  };
}

/** Whether files are what they were. */
async function unchanged(inputs: readonly ReplayInput[]): Promise<boolean> {
  for (const { path, sha256 } of inputs) if ((await hashFile(path).catch(() => '')) !== sha256) return false;
  return true;
}

function keyOf(of: object): string {
  return createHash('sha256').update(JSON.stringify(of)).digest('hex');
}
