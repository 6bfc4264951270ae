import { EmbedError } from './errors.js';

/** The host's token: in memory only, fetched when needed, one fetch at a time. */
export class Tokens {
  readonly #fetchToken: () => Promise<string> | string;
  #current: Promise<string> | undefined;

  constructor(fetchToken: () => Promise<string> | string) {
    this.#fetchToken = fetchToken;
  }

  get(): Promise<string> {
    if (!this.#current) {
      const fetching = this.#fetch();
      this.#current = fetching;
      // A failure is not kept: the next one who needs a token asks again.
      fetching.catch(() => {
        if (this.#current === fetching) this.#current = undefined;
      });
    }
    return this.#current;
  }

  /** Forget a token that the service refused, unless a newer one has taken its place. */
  async discard(refused: string): Promise<void> {
    const current = this.#current;
    if ((await current) === refused && this.#current === current) this.#current = undefined;
  }

  async #fetch(): Promise<string> {
    try {
      return await this.#fetchToken();
    } catch (error) {
      throw new EmbedError('token-failed', 'The page could not get permission to open the notebook.', { cause: error });
    }
  }
}
