import type { MrcResult } from './result.ts';

const percent = (ratio: number): string => `${(100 * ratio).toFixed(2)} %`;
const whole = (n: number): string => n.toLocaleString('en-US');

/** What is said ahead of the table, a line each. */
export function headLines({ trace, sample }: MrcResult): string[] {
  const one = trace.unit === 'pages' ? 'page' : 'object';
  const about = sample === null ? '' : 'about ';
  const cold = trace.requests === 0 ? 0 : trace.coldMisses / trace.requests;
  const lines = [
    `${trace.path}: ${whole(trace.requests)} references of ${about}${whole(trace.footprint)} ${trace.unit}; ${percent(cold)} are the first of their ${one}`,
  ];
  if (sample === null) return lines;
  lines.push(
    sample.method === 'fixed-rate'
      ? `estimated from ${percent(sample.rate)} of the ids (SHARDS, fixed rate)`
      : `estimated from a sample of fixed size, ${percent(sample.rate)} of the ids at the end (SHARDS, fixed size)`,
  );
  for (const { policy, meanAbsoluteError, maxAbsoluteError, sizes } of sample.errors ?? [])
    lines.push(
      `${policy}: mean absolute error of the miss ratio ${meanAbsoluteError.toFixed(4)}, at most ${maxAbsoluteError.toFixed(4)}, against exact counts at ${sizes} sizes`,
    );
  if (sample.errors === null) lines.push('not compared with exact counts, which would take long: --check-error does');
  return lines;
}

/** Miss ratios: a line a size, a column a policy; a block for each container that has a cache of its own. */
export function mrcTable(result: MrcResult): string[][] {
  const policies = [...new Set(result.rows.map((row) => row.policy))];
  const containers = [...new Set(result.rows.map((row) => row.container))];
  const several = containers.length > 1;
  const rows = [[...(several ? ['cache of'] : []), result.trace.unit, 'of footprint', ...policies]];
  for (const container of containers) {
    const own = result.rows.filter((row) => row.container === container);
    for (const size of new Set(own.map((row) => row.size)))
      rows.push([
        ...(several ? [container ?? 'all'] : []),
        whole(size),
        percent(size / result.trace.footprint),
        ...policies.map((policy) => {
          const row = own.find((one) => one.policy === policy && one.size === size);
          return row === undefined ? '' : percent(row.missRatio);
        }),
      ]);
  }
  return rows;
}

/** Refault distances: a line a power of two, a column a policy and size. */
export function refaultTable(result: MrcResult): string[][] {
  const measured = result.rows.filter((row) => row.container === null && row.refaultDistances !== undefined);
  if (measured.length === 0) return [];
  const powers = [...new Set(measured.flatMap((row) => row.refaultDistances!.map(({ from }) => from)))].sort(
    (a, b) => a - b,
  );
  return [
    ['refault distance', ...measured.map((row) => `${row.policy} ${whole(row.size)}`)],
    ...powers.map((from) => [
      from === 1 ? '1' : `${whole(from)}–${whole(2 * from - 1)}`,
      ...measured.map((row) => whole(row.refaultDistances!.find((bin) => bin.from === from)?.refaults ?? 0)),
    ]),
  ];
}
