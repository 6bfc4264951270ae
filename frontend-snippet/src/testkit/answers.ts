/** How the fake answers: HTTP in, HTTP out. */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { compared } from './diffs.js';
import frame from './frame.html';
import { missing, Refusal } from './refusals.js';
import { current, written, type Kept, type Notebook, type Session, type Version } from './state.js';
import { caller, need, type Caller } from './tokens.js';

interface Asked {
  kept: Kept;
  who: Caller;
  id: string;
  body: string;
  url: URL;
  headers: IncomingMessage['headers'];
}

interface Answer {
  status?: number;
  body?: string | object;
  type?: string;
  headers?: Record<string, string>;
  /** Answer with a session's events instead, from this one on. */
  follow?: Session;
}

const LOOKS_EVERY = 20;

const CALLS: [method: string, path: RegExp, call: (asked: Asked) => Answer][] = [
  ['POST', /^\/v1\/notebooks$/, create],
  ['GET', /^\/v1\/notebooks$/, listNotebooks],
  ['GET', /^\/v1\/notebooks\/(\w+)$/, (asked) => ({ body: shown(notebook(asked)) })],
  ['GET', /^\/v1\/notebooks\/(\w+)\/content$/, content],
  ['PUT', /^\/v1\/notebooks\/(\w+)\/content$/, replace],
  ['GET', /^\/v1\/notebooks\/(\w+)\/preview$/, preview],
  ['GET', /^\/v1\/notebooks\/(\w+)\/diff$/, diff],
  ['POST', /^\/v1\/sessions$/, open],
  ['GET', /^\/v1\/sessions$/, listSessions],
  ['GET', /^\/v1\/sessions\/(\w+)$/, (asked) => ({ body: told(session(asked)) })],
  ['DELETE', /^\/v1\/sessions\/(\w+)$/, close],
  ['GET', /^\/v1\/sessions\/(\w+)\/events$/, (asked) => ({ follow: session(asked) })],
  ['POST', /^\/v1\/sessions\/(\w+)\/iframe-url$/, frameUrl],
];

export async function answer(kept: Kept, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const cors = {
    'Access-Control-Allow-Origin': kept.origin,
    'Access-Control-Allow-Headers': '*, Authorization',
    'Access-Control-Allow-Methods': '*',
    'Access-Control-Expose-Headers': 'Date, ETag, Location, Retry-After',
  };
  await pause(kept.delay);
  try {
    const { status = 200, body = '', type, headers, follow } = await answerOf(kept, request);
    if (follow) {
      await stream(follow, request, response, cors);
      return;
    }
    const json = typeof body !== 'string';
    response.writeHead(status, { 'Content-Type': type ?? (json ? 'application/json' : 'text/html; charset=utf-8'), ...cors, ...headers });
    response.end(json ? JSON.stringify(body) : body);
  } catch (error) {
    const { status, problem } = error instanceof Refusal ? error : new Refusal(500, 'internal-error', String(error));
    const again = status === 503 ? { 'Retry-After': '5' } : {};
    response.writeHead(status, { 'Content-Type': 'application/problem+json', ...cors, ...again }).end(JSON.stringify(problem));
  }
}

async function answerOf(kept: Kept, request: IncomingMessage): Promise<Answer> {
  const url = new URL(request.url ?? '/', kept.url);
  if (request.method === 'OPTIONS') return { status: 200 };
  if (url.pathname === '/healthz') return { body: { status: 'ok' } };
  if (url.pathname === '/frame') return { body: frame };
  if (kept.down) throw new Refusal(503, 'hub-unavailable', 'The hub is unavailable');
  let body = '';
  for await (const piece of request.setEncoding('utf8')) body += String(piece);
  if (url.pathname === '/frame/save') return savedFromFrame(kept, url, body);
  const who = caller(kept, request.headers.authorization);
  for (const [method, path, call] of CALLS) {
    const [found, id = ''] = path.exec(url.pathname) ?? [];
    if (found !== undefined && method === request.method) return call({ kept, who, id, body, url, headers: request.headers });
  }
  throw new Refusal(404, 'not-found', 'The kit for JavaScript has nothing at this path');
}

function create(asked: Asked): Answer {
  const { kept, who, body } = asked;
  need(who, 'edit');
  const { name, content: document } = parsed(body) as { name?: string; content?: { cells?: unknown; nbformat?: unknown } };
  if (typeof name !== 'string' || !name.trim()) throw new Refusal(422, 'invalid-request', 'Request not valid', { errors: [] });
  if (document) needNotebook(document);
  const id = once(asked, () => kept.add(who.user, name.trim(), document ?? undefined).id);
  // Receipts are signed by the service alone.
  const made = shown(kept.notebooks.get(id) as Notebook);
  return { status: 201, body: { ...made, receipt: '' }, headers: { Location: `/v1/notebooks/${id}` } };
}

function listNotebooks({ kept, who, url }: Asked): Answer {
  const query = url.searchParams.get('q')?.toLowerCase() ?? '';
  const mine = [...kept.notebooks.values()].filter(({ owner, name }) => owner === who.user && name.toLowerCase().includes(query));
  return { body: { items: mine.reverse().map(shown), next_cursor: null } };
}

function content(asked: Asked): Answer {
  need(asked.who, 'download');
  const version = current(notebook(asked));
  return tagged(asked, String(version.number), { body: version.content, type: 'application/x-ipynb+json' });
}

function replace(asked: Asked): Answer {
  const { kept, who, headers } = asked;
  need(who, 'edit');
  const found = notebook(asked);
  const base = Number(/^(?:W\/)?"?([1-9]\d{0,8})"?$/.exec(headers['if-match'] ?? '')?.[1] ?? 0);
  if (!base) throw new Refusal(428, 'base-version-required', 'If-Match required');
  const document = parsed(asked.body);
  needNotebook(document);
  numbered(found, base);
  const content = written(document);
  if (content !== current(found).content) {
    if (base !== current(found).number) {
      const { number } = kept.keepAside(found, content, base);
      const numbers = { base_version: base, current_version: current(found).number, kept_version: number };
      const resolve = `/v1/notebooks/${found.id}/versions/${String(number)}/resolve`;
      throw new Refusal(409, 'version-conflict', 'Notebook has changed', { ...numbers, resolve });
    }
    kept.save(found, content, 'api');
  }
  return { body: { ...shown(found), receipt: '' }, headers: { ETag: `"${String(current(found).number)}"` } };
}

function diff(asked: Asked): Answer {
  need(asked.who, 'download');
  const found = notebook(asked);
  const [before, after] = (['from', 'to'] as const).map((name) => {
    const number = Number(asked.url.searchParams.get(name) ?? (name === 'to' ? current(found).number : 0));
    if (!Number.isInteger(number) || number < 1) throw new Refusal(422, 'invalid-request', 'Request not valid', { errors: [] });
    return numbered(found, number);
  }) as [Version, Version];
  const facts = [found.name, before.number, before.sha256, after.number, after.sha256].join(' ');
  return tagged(asked, createHash('sha256').update(facts).digest('hex').slice(0, 32), { body: compared(before, after) });
}

function preview(asked: Asked): Answer {
  const { number, sha256 } = current(notebook(asked));
  const policy = `default-src 'none'; frame-ancestors ${asked.kept.origin}; sandbox allow-popups allow-popups-to-escape-sandbox`;
  const headers = { 'Content-Security-Policy': policy, 'Referrer-Policy': 'no-referrer' };
  return tagged(asked, sha256, { body: `<p>Preview of version ${String(number)}`, headers });
}

function open(asked: Asked): Answer {
  const { kept, who, body } = asked;
  const { notebook_id: id } = parsed(body) as { notebook_id?: string };
  const found = notebook({ ...asked, id: id ?? '' });
  const before = kept.sessions.size;
  const made = once(asked, () => kept.open(found, who.may).id);
  const status = kept.sessions.size > before ? 202 : 200;
  return { status, body: told(kept.sessions.get(made) as Session), headers: { Location: `/v1/sessions/${made}` } };
}

function listSessions({ kept, who, url }: Asked): Answer {
  const mine = [...kept.sessions.values()].filter((each) => each.notebook.owner === who.user);
  for (const each of mine) each.advance();
  const wanted = mine.filter((each) => !url.searchParams.has('state') || !each.over);
  return { body: { items: wanted.reverse().map(told), next_cursor: null } };
}

function close(asked: Asked): Answer {
  const found = session(asked);
  found.end('closed');
  return { status: 202, body: told(found) };
}

function frameUrl(asked: Asked): Answer {
  const { id, state, opening, over } = session(asked);
  if (over || state === 'ending') throw new Refusal(410, 'session-over', 'Session is over', { state });
  if (opening) throw new Refusal(409, 'session-not-ready', 'Session is not ready', { state });
  const query = new URLSearchParams({ session: id, host: asked.kept.origin });
  const url = `${asked.kept.url}/frame?${String(query)}#ticket=t`;
  return { status: 201, body: { url, expires_at: new Date(Date.now() + 60_000).toISOString() } };
}

/** It is believed, since only the browser of a test knows the session. */
function savedFromFrame(kept: Kept, url: URL, body: string): Answer {
  const found = kept.sessions.get(url.searchParams.get('session') ?? '');
  if (!found) throw missing('Session');
  const content = written(parsed(body));
  const newest = current(found.notebook);
  // What is as it was makes no version.
  const { number, sha256 } = newest.content === content ? newest : kept.save(found.notebook, content, 'save');
  return { body: { version: number, sha256 } };
}

async function stream(session: Session, request: IncomingMessage, response: ServerResponse, headers: object): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', ...headers }).flushHeaders();
  let after = Number(request.headers['last-event-id'] ?? 0);
  while (!response.destroyed) {
    session.advance();
    for (const { id, kind, data } of session.events.filter((event) => event.id > after)) {
      after = id;
      response.write(`id: ${String(id)}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
    }
    if (session.over) return void response.end();
    await pause(LOOKS_EVERY);
  }
}

/** Do what an `Idempotency-Key` names, unless it was done before; gives the id of what was made. */
function once({ kept, who, url, headers }: Asked, make: () => string): string {
  const key = headers['idempotency-key'];
  if (key === undefined) return make();
  const name = `${who.user} ${url.pathname} ${String(key)}`;
  const made = kept.made.get(name) ?? make();
  kept.made.set(name, made);
  return made;
}

function notebook({ kept, who, id }: Asked): Notebook {
  const found = kept.notebooks.get(id);
  if (found?.owner !== who.user) throw missing('Notebook');
  return found;
}

function session({ kept, who, id }: Asked): Session {
  const found = kept.sessions.get(id);
  if (found?.notebook.owner !== who.user) throw missing('Session');
  found.advance();
  return found;
}

function numbered({ versions }: Notebook, number: number): Version {
  const found = versions[number - 1];
  if (!found) throw missing('Version');
  return found;
}

function needNotebook(document: { cells?: unknown; nbformat?: unknown }): void {
  if (!Array.isArray(document.cells) || document.nbformat !== 4) {
    throw new Refusal(422, 'not-a-notebook', 'Content is not a notebook');
  }
}

function tagged({ headers }: Asked, tag: string, answer: Answer): Answer {
  const named = { ...answer.headers, ETag: `"${tag}"` };
  return headers['if-none-match'] === named.ETag ? { status: 304, headers: named } : { ...answer, headers: named };
}

function parsed(body: string): object {
  try {
    return JSON.parse(body) as object;
  } catch {
    throw new Refusal(422, 'not-json', 'Content is not JSON');
  }
}

function shown(notebook: Notebook): object {
  const { number, content: text, sha256, createdAt } = current(notebook);
  const { id, name, versions } = notebook;
  const size = Buffer.byteLength(text);
  return { id, name, version: number, size, sha256, created_at: versions[0]?.createdAt, updated_at: createdAt };
}

function told(session: Session): object {
  const { id, state, may, version, percent, message } = session;
  return {
    id, state, may, version,
    notebook_id: session.notebook.id,
    progress: { percent, message },
    failure: state === 'failed' ? session.failure : null,
    ending_reason: session.reason,
    profile: 'default',
    embeddable: session.readyAt === null ? null : true,
    position: null,
    estimated_wait: null,
    warm_up_url: null,
    created_at: session.createdAt,
    ready_at: session.readyAt,
    expires_at: null,
    ended_at: session.endedAt,
  };
}
