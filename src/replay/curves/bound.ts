import { Bindings } from '../binding.ts';
import type { IndexCache } from '../image-index/cache.ts';
import type { MountMode } from '../mount-mode.ts';
import { discardLog, readLog } from '../reference-log.ts';
import { loadReferences } from '../references.ts';
import type { ReplayInput } from '../result.ts';
import { parseSharing } from '../sharing/index.ts';
import type { ModelContext } from '../sharing/model.ts';
import { BLOCK, blankBlock, type IdBlock, type IdSource } from './ids.ts';

export interface BoundOptions {
  readonly sharing: string;
  /** mount id → image or index */
  readonly images: ReadonlyMap<string, string>;
  readonly mounts: MountMode;
  readonly fingerprints: ModelContext['fingerprints'];
  readonly cache: IndexCache | null;
}

/** The references of a recording under a sharing model: a page is what the model takes for one page. */
export class BoundSource implements IdSource {
  readonly path: string;
  readonly unit = 'pages';
  readonly format = 'recording';
  readonly containers: string[] = [];
  readonly #options: BoundOptions;

  constructor(path: string, options: BoundOptions) {
    this.path = path;
    this.#options = options;
  }

  async expected(): Promise<{ distinct: number; references: number }> {
    return { distinct: 0, references: 0 };
  }

  async read(take: (block: IdBlock) => void): Promise<ReplayInput[]> {
    const { sharing, images, mounts, fingerprints, cache } = this.#options;
    const bindings = await Bindings.open({ traces: [this.path], mounts: images, cache });
    const set = await loadReferences(bindings.traces, { from: 'demand', mounts });
    try {
      this.containers.splice(0, Infinity, ...set.containers);
      const { ids } = parseSharing(sharing, { fingerprints }).identify(set);
      const block = blankBlock();
      for (const { rows, page, count, container } of readLog(set.log)) {
        for (let row = 0; row < rows; row++) {
          for (let logical = page[row]!, end = logical + count[row]!; logical < end; logical++) {
            block.low[block.count] = ids[logical]!;
            block.who[block.count] = container[row]!;
            if (++block.count < BLOCK) continue;
            take(block);
            block.count = 0;
          }
        }
      }
      if (block.count > 0) take(block);
    } finally {
      discardLog(set.log);
    }
    return bindings.inputs();
  }

  objectIds(): null {
    return null;
  }
}
