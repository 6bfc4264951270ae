/**
 * What the user may not do is neither begun nor offered here. His server refuses it in any case: this keeps its
 * refusals, and Jupyter's dialogs about them, out of his way.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { PageConfig } from '@jupyterlab/coreutils';
import type { IMainMenu } from '@jupyterlab/mainmenu';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { type Capability, toCapabilities } from '../../../frontend-snippet/src/protocol.js';

export type May = ReadonlySet<Capability>;

/** The commands that take each capability, in Notebook and in JupyterLab. */
const COMMANDS: Record<Capability, RegExp> = {
  edit: new RegExp(
    '^(docmanager:(save|rename|duplicate|delete|new-untitled|restore-checkpoint|toggle-autosave)' +
      '|filebrowser:(create|cut|paste|delete|rename|duplicate|upload)' +
      '|notebook:(insert|cut|paste|delete|split|merge|move-cell|undo|redo|change-cell|change-to|duplicate|clear|replace|trust|create-new|edit)' +
      '|editmenu:(undo|redo|clear)|filemenu:new|fileeditor:create|filebrowser:open-url|markdownviewer:edit|documentsearch:startWithReplace' +
      '|application:(rename|duplicate)|launcher:create|settingeditor:)',
  ),
  run: new RegExp(
    '^(runmenu:|kernelmenu:|console:|debugger:|logconsole:|running:|scratchpad|toc:run' +
      '|notebook:(run|restart|interrupt|reconnect|change-kernel|get-kernel|shutdown|create-console|create-new|select-kernel)' +
      '|apputils:change-kernel|filemenu:(new|close-and-cleanup)|fileeditor:create-console)',
  ),
  download: /^(docmanager:(download|open-browser-tab)|filebrowser:(download|copy-download-link|open-browser-tab)|notebook:export|apputils:print)/,
  terminals: /^terminal:/,
};

/** What would do nothing but stand there. */
const HIDDEN: Partial<Record<Capability, string>> = {
  edit: '.inset-writing, .jp-Notebook-footer, .jp-cell-toolbar, .jp-Notebook-toolbarCellType, .lm-TabBar-addButton, [data-jp-item-name="uploader"]',
  run: '.inset-running, .jp-KernelName, .jp-Notebook-ExecutionIndicator, .jp-NotebookKernelStatus, .jp-NotebookKernelLogo',
};
/** Notebook's title asks for another name when it is clicked. */
const TITLE = '#jp-title { pointer-events: none }';

/** What this page's user may do, as its server says. */
export function readMay(): May {
  const said = PageConfig.getOption('insetMay');
  return new Set(toCapabilities(said ? (JSON.parse(said) as string[]) : undefined));
}

/** Has to be called before a notebook opens. */
export function restrict(app: JupyterFrontEnd, tracker: INotebookTracker, menus: IMainMenu | null, may: May): void {
  const { commands, docRegistry } = app;
  const missing = toCapabilities(undefined).filter((one) => !may.has(one));
  if (missing.length === 0) return;
  const refused = (id: string) => missing.some((one) => COMMANDS[one].test(id));
  const isEnabled = commands.isEnabled.bind(commands);
  const isVisible = commands.isVisible.bind(commands);
  // Menus, toolbars and keys all ask these; a command that another plugin has added can't be replaced.
  commands.isEnabled = (id, args) => !refused(id) && isEnabled(id, args);
  commands.isVisible = (id, args) => !refused(id) && isVisible(id, args);
  commands.notifyCommandChanged();

  const style = document.createElement('style');
  style.textContent = missing.flatMap((one) => HIDDEN[one] ?? []).map((found) => `${found} { display: none !important }`).join('\n');
  document.head.append(style);

  // Said of the kernel before Jupyter asks: it would open a dialog where it may start none by itself.
  if (!may.has('run')) {
    docRegistry.getKernelPreference = () => ({ shouldStart: false, canStart: false });
    for (const menu of menus ? [menus.runMenu, menus.kernelMenu] : []) menu.title.className = 'inset-running';
  }
  if (!may.has('edit')) {
    style.textContent += TITLE;
    if (menus) menus.fileMenu.newMenu.title.className = 'inset-writing';
    tracker.forEach(lock);
    tracker.widgetAdded.connect((_, panel) => { lock(panel); });
  }
}

/** Nothing can be typed, and nothing that a kernel or a click changes counts as an edit. */
function lock({ content, context: { model } }: NotebookPanel): void {
  const lockCells = () => {
    for (const cell of content.widgets) {
      cell.syncEditable = false;
      cell.readOnly = true;
    }
  };
  lockCells();
  model.cells.changed.connect(lockCells);
  model.stateChanged.connect((_, { name }) => {
    if (name === 'dirty' && model.dirty) model.dirty = false;
  });
}
