/** The notebook that the frame is for: its saves and its unsaved edits. */
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { CookieMode, FrameMessage, Untagged } from '../../../frontend-snippet/src/protocol.js';
import { type Bridge, FlushError, type Origin } from './bridge.js';
import type { May } from './capabilities.js';
import { insideOf } from './inside.js';

type Context = DocumentRegistry.IContext<DocumentRegistry.IModel>;
/** How the page is signed in, and what its user may do. */
interface Standing {
  mode: CookieMode;
  may: May;
}
type Report = (message: Untagged<FrameMessage>) => void;

/** How long the dirty state must last before it is reported: saving right after an edit is one change, not two. */
const SETTLE = 250;
/** How many saves without an answer are named: those of eight minutes at the least, with an autosave every ten seconds. */
const REMEMBERED = 50;
const DISK_FULL = 'The disk of this notebook’s server is full. What you see is stored as a version all the same. Delete files there, and save again.';

export class Notebook {
  readonly #context: Context;
  readonly #bridge: Bridge;
  readonly #standing: Standing;
  readonly #report: Report;
  #dirty: boolean;
  #timer: number | undefined;
  /** Saves under way by the user's own command, and by the page around. */
  #explicit = 0;
  #requested = 0;
  /** The names of the saves that no answer has come to since the last one that was answered: nobody here knows whether they were done. */
  #unanswered: readonly string[] = [];

  /** Takes an opened document; `report` is told what happens to it. */
  constructor(context: Context, bridge: Bridge, standing: Standing, report: Report) {
    this.#context = context;
    this.#bridge = bridge;
    this.#standing = standing;
    this.#report = report;
    this.#dirty = context.model.dirty;
    context.model.stateChanged.connect((_, { name }) => {
      if (name === 'dirty') this.#settle();
    });
    context.saveState.connect((_, state) => { this.#saveState(state); });
    context.disposed.connect(() => { clearTimeout(this.#timer); });
    this.#sayWhichSave();
  }

  /** Say that the notebook is open. */
  introduce(): void {
    this.#dirty = this.#context.model.dirty;
    const { mode, may } = this.#standing;
    this.#report({ type: 'ready', path: this.#context.path, dirty: this.#dirty, mode, may: [...may] });
  }

  /** Save for the page around, and answer its request. */
  async save(request: string): Promise<void> {
    if (!this.#standing.may.has('edit')) {
      this.#saveFailed(new FlushError('not-allowed', 'This notebook can be looked at, and not changed.'), request);
      return;
    }
    this.#requested++;
    try {
      await save(this.#context);
      await this.#flush('save', request);
    } catch (error) {
      this.#saveFailed(await this.#why(error, 'save'), request);
    } finally {
      this.#requested--;
    }
  }

  /** The page goes away, with the frame that its host removed or with the whole tab: what is unsaved goes first. */
  leave(): void {
    const { model, path } = this.#context;
    const { hash } = insideOf(this.#context).contentsModel ?? {};
    if (model.dirty && hash && this.#standing.may.has('edit')) this.#bridge.leave(path, model.toJSON(), hash, this.#unanswered);
  }

  /** Say that the editor holds what the server's file does: a version was restored, or a conflict settled. */
  loaded(): void {
    this.#dirty = this.#context.model.dirty;
    this.#report({ type: 'loaded', dirty: this.#dirty });
  }

  /** Take the saves until `done` for the user's own, not for autosaves. */
  async savedByUser(done: Promise<unknown>): Promise<void> {
    this.#explicit++;
    // Jupyter has told the user what went wrong, and `saveState` tells us.
    await done.catch(() => undefined);
    this.#explicit--;
  }

  get #origin(): Origin {
    return this.#explicit + this.#requested > 0 ? 'save' : 'autosave';
  }

  /** The server hands a save on to the database before it answers, and has to know then what it is, and which. */
  #sayWhichSave(): void {
    const inside = insideOf(this.#context);
    const options = inside._createSaveOptions?.bind(this.#context);
    if (!options) return;
    inside._createSaveOptions = () => {
      const name = String(Math.random());
      const unanswered = this.#unanswered;
      this.#unanswered = [...unanswered, name].slice(-REMEMBERED);
      return { ...options(), inset_origin: this.#origin, inset_save: name, inset_unanswered: unanswered };
    };
  }

  #settle(): void {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      const { dirty } = this.#context.model;
      if (dirty === this.#dirty) return;
      this.#dirty = dirty;
      this.#report({ type: 'dirty', dirty });
    }, SETTLE);
  }

  #saveState(state: DocumentRegistry.SaveState): void {
    if (state === 'completed') this.#unanswered = [];
    if (this.#requested > 0) return;
    if (state === 'started') {
      this.#report({ type: 'saving' });
    } else if (state === 'completed') {
      this.#flush(this.#origin).catch((error: unknown) => { this.#saveFailed(error); });
    } else {
      void this.#why(new Error('Jupyter could not save the notebook.'), this.#origin).then((error) => { this.#saveFailed(error); });
    }
  }

  /** Jupyter's page says nothing of a disk that is full. The server knows, and has sent on what it could not write. */
  async #why(error: unknown, origin: Origin): Promise<unknown> {
    if (error instanceof FlushError) return error;
    const stored = await this.#bridge.flush(this.#context.path, origin).catch(() => undefined);
    return stored?.disk_full ? new FlushError('disk-full', DISK_FULL) : error;
  }

  async #flush(origin: Origin, request?: string): Promise<void> {
    const stored = await this.#bridge.flush(this.#context.path, origin);
    // Said at once, and not again when it has settled.
    const { dirty } = this.#context.model;
    this.#dirty = dirty;
    this.#report({ type: 'saved', ...stored, origin, dirty, ...(request !== undefined && { request }) });
  }

  #saveFailed(error: unknown, request?: string): void {
    const code = error instanceof FlushError ? error.code : 'save-failed';
    const message = error instanceof Error ? error.message : 'The notebook was not saved.';
    this.#report({ type: 'save-failed', code, message, ...(request !== undefined && { request }) });
  }
}

/** Save a document into its file, and don't believe it before Jupyter says that it did. */
export async function save(context: Context): Promise<void> {
  const states: DocumentRegistry.SaveState[] = [];
  const watch = (_: unknown, state: DocumentRegistry.SaveState) => void states.push(state);
  context.saveState.connect(watch);
  try {
    await context.save();
  } finally {
    context.saveState.disconnect(watch);
  }
  if (!states.includes('completed')) throw new Error('Jupyter did not save the notebook.');
}
