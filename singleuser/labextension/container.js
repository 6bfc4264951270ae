// A module federation container, as JupyterLab loads it, without a federation bundler: JupyterLab
// asks for `get` and `init` and shares its own modules by name. The build puts the bundled
// extension, a CommonJS module, in the place of `extension`.
{
  const NAME = /* @name */ '';
  const SHARED = /* @shared */ [];
  /* @extension */
  const extension = undefined;

  let scope;

  // One version of each of these exists at a time; where two are offered the one in use is it.
  const load = async (name) => {
    const versions = Object.values(scope[name] ?? {});
    const chosen = versions.find(({ loaded }) => loaded) ?? versions[0];
    if (!chosen) throw new Error(`${NAME}: JupyterLab does not share ${name}`);
    return [name, (await chosen.get())()];
  };

  (globalThis._JUPYTERLAB ??= {})[NAME] = {
    init(shareScope) {
      scope = shareScope;
    },
    async get() {
      const modules = Object.fromEntries(await Promise.all(SHARED.map(load)));
      return () => {
        const module = { exports: {} };
        extension(module, (name) => modules[name]);
        return module.exports;
      };
    },
  };
}
