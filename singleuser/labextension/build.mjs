// Bundles the page extension into the folder that JupyterLab's server finds it in.
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const target = fileURLToPath(new URL('../inset_bridge/labextension/', import.meta.url));

/** Takes esbuild's `build` from the SDK's tool chain, so that this folder needs no tools of its own. */
export async function buildExtension({ build }) {
  const { name, version, description, license, jupyterlab } = JSON.parse(await readFile(`${here}package.json`, 'utf8'));
  const { outputFiles, metafile } = await build({
    absWorkingDir: here,
    entryPoints: ['src/index.ts'],
    bundle: true,
    format: 'cjs',
    target: 'es2022',
    external: ['@jupyterlab/*', '@lumino/*'],
    write: false,
    metafile: true,
  });
  const inputs = Object.values(metafile.outputs).flatMap(({ imports }) => imports);
  const shared = [...new Set(inputs.map(({ path }) => path))].sort();
  const container = (await readFile(`${here}container.js`, 'utf8'))
    .replace("/* @name */ ''", () => JSON.stringify(name))
    .replace('/* @shared */ []', () => JSON.stringify(shared))
    .replace('/* @extension */\n  const extension = undefined;', () => `const extension = (module, require) => {\n${outputFiles[0].text}};`);
  const hash = createHash('sha256').update(container).digest('hex').slice(0, 16);
  const entry = `static/remoteEntry.${hash}.js`;
  const manifest = { name, version, description, license, jupyterlab: { ...jupyterlab, _build: { load: entry, extension: './extension' } } };

  await rm(target, { recursive: true, force: true });
  await mkdir(`${target}static`, { recursive: true });
  await writeFile(target + entry, container);
  await writeFile(`${target}package.json`, `${JSON.stringify(manifest, null, 2)}\n`);
}
