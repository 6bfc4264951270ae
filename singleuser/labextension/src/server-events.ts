/** What the server asks of the pages that show its notebooks, through Jupyter's own events. */
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { ServiceManager } from '@jupyterlab/services';
import type { Bridge } from './bridge.js';
import type { May } from './capabilities.js';
import { save } from './notebook.js';
import { KeptBeside } from './two-pages.js';

const SCHEMA = 'https://inset/bridge/v1';

/** `flush`: save unsaved edits, so that nothing is lost. `load`: the file was replaced, show the new one. */
type ServerEvent = { path: string } & ({ action: 'flush'; request: string } | { action: 'load' });

/**
 * Obey for every open notebook, not only the frame's own: JupyterLab may show several sessions' notebooks. `loaded` is
 * told the path of one that shows the server's file anew.
 */
export function obeyServer(services: ServiceManager.IManager, tracker: INotebookTracker, bridge: Bridge, may: May, loaded: (path: string) => void): void {
  services.events.stream.connect((_, emission) => {
    if (emission.schema_id !== SCHEMA) return;
    const event = emission as unknown as ServerEvent;
    const context = tracker.find((panel) => panel.context.path === event.path)?.context;
    const done = event.action === 'load' ? context?.revert().then(() => { loaded(event.path); }) : flush(event.path, event.request);

    async function flush(path: string, request: string): Promise<void> {
      // The server waits for every page, since it can't see which of them shows the notebook, and may change it.
      if (!context || !may.has('edit')) return bridge.absent(request);
      if (context.model.dirty) {
        await save(context).catch(async (error: unknown) => {
          // What was kept beside the file is in the database as well, and what had no room in it.
          if (!(error instanceof KeptBeside) && !(await bridge.flush(path, 'save')).disk_full) throw error;
        });
      }
      await bridge.flush(path, 'save', request);
    }

    done?.catch((error: unknown) => { console.warn('inset-bridge:', event.action, error); });
  });
}
