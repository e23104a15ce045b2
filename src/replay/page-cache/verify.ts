import { UsageError } from '../../error.ts';
import { Bindings } from '../binding.ts';
import { type PageSets, pagesLeftByFills, readPageSets } from '../page-sets.ts';
import { discardLog } from '../reference-log.ts';
import { loadReferences } from '../references.ts';
import type { ReplayInput } from '../result.ts';
import { MAX_WINDOW_PAGES, type PredictedFile, Prediction } from './predict.ts';

export const VERIFY_SCHEMA = 'foliolab.verify/1';

/** 128 MiB: what a row may cost is bounded by it. */

export interface VerifyOptions {
  trace: string;
  /** mount id → image or index */
  mounts: ReadonlyMap<string, string>;
  /** the kernel's page sets: CSV of dev, ino, page_index, nr_pages; null: what the recording's own fills and drops leave */
  truth: string | null;
  /** pages that the recorded mounts read ahead; null: what the trace says, else Linux's default */
  windowPages: number | null;
  /** below it a prediction has failed: pages in both over pages in either */
  minJaccard: number;
  /** whether each difference is laid to the rule that made it */
  explain: boolean;
}

/** A file, as predicted and as measured. Pages. */
export interface VerifiedFile {
  mount: string;
  path: string;
  predicted: number;
  measured: number;
  common: number;
  /** with `explain`: runs of pages that one has and the other hasn't, first and last page, and why the model put them in */
  extra?: { pages: [number, number]; rule: string }[];
  missing?: { pages: [number, number] }[];
}

/** `foliolab.verify/1` */
export interface VerifyResult {
  schema: typeof VERIFY_SCHEMA;
  kind: 'trace';
  command: string;
  inputs: ReplayInput[];
  parameters: { truth: 'mincore' | 'fills'; windowPages: number | null; minJaccard: number };
  predictedPages: number;
  measuredPages: number;
  commonPages: number;
  jaccard: number;
  ok: boolean;
  /** those that either has pages of, by mount and path */
  files: VerifiedFile[];
  notes: string[];
}

/**
 * Predicts the page cache that a recording left, from what programs asked for, and compares it page by page with the kernel's.
 * @throws DataError, UsageError
 */
export async function verifyTrace(options: VerifyOptions, command: string): Promise<VerifyResult> {
  const { trace, mounts, truth, windowPages } = options;
  const bindings = await Bindings.open({ traces: [trace], mounts });
  const binding = bindings.traces[0]!;
  if (windowPages !== null && windowPages > MAX_WINDOW_PAGES)
    throw new UsageError(`a window of ${windowPages} pages is more than the ${MAX_WINDOW_PAGES} that are modelled`);
  const prediction = new Prediction(binding, windowPages);
  let measured: PageSets['files'];
  let truthInput: ReplayInput[] = [];
  if (truth === null) {
    const fills = await loadReferences([binding], { from: 'fills', mounts: 'recorded' }, (row) => prediction.add(row));
    measured = pagesLeftByFills(fills);
    discardLog(fills.log);
  } else {
    for await (const rows of binding.batches()) for (const row of rows) prediction.add(row);
    const pagesOf = new Map([...prediction.files()].map((file) => [keyOf(file), file.pages.pages]));
    const sets = await readPageSets(truth, (mount, nid, end) => {
      const pages = pagesOf.get(`${mount} ${nid}`);
      if (pages === undefined || end <= pages) return null;
      return `page ${end - 1} is past the end of inode ${nid} on mount '${mount}', which has ${pages} pages`;
    });
    measured = sets.files;
    truthInput = [{ path: sets.path, sha256: sets.sha256, kind: 'truth' }];
  }
  const files = compare(prediction, measured, options.explain);
  const sum = (what: (file: VerifiedFile) => number) => files.reduce((total, file) => total + what(file), 0);
  const predictedPages = sum(({ predicted }) => predicted);
  const measuredPages = sum((file) => file.measured);
  const commonPages = sum(({ common }) => common);
  const either = predictedPages + measuredPages - commonPages;
  const jaccard = either === 0 ? 0 : commonPages / either;
  return {
    schema: VERIFY_SCHEMA,
    kind: 'trace',
    command,
    inputs: [...bindings.inputs(), ...truthInput],
    parameters: { truth: truth === null ? 'fills' : 'mincore', windowPages, minJaccard: options.minJaccard },
    predictedPages,
    measuredPages,
    commonPages,
    jaccard,
    ok: either > 0 && jaccard >= options.minJaccard,
    files,
    notes: [
      ...bindings.unknownIds(),
      ...prediction.noteSentences(),
      ...(either === 0 ? ['there is nothing to compare: nothing was predicted, and nothing measured'] : []),
    ],
  };
}

/** A file's key in {@link PageSets}. */
function keyOf({ mount, image, ordinal }: PredictedFile): string {
  return `${mount} ${image.columns.nid[ordinal]}`;
}

function compare(prediction: Prediction, measured: PageSets['files'], explain: boolean): VerifiedFile[] {
  const files: VerifiedFile[] = [];
  const left = new Map(measured);
  for (const file of prediction.files()) {
    const key = keyOf(file);
    const truth = left.get(key) ?? new Set<number>();
    left.delete(key);
    const compared = verified(file, truth, explain);
    if (compared.predicted > 0 || compared.measured > 0) files.push(compared);
  }
  // What was cached of files that the trace doesn't name.
  for (const [key, truth] of left) {
    const at = key.lastIndexOf(' ');
    const path = `nid ${key.slice(at + 1)}`;
    files.push({ mount: key.slice(0, at), path, predicted: 0, measured: truth.size, common: 0 });
  }
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return files.sort((a, b) => order(a.mount, b.mount) || order(a.path, b.path));
}

function verified({ mount, image, ordinal, pages }: PredictedFile, truth: Set<number>, explain: boolean): VerifiedFile {
  let common = 0;
  let before = 0;
  for (const page of truth) {
    if (pages.wasBefore(page)) before++;
    else if (pages.has(page)) common++;
  }
  let predicted = 0;
  for (let page = 0; page < pages.pages; page++) if (pages.has(page) && !pages.wasBefore(page)) predicted++;
  const file = { mount, path: image.pathOf(ordinal), predicted, measured: truth.size - before, common };
  if (!explain) return file;
  const extra: NonNullable<VerifiedFile['extra']> = [];
  const missing: NonNullable<VerifiedFile['missing']> = [];
  for (let page = 0; page < pages.pages; page++) {
    if (pages.has(page) === truth.has(page) || pages.wasBefore(page)) continue;
    if (!pages.has(page)) {
      const last = missing.at(-1);
      if (last?.pages[1] === page - 1) last.pages[1] = page;
      else missing.push({ pages: [page, page] });
      continue;
    }
    const rule = pages.ruleOf(page);
    const last = extra.at(-1);
    if (last?.pages[1] === page - 1 && last.rule === rule) last.pages[1] = page;
    else extra.push({ pages: [page, page], rule });
  }
  return { ...file, extra, missing };
}
