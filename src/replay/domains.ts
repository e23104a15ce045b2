import { DataError } from '../error.ts';
import type { ImageIndex } from './image-index/image-index.ts';
import { readWhole } from './io/input.ts';
import { tableRecords } from './io/table.ts';
import { ONE_DOMAIN } from './references.ts';
import type { ReplayInput } from './result.ts';

/** Trust domains without a file: everything in one, one per image, one per container. */
export const DOMAIN_MODES = ['one', 'per-image', 'per-container'] as const;

/** Decides inode_share's domain_id of each mount. */
export interface Domains {
  domainOf(container: string, mount: string, image: ImageIndex): string;
  inputs: ReplayInput[];
}

/**
 * Reads `--domains`: a mode, or a CSV file with the columns name and domain. A name is a container, a mount id or an image's file name,
 * looked up in this order; so a publisher's images get its domain by one line each; an empty domain
 * is a mount without inode_share.
 * @throws DataError with the line at fault; during replay, for a mount that no line names
 */
export async function readDomains(text: string | undefined): Promise<Domains> {
  if (text === undefined || text === 'one') return { domainOf: () => ONE_DOMAIN, inputs: [] };
  if (text === 'per-image')
    return { domainOf: (_container, _mount, image) => image.header.image.sha256 ?? image.fileSha256, inputs: [] };
  if (text === 'per-container') return { domainOf: (container) => container, inputs: [] };
  const { bytes, sha256 } = await readWhole(text, 16 * 2 ** 20);
  const table = parseTable(text, bytes);
  const domainOf = (container: string, mount: string, image: ImageIndex): string => {
    const { name } = image.header.image;
    const domain = table.get(container) ?? table.get(mount) ?? table.get(name);
    if (domain === undefined)
      throw new DataError(text, `names no domain for container '${container}', mount '${mount}' or image '${name}'`);
    return domain;
  };
  return { domainOf, inputs: [{ path: text, sha256, kind: 'domains' }] };
}

function parseTable(path: string, bytes: Buffer): Map<string, string> {
  const rows = tableRecords(path, bytes, { skip_empty_lines: true, trim: true });
  const header = rows[0] ?? [];
  const name = header.indexOf('name');
  const domain = header.indexOf('domain');
  if (name < 0 || domain < 0) throw new DataError(path, "line 1: is not the header 'name,domain'");
  const table = new Map<string, string>();
  rows.slice(1).forEach((row, at) => {
    const line = at + 2;
    if (row.length !== header.length)
      throw new DataError(path, `line ${line}: has ${row.length} fields where the header has ${header.length}`);
    if (table.has(row[name]!)) throw new DataError(path, `line ${line}: names '${row[name]}' twice`);
    table.set(row[name]!, row[domain]!);
  });
  return table;
}
