/** What the page around may have the notebook do, and what it is told of the kernel. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import { type Command, type CommandValues, type DoCommand, type FrameMessage, isValueOf, type Untagged } from '../../../frontend-snippet/src/protocol.js';
import type { May } from './capabilities.js';
import { colour, hide } from './appearance.js';
import { CommandError, insertCell, replaceCell } from './cells.js';
import { goTo } from './go-to.js';
import { watchHeight } from './height.js';

type Report = (message: Untagged<FrameMessage>) => void;

/** What each takes; all others need no leave. */
const TAKES: Partial<Record<Command, 'run' | 'edit'>> = { 'run-all': 'run', interrupt: 'run', restart: 'run', 'read-only': 'edit', 'insert-cell': 'edit', 'replace-cell': 'edit' };
/** What a notebook that is read-only just now does not take, though the user may. */
const WRITES: readonly Command[] = ['insert-cell', 'replace-cell'];
const THEMES = { light: 'JupyterLab Light', dark: 'JupyterLab Dark' };

/** Do what is asked, and answer. */
export async function obey(app: JupyterFrontEnd, panel: NotebookPanel, may: May, message: DoCommand, report: Report): Promise<Untagged<FrameMessage>> {
  const { request, command, value } = message;
  const takes = TAKES[command];
  if (takes && !may.has(takes)) return { type: 'command-failed', request, code: 'not-allowed', message: 'The user may not do that.' };
  if (!isValueOf(command, value)) return { type: 'command-failed', request, code: 'bad-value', message: 'That is not what this command needs.' };
  if (WRITES.includes(command) && readOnly.has(panel)) return { type: 'command-failed', request, code: 'read-only', message: 'The notebook is read-only just now.' };
  try {
    const result = await (DO[command] as Doing<Command>)({ app, panel, report }, value);
    return { type: 'done', request, ...(typeof result === 'string' && { result }) };
  } catch (error) {
    const code = error instanceof CommandError ? error.code : 'command-failed';
    const why = error instanceof Error ? error.message : 'It did not work.';
    return { type: 'command-failed', request, code, message: why };
  }
}

interface Where {
  app: JupyterFrontEnd;
  panel: NotebookPanel;
  report: Report;
}
/** Does a command with the value that it was found to have; gives what the page around is given. */
type Doing<C extends Command> = (where: Where, value: CommandValues[C]) => unknown;

const DO: { [C in Command]: Doing<C> } = {
  'go-to': async ({ panel }, value) => {
    await panel.revealed;
    await goTo(panel, Math.min(value, panel.content.widgets.length - 1));
  },
  'run-all': async ({ panel: { content, sessionContext } }) => {
    // Jupyter drops what is run before its kernel answers, and calls it run.
    await sessionContext.ready;
    await sessionContext.session?.kernel?.info;
    if (!(await NotebookActions.runAll(content, sessionContext))) throw new Error('A cell failed.');
  },
  interrupt: async ({ panel: { sessionContext } }) => { await sessionContext.session?.kernel?.interrupt(); },
  restart: async ({ panel: { sessionContext } }) => { await sessionContext.session?.kernel?.restart(); },
  'read-only': ({ panel }, value) => { setReadOnly(panel, value); },
  theme: ({ app }, value) => app.commands.execute('apputils:change-theme', { theme: THEMES[value] }),
  colors: (_, value) => { colour(value); },
  hide: ({ app }, value) => { hide(app.shell, value); },
  'insert-cell': ({ panel }, value) => insertCell(panel, value),
  'replace-cell': ({ panel }, value) => { replaceCell(panel, value); },
  'tell-height': ({ panel, report }, value) => {
    heights.get(panel)?.();
    heights.delete(panel);
    if (value) heights.set(panel, watchHeight(panel, (height) => { report({ type: 'height', height }); }));
  },
};

/** What ends the watching of a notebook's height. */
const heights = new WeakMap<NotebookPanel, () => void>();

/** The notebooks whose cells can't be typed in just now; those that are added meanwhile can't either. */
const readOnly = new WeakSet<NotebookPanel>();

function setReadOnly(panel: NotebookPanel, on: boolean): void {
  const apply = () => {
    for (const cell of panel.content.widgets) {
      // For this page only: nothing of it is written into the notebook.
      cell.syncEditable = false;
      cell.readOnly = readOnly.has(panel);
    }
  };
  if (readOnly.has(panel) === on) return;
  if (on) readOnly.add(panel);
  else readOnly.delete(panel);
  if (on) panel.context.model.cells.changed.connect(apply);
  apply();
}

/** Tell which cell is the active one, and how many are selected, where that changes. */
export function tellOfSelection({ content }: NotebookPanel, report: Report): void {
  let told = '';
  const look = () => {
    const cell = content.activeCellIndex;
    const selected = content.widgets.filter((one) => content.isSelectedOrActive(one)).length;
    if (cell < 0 || told === `${String(cell)} ${String(selected)}`) return;
    told = `${String(cell)} ${String(selected)}`;
    report({ type: 'selection', cell, selected });
  };
  content.activeCellChanged.connect(look);
  content.selectionChanged.connect(look);
}

/** Tell of the kernel's state and of cells that ran: never what they hold. */
export function tellOfRuns(panel: NotebookPanel, report: Report): void {
  const began = new WeakMap<object, number>();
  const scheduled = (_: unknown, { notebook, cell }: NotebookActions.Execution) => {
    if (notebook === panel.content) began.set(cell, performance.now());
  };
  const executed = (_: unknown, { notebook, cell, success }: NotebookActions.Execution & { success: boolean }) => {
    const start = began.get(cell);
    if (notebook !== panel.content || start === undefined) return;
    const seconds = (performance.now() - start) / 1000;
    report({ type: 'executed', cell: panel.content.widgets.indexOf(cell), seconds, failed: !success });
  };
  NotebookActions.executionScheduled.connect(scheduled);
  NotebookActions.executed.connect(executed);
  panel.sessionContext.statusChanged.connect((_, state) => { report({ type: 'kernel', state }); });
  panel.context.disposed.connect(() => {
    NotebookActions.executionScheduled.disconnect(scheduled);
    NotebookActions.executed.disconnect(executed);
  });
}
