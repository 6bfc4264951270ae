/** A session's events from the service, without a gap, for as long as the session lives. */
import { readEvents, type ServerEvent } from './event-stream.js';
import { EmbedError } from './errors.js';
import { type Service, ServiceError } from './service.js';
import { after, backoff, sleep } from './timers.js';

/** What happens in a session. The fields are the service's own. */
export type SessionEvent =
  | { event: 'progress'; percent: number; message: string }
  | { event: 'ready'; embeddable: boolean }
  | { event: 'saved'; version: number; sha256: string; origin: string }
  | { event: 'conflict'; base_version: number; current_version: number; kept_version: number; resolve: string }
  | { event: 'renamed'; name: string }
  | { event: 'ending'; reason: string; in?: number }
  | { event: 'ended'; reason: string }
  | { event: 'failed'; code: string; title: string; detail?: string };

/** The service sends a keep-alive every 15 seconds; two missed ones mean that nobody is there. */
const SILENCE = 30_000;

/** Follow a session until it has ended or failed, across connections that break and tokens that expire. */
export async function* followSession(
  service: Service,
  sessionId: string,
  signal: AbortSignal,
  { silence = SILENCE } = {},
): AsyncGenerator<SessionEvent, void> {
  let lastEventId = '';
  for (let failures = 0; ; failures++) {
    const connection = new AbortController();
    const either = AbortSignal.any([signal, connection.signal]);
    const watch = () => after(silence, either, () => { connection.abort(); });
    let forget = watch();
    const alive = () => {
      // A stream that lived also ends with its token: that is no failure, and is not waited for as one.
      failures = 0;
      forget();
      forget = watch();
    };
    try {
      const body = await service.events(sessionId, lastEventId, either);
      for await (const received of readEvents(body, alive)) {
        lastEventId = received.id;
        const event = toSessionEvent(received);
        if (event) yield event;
        if (event?.event === 'ended' || event?.event === 'failed') return;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof EmbedError && !passing(error)) throw error;
    } finally {
      forget();
      connection.abort();
    }
    await sleep(backoff(failures), signal);
  }
}

/** Whether it may be over next time. A host that can't give a token just now is no reason to take the notebook away. */
function passing(error: EmbedError): boolean {
  return error.code === 'token-failed' || (error instanceof ServiceError && error.transient);
}

const NAMES = new Set(['progress', 'ready', 'saved', 'conflict', 'renamed', 'ending', 'ended', 'failed']);

/** Events we don't know are from a newer service, and not for us. */
function toSessionEvent({ event, data }: ServerEvent): SessionEvent | undefined {
  return NAMES.has(event) ? ({ ...(JSON.parse(data) as object), event } as SessionEvent) : undefined;
}
