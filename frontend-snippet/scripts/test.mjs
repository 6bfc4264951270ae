// Bundles the unit tests and runs them with node's own runner: no browser, no test framework.
import { spawnSync } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { closures } from './closures.mjs';

const here = fileURLToPath(new URL('..', import.meta.url));
const tests = (await readdir(`${here}tests`)).filter((name) => name.endsWith('.test.ts'));

await rm(`${here}.tests`, { recursive: true, force: true });
await build({
  absWorkingDir: here,
  entryPoints: tests.map((name) => `tests/${name}`),
  outdir: '.tests',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: 'inline',
  // The package says of its sources that they have no effects; a page for tests has one.
  ignoreAnnotations: true,
  // Tested is what is shipped.
  plugins: [closures],
});
const built = tests.map((name) => `.tests/${name.replace(/\.ts$/, '.mjs')}`);
const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...built], { cwd: here, stdio: 'inherit' });
process.exitCode = status ?? 1;
