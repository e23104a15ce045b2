import { notesAndParameters, plain, provenance, table } from '../report/md.ts';
import type { MrcResult } from './result.ts';
import { headLines, mrcTable, refaultTable } from './table.ts';

/** Miss-ratio curves as GitHub-flavoured Markdown. */
export function mrcMarkdown(result: MrcResult): string {
  const [head, ...rows] = mrcTable(result);
  const [refaultHead, ...refaults] = refaultTable(result);
  const lines = [
    ...[`# ${plain(result.title)}`, '', ...headLines(result).flatMap((line) => [plain(line), ''])],
    ...['## Miss ratio', '', ...block(head!, rows), ''],
    ...(refaultHead === undefined ? [] : ['## Refaults by distance', '', ...block(refaultHead, refaults), '']),
    ...notesAndParameters(result),
    ...provenance(result),
  ];
  return `${lines.join('\n')}\n`;
}

/** Only the name of a container is no number. */
function block(head: string[], rows: string[][]): string[] {
  return [
    table(
      head.map(plain),
      rows.map((cells) => cells.map(plain)),
      head[0] === 'cache of' ? 1 : 0,
    ),
  ];
}
