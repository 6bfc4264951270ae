/** The save bridge's endpoints on this page's own server. */
import { ServerConnection } from '@jupyterlab/services';

export interface Flushed {
  version: number;
  sha256: string;
  /** The service's signed proof, if this version was sent from this server. */
  receipt?: string;
  /** Whether the last save found no room on the server's disk, and this version is ahead of the file. */
  disk_full?: boolean;
}

export type Origin = 'save' | 'autosave';

/** The content is in the file, but not in the database. */
export class FlushError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** A little less than browsers take, since headers count as well. */
const TAKEN_ALONG = 63_000;

export class Bridge {
  readonly #url: string;
  readonly #settings: ServerConnection.ISettings;

  /** `api` is the bridge's address on the server, `insetApi` in the page's configuration. */
  constructor(api: string, settings: ServerConnection.ISettings) {
    this.#url = new URL(api, settings.baseUrl).href;
    this.#settings = settings;
  }

  /** Trade a ticket for more time; gives the seconds until the way in ends. */
  async enter(ticket: string): Promise<number> {
    const init = { method: 'POST', body: JSON.stringify({ ticket }) };
    const response = await ServerConnection.makeRequest(new URL('../enter', this.#url).href, init, this.#settings);
    const { expires_in: left } = (await response.json()) as { expires_in?: number };
    if (!response.ok || left === undefined) throw new Error('The ticket was refused.');
    return left;
  }

  /** Answer the server's request for unsaved edits: the notebook is not shown here. */
  async absent(request: string): Promise<void> {
    const init = { method: 'POST', body: JSON.stringify({ request }) };
    await ServerConnection.makeRequest(`${this.#url}absent`, init, this.#settings);
  }

  /** Have the database keep `content`, which began as the bytes of this hash, beside what is newer; gives its own hash. */
  async keep(path: string, content: unknown, hash: string): Promise<string> {
    const init = { method: 'POST', body: JSON.stringify({ path, content, hash }) };
    const response = await ServerConnection.makeRequest(`${this.#url}keep`, init, this.#settings);
    const answer = (await response.json()) as { hash?: string; code?: string; message?: string };
    if (response.ok && answer.hash !== undefined) return answer.hash;
    throw new FlushError(answer.code ?? 'save-failed', answer.message ?? 'The notebook did not reach the database.');
  }

  /**
   * Hand over what a page holds that goes away, with nobody left to hear the answer. One of the saves that are
   * `unanswered` may have replaced the bytes of this hash. Browsers take no more than 64 KiB along from a page that is gone: more than
   * that arrives only if the page lives long enough.
   */
  leave(path: string, content: unknown, hash: string, unanswered: readonly string[]): void {
    const body = JSON.stringify({ path, content, hash, unanswered });
    const init = { method: 'POST', body, keepalive: new Blob([body]).size < TAKEN_ALONG };
    ServerConnection.makeRequest(`${this.#url}leave`, init, this.#settings).catch(() => undefined);
  }

  /** Wait until the database has what the file at `path` holds. `request` settles the server's own waiting. */
  async flush(path: string, origin: Origin, request?: string): Promise<Flushed> {
    const init = { method: 'POST', body: JSON.stringify({ path, origin, request }) };
    const response = await ServerConnection.makeRequest(`${this.#url}flush`, init, this.#settings);
    const answer = (await response.json()) as Partial<Flushed & { code: string; message: string }>;
    if (response.status === 409) throw new FlushError('conflict', 'A newer version exists; this one was kept beside it.');
    if (response.ok && answer.version !== undefined && answer.sha256 !== undefined) {
      const { version, sha256, receipt, disk_full } = answer;
      return { version, sha256, ...(receipt && { receipt }), ...(disk_full && { disk_full }) };
    }
    throw new FlushError(answer.code ?? 'save-failed', answer.message ?? 'The notebook did not reach the database.');
  }
}
