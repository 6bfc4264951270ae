/** One iframe at one URL: its element, and the handshake with the page inside. */
import { Channel } from './channel.js';
import { EmbedError } from './errors.js';
import { type EntryFailure, type FrameMessage, type Hello, isWindowMessage, negotiate, tag } from './protocol.js';

/** What a frame tells about itself. */
export interface FrameListener {
  /**
   * There is no notebook at the frame's URL: it was refused, or nothing was heard of one (any longer), or the page inside
   * speaks no version of the protocol that we do.
   */
  refused(reason: EntryFailure | 'frame-unresponsive' | 'protocol-mismatch'): void;
  heard(message: FrameMessage): void;
}

export interface FrameOptions {
  title: string;
  /** How long it may say nothing, in milliseconds. */
  patience: number;
  signal: AbortSignal;
}

export class Frame {
  readonly element: HTMLIFrameElement;
  readonly #origin: string;
  readonly #options: FrameOptions;
  readonly #listener: FrameListener;
  readonly #removed = new AbortController();
  readonly #signal: AbortSignal;
  #channel: Channel | undefined;
  #document: string | undefined;
  #capabilities: readonly string[] = [];
  #open = false;
  #waiting: ReturnType<typeof setTimeout> | undefined;

  /** Prepare the frame; it loads when its element is put into the page. */
  constructor(document: Document, url: string, options: FrameOptions, listener: FrameListener) {
    this.#origin = new URL(url).origin;
    this.#options = options;
    this.#listener = listener;
    this.#signal = AbortSignal.any([options.signal, this.#removed.signal]);
    this.#signal.addEventListener('abort', () => { this.#disconnect(this.#signal.reason); });

    this.element = Object.assign(document.createElement('iframe'), {
      className: 'inset-frame',
      title: options.title,
      allow: 'clipboard-read; clipboard-write; fullscreen',
      // Sizes as attributes, so that a page without our style sheet shows more than 300 by 150 pixels.
      width: '100%',
      height: '100%',
      // Nothing gets the keyboard before it can be seen.
      inert: true,
      src: url,
    });
    this.element.addEventListener('load', this.#loaded, { signal: this.#signal });
    window.addEventListener('message', this.#receive, { signal: this.#signal });
    this.#wait();
  }

  /** The way to the notebook, while there is one. */
  get channel(): Channel | undefined {
    return this.#open ? this.#channel : undefined;
  }

  /** Whether the page inside knows of something: it may be older than we are. */
  can(capability: string): boolean {
    return this.#capabilities.includes(capability);
  }

  /** Let the page inside go on with a new URL's ticket, if that is for the same server. */
  renew(url: string): void {
    const { origin, hash } = new URL(url);
    const ticket = new URLSearchParams(hash.slice(1)).get('ticket');
    if (ticket !== null && origin === this.#origin) this.#channel?.renew(ticket);
  }

  remove(): void {
    this.#removed.abort();
    this.element.remove();
  }

  readonly #receive = ({ source, origin, data }: MessageEvent<unknown>): void => {
    if (source !== this.element.contentWindow || origin !== this.#origin || !isWindowMessage(data)) return;
    if (data.type === 'hello') this.#connect(data);
    else this.#listener.refused(data.reason);
  };

  #connect(hello: Hello): void {
    // Hellos that were on their way when we answered the first.
    if (hello.document === this.#document) return;
    const version = negotiate(hello);
    if (version === undefined) {
      // Whatever else is said in an open notebook's page: that one we understand.
      if (!this.#open) this.#listener.refused('protocol-mismatch');
      return;
    }
    this.#disconnect();
    this.#document = hello.document;
    this.#capabilities = hello.capabilities;
    const { port1, port2 } = new MessageChannel();
    this.#channel = new Channel(port1, this.#heard);
    this.element.contentWindow?.postMessage(tag({ type: 'connect', version }), this.#origin, [port2]);
    // A page without a notebook (a file list, say) will not become ready, and need not.
    if (hello.capabilities.includes('save')) this.#wait();
  }

  readonly #heard = (message: FrameMessage): void => {
    if (message.type === 'ready') {
      clearTimeout(this.#waiting);
      this.#open = true;
    }
    this.#listener.heard(message);
  };

  /** The frame went somewhere by itself: what we were connected to may be gone, and an error page says nothing. */
  readonly #loaded = (): void => {
    if (!this.#open) return;
    this.#channel?.ping(this.#options.patience).catch((error: unknown) => {
      if (error instanceof EmbedError && error.code === 'timeout') this.#listener.refused('frame-unresponsive');
    });
  };

  #wait(): void {
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => { this.#listener.refused('frame-unresponsive'); }, this.#options.patience);
  }

  #disconnect(reason?: unknown): void {
    clearTimeout(this.#waiting);
    this.#open = false;
    this.#channel?.close(reason instanceof EmbedError ? reason : new EmbedError('not-ready'));
    this.#channel = undefined;
  }
}
