/** One attempt at a notebook: session, events and frame, until something ends it. */
import type { EmbedEvents, Timeouts } from './api.js';
import type { Channel } from './channel.js';
import { EmbedError, toEmbedError } from './errors.js';
import { Frame } from './frame.js';
import type { Say } from './messages.js';
import { Progress } from './progress.js';
import type { Expiring, FrameMessage } from './protocol.js';
import type { Place, Service, Session } from './service.js';
import { followSession, type SessionEvent } from './session-events.js';
import { backoff, sleep } from './timers.js';
import { topCell } from './preview.js';
import type { View } from './view.js';

/** What stays the same from one attempt to the next. */
export interface OpeningOptions {
  service: Service;
  serviceUrl: string;
  view: View;
  say: Say;
  notebookId: string;
  interface?: 'notebook' | 'lab';
  title: string;
  timeouts: Timeouts;
}

/** What an attempt reports while it lasts. */
export interface OpeningListener {
  heard(message: Exclude<FrameMessage, Expiring>): void;
  happened<E extends keyof EmbedEvents>(event: E, detail: EmbedEvents[E]): void;
}

/** What some browsers tell of their user's line. */
interface Thrifty {
  connection?: { saveData?: boolean };
}

const TICK = 400;
/** How long the notebook may take to scroll to where its reader is, in milliseconds. */
const SCROLLING = 3000;

/**
 * How many new URLs in a row, with no notebook in between, before we give up. A new one may help against nearly every
 * refusal: the session is asked again when it is minted, and says so if it is over. The browser's settings and the
 * image's age are the same at the next.
 */
const NEW_URLS = 2;
const NEW_URLS_AFTER: Partial<Record<string, number>> = { 'frame-unresponsive': 1, 'cookies-blocked': 0, 'protocol-mismatch': 0 };

export class Opening {
  readonly #options: OpeningOptions;
  readonly #listener: OpeningListener;
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  /** Settles when the service has answered. */
  readonly session: Promise<Session>;
  /** Settles with the reason when the session has ended; rejects when the attempt has failed. */
  readonly over: Promise<string>;
  /** From the moment the service has answered. */
  id: string | undefined;
  /** The version when we joined. The stream begins with the session: what it tells of older ones is history. */
  #past = 0;
  #place: Place = {};
  readonly #progress: Progress;
  #ticking: ReturnType<typeof setInterval> | undefined;
  #told = '';
  #frame: Frame | undefined;
  #newUrls = 0;
  #ending = false;

  constructor(options: OpeningOptions, listener: OpeningListener, signal: AbortSignal) {
    this.#options = options;
    this.#listener = listener;
    this.#signal = AbortSignal.any([signal, this.#failed.signal]);
    this.#progress = new Progress(options.serviceUrl);
    this.#ticking = setInterval(this.#tick, TICK);
    this.#tick();
    this.session = options.service.open(options.notebookId, this.#signal);
    this.over = this.#run();
  }

  /** Whether it goes on, so that `over` is still to come. */
  get live(): boolean {
    return !this.#signal.aborted;
  }

  /** The way to the notebook, while there is one. */
  get channel(): Channel | undefined {
    return this.#frame?.channel;
  }

  /** Whether the page inside knows of something. */
  can(capability: string): boolean {
    return this.#frame?.can(capability) ?? false;
  }

  /** Give up, unless the notebook is open. What was started for nobody else is ended. */
  cancel(): void {
    if (!this.#ticking) return;
    // One that is ready may be open in another window.
    if (this.id && this.#progress.stage !== 'connecting') {
      this.#options.service.end(this.id, AbortSignal.timeout(10_000)).catch(() => undefined);
    }
    this.#fail(new EmbedError('cancelled'));
  }

  async #run(): Promise<string> {
    try {
      const { view, interface: shown } = this.#options;
      const { id, version, warm_up_url: src } = (this.#place = await this.session);
      this.id = id;
      this.#past = version ?? 0;
      // Fetched ahead, in a frame that shows nothing, until the notebook's takes its place: what Notebook's page is made of.
      if (src && shown !== 'lab' && !(navigator as Thrifty).connection?.saveData) {
        view.show(Object.assign(view.owner.createElement('iframe'), { hidden: true, src }));
      }
      for await (const event of followSession(this.#options.service, id, this.#signal)) {
        if (event.event === 'ended') return event.reason;
        this.#happened(event);
      }
      throw new EmbedError('session-over');
    } finally {
      this.#stopTicking();
      this.#frame?.remove();
      this.#frame = undefined;
      this.#failed.abort();
    }
  }

  #happened(event: SessionEvent): void {
    const listener = this.#listener;
    switch (event.event) {
      case 'progress':
        this.#place = event;
        this.#progress.enter(event.state === 'loading' ? 'restoring' : event.state);
        this.#tick();
        break;
      case 'ready':
        if (!event.embeddable) throw new EmbedError('not-embeddable', 'It does not open.');
        this.#progress.enter('connecting');
        this.#tick();
        if (!this.#frame) this.#show();
        break;
      case 'saved':
        if (event.version <= this.#past) break;
        listener.happened('saved', event);
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
        this.#stopTicking();
        this.#display(100, this.#options.say('closing'));
        listener.happened('ending', { reason: event.reason, in: event.in ?? 0 });
        break;
      case 'failed':
        throw new EmbedError(event.code, event.detail ?? event.title);
    }
  }

  /** Mint a URL and put a frame there, in the place of the one before. */
  #show(): void {
    const { view, title, timeouts } = this.#options;
    this.#mint().then((url) => {
      this.#frame?.remove();
      this.#frame = new Frame(view.owner, url, { title, patience: timeouts.frame, signal: this.#signal }, {
        heard: this.#heard,
        refused: this.#showAgain,
      });
      view.show(this.#frame.element);
    }, this.#fail);
  }

  async #mint(): Promise<string> {
    if (this.#newUrls > 0) await sleep(backoff(this.#newUrls - 1), this.#signal);
    const { service, interface: shown } = this.#options;
    return service.frameUrl(this.id as string, shown, this.#signal);
  }

  readonly #heard = (message: FrameMessage): void => {
    if (message.type === 'ready') {
      this.#newUrls = 0;
      this.#uncover();
    }
    // Its way in is kept open in place. Where that does not work it asks again; what is over, the stream says.
    if (message.type === 'expiring') this.#mint().then((url) => { this.#frame?.renew(url); }, () => undefined);
    else this.#listener.heard(message);
  };

  /** Let the notebook take the place of what is shown, at the same cell. */
  #uncover(): void {
    const { view } = this.#options;
    const cell = view.still ? topCell(view.still) : -1;
    if (this.#ticking) this.#progress.arrived();
    this.#stopTicking();
    const shown = cell >= 0 && this.can('go-to') && this.channel?.order('go-to', cell, SCROLLING);
    if (!shown) view.uncover();
    // A notebook that can't scroll there is a notebook all the same.
    else void shown.catch(() => undefined).then(() => { if (this.channel) view.uncover(); });
  }

  /** Tell how far the opening is, when that has changed. */
  readonly #tick = (): void => {
    if (!this.#ticking) return;
    const { far: percent, stage: phase } = this.#progress;
    const { say } = this.#options;
    // Told last, and so of what it waits for now: only who is queued has a place.
    const { position, estimated_wait: estimatedWait, waits_for: waitsFor } = this.#place;
    const message = say(waitsFor as string) || say(position ? 'position' : phase, { n: position }) + (estimatedWait ? say('wait', { minutes: Math.ceil(estimatedWait / 60) }) : '');
    const told = message + String(percent);
    if (told === this.#told) return;
    this.#told = told;
    this.#display(percent, message);
    this.#listener.happened('progress', { phase, percent, message, position, estimatedWait, waitsFor });
  };

  #display(percent: number, message: string): void {
    const { view, say } = this.#options;
    const cancel = this.#ticking ? { text: say('cancel'), press: () => { this.cancel(); } } : undefined;
    view.advance(percent, message, say('label'), cancel);
  }

  #stopTicking(): void {
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }

  /** A new frame at a new URL; not the old one, which would only follow a changed fragment. */
  readonly #showAgain = (reason: string): void => {
    // The session's end locks its frame out; the stream says the rest.
    if (this.#ending) return;
    if (this.#newUrls >= (NEW_URLS_AFTER[reason] ?? NEW_URLS)) {
      this.#fail(new EmbedError(reason, 'It does not open.'));
      return;
    }
    this.#newUrls++;
    this.#frame?.remove();
    if (!this.#ticking) this.#display(100, this.#options.say('connecting'));
    this.#show();
  };

  readonly #fail = (error: unknown): void => {
    this.#failed.abort(toEmbedError(error));
  };
}
