/** A page for tests: a DOM without a browser, a service behind `fetch`, and frames that do as they are told. */
import { Window } from 'happy-dom';
import { PROTOCOL } from '../src/protocol.js';

export const SERVICE = 'https://inset.test';
export const SEAT = 'https://seat-001.nb.test';

const dom = new Window({ url: 'https://host.test/', settings: { navigation: { disableChildFrameNavigation: true } } });
const { HTMLElement: Element, customElements: elements, CustomEvent: Custom } = dom;
Object.assign(globalThis, { window: dom, document: dom.document, HTMLElement: Element, customElements: elements, CustomEvent: Custom });

/** The browser's window, to tell it what a browser would. */
export function happen(event: string, target: { dispatchEvent: (event: never) => unknown } = dom): Event {
  const happened = new dom.Event(event, { cancelable: true });
  target.dispatchEvent(happened as never);
  return happened as unknown as Event;
}

/** Take the network away, or give it back without telling. */
export function setOnline(online: boolean): void {
  Object.defineProperty(globalThis, 'navigator', { value: { onLine: online }, configurable: true });
}

setOnline(true);

/** Let everything happen that is under way. */
export async function settled(): Promise<void> {
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
}

/** Wait for something that takes its time. */
export async function until<T>(fact: () => T | undefined | false | null, patience = 20_000): Promise<T> {
  for (const start = Date.now(); ; ) {
    const value = fact();
    if (value) return value;
    if (Date.now() - start > patience) throw new Error(`never: ${String(fact)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function mountPoint(): HTMLElement {
  const element = document.createElement('div');
  document.body.replaceChildren(element);
  return element;
}

interface Call {
  method: string;
  path: string;
  headers: Headers;
}

/** The service at the wire: takes over `fetch`, answers every call as the contract says, and remembers it. */
export class FakeService {
  readonly calls: Call[] = [];
  /** What to answer instead, in turn, by `METHOD path`. */
  readonly answers = new Map<string, (() => Response | Promise<Response>)[]>();
  readonly #streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  version = 1;
  /** Where the page finds what can be fetched ahead. */
  warmUpUrl: string | null = null;
  #events = 0;

  constructor() {
    globalThis.fetch = (url, init) => this.#fetch(new URL(url as string), init ?? {});
  }

  count(call: string): number {
    return this.calls.filter(({ method, path }) => `${method} ${path}` === call).length;
  }

  get streams(): number {
    return this.#streams.size;
  }

  answerOnce(call: string, ...answers: (() => Response | Promise<Response>)[]): void {
    this.answers.set(call, [...(this.answers.get(call) ?? []), ...answers]);
  }

  send(event: string, data: object): void {
    this.sendText(`id: ${String(++this.#events)}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  sendText(text: string): void {
    for (const stream of this.#streams) stream.enqueue(new TextEncoder().encode(text));
  }

  /** End every stream without a final event. */
  breakStreams(): void {
    for (const stream of this.#streams) stream.close();
    this.#streams.clear();
  }

  async #fetch({ pathname }: URL, { method = 'GET', headers, signal }: RequestInit): Promise<Response> {
    signal?.throwIfAborted();
    this.calls.push({ method, path: pathname, headers: new Headers(headers) });
    const planned = this.answers.get(`${method} ${pathname}`)?.shift();
    const answer = planned ? planned() : this.#answer(`${method} ${pathname}`, signal);
    if (!signal) return answer;
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => { reject(signal.reason as Error); }, { once: true });
    });
    return Promise.race([answer, aborted]);
  }

  #answer(call: string, signal: AbortSignal | null | undefined): Response {
    switch (call) {
      case 'POST /v1/sessions':
        return Response.json(this.#session('queued'), { status: 202 });
      case 'DELETE /v1/sessions/s1':
        return Response.json(this.#session('ending'), { status: 202 });
      case 'POST /v1/sessions/s1/iframe-url':
        return Response.json({ url: `${SEAT}/user/seat-001/inset/enter#ticket=t` }, { status: 201 });
      case 'GET /v1/sessions/s1/events':
        return new Response(this.#stream(signal));
      default:
        return problem(404, 'not-found');
    }
  }

  #session(state: string): object {
    return { id: 's1', state, progress: { percent: 0, message: '' }, embeddable: null, version: this.version, warm_up_url: this.warmUpUrl };
  }

  #stream(signal: AbortSignal | null | undefined): ReadableStream<Uint8Array> {
    let controller: ReadableStreamDefaultController<Uint8Array>;
    return new ReadableStream({
      start: (started) => {
        controller = started;
        this.#streams.add(controller);
        signal?.addEventListener('abort', () => {
          if (this.#streams.delete(controller)) controller.error(signal.reason);
        });
      },
      cancel: () => {
        this.#streams.delete(controller);
      },
    });
  }
}

export function problem(status: number, slug: string, detail?: string): Response {
  return Response.json({ type: `urn:inset:problem:${slug}`, title: slug, status, detail }, { status });
}

/** The page inside an iframe, whose part the test plays. */
export class FakeFrame {
  readonly heard: { type: string; request?: string; command?: string; value?: unknown }[] = [];
  readonly window: { postMessage: (message: unknown, targetOrigin: string, ports: MessagePort[]) => void };
  readonly connects: string[] = [];
  /** The version that the page has chosen. */
  version: number | undefined;
  port: MessagePort | undefined;
  readonly #element: HTMLIFrameElement;

  constructor(element: HTMLIFrameElement) {
    this.#element = element;
    this.window = {
      postMessage: (message, targetOrigin, [port]) => {
        this.connects.push(targetOrigin);
        this.version = (message as { version?: number }).version;
        this.port = port;
        if (port) port.onmessage = ({ data }: MessageEvent<{ type: string }>) => void this.heard.push(data);
      },
    };
    Object.defineProperty(element, 'contentWindow', { value: this.window });
  }

  /** Post to the page around, as the browser would hand it over. */
  post(message: object, { source = this.window, origin = SEAT }: { source?: unknown; origin?: string } = {}): void {
    const event = new dom.Event('message');
    Object.assign(event, { source, origin, data: { protocol: PROTOCOL, ...message }, ports: [] });
    dom.dispatchEvent(event);
  }

  hello(document = 'd1', more: object = {}): void {
    this.post({ type: 'hello', min: 1, max: 1, capabilities: ['save'], document, ...more });
  }

  say(message: object): void {
    this.port?.postMessage({ protocol: PROTOCOL, ...message });
  }

  /** Connect and be ready; as a page that is older than capabilities unless told. */
  async open(document = 'd1', more: { may?: string[] } = {}): Promise<void> {
    this.hello(document);
    this.say({ type: 'ready', path: 'work/n1/a.ipynb', dirty: false, mode: 'partitioned', ...more });
    await settled();
  }

  load(): void {
    this.#element.dispatchEvent(new dom.Event('load') as unknown as Event);
  }

  close(): void {
    this.port?.close();
  }
}
