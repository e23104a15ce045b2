import { mean } from 'simple-statistics';
import { byCapacity, type SweepRow } from './result.ts';

/** Miss ratios of one trace under one sharing model, means over the seeds. */
export interface HeatMap {
  readonly title: string;
  /** of all maps, from the lowest mean miss ratio to the highest */
  readonly policies: readonly string[];
  /** as the study has them, from the least to the most */
  readonly memories: readonly string[];
  readonly cells: readonly HeatCell[];
}

export interface HeatCell {
  readonly policy: string;
  readonly memory: string;
  readonly missRatio: number;
  /** the lowest with this memory, opt aside; of several that are equal each, unless all are */
  readonly best: boolean;
}

/** In the rows' order. */
export function heatMaps(rows: readonly SweepRow[]): HeatMap[] {
  const policies = [...groupBy(rows, ({ policy }) => policy)]
    .map(([policy, own]) => ({ policy, ratio: mean(own.map(({ missRatio }) => missRatio)) }))
    .sort((a, b) => a.ratio - b.ratio || (a.policy < b.policy ? -1 : 1))
    .map(({ policy }) => policy);
  const within = placeOf(rows);
  const titleOf = (row: SweepRow) => [row.trace, within(row)].filter((part) => part !== '').join(', ');
  return [...groupBy(rows, titleOf)].map(([title, own]) => {
    const byMemory = groupBy([...own].sort(byCapacity), ({ memory }) => memory);
    const cells = [...byMemory].flatMap(([memory, some]) => {
      const ratios = [...groupBy(some, ({ policy }) => policy)].map(([policy, seeds]) => ({
        policy,
        memory,
        missRatio: mean(seeds.map(({ missRatio }) => missRatio)),
      }));
      const online = ratios.filter(({ policy }) => !/^opt(:|$)/.test(policy)).map(({ missRatio }) => missRatio);
      const lowest = Math.min(...online);
      const differ = online.some((ratio) => ratio > lowest);
      return ratios.map((cell) => ({
        ...cell,
        best: differ && cell.missRatio === lowest && !/^opt(:|$)/.test(cell.policy),
      }));
    });
    return { title, policies, memories: [...byMemory.keys()], cells };
  });
}

/** Sharing model and kind of mounts, where the rows differ in them; else nothing. */
export function placeOf(
  rows: readonly Pick<SweepRow, 'sharing' | 'mounts'>[],
): (row: Pick<SweepRow, 'sharing' | 'mounts'>) => string {
  const several = (key: 'sharing' | 'mounts') => new Set(rows.map((row) => row[key])).size > 1;
  const [sharing, mounts] = [several('sharing'), several('mounts')];
  return (row) => [...(sharing ? [row.sharing] : []), ...(mounts ? [`${row.mounts} mounts`] : [])].join(', ');
}

function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const group = groups.get(keyOf(value));
    if (group === undefined) groups.set(keyOf(value), [value]);
    else group.push(value);
  }
  return groups;
}
