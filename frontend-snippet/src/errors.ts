/**
 * Why something could not be done: a `code` to branch on and a `message` to read.
 *
 * | code | means |
 * | --- | --- |
 * | `not-ready` | `save()` was called while no notebook is connected |
 * | `not-allowed` | the user may not `edit` this notebook |
 * | `timeout` | the frame or the service did not answer in time |
 * | `save-failed` | the notebook's content did not reach the database; the frame keeps trying |
 * | `conflict` | the content was kept as a version on the side, because a newer one exists |
 * | `frame-unresponsive` | the frame never showed a notebook, not even at a second URL |
 * | `ticket-expired`, `ticket-used`, `ticket-invalid`, `ticket-for-another-server` | the frame's URL was refused, new ones too |
 * | `service-unavailable` | the notebook's server could not reach the service to let the user in |
 * | `cookies-blocked` | the browser lets the frame store nothing, and JupyterLab was asked for or an edge stands in front of the notebooks: the user can allow cookies for the page |
 * | `token-failed` | the host's `fetchToken` failed; its error is the `cause` |
 * | `unauthorized` | the service refused a fresh token |
 * | `service-unreachable` | the service did not answer, or not sensibly, after several tries |
 * | `session-over` | the session has ended |
 * | `not-embeddable` | the notebook's server has no save bridge, so it can't be shown in a frame |
 * | `destroyed` | `destroy()` was called first |
 *
 * Any other code is the slug of a problem the service answered (`urn:inset:problem:<slug>`) or of a
 * failure it reported for the session.
 */
export type EmbedErrorCode =
  | 'not-ready'
  | 'not-allowed'
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
  readonly code: EmbedErrorCode;

  constructor(code: EmbedErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Give anything that was thrown the shape the host is promised. */
export function toEmbedError(thrown: unknown): EmbedError {
  if (thrown instanceof EmbedError) return thrown;
  return new EmbedError('unexpected', 'Something unexpected went wrong.', { cause: thrown });
}
