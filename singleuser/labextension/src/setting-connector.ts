/** JupyterLab's way from the registry of settings to its server. Notebook's page has it inside the plugin that is replaced. */
import { PageConfig } from '@jupyterlab/coreutils';
import type { Setting } from '@jupyterlab/services';
import type { Plugin } from '@jupyterlab/settingregistry';
import { DataConnector } from '@jupyterlab/statedb';
import { Throttler } from '@lumino/polling';

/** Who asks for the same settings again within these milliseconds gets the same answer. */
const PATIENCE = 100;

export class SettingConnector extends DataConnector<Plugin> {
  private readonly asking = new Map<string, Throttler<Plugin>>();

  constructor(private readonly server: Setting.IManager) { super(); }

  override async fetch(id: string): Promise<Plugin> {
    const asking = this.asking.get(id) ?? new Throttler(() => this.server.fetch(id), PATIENCE);
    this.asking.set(id, asking);
    return asking.invoke();
  }

  override async list(query: 'active' | 'all' | 'ids' = 'all'): Promise<{ ids: string[]; values: Plugin[] }> {
    const { ids, values } = await this.server.list(query === 'ids' ? 'ids' : undefined);
    const { isDisabled } = PageConfig.Extension;
    if (query !== 'active') return { ids, values };
    return { ids: ids.filter((id) => !isDisabled(id)), values: values.filter(({ id }) => !isDisabled(id)) };
  }

  override async save(id: string, raw: string): Promise<void> {
    await this.server.save(id, raw);
  }
}
