/** Cells that the page around makes or rewrites: edits like the user's own, which he can undo. */
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { CommandValues } from '../../../frontend-snippet/src/protocol.js';

/** A command that can't be obeyed for a reason that the page around may branch on. */
export class CommandError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Make a cell, and give its id. Raises `bad-value`. */
export function insertCell({ content }: NotebookPanel, { kind, source, at }: CommandValues['insert-cell']): string {
  const model = content.model?.sharedModel;
  if (!model) throw new Error('The notebook is not open.');
  const index = at ?? model.cells.length;
  if (index < 0 || index > model.cells.length) throw new CommandError('bad-value', 'The notebook has no such place.');
  // Trusted like what the user types: it has no outputs yet, and those it will have are of his own run.
  const metadata = kind === 'code' ? { trusted: true } : {};
  return model.insertCell(index, { cell_type: kind, source, metadata }).id;
}

/** Put another text into a cell. Raises `no-such-cell`; `not-allowed` for one that the notebook itself says is not to be edited. */
export function replaceCell({ content }: NotebookPanel, { id, source }: CommandValues['replace-cell']): void {
  const cell = content.model?.sharedModel.cells.find((one) => one.id === id);
  if (!cell) throw new CommandError('no-such-cell', 'The notebook has no such cell.');
  if (cell.getMetadata('editable') === false) throw new CommandError('not-allowed', 'This cell is not to be edited.');
  cell.setSource(source);
}
