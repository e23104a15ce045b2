import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CSV_COLUMNS } from '../../../src/replay/report/csv.ts';
import { containersCsv, readResult, toCsv, toJson, toMarkdown, writeFiles } from '../../../src/replay/report/index.ts';
import { documentJson } from '../../../src/replay/report/json.ts';
import { hostileResult, realisticResult, smallResult } from './fixture.ts';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'foliolab-report-'));
});
afterAll(() => rm(dir, { recursive: true }));

describe('CSV', () => {
  it('reads back as the rows, whatever the names hold', () => {
    const result = hostileResult();
    const back = parse(toCsv(result), { columns: true }) as Record<string, string>[];
    expect(back).toHaveLength(result.rows.length);
    back.forEach((record, i) => {
      expect(Object.keys(record)).toEqual([...CSV_COLUMNS]);
      for (const column of CSV_COLUMNS) expect(record[column]).toBe(String(result.rows[i]![column] ?? ''));
    });
  });

  it('of containers has one line each', () => {
    const result = hostileResult();
    const back = parse(containersCsv(result), { columns: true }) as Record<string, string>[];
    const names = result.rows.flatMap((r) => r.containers.map((c) => c.name));
    expect(back.map((r) => r.container)).toEqual(names);
  });

  it('keeps any text in one field', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (workload) => {
        const result = smallResult();
        const csv = toCsv({ ...result, rows: [{ ...result.rows[0]!, workload }] });
        expect((parse(csv, { columns: true }) as Record<string, string>[])[0]!.workload).toBe(workload);
      }),
    );
  });
});

describe('JSON', () => {
  it('reads back as the same result, and writes the same bytes again', async () => {
    for (const result of [realisticResult(), smallResult(), hostileResult()]) {
      const text = toJson(result);
      expect(text.endsWith('}\n')).toBe(true);
      expect(JSON.parse(text)).toEqual(result);
      const path = join(dir, 'back.json');
      await writeFile(path, text);
      expect(documentJson(await readResult(path))).toBe(toJson(JSON.parse(text)));
    }
  });

  it('does not depend on the order in which keys were set', () => {
    const result = smallResult();
    const shuffled = Object.fromEntries(Object.entries(result).reverse()) as unknown as typeof result;
    expect(toJson(shuffled)).toBe(toJson(result));
  });
});

describe('Markdown', () => {
  it('has no line, cell or tag from a hostile name', () => {
    const text = toMarkdown(hostileResult());
    // Outside the indented command and code spans there is no raw tag but our own <br>.
    const prose = text.replace(/^ {4}.*$/gm, '').replace(/(`+)[^`].*?\1(?!`)/g, '');
    expect(prose.replaceAll('<br>', '').match(/.*<[\w/].*/)).toBeNull();
    const bars = (line: string) => line.replaceAll('\\|', '').split('|').length;
    const table = text.split('\n').filter((l) => l.startsWith('| '));
    const widths = new Set(table.map(bars));
    expect(widths.size).toBe(2);
  });
});

describe('readResult', () => {
  /** The message for a document with some fields replaced (undefined: left out), FILE standing for its path. */
  const broken = async (inDocument: object, inRow: object = {}) => {
    const doc = smallResult();
    const rows = [doc.rows[0], { ...doc.rows[1], ...inRow }];
    const path = join(dir, 'broken.json');
    await writeFile(path, JSON.stringify({ ...doc, rows, ...inDocument }));
    const error = await readResult(path).then(
      () => new Error('was accepted'),
      (e: Error) => e,
    );
    return error.message.replace(path, 'FILE');
  };

  it('names the place and what was expected there', async () => {
    expect(await broken({}, { hits: '12' })).toBe('FILE: rows[1].hits: expected number');
    expect(await broken({}, { workload: undefined })).toBe('FILE: rows[1].workload: expected string');
    expect(await broken({}, { from: 'both' })).toBe('FILE: rows[1].from: expected "demand" or "fills"');
    expect(await broken({}, { misses: -1 })).toBe('FILE: rows[1].misses: expected at least 0');
    expect(await broken({ rows: {} })).toBe('FILE: rows: expected array');
    expect(await broken({ schema: undefined })).toBe('FILE: schema: expected string');
  });

  it('refuses another schema by name', async () => {
    expect(await broken({ schema: 'foliolab.replay/2' })).toBe(
      'FILE: schema is "foliolab.replay/2", this version renders foliolab.replay/1, foliolab.mrc/1, foliolab.sweep/1 only',
    );
  });

  it('keeps fields it does not know', async () => {
    const path = join(dir, 'more.json');
    await writeFile(path, JSON.stringify({ ...smallResult(), machine: 'two cores' }));
    expect(documentJson(await readResult(path))).toContain('"machine": "two cores"');
  });

  it('says in one line that a file is missing, is a directory or is not JSON', async () => {
    await expect(readResult(join(dir, 'none.json'))).rejects.toThrow('none.json: no such file');
    await expect(readResult(dir)).rejects.toThrow('is a directory');
    const path = join(dir, 'text.json');
    for (const text of ['', '{"a": 1', 'null\n\n}']) {
      await writeFile(path, text);
      const message = await readResult(path).catch((e: Error) => e.message);
      expect(message).toMatch(/^.*text\.json: is not JSON: [^\n]+$/);
    }
    await writeFile(path, 'null');
    await expect(readResult(path)).rejects.toThrow('text.json: the document: expected object');
  });

  it('fails with its own error on every truncation and on flipped bytes', { timeout: 60_000 }, async () => {
    const text = toJson(smallResult());
    const path = join(dir, 'flipped.json');
    for (let i = 0; i < 300; i++) {
      const bytes = Buffer.from(text);
      if (i % 2 === 0) bytes[(i * 7919) % bytes.length]! ^= 1 << (i % 8);
      await writeFile(path, i % 2 === 0 ? bytes : bytes.subarray(0, (i * 7919) % bytes.length));
      const error = await readResult(path).then(
        () => null,
        (e: Error) => e,
      );
      if (error) expect(error.message).toMatch(/^[^\n]*flipped\.json: [^\n]+$/);
    }
  });
});

describe('writeFiles', () => {
  it('makes the directory and leaves nothing but the files', async () => {
    const out = join(dir, 'a/b');
    const paths = await writeFiles(
      out,
      new Map<string, string | Uint8Array>([
        ['x.txt', 'x\n'],
        ['y.bin', new Uint8Array([1, 2])],
      ]),
    );
    expect(paths).toEqual([join(out, 'x.txt'), join(out, 'y.bin')]);
    expect((await readdir(out)).sort()).toEqual(['x.txt', 'y.bin']);
    expect(await readFile(paths[0]!, 'utf8')).toBe('x\n');
  });

  it('leaves no temporary file and keeps what was there when it cannot finish', async () => {
    const out = join(dir, 'c');
    // The final name is a directory: the rename fails.
    await writeFiles(join(out, 'taken'), new Map([['keep', 'k']]));
    await expect(writeFiles(out, new Map([['taken', 'x']]))).rejects.toThrow(join(out, 'taken'));
    expect(await readdir(out)).toEqual(['taken']);
    expect(await readdir(join(out, 'taken'))).toEqual(['keep']);
  });

  it('says which path could not be written', async () => {
    await writeFile(join(dir, 'file'), '');
    await expect(writeFiles(join(dir, 'file'), new Map([['x', '']]))).rejects.toThrow(join(dir, 'file'));
  });
});
