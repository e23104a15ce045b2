import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Image } from '../erofs/index.ts';
import { DataError, located } from '../error.ts';
import { Bindings } from '../replay/binding.ts';
import { countPages, readPageSets } from '../replay/page-sets.ts';
import { loadReferenceSets, type ReferenceSet } from '../replay/references.ts';
import { PAGE_SIZE, type ReplayInput, type ReplayResult, type TruthRow } from '../replay/result.ts';
import { type Replayed, replaySet, resultOf } from '../replay/run.ts';

/** The bundled recordings, each a folder of traces/. Every run has the containers a1 and b1 (neighbouring versions) and a2 (as a1). */
export const SERVICES = ['redis', 'nginx', 'postgres', 'tfjs', 'python-sci'] as const;

const WORKLOADS = [
  { containers: ['a1', 'b1'], mounts: ['a', 'b'] },
  { containers: ['a1', 'b1', 'a2'], mounts: ['a', 'b', 'a2'] },
] as const;

const MODELS = ['per-inode', 'hardlink', 'fingerprint', 'physical-index', 'page-content'];
const POLICIES = ['lru', 'fifo', 'clock'];
const MEMORY = ['0.05', '0.1', '0.2', '0.3', '0.4', '0.5', '0.75', '1.0'];

/** Where the bundled traces lie, as a path from the working directory. */
export function bundledTraces(): string {
  return relative(process.cwd(), fileURLToPath(new URL('../../traces', import.meta.url))) || '.';
}

/**
 * The main job on bundled data: what each design would save on five real services, beside what a real kernel cached.
 * @param progress called with a line as each service begins
 */
export async function runDemo(command: string, progress: (line: string) => void): Promise<ReplayResult> {
  const directory = bundledTraces();
  const parts: Replayed[] = [];
  const inputs: ReplayInput[] = [];
  const truth: TruthRow[] = [];
  for (const service of SERVICES) {
    progress(service);
    const folder = join(directory, service);
    const bindings = await Bindings.open({ traces: [join(folder, 'run.csv.zst')], mounts: new Map() });
    const selections = WORKLOADS.flatMap(({ containers }) =>
      (['fills', 'demand'] as const).map((from) => ({ from, mounts: 'recorded' as const, containers })),
    );
    const sets = await loadReferenceSets(bindings.traces, selections);
    for (const [at, { containers }] of selections.entries())
      parts.push(await replayWorkload(service, sets[at]!, containers));
    inputs.push(...bindings.inputs());
    const measured = await truthOf(service, folder);
    truth.push(...measured.rows);
    inputs.push(...measured.inputs);
  }
  const parameters = {
    services: SERVICES,
    sharing: MODELS,
    policies: POLICIES,
    memory: ['unlimited', ...MEMORY],
    mounts: 'recorded',
    fingerprints: 'auto',
    readahead: 'none',
    seed: 1,
    pageBytes: PAGE_SIZE,
  };
  const title = 'What sharing would save: five services in neighbouring versions';
  return { ...resultOf(title, command, inputs, parameters, parts), truth };
}

function replayWorkload(service: string, set: ReferenceSet, containers: readonly string[]): Promise<Replayed> {
  // Memory is limited for all three containers only, and only where there is something for a policy to decide.
  const limited = set.from === 'demand' && containers.length === WORKLOADS[1].containers.length;
  return replaySet(set, {
    workload: `${service} ${containers.join('+')}`,
    sharing: MODELS,
    // An index made from a manifest has no physical addresses.
    lenient: true,
    policies: limited ? POLICIES : ['lru'],
    memory: limited ? ['unlimited', ...MEMORY] : ['unlimited'],
    fingerprints: 'auto',
    warmup: 0,
    seed: 1,
  });
}

/** What Linux 6.18 had in its page cache at the end of the recordings: on three separate mounts, and on one hard-linked image. */
async function truthOf(service: string, folder: string): Promise<{ rows: TruthRow[]; inputs: ReplayInput[] }> {
  const separate = await readPageSets(join(folder, 'run-cached.csv.zst'));
  const merged = await readPageSets(join(folder, 'merged-cached.csv.zst'));
  const workload = (containers: readonly string[]): string => `${service} ${containers.join('+')}`;
  const [pair, trio] = WORKLOADS;
  return {
    rows: [
      ...[pair, trio].map(({ containers, mounts }) => ({
        workload: workload(containers),
        sharing: 'per-inode',
        residentPages: countPages(separate, mounts),
        source: 'mincore at the end of this recording, Linux 6.18, a mount for each container',
      })),
      {
        workload: workload(trio.containers),
        sharing: 'hardlink',
        residentPages: countPages(merged),
        source: 'mincore at the end of a second recording, Linux 6.18, both images merged into one with hard links',
      },
    ],
    inputs: [separate, merged].map(({ path, sha256 }) => ({ path, sha256, kind: 'truth' as const })),
  };
}

/** Decodes the bundled image of this project's own files and compares every digest with sha256sum's. */
export async function decodeBundledImage(): Promise<{ path: string; files: number; bytes: number }> {
  const folder = join(bundledTraces(), 'self');
  const path = join(folder, 'self.erofs');
  const expected = new Map<string, string>();
  const sums = join(folder, 'SHA256SUMS');
  const text = await readFile(sums, 'utf8').catch((error: unknown) => {
    throw located(sums, error);
  });
  for (const line of text.trimEnd().split('\n')) expected.set(line.slice(66), line.slice(0, 64));
  const image = Image.open(path);
  let bytes = 0;
  let files = 0;
  try {
    for (const { path: name, inode } of image.walk()) {
      if (inode.type !== 'file') continue;
      const sum = createHash('sha256');
      for (const chunk of image.stream(inode)) sum.update(chunk);
      if (expected.get(name) !== sum.digest('hex'))
        throw new DataError(path, `${name} does not decode to the file that ${sums} describes`);
      files++;
      bytes += inode.size;
    }
  } finally {
    image.close();
  }
  if (files !== expected.size) throw new DataError(path, `has ${files} files where ${sums} has ${expected.size}`);
  return { path, files, bytes };
}
