import { expect, test } from 'vitest';
import { FEATURES, supportMarkdown, supportTable } from './support.ts';

test('every feature of the support table is in some fixture; the table is the one recorded', async () => {
  const table = supportTable();
  expect(table.filter((row) => row.fixtures.length === 0).map((row) => row.name)).toEqual([]);
  expect(new Set(FEATURES.map((f) => f.name)).size).toBe(FEATURES.length);
  await expect(supportMarkdown(table)).toMatchFileSnapshot('../fixtures/erofs/SUPPORT.md');
});
