/** In the place of JupyterLab's plugin for settings, which a page's main thread computes a fifth of its time for. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { PageConfig } from '@jupyterlab/coreutils';
import { ISettingConnector, ISettingRegistry, SettingRegistry } from '@jupyterlab/settingregistry';
import { LazyValidator } from './lazy-validator.js';
import { SettingConnector } from './setting-connector.js';

/** JupyterLab's, which `package.json` turns off: a server that has this extension says so to its pages. */
export const REPLACED = '@jupyterlab/apputils-extension:settings';

/** JupyterLab's own registry, as its own plugin makes it, but for the validator. */
export const settings: JupyterFrontEndPlugin<Promise<ISettingRegistry>> = {
  id: 'inset-bridge:settings',
  description: 'Provides the setting registry.',
  autoStart: true,
  optional: [ISettingConnector],
  provides: ISettingRegistry,
  activate: async (app: JupyterFrontEnd, provided: ISettingConnector | null) => {
    const connector = provided ?? new SettingConnector(app.serviceManager.settings);
    // What schemas have to be like, only a registry tells.
    const { schema } = new SettingRegistry({ connector, validator: new LazyValidator({}) });
    const { values } = await connector.list('active');
    // Others are of other pages, and their toolbars and menus would show in this one.
    const plugins = values.filter(({ id }) => app.hasPlugin(id));
    const registry = new SettingRegistry({ connector, validator: new LazyValidator(schema), plugins });
    void loadTheRest(app, connector, registry);
    return registry;
  },
};

/** Those whose settings nothing has asked for, and that were not there to be loaded with the others. */
async function loadTheRest(app: JupyterFrontEnd, connector: ISettingConnector, registry: ISettingRegistry): Promise<void> {
  await app.restored;
  const { ids } = await connector.list('ids');
  for (const id of ids) {
    if (!app.hasPlugin(id) || PageConfig.Extension.isDisabled(id) || id in registry.plugins) continue;
    registry.load(id).catch((error: unknown) => { console.warn(`Settings failed to load for (${id})`, error); });
  }
}
