/** One save of a notebook after the other, and none takes for saved what was typed meanwhile: Jupyter's own do neither. */
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { insideOf } from './inside.js';

/** How long a save that nobody answers, as over a network that has died, holds up the next. */
const PATIENCE = 20_000;

/**
 * Two saves at once, as the user's own beside an autosave, would take the file that the other has just written for
 * somebody else's, and a save while its page renames the file would make a new one of the old name. So each waits for
 * those before it, though not for ever: the server takes one that overtakes another for what it is. Saves that wait are
 * one: it saves the newest.
 */
export function saveInTurn(context: DocumentRegistry.IContext<DocumentRegistry.IModel>): void {
  const inside = insideOf(context);
  const save = inside._save?.bind(context);
  const rename = context.rename.bind(context);
  if (!save) return;
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<void> | undefined;

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work);
    const patience = new Promise((resolve) => { setTimeout(resolve, PATIENCE); });
    last = Promise.race([done.catch(() => undefined), patience]);
    return done;
  };
  const begin = (): Promise<void> => {
    next = undefined;
    return context.isDisposed ? Promise.resolve() : keepingDirty(context.model, save);
  };

  inside._save = () => (next ??= inTurn(begin));
  context.rename = (name) => inTurn(() => rename(name));
}

/** Save, and know afterwards of what came too late for it. */
async function keepingDirty(model: DocumentRegistry.IModel, save: () => Promise<void>): Promise<void> {
  let changes = 0;
  const note = (): void => { changes++; };
  model.contentChanged.connect(note);
  try {
    await save();
  } finally {
    model.contentChanged.disconnect(note);
  }
  if (changes > 0) model.dirty = true;
}
