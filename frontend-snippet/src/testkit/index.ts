/**
 * A fake Inset for a host's own tests: service and frame, in memory, in node. Not for a page.
 *
 *     const inset = await fakeInset({ origin: 'http://localhost:3000' });
 *     process.env.INSET_URL = inset.url;
 *     …
 *     await inset.close();
 *
 * It answers what the SDK and a back end call, and tells what happens as webhooks. `docs/testing.md` says which calls
 * those are; the service's own contract tests hold it to them.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answer } from './answers.js';
import type { Refusal } from './refusals.js';
import { Kept, written, type Failure, type Notebook, type Session, type Version, type WaitsFor } from './state.js';
import { sign } from './tokens.js';
import { EVENTS, type Delivery, type Webhook, type WebhookType } from './webhooks.js';

export { Refusal } from './refusals.js';
export type { Failure, Notebook, Session, Version, WaitsFor } from './state.js';
export type { Delivery, Webhook, WebhookType } from './webhooks.js';

const LOOKS_EVERY = 20;

export interface FakeInsetOptions {
  /** Your page's origin, the only one whose scripts may call. Default: `http://localhost:3000`. */
  origin?: string;
  /** The name of this machine in `url`, where a browser has to see one site or two. Default: `127.0.0.1`. */
  hostname?: string;
}

export interface WebhookOptions {
  /** Default: all of them. */
  events?: readonly WebhookType[];
  /** Default: `webhookSecret`. */
  secret?: string;
}

export interface FakeInset {
  /** What stands for the service: its public URL, and the `aud` of tokens. */
  readonly url: string;
  /** What your host application is registered with. */
  readonly issuer: string;
  readonly keyId: string;
  readonly key: string;
  readonly notebooks: ReadonlyMap<string, Notebook>;
  readonly sessions: ReadonlyMap<string, Session>;
  /** All that has happened, oldest first: hand `body` and `headers()` to your back end's handler. */
  readonly webhooks: readonly Webhook[];
  /** What they are signed with, unless an address has a secret of its own. */
  readonly webhookSecret: string;
  /** What was posted, or waits to be. */
  readonly deliveries: readonly Delivery[];
  /** Answer everything with `hub-unavailable`. */
  down: boolean;
  /** Answer everything that is asked with a good token with this, as `new Refusal(409, 'session-limit', 'Too many')`. */
  refusing: Refusal | undefined;
  /** What no merge settles. None: a merge takes the version on the side. */
  unsettled: object[];
  /** By what sessions opened from now on fail. */
  failure: Failure | undefined;
  /** Where sessions opened from now on stand in the queue, until their own `place` is null. */
  place: number | null;
  /** What sessions opened from now on wait for, until their own `waitsFor` is null. */
  waitsFor: WaitsFor | null;
  /** Milliseconds that each of the three steps of opening a session takes. */
  step: number;
  /** Milliseconds before each answer. */
  delay: number;
  /** Sign what `fetchToken` gives. */
  token(user: string): string;
  /** Store a notebook for a user, and give its id. */
  create(user: string, name: string, document?: object): string;
  /** Store a version, as if somebody had saved it in Jupyter; its sessions and your webhooks are told. */
  save(id: string, document: object): Version;
  /** Store what was saved on top of an old version: a conflict. */
  keepAside(id: string, document: object, base: number): Version;
  /** Post what happens from now on to your back end. */
  sendWebhooks(url: string, options?: WebhookOptions): void;
  close(): Promise<void>;
}

/** Start one on a free port. */
export async function fakeInset({ origin = 'http://localhost:3000', hostname = '127.0.0.1' }: FakeInsetOptions = {}): Promise<FakeInset> {
  const server = createServer((request, response) => void answer(kept, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const kept: Kept = new Kept(`http://${hostname}:${String(port)}`, origin, randomBytes(32).toString('base64url'));
  let looking: NodeJS.Timeout | undefined;
  return Object.assign(kept, {
    token: (user: string) => sign(kept, user),
    create: (user: string, name: string, document?: object) => kept.add(user, name, document).id,
    save: (id: string, document: object) => kept.keep(known(kept, id), written(document), 'save'),
    keepAside: (id: string, document: object, base: number) => kept.keepOnTheSide(known(kept, id), written(document), base, 'autosave'),
    sendWebhooks: (url: string, { events = EVENTS, secret = kept.webhookSecret }: WebhookOptions = {}) => {
      kept.hooks.send(url, events, secret);
      looking ??= setInterval(() => { kept.advance(); }, LOOKS_EVERY);
    },
    close: () => new Promise<void>((resolve) => {
      clearInterval(looking);
      kept.hooks.close();
      server.close(() => { resolve(); });
      server.closeAllConnections();
    }),
  });
}

function known(kept: Kept, id: string): Notebook {
  const found = kept.notebooks.get(id);
  if (!found) throw new Error(`There is no notebook ${id}.`);
  return found;
}
