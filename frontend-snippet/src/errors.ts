/**
 * Why something could not be done: a `code` to branch on and a `message` to read. `docs/sdk.md` lists the codes, each
 * with its cause and what to do. Any other code is the slug of a problem that the service answered
 * (`urn:inset:problem:<slug>`), or of a failure that it reported for the session.
 */
export type EmbedErrorCode =
  | 'not-ready'
  | 'not-allowed'
  | 'not-supported'
  | 'command-failed'
  | 'no-such-cell'
  | 'bad-value'
  | 'read-only'
  | 'protocol-mismatch'
  | 'cancelled'
  | 'unexpected'
  | 'timeout'
  | 'save-failed'
  | 'conflict'
  | 'frame-unresponsive'
  | 'ticket-expired'
  | 'ticket-used'
  | 'ticket-invalid'
  | 'ticket-for-another-server'
  | 'service-unavailable'
  | 'cookies-blocked'
  | 'token-failed'
  | 'unauthorized'
  | 'service-unreachable'
  | 'session-over'
  | 'not-embeddable'
  | 'destroyed'
  // Slugs of the service; the intersection keeps the editor's completion of the names above.
  | (string & {});

export class EmbedError extends Error {
  override readonly name = 'EmbedError';
  declare readonly code: EmbedErrorCode;
  /** What the service answered; undefined where it was not asked, 0 where it gave no answer. */
  declare readonly status: number | undefined;

  constructor(code: EmbedErrorCode, message: string = code, options: ErrorOptions & { status?: number } = {}) {
    super(message, options);
    this.code = code;
    this.status = options.status;
  }

  /** Whether trying again may help. */
  get transient(): boolean {
    const { status = 1 } = this;
    return status === 0 || status === 429 || status >= 502;
  }
}

/** Give anything that was thrown the shape the host is promised. */
export function toEmbedError(thrown: unknown): EmbedError {
  if (thrown instanceof EmbedError) return thrown;
  return new EmbedError('unexpected', undefined, { cause: thrown });
}
