/**
 * A fake Inset for a host's own tests: service and frame, in memory, in node. Not for a page.
 *
 *     const inset = await fakeInset({ origin: 'http://localhost:3000' });
 *     process.env.INSET_URL = inset.url;
 *     …
 *     await inset.close();
 *
 * It answers what the SDK calls, and what a back end calls to make notebooks and look at them. `docs/testing.md` says
 * which calls those are; the service's own contract tests hold it to them.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answer } from './answers.js';
import { Kept, type Failure, type Notebook, type Session } from './state.js';
import { sign } from './tokens.js';

export type { Failure, Notebook, Session, Version } from './state.js';

export interface FakeInsetOptions {
  /** Your page's origin, the only one whose scripts may call. Default: `http://localhost:3000`. */
  origin?: string;
  /** The name of this machine in `url`, where a browser has to see one site or two. Default: `127.0.0.1`. */
  hostname?: string;
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
  /** Answer everything with `hub-unavailable`. */
  down: boolean;
  /** By what sessions opened from now on fail. */
  failure: Failure | undefined;
  /** Milliseconds that each of the three steps of opening a session takes. */
  step: number;
  /** Milliseconds before each answer. */
  delay: number;
  /** Sign what `fetchToken` gives. */
  token(user: string): string;
  /** Store a notebook for a user, and give its id. */
  create(user: string, name: string, document?: object): string;
  close(): Promise<void>;
}

/** Start one on a free port. */
export async function fakeInset({ origin = 'http://localhost:3000', hostname = '127.0.0.1' }: FakeInsetOptions = {}): Promise<FakeInset> {
  const server = createServer((request, response) => void answer(kept, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const kept: Kept = new Kept(`http://${hostname}:${String(port)}`, origin, randomBytes(32).toString('base64url'));
  return Object.assign(kept, {
    token: (user: string) => sign(kept, user),
    create: (user: string, name: string, document?: object) => kept.add(user, name, document).id,
    close: () => new Promise<void>((resolve) => {
      server.close(() => { resolve(); });
      server.closeAllConnections();
    }),
  });
}
