/**
 * Finds out, from inside the host's page, why an embedded notebook stays blank. A bundle of its own
 * (`inset-notebook/diagnose`), so that a page loads it when it is asked for.
 *
 * It looks only: it opens no session, and the signed URL that it may mint is never used.
 * `docs/troubleshooting.md` lists the codes; `inset doctor` looks at the other side.
 */
import type { CookieMode } from './protocol.js';
import { isWindowMessage } from './protocol.js';

export interface DiagnoseOptions {
  /** The public address of the Inset service. */
  serviceUrl: string;
  /** As for `embedNotebook`. */
  fetchToken: () => Promise<string> | string;
  /** Look at this notebook. Default: at any that the user has open. */
  notebookId?: string;
  /** What `embedNotebook` gave, where it is on this page: tells how its frame stays signed in. */
  notebook?: { readonly mode: CookieMode | undefined };
  /** How long each step may take, in milliseconds. Default: 10 000. */
  timeout?: number;
}

/** One thing that was found: the same shape as the service's own findings. */
export interface Finding {
  /** Stable: to branch on, and to look up. */
  code: string;
  /** `error`: notebooks don't open. `skipped`: it was not checked. */
  level: 'ok' | 'skipped' | 'warning' | 'error';
  message: string;
  /** What to change, and where. */
  fix?: string;
}

/** Look at everything, in order; where one thing must hold for the next to be seen, stop there. Never rejects. */
export async function diagnose(options: DiagnoseOptions): Promise<Finding[]> {
  const examination = new Examination(options);
  try {
    await examination.run();
  } catch (error) {
    const kind = error instanceof Error ? error.name : 'an error';
    examination.error('check-crashed', `The examination itself failed (${kind}).`, 'Look at the browser’s console.');
    console.error(error);
  }
  return examination.findings;
}

/** Clocks that differ by less are nobody's trouble, in milliseconds. The service forgives hosts as much. */
const SKEW = 30_000;

class Examination {
  readonly findings: Finding[] = [];
  readonly #options: DiagnoseOptions;
  readonly #service: string;
  readonly #timeout: number;
  /** How far the service's clock is ahead of the browser's, in milliseconds. */
  #ahead = 0;
  #token = '';

  constructor(options: DiagnoseOptions) {
    this.#options = options;
    this.#service = options.serviceUrl.replace(/\/+$/, '');
    this.#timeout = options.timeout ?? 10_000;
  }

  async run(): Promise<void> {
    if ((await this.#reached()) && (await this.#accepted()) && (await this.#found())) await this.#framed();
    const mode = this.#options.notebook?.mode;
    if (mode === 'cookieless') {
      this.#warning('cookieless', 'This browser keeps no cookie for the frame: images and downloads from the notebook’s folder stay away.',
        'Allow cookies for this page, or serve page and notebooks below one registrable domain.');
    } else if (mode) this.#ok('cookies', `The frame stays signed in by a ${mode} cookie.`);
  }

  error(code: string, message: string, fix: string): false {
    this.findings.push({ code, level: 'error', message, fix });
    return false;
  }

  #warning(code: string, message: string, fix: string): void {
    this.findings.push({ code, level: 'warning', message, fix });
  }

  #ok(code: string, message: string): true {
    this.findings.push({ code, level: 'ok', message });
    return true;
  }

  /** Does the service answer, and does it let this page read the answer? */
  async #reached(): Promise<boolean> {
    const { origin } = window.location;
    if (this.#mixed(this.#service)) return false;
    const blocked = new Violations('connect-src');
    try {
      const response = await this.#fetch('/healthz');
      if (!response.ok) return this.#unreachable(`answers ${String(response.status)}`);
      this.#compareClocks(response.headers.get('Date'));
      return this.#ok('service', `The service answers, and lets pages of ${origin} read its answers.`);
    } catch {
      if (await blocked.any()) {
        return this.error('connect-src-blocked', 'This page’s own Content-Security-Policy forbids it to call the service.',
          `Add ${new URL(this.#service).origin} to connect-src in the policy of this page.`);
      }
      if (!(await this.#answers(`${this.#service}/healthz`))) return this.#unreachable('does not answer');
      return this.error('origin-not-registered', `The service answers, and does not let pages of ${origin} read it.`,
        `Register exactly ${origin} in \`origins\` of the host application, with \`inset hosts apply\`.`);
    } finally {
      blocked.forget();
    }
  }

  /** Does the host give a token, and does the service take it? */
  async #accepted(): Promise<boolean> {
    let expires: number, issued: number;
    try {
      this.#token = await this.#options.fetchToken();
    } catch {
      return this.error('token-failed', 'The page could not get a token: `fetchToken` failed.',
        'Let `fetchToken` answer the JWT that your backend signs, as text. Its own error is in the console or the network log.');
    }
    try {
      ({ exp: expires, iat: issued = 0 } = claims(this.#token));
    } catch {
      return this.error('token-malformed', 'What `fetchToken` gave is no JWT.', 'Let `fetchToken` answer the JWT alone, as text.');
    }
    const now = Date.now() + this.#ahead;
    if (expires * 1000 <= now) {
      return this.error('token-expired', `The token expired ${seconds(now - expires * 1000)} ago, by the service’s clock.`,
        'Let your backend sign a new token each time it is asked, with `exp` minutes ahead, and keep its clock by NTP.');
    }
    if (issued * 1000 > now + SKEW) {
      return this.error('token-too-early', `The token was signed ${seconds(issued * 1000 - now)} from now, by the service’s clock.`,
        'Keep the clock of the machine that signs tokens by NTP.');
    }
    const response = await this.#fetch('/v1/notebooks?limit=1');
    if (response.ok) return this.#ok('token', 'The service accepts the token.');
    const { type = '', title = '', detail = '' } = await problem(response);
    if (type.endsWith(':origin-not-allowed')) {
      return this.error('origin-of-another-host', 'This page’s origin is registered for another host application than the token’s `iss`.',
        'Register the origin for this host application as well, or sign with the other’s id and key.');
    }
    if (response.status === 401 || response.status === 403) {
      return this.error('token-refused', `The service refuses the token: ${detail || title}`,
        'Compare `iss`, `aud`, `kid` and the algorithm with what `inset hosts list` shows.');
    }
    return this.#unreachable(`answers ${String(response.status)}`);
  }

  /** Is the notebook this user's? */
  async #found(): Promise<boolean> {
    const { notebookId } = this.#options;
    if (!notebookId) return true;
    const response = await this.#fetch(`/v1/notebooks/${encodeURIComponent(notebookId)}`);
    if (response.ok) return this.#ok('notebook', 'The notebook is there, and this user’s.');
    return this.error('notebook-not-found', 'This user has no such notebook.',
      'Compare `notebookId` with the id that `POST /v1/notebooks` gave, and the token’s `sub` with who made it.');
  }

  /** Can a page of the open notebook's server be framed here? */
  async #framed(): Promise<boolean> {
    const url = await this.#frameUrl();
    if (!url) {
      this.findings.push({ code: 'frame', level: 'skipped', message: 'The frame was not checked: no notebook is open.' });
      return true;
    }
    const { origin } = new URL(url);
    if (this.#mixed(origin)) return false;
    const outcome = await this.#tryFrame(url, origin);
    if (outcome === 'alive') return this.#ok('frame', `Pages of ${origin} can be framed here.`);
    if (outcome === 'blocked') {
      return this.error('frame-src-blocked', 'This page’s own Content-Security-Policy forbids the notebook’s frame.',
        `Add the notebooks’ origins, such as ${wildcard(origin)}, to frame-src in the policy of this page.`);
    }
    if (await this.#answers(url)) {
      return this.error('framing-refused', `The notebook’s server answers, and no page of it appears in a frame of ${window.location.origin}.`,
        'Register exactly this origin with `inset hosts apply` and open the notebook anew. Let no proxy add X-Frame-Options.');
    }
    return this.error('frame-silent', `The notebook’s server at ${origin} was not reached.`,
      'Check the wildcard name and its certificate, and the hub’s proxy: `inset doctor` does.');
  }

  /** Give the address of an open notebook's entry page, without the ticket that would open it. */
  async #frameUrl(): Promise<string | undefined> {
    const { notebookId } = this.#options;
    const { items } = (await (await this.#fetch('/v1/sessions?state=live')).json()) as { items: Session[] };
    const open = items.find((one) => one.state === 'ready' && (!notebookId || one.notebook_id === notebookId));
    if (!open) return undefined;
    const response = await this.#fetch(`/v1/sessions/${encodeURIComponent(open.id)}/iframe-url`, 'POST');
    return response.ok ? ((await response.json()) as { url: string }).url.replace(/#.*/, '') : undefined;
  }

  /** An entry page without a ticket says at once that it has none: that is all it takes to know that it lives. */
  async #tryFrame(url: string, origin: string): Promise<'alive' | 'blocked' | 'silent'> {
    const blocked = new Violations('frame-src');
    const over = new AbortController();
    const frame = document.createElement('iframe');
    frame.hidden = true;
    frame.title = 'A check of the notebook’s frame';
    frame.src = url;
    const alive = new Promise<'alive'>((resolve) => {
      window.addEventListener('message', (event) => {
        if (event.source === frame.contentWindow && event.origin === origin && isWindowMessage(event.data)) resolve('alive');
      }, { signal: over.signal });
    });
    const silent = new Promise<'silent'>((resolve) => {
      setTimeout(resolve, this.#timeout, 'silent');
    });
    document.body.append(frame);
    try {
      return await Promise.race([alive, blocked.first.then(() => 'blocked' as const), silent]);
    } finally {
      over.abort();
      blocked.forget();
      frame.remove();
    }
  }

  #compareClocks(date: string | null): void {
    if (!date) return;
    this.#ahead = Date.parse(date) - Date.now();
    if (Math.abs(this.#ahead) > SKEW) {
      this.#warning('clock-skew', `This computer’s clock and the service’s are ${seconds(Math.abs(this.#ahead))} apart.`,
        'Set this computer’s clock. What counts for tokens is the clock of the backend that signs them.');
    }
  }

  #mixed(url: string): boolean {
    const { protocol, hostname } = new URL(url);
    if (window.location.protocol !== 'https:' || protocol !== 'http:' || /(^|\.)localhost$|^127\.|^\[::1\]$/.test(hostname)) return false;
    this.error('mixed-content', `This page is https and ${hostname} is plain http, which browsers block.`,
      'Serve it by https: INSET_PUBLIC_URL for the service, INSET_HUB_PUBLIC_URL for notebooks.');
    return true;
  }

  #unreachable(how: string): false {
    return this.error('service-unreachable', `The service at ${this.#service} ${how}.`,
      'Check `serviceUrl`, that the service runs, and its name and certificate: open the address in a tab of its own.');
  }

  /** Whether something answers at all, whatever it is and whether or not this page may read it. */
  async #answers(url: string): Promise<boolean> {
    const request: RequestInit = { mode: 'no-cors', credentials: 'omit', cache: 'no-store' };
    return fetch(url, { ...request, signal: AbortSignal.timeout(this.#timeout) }).then(() => true, () => false);
  }

  async #fetch(path: string, method = 'GET'): Promise<Response> {
    const headers: Record<string, string> = this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
    const signal = AbortSignal.timeout(this.#timeout);
    return fetch(this.#service + path, { method, headers, signal, credentials: 'omit', cache: 'no-store' });
  }
}

interface Session {
  id: string;
  notebook_id: string;
  state: string;
}

/** What the page's own policy forbids, from now on. */
class Violations {
  readonly first: Promise<true>;
  readonly #over = new AbortController();

  constructor(directive: string) {
    this.first = new Promise((resolve) => {
      document.addEventListener('securitypolicyviolation', (event) => {
        if (event.effectiveDirective === directive && event.disposition === 'enforce') resolve(true);
      }, { signal: this.#over.signal });
    });
  }

  /** The browser tells of them a moment later. */
  any(): Promise<boolean> {
    return Promise.race([this.first, new Promise<false>((resolve) => setTimeout(resolve, 200, false))]);
  }

  forget(): void {
    this.#over.abort();
  }
}

/** Read a JWT's claims, as anybody can. Throws for anything else. */
function claims(token: string): { exp: number; iat?: number } {
  const [, payload = ''] = token.split('.');
  const { exp, iat } = JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/'))) as Record<string, unknown>;
  if (typeof exp !== 'number') throw new TypeError('no exp');
  return typeof iat === 'number' ? { exp, iat } : { exp };
}

async function problem(response: Response): Promise<{ type?: string; title?: string; detail?: string }> {
  return (await response.json().catch(() => ({}))) as object;
}

function seconds(ms: number): string {
  return `${String(Math.round(ms / 1000))} seconds`;
}

/** Any seat's origin, from one's: what a page's policy should allow. */
function wildcard(origin: string): string {
  return origin.replace(/\/\/[^.]+\./, '//*.');
}
