/**
 * `<inset-notebook service-url notebook-id token-url>`: the SDK as an element. Importing this registers it.
 *
 * Everything that happens is an event of the element, `inset-saved` and so on, with the detail that `EmbedEvents` says.
 */
import { type EmbedOptions, embedNotebook, type NotebookEmbed } from './index.js';

/** What an element shows is decided by these; a change opens another notebook. */
const ATTRIBUTES = ['service-url', 'notebook-id', 'token-url', 'interface'];

// A server that renders pages has no elements; it may import this all the same.
const { HTMLElement: Base = Object as unknown as typeof HTMLElement, customElements: registry } = globalThis as Partial<typeof globalThis>;

export class InsetNotebookElement extends Base {
  static readonly observedAttributes = ATTRIBUTES;
  /** Asks the host's backend for a token, in place of `token-url`; and whatever else `embedNotebook` takes. */
  declare fetchToken: EmbedOptions['fetchToken'] | undefined;
  declare options: Partial<EmbedOptions> | undefined;
  #notebook: NotebookEmbed | undefined;

  /** The handle that `embedNotebook` gives, while there is one. */
  get notebook(): NotebookEmbed | undefined {
    return this.#notebook;
  }

  connectedCallback(): void {
    this.#settle();
  }

  disconnectedCallback(): void {
    this.#settle();
  }

  attributeChangedCallback(_: string, before: string | null, after: string | null): void {
    if (before === after) return;
    this.#close();
    this.#settle();
  }

  /** Once all that changes together has changed: an element that is only moved keeps its notebook where the browser can. */
  #settle(): void {
    queueMicrotask(() => {
      if (!this.isConnected) this.#close();
      else if (!this.#notebook) this.#open();
    });
  }

  #open(): void {
    const [serviceUrl, notebookId, tokenUrl, shown] = ATTRIBUTES.map((name) => this.getAttribute(name));
    const fetchToken = this.fetchToken ?? (tokenUrl ? () => askFor(tokenUrl) : undefined);
    if (!serviceUrl || !notebookId || !fetchToken) return;
    this.#notebook = embedNotebook({
      ...(shown === 'lab' && { interface: shown }),
      title: this.title,
      // The browser hides a nonce from who reads attributes.
      nonce: this.nonce,
      ...this.options,
      serviceUrl,
      notebookId,
      fetchToken,
      mountPoint: this,
    });
    this.#notebook.on('event', ({ event, detail }) => {
      const name = `inset-${event.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
    });
  }

  #close(): void {
    void this.#notebook?.leave();
    this.#notebook = undefined;
  }
}

/** The host's own answer to a POST: the token as text. */
async function askFor(url: string): Promise<string> {
  const response = await fetch(url, { method: 'POST' });
  if (!response.ok) throw new Error(`${url} ${String(response.status)}`);
  return response.text();
}

if (registry && !registry.get('inset-notebook')) registry.define('inset-notebook', InsetNotebookElement);

declare global {
  interface HTMLElementTagNameMap {
    'inset-notebook': InsetNotebookElement;
  }
}
