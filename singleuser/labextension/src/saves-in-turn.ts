/** One save of a notebook after the other, and none takes for saved what was typed meanwhile: Jupyter's own do neither. */
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { insideOf } from './inside.js';

/**
 * Two saves at once, as the user's own beside an autosave, would take the file that the other has just written for
 * somebody else's, and a save while the file is renamed would make a new one of the old name. So each waits for those
 * before it. Saves that wait are one: it saves the newest.
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
    last = done.catch(() => undefined);
    return done;
  };
  const begin = (): Promise<void> => {
    next = undefined;
    return keepingDirty(context.model, save);
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
