/** One save of a notebook after the other, and none takes for saved what was typed meanwhile: Jupyter's own do neither. */
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { insideOf } from './inside.js';

/**
 * Two saves at once, as the user's own beside an autosave, would take the file that the other has just written for
 * somebody else's. One that finds another under way waits for it, and all that wait are one: it saves the newest.
 */
export function saveInTurn(context: DocumentRegistry.IContext<DocumentRegistry.IModel>): void {
  const inside = insideOf(context);
  const saveNow = inside._save?.bind(context);
  if (!saveNow) return;
  let underWay: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  const begin = (): Promise<void> => {
    next = undefined;
    const save = keepingDirty(context.model, saveNow).finally(() => { underWay = undefined; });
    return (underWay = save);
  };

  // `next` first: until it has begun, it is what is under way.
  inside._save = () => next ?? (underWay ? (next = underWay.then(begin, begin)) : begin());
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
