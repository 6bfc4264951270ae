import type { EmbedEvents, EmbedOptions, EventOptions, NotebookEmbed, SavedVersion, Timeouts } from './api.js';
import { Emitter } from './emitter.js';
import { EmbedError, toEmbedError } from './errors.js';
import { Opening, type OpeningOptions } from './opening.js';
import { type Capability, type CookieMode, type FrameMessage, toCapabilities } from './protocol.js';
import { Service, ServiceError } from './service.js';
import { within } from './timers.js';
import { Tokens } from './tokens.js';
import { View } from './view.js';

const TIMEOUTS: Timeouts = { frame: 45_000, save: 30_000, request: 30_000, close: 60_000 };

/** Open a notebook session and show it in the mount point. */
export function embedNotebook(options: EmbedOptions): NotebookEmbed {
  return new Embed(options);
}

class Embed implements NotebookEmbed {
  readonly ready: Promise<void>;
  readonly #events = new Emitter<EmbedEvents>();
  readonly #options: OpeningOptions;
  readonly #destroyed = new AbortController();
  /** Versions the host was told of: the frame and the service both report a save, in any order. */
  readonly #told = new Set<number>();
  #opening!: Opening;
  #dirty = false;
  #mode: CookieMode | undefined;
  #may: readonly Capability[] | undefined;

  constructor(options: EmbedOptions) {
    const timeouts = { ...TIMEOUTS, ...options.timeouts };
    this.#options = {
      service: new Service(options.serviceUrl, new Tokens(options.fetchToken), { timeout: timeouts.request }),
      view: new View(options.mountPoint),
      notebookId: options.notebookId,
      interface: options.interface ?? 'notebook',
      title: options.title ?? 'Notebook',
      timeouts,
    };
    this.ready = new Promise((resolve, reject) => {
      this.on('ready', () => { resolve(); });
      this.on('ended', () => { reject(new EmbedError('session-over', 'The notebook session is over.')); });
      this.on('failed', ({ code, message }) => { reject(new EmbedError(code, message)); });
      this.#destroyed.signal.addEventListener('abort', () => { reject(this.#destroyed.signal.reason as EmbedError); });
    });
    // A host that only listens to events has not forgotten anything.
    this.ready.catch(() => undefined);
    this.#listen(options);
    this.#open();
  }

  get sessionId(): string | undefined {
    return this.#opening.sessionId;
  }

  get mode(): CookieMode | undefined {
    return this.#mode;
  }

  get may(): readonly Capability[] | undefined {
    return this.#may;
  }

  on<E extends keyof EmbedEvents>(event: E, listener: (detail: EmbedEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  async save(): Promise<SavedVersion> {
    this.#destroyed.signal.throwIfAborted();
    const { channel } = this.#opening;
    if (!channel) throw new EmbedError('not-ready', 'The notebook is not open yet.');
    this.#events.emit('saving', {});
    const before = new Set(this.#told);
    try {
      const { version, sha256, origin, receipt } = await channel.save(this.#options.timeouts.save);
      // With nothing to save the answer is a version told before, and what began with `saving` is over all the same.
      if (before.has(version)) this.#told.delete(version);
      this.#tellSaved({ version, sha256, origin });
      return { version, sha256, ...(receipt !== undefined && { receipt }) };
    } catch (error) {
      const { code, message } = toEmbedError(error);
      this.#events.emit('saveFailed', { code, message });
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
      if (!(error instanceof ServiceError && [404, 410].includes(error.status))) throw error;
    }
    if (!opening.live) return;
    const late = new EmbedError('timeout', 'The notebook session did not end in time.');
    await within(this.#options.timeouts.close, opening.over, late, signal);
  }

  destroy(): void {
    this.#destroyed.abort(new EmbedError('destroyed', 'The notebook was removed from the page.'));
    this.#events.clear();
    this.#options.view.remove();
  }

  #listen(options: EventOptions): void {
    for (const [name, listener] of Object.entries(options)) {
      const event = /^on([A-Z]\w*)$/.exec(name)?.[1];
      if (event) this.on((event.charAt(0).toLowerCase() + event.slice(1)) as keyof EmbedEvents, listener as () => void);
    }
  }

  #open(): void {
    this.#opening = new Opening(this.#options, {
      heard: (message) => { this.#heard(message); },
      happened: (event, detail) => {
        if (event === 'saved') this.#tellSaved(detail as EmbedEvents['saved']);
        else this.#events.emit(event, detail);
      },
    }, this.#destroyed.signal);
    this.#opening.over.then((reason) => { this.#ended(reason); }, (error: unknown) => { this.#failed(toEmbedError(error)); });
  }

  #heard(message: FrameMessage): void {
    switch (message.type) {
      case 'ready':
        this.#mode = message.mode;
        this.#may = toCapabilities(message.may);
        this.#events.emit('ready', { sessionId: this.sessionId ?? '', mode: this.#mode, may: this.#may });
        this.#tellDirty(message.dirty);
        break;
      case 'dirty':
        this.#tellDirty(message.dirty);
        break;
      case 'saved':
        this.#tellSaved(message);
        break;
      case 'save-failed':
        this.#events.emit('saveFailed', { code: message.code, message: message.message });
        break;
    }
  }

  #tellDirty(dirty: boolean): void {
    if (dirty === this.#dirty) return;
    this.#dirty = dirty;
    this.#events.emit('dirty', { dirty });
  }

  #tellSaved({ version, sha256, origin }: EmbedEvents['saved']): void {
    if (this.#told.has(version)) return;
    this.#told.add(version);
    this.#events.emit('saved', { version, sha256, origin });
  }

  #ended(reason: string): void {
    this.#events.emit('ended', { reason });
    const [title, message] = reason === 'revoked'
      ? ['Access to this notebook was withdrawn', 'What was saved until then is kept.']
      : ['The notebook was closed', 'It can be opened again as it was saved.'];
    this.#notice(title, message, 'Open again');
  }

  #failed({ code, message }: EmbedError): void {
    if (this.#destroyed.signal.aborted) return;
    this.#events.emit('failed', { code, message });
    this.#notice('The notebook can’t be shown', message, 'Retry');
  }

  #notice(title: string, message: string, button: string): void {
    this.#options.view.notice({ title, message, button, press: () => { this.#open(); } });
  }
}
