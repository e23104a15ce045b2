import { readFile } from 'node:fs/promises';
import { createRequire, type LoadHook } from 'node:module';
import { fileURLToPath } from 'node:url';

interface TypeScript {
  transpileModule(source: string, options: object): { outputText: string };
  ModuleKind: { ESNext: number };
  ScriptTarget: { ES2023: number };
}

/** Loads TypeScript as JavaScript, its types left out: for versions of Node that can't, by the package `typescript`. */
export const load: LoadHook = async (url, context, next) => {
  if (!url.startsWith('file:') || !/\.[m]?ts$/.test(url)) return next(url, context);
  const path = fileURLToPath(url);
  const ts = typescriptOf(path);
  const source = await readFile(path, 'utf8');
  const { outputText } = ts.transpileModule(source, {
    fileName: path,
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true },
  });
  return { format: 'module', source: outputText, shortCircuit: true };
};

/** The package that belongs to the file, or else ours. */
function typescriptOf(path: string): TypeScript {
  for (const from of [path, import.meta.url]) {
    try {
      return createRequire(from)('typescript') as TypeScript;
    } catch {}
  }
  throw new Error('TypeScript needs Node.js 22.18, or the package typescript; a .js file needs neither');
}
