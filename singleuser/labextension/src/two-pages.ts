/** One notebook open in two pages: what a page can't save, since the other has saved, is kept beside that. */
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { type Bridge, FlushError } from './bridge.js';
import { insideOf } from './inside.js';

/** The content is in the database, and not in the file. Jupyter takes an error of this name for a save called off. */
export class KeptBeside extends FlushError {
  override readonly name = 'ModalCancelError';

  constructor() {
    super('conflict', 'Another page saved this notebook; what this one holds was kept beside that.');
  }
}

/** Have the service keep both instead of the user choose blindly; where it can't, Jupyter asks as ever. */
export function keepBeside(context: DocumentRegistry.IContext<DocumentRegistry.IModel>, bridge: Bridge): void {
  const inside = insideOf(context);
  const ask = inside._raiseConflict?.bind(context);
  if (!ask) return;
  let kept: { opened: string; hash: string; text: string } | undefined;
  inside._raiseConflict = async (onDisk, options) => {
    const opened = inside.contentsModel?.hash ?? '';
    const before = kept?.opened === opened ? kept : undefined;
    const text = JSON.stringify(options.content);
    // Autosave tries again and again what it could not save.
    if (before?.text === text) throw new KeptBeside();
    try {
      kept = { opened, text, hash: await bridge.keep(context.path, options.content, before?.hash ?? opened) };
    } catch {
      return ask(onDisk, options);
    }
    throw new KeptBeside();
  };
}
