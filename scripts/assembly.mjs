// Compiles src/erofs/assembly to src/erofs/codecs-wasm.ts, or with --check says whether that is what it compiles to.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = join(root, 'src/erofs/codecs-wasm.ts');
const options = ['-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--use', 'abort='];

function compile() {
  const dir = mkdtempSync(join(tmpdir(), 'foliolab-assembly-'));
  try {
    const out = join(dir, 'codecs.wasm');
    const asc = join(root, 'node_modules/assemblyscript/bin/asc.js');
    execFileSync(process.execPath, [asc, 'src/erofs/assembly/index.ts', ...options, '-o', out], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    return readFileSync(out);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const wasm = compile();
const text = `// Made by \`npm run assembly\` from assembly/: ${wasm.length} bytes of WebAssembly.
export const CODECS_WASM =
  '${wasm.toString('base64')}';
`;
if (!process.argv.includes('--check')) {
  writeFileSync(target, text);
} else if (readFileSync(target, 'utf8') !== text) {
  process.stderr.write('src/erofs/codecs-wasm.ts is not what src/erofs/assembly compiles to: npm run assembly\n');
  process.exitCode = 1;
}
