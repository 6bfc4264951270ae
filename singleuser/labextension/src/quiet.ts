/** Where the page around tells that the notebook is offline, Jupyter opens no dialogs about it, which would outlast that. */
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { ServiceManager } from '@jupyterlab/services';
import { insideOf } from './inside.js';

/** A save that nobody answered is tried again, and no error of the notebook's; all others Jupyter shows as ever. */
export function saveQuietly(context: DocumentRegistry.IContext<DocumentRegistry.IModel>, told: () => boolean): void {
  const inside = insideOf(context);
  const show = inside._handleError?.bind(context);
  if (!show) return;
  inside._handleError = async (error, title) => { if (!(told() && isUnanswered(error))) await show(error, title); };
}

/** The same for what Jupyter asks its server every few seconds. */
export function askQuietly({ connectionFailure }: ServiceManager.IManager, told: () => boolean): void {
  const emit = connectionFailure.emit.bind(connectionFailure);
  connectionFailure.emit = (error) => { if (!(told() && isUnanswered(error))) emit(error); };
}

/** Jupyter's own error for a request that did not come through is one of these, as the browser's is. */
function isUnanswered(error: unknown): boolean {
  return error instanceof TypeError;
}
