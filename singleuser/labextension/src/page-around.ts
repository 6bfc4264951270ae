/** The page around the frame: found by a handshake with exact origins, then spoken to through a port. */
import {
  type FrameMessage,
  isConnect,
  isKnownTo,
  isPageMessage,
  type PageMessage,
  tag,
  type Untagged,
  VERSIONS,
} from '../../../frontend-snippet/src/protocol.js';

const HELLO_EVERY = 500;

export interface PageAroundOptions {
  /** The exact origins that may embed this server. */
  origins: readonly string[];
  capabilities: string[];
  connected: () => void;
  heard: (message: PageMessage) => void;
}

export class PageAround {
  readonly #options: PageAroundOptions;
  readonly #targets: readonly string[];
  /** Tells this load of the page from the next; nothing secret, and `crypto.randomUUID` wants HTTPS. */
  readonly #document = Math.random().toString(36).slice(2);
  readonly #hello: number;
  #port: MessagePort | undefined;
  /** What the page around has chosen to speak. */
  #version = VERSIONS.min;

  constructor(options: PageAroundOptions) {
    this.#options = options;
    this.#targets = targets(options.origins);
    window.addEventListener('message', (event) => { this.#receive(event); });
    this.#hello = window.setInterval(() => { this.#sayHello(); }, HELLO_EVERY);
    this.#sayHello();
  }

  /** Whether somebody hears what is said. */
  get listening(): boolean {
    return this.#port !== undefined;
  }

  /** Said to nobody while there is no connection, and not to a page that is older than what is said. */
  say(message: Untagged<FrameMessage>): void {
    if (isKnownTo(this.#version, message.type)) this.#port?.postMessage(tag(message));
  }

  #sayHello(): void {
    const { capabilities } = this.#options;
    const hello = tag({ type: 'hello', ...VERSIONS, capabilities, document: this.#document });
    for (const origin of this.#targets) window.parent.postMessage(hello, origin);
  }

  #receive({ source, origin, data, ports }: MessageEvent<unknown>): void {
    if (source !== window.parent || !this.#options.origins.includes(origin) || !isConnect(data)) return;
    const [port] = ports;
    if (!port) return;
    clearInterval(this.#hello);
    this.#port?.close();
    this.#port = port;
    this.#version = data.version;
    port.onmessage = (event: MessageEvent<unknown>) => {
      if (isPageMessage(event.data)) this.#options.heard(event.data);
    };
    this.#options.connected();
  }
}

/** Whom to greet: the one parent there is where the browser names it, else everybody it may be. */
function targets(origins: readonly string[]): readonly string[] {
  // Firefox has no such list, and an iframe without a referrer gets `null` in it.
  const parent = (location.ancestorOrigins as DOMStringList | undefined)?.[0] ?? 'null';
  return parent === 'null' ? origins : origins.filter((origin) => origin === parent);
}
