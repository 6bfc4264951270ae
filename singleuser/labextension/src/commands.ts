/** What the page around may have the notebook do, and what it is told of the kernel. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import type { Command, DoCommand, FrameMessage, Untagged } from '../../../frontend-snippet/src/protocol.js';
import type { May } from './capabilities.js';
import { goTo } from './go-to.js';

type Report = (message: Untagged<FrameMessage>) => void;

/** What each takes; all others need no leave. */
const TAKES: Partial<Record<Command, 'run' | 'edit'>> = { 'run-all': 'run', interrupt: 'run', restart: 'run', 'read-only': 'edit' };
const THEMES = { light: 'JupyterLab Light', dark: 'JupyterLab Dark' };

/** Do what is asked, and answer. */
export async function obey(app: JupyterFrontEnd, panel: NotebookPanel, may: May, message: DoCommand): Promise<Untagged<FrameMessage>> {
  const { request, command, value } = message;
  const takes = TAKES[command];
  if (takes && !may.has(takes)) return { type: 'command-failed', request, code: 'not-allowed', message: 'The user may not do that.' };
  try {
    await DO[command](app, panel, value);
    return { type: 'done', request };
  } catch (error) {
    const why = error instanceof Error ? error.message : 'It did not work.';
    return { type: 'command-failed', request, code: 'command-failed', message: why };
  }
}

const DO: Record<Command, (app: JupyterFrontEnd, panel: NotebookPanel, value: DoCommand['value']) => Promise<unknown>> = {
  'go-to': async (_, panel, value) => {
    await panel.revealed;
    await goTo(panel, Math.min(Number(value), panel.content.widgets.length - 1));
  },
  'run-all': async (_, { content, sessionContext }) => {
    if (!(await NotebookActions.runAll(content, sessionContext))) throw new Error('A cell failed.');
  },
  interrupt: async (_, { sessionContext }) => { await sessionContext.session?.kernel?.interrupt(); },
  restart: async (_, { sessionContext }) => { await sessionContext.session?.kernel?.restart(); },
  'read-only': (_, panel, value) => {
    setReadOnly(panel, value === true);
    return Promise.resolve();
  },
  theme: (app, _, value) => app.commands.execute('apputils:change-theme', { theme: value === 'dark' ? THEMES.dark : THEMES.light }),
};

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
