import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../replay/support.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const MARK = '\u0000block';

/** The guide's TypeScript blocks, each with what the block after it says it prints. */
function blocks(): { code: string; prints: string }[] {
  const guide = readFileSync(join(ROOT, 'docs/erofs.md'), 'utf8');
  const all = [...guide.matchAll(/^```ts\n([\s\S]*?)^```\n(?:```\n([\s\S]*?)^```\n)?/gm)];
  return all.map(([, code, prints]) => ({ code: code!, prints: prints ?? '' }));
}

test("the guide's program type-checks against the package, and prints what the guide says", () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
  symlinkSync(ROOT, join(folder, 'node_modules/foliolab'));
  symlinkSync(join(ROOT, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'));
  const source = join(folder, 'guide.mts');
  const all = blocks();
  expect(all.length).toBeGreaterThan(8);
  writeFileSync(source, all.map((b) => b.code).join(`console.log(${JSON.stringify(MARK)});\n`));

  const program = ts.createProgram([source], {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(folder, 'node_modules/@types')],
  });
  const { diagnostics } = program.emit();
  const told = [...ts.getPreEmitDiagnostics(program), ...diagnostics];
  expect(told.map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'))).toEqual([]);

  const { stdout, stderr, status } = spawnSync(process.execPath, [join(folder, 'guide.mjs')], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  expect([stderr, status]).toEqual(['', 0]);
  expect(stdout.split(`${MARK}\n`)).toEqual(all.map((b) => b.prints));
});

test('every exported symbol of foliolab/erofs, and every field, is documented', () => {
  const options = join(temporaryFolder(), 'typedoc.json');
  const content = {
    entryPoints: [join(ROOT, 'src/erofs/index.ts')],
    tsconfig: join(ROOT, 'tsconfig.json'),
    emit: 'none',
    excludePrivate: true,
    disableSources: true,
    validation: { notDocumented: true, notExported: true, invalidLink: true },
    // Said by what they are part of: { offset, bytes } and { major, minor }.
    intentionallyNotDocumented: ['Piece.offset', 'Piece.bytes', 'Inode.rdev.__type.major', 'Inode.rdev.__type.minor'],
    treatWarningsAsErrors: true,
  };
  writeFileSync(options, JSON.stringify(content));
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [join(ROOT, 'node_modules/typedoc/bin/typedoc'), '--options', options],
    { cwd: ROOT, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } },
  );
  expect([status, stdout.trim(), stderr.trim()]).toEqual([0, '', '']);
}, 60_000);
