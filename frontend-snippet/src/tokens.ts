import { EmbedError } from './errors.js';
import { within } from './timers.js';

/** At which part of its life a token is replaced. */
const DUE = 0.9;

/** The host's token: in memory only, fetched when needed, one fetch at a time. */
export class Tokens {
  readonly #fetchToken: () => Promise<string> | string;
  readonly #timeout: number;
  #current: Promise<string> | undefined;
  /** When the current one is due, by this machine's clock, which goes on while it sleeps. */
  #due = Infinity;

  constructor(fetchToken: () => Promise<string> | string, timeout = 30_000) {
    this.#fetchToken = fetchToken;
    this.#timeout = timeout;
  }

  get(): Promise<string> {
    if (!this.#current || Date.now() >= this.#due) {
      const fetching = this.#fetch();
      this.#current = fetching;
      this.#due = Infinity;
      fetching.then((token) => {
        if (this.#current === fetching) this.#due = Date.now() + DUE * lifetime(token);
      }, () => {
        // A failure is not kept: the next one who needs a token asks again.
        if (this.#current === fetching) this.#current = undefined;
      });
    }
    return this.#current;
  }

  /** Have the next who asks given a new one; one that is being fetched is new. */
  renew(): void {
    if (this.#due < Infinity) this.#due = 0;
  }

  /** Forget a token that the service refused, unless a newer one has taken its place. */
  async discard(refused: string): Promise<void> {
    const current = this.#current;
    if ((await current) === refused && this.#current === current) this.#current = undefined;
  }

  async #fetch(): Promise<string> {
    try {
      // One that never answers would keep everybody waiting, since nobody asks twice at a time.
      return await within(this.#timeout, Promise.resolve(this.#fetchToken()), AbortSignal.any([]));
    } catch (error) {
      throw new EmbedError('token-failed', 'The page could not get permission.', { cause: error });
    }
  }
}

/** How long a token lives by its own account, in milliseconds: a difference, so that nobody's clock matters. */
function lifetime(token: string): number {
  try {
    const [, claims = ''] = token.split('.');
    const { exp, iat = Date.now() / 1000 } = JSON.parse(atob(claims.replace(/-/g, '+').replace(/_/g, '/'))) as { exp: number; iat?: number };
    return (exp - iat) * 1000;
  } catch {
    // One that tells nothing is good until it is refused.
    return 1e15;
  }
}
