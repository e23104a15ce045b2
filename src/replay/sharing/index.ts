import { UsageError } from '../../error.ts';
import { fingerprint } from './fingerprint.ts';
import { hardlink } from './hardlink.ts';
import type { ModelContext, ModelEntry, SharingModel } from './model.ts';
import { pageContent } from './page-content.ts';
import { perInode } from './per-inode.ts';
import { physicalIndex } from './physical-index.ts';

/** The sharing models by name. A new one is one file and one line here. */
export const sharingModels = {
  'per-inode': perInode,
  hardlink: hardlink,
  fingerprint: fingerprint,
  'physical-index': physicalIndex,
  'page-content': pageContent,
} satisfies Record<string, ModelEntry>;

/**
 * Makes a model from `name` or `name:param=value:param=value`.
 * @throws UsageError for an unknown model, parameter or value
 */
export function parseSharing(text: string, context: ModelContext): SharingModel {
  const [name = '', ...settings] = text.split(':');
  if (!Object.hasOwn(sharingModels, name))
    throw new UsageError(`unknown sharing model '${name}'; there are ${Object.keys(sharingModels).join(', ')}`);
  const entry: ModelEntry = sharingModels[name as keyof typeof sharingModels];
  const params: Record<string, string> = { ...entry.defaults };
  for (const setting of settings) {
    const at = setting.indexOf('=');
    const param = setting.slice(0, Math.max(at, 0));
    if (at < 0 || !Object.hasOwn(entry.defaults, param)) {
      const known = Object.keys(entry.defaults);
      throw new UsageError(
        `sharing model '${name}' has no parameter '${at < 0 ? setting : param}'; it has ${known.length > 0 ? known.join(', ') : 'none'}`,
      );
    }
    params[param] = setting.slice(at + 1);
  }
  return entry.create(text, params, context);
}
