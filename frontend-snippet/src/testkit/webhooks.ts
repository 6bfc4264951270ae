/**
 * Webhooks as the service signs them: what happens to the fake is told to a host's own back end.
 *
 * They are there to be looked at and handed to a back end's handler, and are posted to the addresses that a test gives.
 */
import { createHmac, randomBytes, randomUUID } from 'node:crypto';

export const EVENTS = ['notebook.saved', 'notebook.conflict', 'session.ready', 'session.ended'] as const;
export type WebhookType = (typeof EVENTS)[number];

const TRIES = 7;
const ANSWERS_WITHIN = 10_000;

/** One event, whether or not an address is told of it. */
export class Webhook {
  readonly id = `evt_${randomUUID().replaceAll('-', '')}`;
  readonly at = new Date();
  /** What is posted. */
  readonly body: string;

  constructor(
    readonly type: WebhookType,
    /** The id of the notebook, or of the session. */
    readonly subject: string,
    readonly data: Record<string, unknown>,
    readonly secret: string,
  ) {
    this.body = JSON.stringify({ type, timestamp: this.at.toISOString(), data });
  }

  /** Sign it, as of now; by another time or another secret for what your back end must refuse. */
  headers({ at = new Date(), secret = this.secret } = {}): Record<string, string> {
    const timestamp = String(Math.floor(at.getTime() / 1000));
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    const signature = createHmac('sha256', key).update(`${this.id}.${timestamp}.${this.body}`).digest('base64');
    return {
      'content-type': 'application/json',
      'webhook-id': this.id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signature}`,
    };
  }
}

interface Endpoint {
  name: string;
  url: string;
  events: readonly WebhookType[];
  secret: string;
  /** It has answered 410. */
  off: boolean;
}

/** One event on its way to one address. */
export interface Delivery {
  id: number;
  webhook: Webhook;
  to: Endpoint;
  state: 'waiting' | 'delivered' | 'failed';
  attempts: number;
  nextAt: Date | null;
  finishedAt: Date | null;
  lastStatus: number | null;
  lastError: string | null;
}

export class Webhooks {
  readonly secret = `whsec_${randomBytes(32).toString('base64')}`;
  readonly told: Webhook[] = [];
  readonly deliveries: Delivery[] = [];
  /** Milliseconds after which what was not taken is sent again. */
  retryAfter = 200;
  readonly #endpoints: Endpoint[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  #closed = false;

  get posting(): boolean {
    return this.#endpoints.length > 0;
  }

  send(url: string, events: readonly WebhookType[], secret: string): void {
    const name = this.posting ? `endpoint-${String(this.#endpoints.length + 1)}` : 'main';
    this.#endpoints.push({ name, url, events, secret, off: false });
  }

  happened(type: WebhookType, subject: string, data: Record<string, unknown>): void {
    const webhook = new Webhook(type, subject, data, this.secret);
    this.told.push(webhook);
    for (const to of this.#endpoints.filter(({ events, off }) => events.includes(type) && !off)) {
      const facts = { state: 'waiting', attempts: 0, nextAt: new Date(), finishedAt: null, lastStatus: null, lastError: null } as const;
      const made: Delivery = { id: this.deliveries.length + 1, webhook, to, ...facts };
      this.deliveries.push(made);
      if (this.#first(made) === made) this.#post(made);
    }
  }

  /** Have it made again at once. */
  again(delivery: Delivery): void {
    Object.assign(delivery, { state: 'waiting', attempts: 0, nextAt: new Date(), finishedAt: null });
    if (this.#first(delivery) === delivery) this.#post(delivery);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Of each notebook and session what came first; the rest waits behind it. */
  #first({ to, webhook }: Delivery): Delivery | undefined {
    return this.deliveries.find((each) => each.state === 'waiting' && each.to === to && each.webhook.subject === webhook.subject);
  }

  #post(delivery: Delivery, after = 0): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void this.#attempt(delivery);
    }, after);
    this.#timers.add(timer);
  }

  async #attempt(delivery: Delivery): Promise<void> {
    const { webhook, to } = delivery;
    delivery.attempts++;
    try {
      const sent = { method: 'POST', body: webhook.body, headers: webhook.headers(to), redirect: 'manual' as const };
      const { status, ok } = await fetch(to.url, { ...sent, signal: AbortSignal.timeout(ANSWERS_WITHIN) });
      Object.assign(delivery, { lastStatus: status, lastError: ok ? null : 'status' });
    } catch (error) {
      const timedOut = error instanceof Error && error.name === 'TimeoutError';
      Object.assign(delivery, { lastStatus: null, lastError: timedOut ? 'timed-out' : 'unreachable' });
    }
    if (!this.#closed) this.#settle(delivery);
  }

  #settle(delivery: Delivery): void {
    const { to, lastError, lastStatus, attempts } = delivery;
    if (lastStatus === 410) {
      to.off = true;
      for (const each of this.deliveries) if (each.to === to && each.state === 'waiting') over(each, 'failed');
    } else if (lastError === null || attempts >= TRIES) {
      over(delivery, lastError === null ? 'delivered' : 'failed');
    }
    const next = this.#first(delivery);
    if (next) this.#post(next, next === delivery ? this.retryAfter : 0);
  }
}

/** Write a delivery as the API does. */
export function shown({ id, webhook, to, state, attempts, nextAt, finishedAt, lastStatus, lastError }: Delivery): object {
  return {
    id, state, attempts,
    event_id: webhook.id,
    endpoint: to.name,
    type: webhook.type,
    subject: webhook.subject,
    created_at: webhook.at.toISOString(),
    next_at: nextAt?.toISOString() ?? null,
    finished_at: finishedAt?.toISOString() ?? null,
    last_status: lastStatus,
    last_error: lastError,
  };
}

function over(delivery: Delivery, state: 'delivered' | 'failed'): void {
  Object.assign(delivery, { state, nextAt: null, finishedAt: new Date() });
}
