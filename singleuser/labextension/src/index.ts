/** The page side of the save bridge: lets the page around the frame save the notebook inside. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { PageConfig } from '@jupyterlab/coreutils';
import { IMainMenu } from '@jupyterlab/mainmenu';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { COMMANDS, type CookieMode, type DoCommand, type PageMessage } from '../../../frontend-snippet/src/protocol.js';
import { Bridge } from './bridge.js';
import { type May, readMay, restrict } from './capabilities.js';
import { obey, tellOfRuns, tellOfSelection } from './commands.js';
import { keepLinksInFrame } from './links.js';
import { Notebook, save } from './notebook.js';
import { PageAround } from './page-around.js';
import { askQuietly, saveQuietly } from './quiet.js';
import { Renewal } from './renewal.js';
import { replaceWhatWasOpened } from './replacing.js';
import { saveInTurn } from './saves-in-turn.js';
import { obeyServer } from './server-events.js';
import { REPLACED, settings } from './settings.js';
import { keepBeside } from './two-pages.js';

/** The user's own ways to save; all others are autosaves. */
const SAVE_COMMANDS = ['docmanager:save', 'docmanager:save-all'];

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'inset-bridge:plugin',
  description: 'Connects the notebook with the page around it.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [IMainMenu],
  activate: (app: JupyterFrontEnd, tracker: INotebookTracker, menus: IMainMenu | null) => {
    const api = PageConfig.getOption('insetApi');
    if (!api) return;
    const bridge = new Bridge(api, app.serviceManager.serverSettings);
    const may = readMay();
    restrict(app, tracker, menus, may);
    if (may.has('edit')) {
      const care = ({ context }: NotebookPanel): void => {
        saveInTurn(context);
        replaceWhatWasOpened(context);
        keepBeside(context, bridge);
      };
      tracker.forEach(care);
      tracker.widgetAdded.connect((_, panel) => { care(panel); });
    }
    const embedded = window.parent === window ? undefined : embed(app, tracker, bridge, may);
    obeyServer(app.serviceManager, tracker, bridge, may, (path) => { embedded?.loaded(path); });
  },
};

// Two that provide the same would both be activated.
export default PageConfig.Extension.isDisabled(REPLACED) ? [settings, plugin] : [plugin];

/** Serve the page around the frame, for the one notebook that this page was opened with. */
function embed(app: JupyterFrontEnd, tracker: INotebookTracker, bridge: Bridge, may: May): { loaded: (path: string) => void } {
  const path = openedPath();
  const mode = PageConfig.getOption('insetMode') as CookieMode;
  let panel: NotebookPanel | undefined;
  let notebook: Notebook | undefined;

  const page = new PageAround({
    origins: JSON.parse(PageConfig.getOption('insetOrigins') || '[]') as string[],
    capabilities: path === undefined ? [] : ['save', 'dirty', ...COMMANDS],
    connected: () => notebook?.introduce(),
    heard: (message) => { answer(message); },
  });

  askQuietly(app.serviceManager, () => page.listening);

  const renewal = new Renewal(() => { page.say({ type: 'expiring' }); }, (ticket) => bridge.enter(ticket));
  renewal.endsIn(Number(PageConfig.getOption('insetExpiresIn') || Infinity));

  function answer(message: PageMessage): void {
    if (message.type === 'renew') void renewal.take(message.ticket).then(reconnect);
    else if (message.type === 'command') void command(message);
    else if (message.type === 'ping') page.say({ type: 'pong', request: message.request });
    else if (notebook) void notebook.save(message.request);
    else page.say({ type: 'save-failed', code: 'not-ready', message: 'No notebook is open.', request: message.request });
  }

  async function command(message: DoCommand): Promise<void> {
    const { request } = message;
    if (panel) page.say(await obey(app, panel, may, message, (told) => { page.say(told); }));
    else page.say({ type: 'command-failed', code: 'not-ready', message: 'No notebook is open.', request });
  }

  /** What was cut while nobody was let in, Jupyter tries again ever more rarely. */
  async function reconnect(): Promise<void> {
    const kernel = panel?.context.sessionContext.session?.kernel;
    if (kernel && kernel.connectionStatus !== 'connected') await kernel.reconnect();
  }

  async function adopt(added: NotebookPanel): Promise<void> {
    if (panel || added.context.path !== path) return;
    panel = added;
    saveQuietly(added.context, () => page.listening);
    added.context.disposed.connect(() => { panel = notebook = undefined; });
    await added.context.ready;
    notebook = new Notebook(added.context, bridge, { mode, may }, (message) => { page.say(message); });
    tellOfRuns(added, (message) => { page.say(message); });
    tellOfSelection(added, (message) => { page.say(message); });
    notebook.introduce();
  }

  const open = tracker.find(({ context }) => context.path === path);
  if (open) void adopt(open);
  tracker.widgetAdded.connect((_, added) => { void adopt(added); });
  app.commands.commandExecuted.connect((_, { id, result }) => {
    if (SAVE_COMMANDS.includes(id)) void notebook?.savedByUser(result);
  });
  window.addEventListener('pagehide', () => { notebook?.leave(); });
  keepLinksInFrame(async () => {
    if (panel?.context.model.dirty) await save(panel.context);
  });
  return { loaded: (shown) => { if (shown === panel?.context.path) notebook?.loaded(); } };
}

/** The notebook's path as the page's address has it, in Notebook and in JupyterLab. */
function openedPath(): string | undefined {
  const { pathname } = new URL(PageConfig.getBaseUrl());
  const page = decodeURIComponent(location.pathname).slice(decodeURIComponent(pathname).length);
  return /^(?:notebooks|(?:lab|doc)(?:\/workspaces\/[^/]+)?\/tree)\/(.+\.ipynb)$/.exec(page)?.[1];
}
