/** A session's events from the service, without a gap, for as long as the session lives. */
import { readEvents } from './event-stream.js';
import { EmbedError } from './errors.js';
import type { Place, Service } from './service.js';
import { backoff, sleep } from './timers.js';

/** What happens in a session. The fields are the service's own. */
export type SessionEvent =
  | ({ event: 'progress'; percent: number; message: string; state?: string } & Place)
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
  silence = SILENCE,
): AsyncGenerator<SessionEvent, void> {
  let lastEventId = '';
  for (let failures = 0; ; failures++) {
    const connection = (service.following = new AbortController());
    const either = AbortSignal.any([signal, connection.signal]);
    const watch = () => setTimeout(() => { connection.abort(); }, silence);
    let watching = watch();
    const alive = () => {
      // A stream that lived also ends with its token: that is no failure, and is not waited for as one.
      failures = 0;
      clearTimeout(watching);
      watching = watch();
    };
    try {
      const body = await service.events(sessionId, lastEventId, either);
      for await (const received of readEvents(body, alive)) {
        lastEventId = received.id;
        // Events we don't know are from a newer service, and nobody acts on them.
        const event = { ...(JSON.parse(received.data) as object), event: received.event } as SessionEvent;
        yield event;
        if (event.event === 'ended' || event.event === 'failed') return;
      }
    } catch (error) {
      signal.throwIfAborted();
      // A host that can't give a token just now is no reason to take the notebook away.
      if (error instanceof EmbedError && !(error.transient || error.code === 'token-failed')) throw error;
    } finally {
      clearTimeout(watching);
    }
    // Who wakes up, or has heard nothing for so long, waits no longer.
    await sleep(backoff(failures), either).catch(() => {
      signal.throwIfAborted();
      failures = -1;
    });
  }
}
