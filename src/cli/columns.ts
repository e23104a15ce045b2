/** Rows of cells as lines: columns two spaces apart, numbers to the right. @param right columns that are numbers */
export function columns(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows.map((row) => line(row, widths, right)).join('');
}

/** One line of it. @param widths of the columns */
function line(row: readonly string[], widths: readonly number[], right: readonly number[] = []): string {
  const cells = row.map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)));
  return `${cells.join('  ').trimEnd()}\n`;
}
