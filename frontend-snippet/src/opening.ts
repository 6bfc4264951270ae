/** One attempt at a notebook: session, events and frame, until something ends it. */
import type { EmbedEvents, Timeouts } from './api.js';
import type { Channel } from './channel.js';
import { EmbedError, toEmbedError } from './errors.js';
import { Frame } from './frame.js';
import type { EntryFailure, Expiring, FrameMessage } from './protocol.js';
import type { Service, Session } from './service.js';
import { followSession, type SessionEvent } from './session-events.js';
import { backoff, sleep } from './timers.js';
import type { View } from './view.js';

/** What stays the same from one attempt to the next. */
export interface OpeningOptions {
  service: Service;
  view: View;
  notebookId: string;
  interface: 'notebook' | 'lab';
  title: string;
  timeouts: Timeouts;
}

/** What an attempt reports while it lasts. */
export interface OpeningListener {
  heard(message: Exclude<FrameMessage, Expiring>): void;
  happened<E extends keyof EmbedEvents>(event: E, detail: EmbedEvents[E]): void;
}

/**
 * How many new URLs in a row, with no notebook in between, before we give up. A new one may help against nearly every
 * refusal: the session is asked again when it is minted, and says so if it is over.
 */
const NEW_URLS = { refused: 2, silent: 1 };

const REFUSALS: Record<EntryFailure, string> = {
  'ticket-expired': 'The notebook took too long to open.',
  'ticket-used': 'This way into the notebook was used before.',
  'ticket-invalid': 'The notebook did not accept the way in.',
  'ticket-for-another-server': 'The way in belongs to another notebook server.',
  'session-over': 'The notebook session is over.',
  'service-unavailable': 'The notebook could not reach the service that lets you in.',
  'cookies-blocked': 'This browser lets the notebook store nothing inside this page. Allow cookies for this page, and try again.',
};

export class Opening {
  readonly #options: OpeningOptions;
  readonly #listener: OpeningListener;
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  /** Settles when the service has answered. */
  readonly session: Promise<Session>;
  /** Settles with the reason when the session has ended; rejects when the attempt has failed. */
  readonly over: Promise<string>;
  #sessionId: string | undefined;
  /** The version when we joined. The stream begins with the session: what it tells of older ones is history. */
  #past = 0;
  #frame: Frame | undefined;
  #newUrls = 0;
  #ending = false;

  constructor(options: OpeningOptions, listener: OpeningListener, signal: AbortSignal) {
    this.#options = options;
    this.#listener = listener;
    this.#signal = AbortSignal.any([signal, this.#failed.signal]);
    options.view.progress(0, 'Opening the notebook');
    this.session = options.service.open(options.notebookId, this.#signal);
    this.over = this.#run();
  }

  get sessionId(): string | undefined {
    return this.#sessionId;
  }

  /** Whether it goes on, so that `over` is still to come. */
  get live(): boolean {
    return !this.#signal.aborted;
  }

  /** The way to the notebook, while there is one. */
  get channel(): Channel | undefined {
    return this.#frame?.channel;
  }

  async #run(): Promise<string> {
    try {
      const { id, version } = await this.session;
      this.#sessionId = id;
      this.#past = version ?? 0;
      for await (const event of followSession(this.#options.service, id, this.#signal)) {
        if (event.event === 'ended') return event.reason;
        this.#happened(id, event);
      }
      throw new EmbedError('session-over', 'The notebook session is over.');
    } finally {
      this.#frame?.remove();
      this.#frame = undefined;
      this.#failed.abort();
    }
  }

  #happened(sessionId: string, event: SessionEvent): void {
    const listener = this.#listener;
    switch (event.event) {
      case 'progress':
        if (!this.#frame) this.#options.view.progress(event.percent, event.message);
        listener.happened('progress', { percent: event.percent, message: event.message });
        break;
      case 'ready':
        if (!event.embeddable) throw new EmbedError('not-embeddable', 'This notebook can’t be shown inside a page.');
        if (!this.#frame) this.#show(sessionId);
        break;
      case 'saved':
        if (event.version <= this.#past) break;
        listener.happened('saved', { version: event.version, sha256: event.sha256, origin: event.origin });
        break;
      case 'conflict':
        if (event.kept_version <= this.#past) break;
        listener.happened('conflict', {
          baseVersion: event.base_version,
          currentVersion: event.current_version,
          keptVersion: event.kept_version,
          resolve: event.resolve,
        });
        break;
      case 'renamed':
        listener.happened('renamed', { name: event.name });
        break;
      case 'ending':
        this.#ending = true;
        this.#options.view.progress(100, 'Saving and closing the notebook');
        listener.happened('ending', { reason: event.reason, in: event.in ?? 0 });
        break;
      case 'failed':
        throw new EmbedError(event.code, event.detail ?? event.title);
    }
  }

  /** Mint a URL and put a frame there, in the place of the one before. */
  #show(sessionId: string): void {
    const { view, title, timeouts } = this.#options;
    this.#mint(sessionId).then((url) => {
      this.#frame?.remove();
      this.#frame = new Frame(view.document, url, { title, timeouts, signal: this.#signal }, {
        heard: (message) => { this.#heard(message); },
        refused: (reason) => {
          // The browser's settings are the same at the next URL.
          const most = reason === 'cookies-blocked' ? 0 : NEW_URLS.refused;
          this.#showAgain(sessionId, most, new EmbedError(reason, REFUSALS[reason]));
        },
        silent: () => {
          const error = new EmbedError('frame-unresponsive', 'The notebook does not appear.');
          this.#showAgain(sessionId, NEW_URLS.silent, error);
        },
      });
      view.show(this.#frame.element);
    }, (error: unknown) => { this.#fail(error); });
  }

  async #mint(sessionId: string): Promise<string> {
    if (this.#newUrls > 0) await sleep(backoff(this.#newUrls - 1), this.#signal);
    const { service, interface: shown } = this.#options;
    return service.frameUrl(sessionId, shown, this.#signal);
  }

  #heard(message: FrameMessage): void {
    if (message.type === 'ready') {
      this.#newUrls = 0;
      this.#options.view.uncover();
    }
    if (message.type === 'expiring') void this.#renew();
    else this.#listener.heard(message);
  }

  /** Keep the frame's way in open, in place. */
  async #renew(): Promise<void> {
    try {
      const url = await this.#mint(this.#sessionId ?? '');
      this.#frame?.renew(url);
    } catch {
      // The frame asks again; what is over, the stream says.
    }
  }

  /** A new frame at a new URL; not the old one, which would only follow a changed fragment. */
  #showAgain(sessionId: string, most: number, error: EmbedError): void {
    // The session's end locks its frame out; the stream says the rest.
    if (this.#ending) return;
    if (this.#newUrls >= most) {
      this.#fail(error);
      return;
    }
    this.#newUrls++;
    this.#frame?.remove();
    this.#options.view.progress(100, 'Opening the notebook again');
    this.#show(sessionId);
  }

  #fail(error: unknown): void {
    this.#failed.abort(toEmbedError(error));
  }
}
