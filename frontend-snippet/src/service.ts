/** The Inset service, as far as the SDK calls it. HTTP and its failures stop here. */
import type { SavedVersion } from './api.js';
import { EmbedError } from './errors.js';
import { backoff, sleep } from './timers.js';
import type { Tokens } from './tokens.js';

/** A place in the queue, where the service tells one. */
export interface Place {
  /** How many are served before it, and itself: 1 is next. */
  position?: number | null;
  /** In seconds, where anything is known yet. */
  estimated_wait?: number | null;
  /** What it waits for beyond what its state says: `hub`, `image`. */
  waits_for?: string | null;
}

export interface Session extends Place {
  id: string;
  state: string;
  progress: { percent: number; message: string };
  embeddable: boolean | null;
  version: number | null;
  warm_up_url?: string | null;
}

interface Problem {
  type?: string;
  title?: string;
  detail?: string;
}

/** A request of ours, its headers plain enough to add to. */
interface Request extends RequestInit {
  headers?: Record<string, string>;
}

const TRIES = 4;

export class Service {
  readonly #url: string;
  readonly #tokens: Tokens;
  readonly #timeout: number;
  /** Ends the connection, or the waiting for one, of who follows a session. */
  following = new AbortController();

  constructor(url: string, tokens: Tokens, timeout: number) {
    this.#url = url.replace(/\/+$/, '');
    this.#tokens = tokens;
    this.#timeout = timeout;
  }

  /** Open a session of the notebook, or find the one it has. */
  async open(notebookId: string, signal: AbortSignal): Promise<Session> {
    return (await this.#json('POST', '/v1/sessions', signal, { notebook_id: notebookId })) as Session;
  }

  /** Begin to save and end the session. */
  async end(id: string, signal: AbortSignal): Promise<void> {
    await this.#json('DELETE', `/v1/sessions/${id}`, signal);
  }

  /** Make an old version the current one, and put it into the running server. */
  async restore(notebookId: string, version: number, signal: AbortSignal): Promise<SavedVersion> {
    const path = at(notebookId, `versions/${String(version)}/restore`);
    // Once: a second one would make a second version.
    const made = await (await this.#authorized(path, { method: 'POST', signal })).json() as { number: number; sha256: string };
    return { ...made, version: made.number };
  }

  /** Mint a URL that opens the notebook once, soon: alone, unless something else is to be shown. */
  async frameUrl(id: string, shown: 'notebook' | 'lab' | undefined, signal: AbortSignal): Promise<string> {
    const path = `/v1/sessions/${id}/iframe-url`;
    return ((await this.#json('POST', path, signal, { interface: shown })) as { url: string }).url;
  }

  /** Give the notebook's current version as a static page, whose style sheet has the nonce that the host's policy asks for. */
  async page(notebookId: string, signal: AbortSignal, nonce = ''): Promise<string> {
    const html = await (await this.#ask('GET', at(notebookId, 'preview'), signal)).text();
    return html.replace('<style>', `<style nonce="${nonce}">`);
  }

  /** The page is back: what was connected may be dead, and what let us in may be too old. */
  wake(): void {
    this.#tokens.renew();
    this.following.abort();
  }

  /** Connect to the session's event stream, after the event named by `lastEventId`. */
  async events(id: string, lastEventId: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const headers: Record<string, string> = lastEventId ? { 'Last-Event-ID': lastEventId } : {};
    const path = `/v1/sessions/${id}/events`;
    // What is found has a body.
    return (await this.#authorized(path, { headers, signal })).body as ReadableStream<Uint8Array>;
  }

  async #json(method: string, path: string, signal: AbortSignal, body?: object): Promise<unknown> {
    return (await this.#ask(method, path, signal, body)).json();
  }

  async #ask(method: string, path: string, signal: AbortSignal, body?: object): Promise<Response> {
    const request = { method, headers: { 'Content-Type': 'application/json' }, ...(body && { body: JSON.stringify(body) }) };
    for (let n = 1; ; n++) {
      try {
        const limited = AbortSignal.any([signal, AbortSignal.timeout(this.#timeout)]);
        return await this.#authorized(path, { ...request, signal: limited });
      } catch (error) {
        signal.throwIfAborted();
        const failure = error instanceof EmbedError ? error : unreachable(error);
        if (n === TRIES || !failure.transient) throw failure;
        await sleep(backoff(n), signal);
      }
    }
  }

  /** One request with the token; refused with 401, once more with a new one. */
  async #authorized(path: string, request: Request): Promise<Response> {
    for (let renewed = false; ; renewed = true) {
      const token = await this.#tokens.get();
      const headers = { ...request.headers, Authorization: `Bearer ${token}` };
      const response = await fetch(this.#url + path, { ...request, headers, credentials: 'omit', cache: 'no-store' });
      if (response.ok) return response;
      if (response.status !== 401) throw await toError(response);
      await this.#tokens.discard(token);
      if (renewed) throw new EmbedError('unauthorized', 'Your sign-in is not accepted.');
    }
  }
}

function unreachable(cause: unknown): EmbedError {
  return new EmbedError('service-unreachable', 'The notebook service does not answer.', { status: 0, cause });
}

async function toError(response: Response): Promise<EmbedError> {
  const problem = (await response.json().catch(() => ({}))) as Problem;
  const slug = problem.type?.split('urn:inset:problem:')[1];
  const message = problem.detail ?? problem.title ?? `The service answered ${String(response.status)}.`;
  return new EmbedError(slug ?? 'service-unreachable', message, { status: response.status });
}

/** A path of a notebook's: its id is the host's word. */
function at(notebookId: string, rest: string): string {
  return `/v1/notebooks/${encodeURIComponent(notebookId)}/${rest}`;
}
