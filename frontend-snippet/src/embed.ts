import type { CommandResults, EmbedEvents, EmbedOptions, EventOptions, NotebookEmbed, SavedVersion, Timeouts } from './api.js';
import type { Channel } from './channel.js';
import { Emitter } from './emitter.js';
import { EmbedError, toEmbedError } from './errors.js';
import { onLeave } from './leaving.js';
import { toSay } from './messages.js';
import { Opening, type OpeningOptions } from './opening.js';
import { previewOf } from './preview.js';
import { type Capability, type Command, type CookieMode, detailOf, type DoCommand, type FrameMessage, toCapabilities } from './protocol.js';
import { type SaveState, SaveStates } from './save-state.js';
import { Service } from './service.js';
import { within } from './timers.js';
import { Tokens } from './tokens.js';
import { View } from './view.js';
import { onWake } from './wake.js';

const TIMEOUTS: Timeouts = { frame: 45_000, save: 30_000, command: 30_000, leave: 5000, request: 30_000, close: 60_000 };

/** Open a notebook session and show it in the mount point. */
export function embedNotebook(options: EmbedOptions): NotebookEmbed {
  return new Embed(options);
}

class Embed implements NotebookEmbed {
  readonly ready: Promise<void>;
  mode: CookieMode | undefined;
  may: readonly Capability[] | undefined;
  readonly #events = new Emitter<EmbedEvents>();
  readonly #options: OpeningOptions & Pick<EmbedOptions, 'preview' | 'nonce' | 'hide' | 'height' | 'minHeight' | 'maxHeight'>;
  readonly #destroyed = new AbortController();
  /** Versions the host was told of: the frame and the service both report a save, in any order. */
  readonly #told = new Set<number>();
  readonly #saves: SaveStates;
  #opening!: Opening;
  /** Rejects `ready`, unless it has settled. */
  #giveUp!: (reason: EmbedError) => void;
  #dirty = false;

  constructor(options: EmbedOptions) {
    const timeouts = { ...TIMEOUTS, ...options.timeouts };
    const say = toSay(options.messages);
    const view = new View(options.mountPoint, options.saveLine ?? true);
    this.#options = {
      ...options,
      service: new Service(options.serviceUrl, new Tokens(options.fetchToken, timeouts.request), timeouts.request),
      view,
      say,
      title: options.title || 'Notebook',
      timeouts,
    };
    this.#saves = new SaveStates((state) => {
      view.tell(state, say(state === 'failed' ? 'saveFailed' : state));
      this.#events.emit('saveState', { state });
    });
    view.tell('saved', say('saved'));
    this.ready = new Promise((resolve, reject) => {
      this.on('ready', () => { resolve(); });
      this.#giveUp = reject;
    });
    // A host that only listens to events has not forgotten anything.
    this.ready.catch(() => undefined);
    this.#listen(options);
    onWake(this.#destroyed.signal, this.#woke);
    onLeave(this.#destroyed.signal, this.#flush, options.confirmLeave ?? true);
    this.#open();
  }

  get sessionId(): string | undefined {
    return this.#opening.id;
  }

  get saveState(): SaveState {
    return this.#saves.state;
  }

  on<E extends keyof EmbedEvents>(event: E, listener: (detail: EmbedEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  cancel(): void {
    this.#opening.cancel();
  }

  async command<C extends Command>(command: C, value?: unknown): Promise<CommandResults[C]> {
    const channel = this.#channel();
    if (!this.#opening.can(command)) throw new EmbedError('not-supported');
    return await channel.order(command, value as DoCommand['value'], this.#options.timeouts.command) as CommandResults[C];
  }

  async restore(version: number): Promise<SavedVersion> {
    this.#destroyed.signal.throwIfAborted();
    const { service, notebookId } = this.#options;
    return service.restore(notebookId, version, this.#destroyed.signal);
  }

  async save(): Promise<SavedVersion> {
    const channel = this.#channel();
    this.#events.emit('saving', {});
    this.#saves.learn({ busy: true });
    const before = new Set(this.#told);
    try {
      const saved = await channel.save(this.#options.timeouts.save);
      const { version, sha256, receipt } = saved;
      // With nothing to save the answer is a version told before, and what began with `saving` is over all the same.
      if (before.has(version)) this.#told.delete(version);
      this.#heard(saved);
      return { version, sha256, ...(receipt !== undefined && { receipt }) };
    } catch (error) {
      this.#saveFailed(toEmbedError(error));
      throw error;
    }
  }

  async close(): Promise<void> {
    const { signal } = this.#destroyed;
    const opening = this.#opening;
    const { id } = await opening.session;
    try {
      await this.#options.service.end(id, signal);
    } catch (error) {
      // Gone already is what was asked for.
      if (![404, 410].includes((error as EmbedError).status as number)) throw error;
    }
    if (!opening.live) return;
    await within(this.#options.timeouts.close, opening.over, signal);
  }

  async leave(): Promise<void> {
    const { view, timeouts } = this.#options;
    // A page that is gone already can't be asked: it has sent its edits by itself.
    const saving = view.shown && this.#flush();
    if (saving) {
      view.setAside();
      await within(timeouts.leave, saving, this.#destroyed.signal).catch(() => undefined);
    }
    this.destroy();
  }

  destroy(): void {
    const reason = new EmbedError('destroyed');
    this.#destroyed.abort(reason);
    this.#giveUp(reason);
    this.#events.forget();
    this.#options.view.remove();
  }

  #channel(): Channel {
    this.#destroyed.signal.throwIfAborted();
    const { channel } = this.#opening;
    if (!channel) throw new EmbedError('not-ready');
    return channel;
  }

  #listen(options: EventOptions): void {
    for (const [name, listener] of Object.entries(options) as [string, (() => void) | undefined][]) {
      if (listener && /^on[A-Z]/.test(name)) this.on((name.charAt(2).toLowerCase() + name.slice(3)) as keyof EmbedEvents, listener);
    }
  }

  readonly #open = (): void => {
    this.#opening = new Opening(this.#options, {
      heard: this.#heard,
      happened: (event, detail) => {
        if (event === 'saved') {
          this.#saves.learn({ trouble: undefined });
          this.#tellSaved(detail as EmbedEvents['saved']);
          return;
        }
        if (event === 'conflict') this.#saves.learn({ trouble: event });
        this.#events.emit(event, detail);
      },
    }, this.#destroyed.signal);
    this.#opening.over.then(this.#ended, this.#failed);
    void this.#paint();
  };

  /** Show the last saved version, unless there is something better by then. */
  async #paint(): Promise<void> {
    const { view, preview: wanted = true, nonce, notebookId, service, say } = this.#options;
    if (wanted === false || view.still) return;
    try {
      const page = typeof wanted === 'string' ? { src: wanted } : { srcdoc: await service.page(notebookId, this.#destroyed.signal, nonce) };
      if (this.#opening.channel || this.#destroyed.signal.aborted) return;
      view.paint(previewOf(view.owner, say('preview'), page), () => { this.#events.emit('preview', {}); });
    } catch {
      // What can't be shown is not shown; the session says what is wrong.
    }
  }

  readonly #woke = (): void => {
    this.#options.service.wake();
    // What was kept while offline is delivered now.
    if (this.saveState === 'offline') this.save().catch(() => undefined);
  };

  /** Begin to save what is unsaved, if anything is. */
  readonly #flush = (): Promise<unknown> | undefined => {
    if (!this.#opening.channel || !(this.#dirty || this.saveState === 'saving') || !this.may?.includes('edit')) return undefined;
    const saving = this.save();
    saving.catch(() => undefined);
    return saving;
  };

  readonly #heard = (message: FrameMessage): void => {
    switch (message.type) {
      case 'ready':
        this.mode = message.mode;
        this.may = toCapabilities(message.may);
        this.#saves.learn({ busy: false, trouble: undefined });
        this.#events.emit('ready', { sessionId: this.sessionId as string, mode: this.mode, may: this.may });
        this.#tellDirty(message.dirty);
        this.#arrange();
        break;
      case 'dirty':
        this.#tellDirty(message.dirty);
        break;
      case 'loaded':
        this.#frameSaved(message);
        break;
      case 'saving':
        this.#saves.learn({ busy: true });
        break;
      case 'saved':
        this.#frameSaved(message);
        this.#tellSaved(message);
        break;
      case 'save-failed':
        this.#saveFailed(message);
        break;
      case 'height':
        this.#options.view.setHeight(message.height, this.#options);
        break;
      // The kernel's state, what was executed, what is selected: handed on as it is.
      default:
        this.#events.emit(message.type as 'kernel', detailOf(message) as never);
    }
  };

  /** Have a page that has just opened look as it was asked for; one that is older looks as it does. */
  #arrange(): void {
    const { hide, height } = this.#options;
    if (hide) this.command('hide', hide).catch(() => undefined);
    if (height) this.command('tell-height', true).catch(() => undefined);
  }

  #saveFailed({ code, message }: { code: string; message: string }): void {
    this.#saves.stumbled(code);
    this.#events.emit('saveFailed', { code, message });
  }

  #frameSaved({ dirty }: { dirty?: boolean }): void {
    if (dirty !== undefined) this.#tellDirty(dirty);
    this.#saves.learn({ busy: false, trouble: undefined });
  }

  #tellDirty(dirty: boolean): void {
    this.#saves.learn({ dirty });
    if (dirty === this.#dirty) return;
    this.#dirty = dirty;
    this.#events.emit('dirty', { dirty });
  }

  #tellSaved({ version, sha256, origin }: EmbedEvents['saved']): void {
    if (this.#told.has(version)) return;
    this.#told.add(version);
    this.#events.emit('saved', { version, sha256, origin });
  }

  readonly #ended = (reason: string): void => {
    this.#giveUp(new EmbedError('session-over'));
    this.#events.emit('ended', { reason });
    const key = reason === 'revoked' ? reason : 'closed';
    this.#notice(key, [], 'open', reason !== 'revoked');
  };

  readonly #failed = (error: unknown): void => {
    const failure = toEmbedError(error);
    const { code, message } = failure;
    if (this.#destroyed.signal.aborted) return;
    this.#giveUp(failure);
    this.#events.emit('failed', { code, message });
    const { say } = this.#options;
    if (code === 'cancelled') this.#notice(code, [], 'open');
    else this.#notice('failed', [say(code) || message, say(`next:${code}`) || say('next:', { code })], 'retry');
  };

  /** Say what happened, beside the last saved version if there is one: a host's users can always read their work. */
  #notice(title: string, lines: string[], button: string, readable = true): void {
    const { say, view } = this.#options;
    view.notice(say(title), lines, { text: say(button), press: this.#open });
    if (readable) void this.#paint();
  }
}
