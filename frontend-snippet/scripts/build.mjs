// Builds the SDK into dist/ and the page extension into the save bridge's Python package.
import { execFileSync } from 'node:child_process';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { minify } from 'terser';
import { closures } from './closures.mjs';
import { buildExtension } from '../../singleuser/labextension/build.mjs';

const here = fileURLToPath(new URL('..', import.meta.url));

/**
 * Names that the SDK's files say to each other, and to nobody else: shortened, since every byte of them is loaded by
 * every page. None of them may be a name of the API, of the protocol, of the service or of the browser.
 */
const OWN = [
  'advance', 'arrived', 'busy', 'can', 'channel', 'discard', 'element', 'emit', 'enter', 'events', 'fail', 'far', 'flush', 'following',
  'forget', 'frameUrl', 'happened', 'heard', 'learn', 'lines', 'live', 'notice', 'order', 'over', 'owner', 'page', 'paint', 'patience', 'ping', 'press',
  'refused', 'renew', 'say', 'service', 'session', 'setAside', 'setHeight', 'settle', 'show', 'shown', 'stage', 'still', 'stumbled', 'tell', 'transient', 'trouble',
  'uncover', 'view', 'wake',
];

const around = {
  format: 'esm',
  external: ['react'],
  plugins: [{
    name: 'around the SDK',
    setup: (builder) => {
      builder.onResolve({ filter: /^\.\/index\.js$/ }, () => ({ path: './inset-notebook.js', external: true }));
    },
  }],
};
const options = { absWorkingDir: here, outdir: 'dist', bundle: true, target: 'es2022', minify: true };

await rm(`${here}dist`, { recursive: true, force: true });
// What a page needs to embed, and the same with the element for a script tag; what a page loads when something is wrong;
// the element and React's wrapper, around the first.
for (const [name, source, format] of [['inset-notebook', 'src/index.ts', 'esm'], ['script', 'src/element.ts', 'iife']]) {
  await build({ ...options, format, entryPoints: { [name]: source }, plugins: [closures], mangleProps: new RegExp(`^(${OWN.join('|')})$`) });
  await squeeze(`${here}dist/${name}.js`, { module: format === 'esm' });
}
await build({ ...options, entryPoints: { diagnose: 'src/diagnose.ts' }, format: 'esm', sourcemap: true });
// Words, for pages in other languages than English.
await build({ ...options, entryPoints: { languages: 'src/languages.ts' }, format: 'esm' });
// For frameworks that render on the server: this one lives in the browser.
await build({ ...options, ...around, entryPoints: { react: 'src/react.ts' }, banner: { js: "'use client';" } });
await build({ ...options, ...around, entryPoints: { element: 'src/element.ts' } });
// For a host's own tests, in node. The Python kit shows the same frame.
await build({ ...options, entryPoints: { testkit: 'src/testkit/index.ts' }, format: 'esm', platform: 'node', minify: false, loader: { '.html': 'text' } });
await copyFile(`${here}src/inset-notebook.css`, `${here}dist/inset-notebook.css`);
for (const project of ['tsconfig.build.json', 'tsconfig.testkit.json']) {
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', project], { cwd: here, stdio: 'inherit' });
}
await buildExtension({ build });

/** Take out what esbuild leaves in. */
async function squeeze(file, { module }) {
  const { code } = await minify(await readFile(file, 'utf8'), { module, ecma: 2022, compress: { passes: 5, sequences: false, booleans: false, unsafe: true, unsafe_methods: true, unsafe_arrows: true, pure_getters: true, hoist_props: true, keep_fargs: false }, mangle: true });
  await writeFile(file, code);
}
