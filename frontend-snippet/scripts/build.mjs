// Builds the SDK into dist/ and the page extension into the save bridge's Python package.
import { execFileSync } from 'node:child_process';
import { copyFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildExtension } from '../../singleuser/labextension/build.mjs';

const here = fileURLToPath(new URL('..', import.meta.url));

await rm(`${here}dist`, { recursive: true, force: true });
await build({
  absWorkingDir: here,
  // Two bundles: what a page needs to embed, and what it loads when something is wrong.
  entryPoints: { 'inset-notebook': 'src/index.ts', diagnose: 'src/diagnose.ts' },
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  sourcemap: true,
});
await copyFile(`${here}src/inset-notebook.css`, `${here}dist/inset-notebook.css`);
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { cwd: here, stdio: 'inherit' });
await buildExtension({ build });
