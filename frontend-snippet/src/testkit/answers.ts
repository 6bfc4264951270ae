/** How the fake answers: HTTP in, HTTP out. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Answer } from './asking.js';
import frame from './frame.html';
import { NOTEBOOK_CALLS } from './notebook-calls.js';
import { Refusal } from './refusals.js';
import { savedFromFrame, SESSION_CALLS } from './session-calls.js';
import type { Kept, Session } from './state.js';
import { caller } from './tokens.js';
import { VERSION_CALLS } from './version-calls.js';
import { WEBHOOK_CALLS } from './webhook-calls.js';

const LOOKS_EVERY = 20;
const CALLS = [...NOTEBOOK_CALLS, ...VERSION_CALLS, ...SESSION_CALLS, ...WEBHOOK_CALLS];

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
  if (url.pathname === '/.well-known/jwks.json') return { body: { keys: [kept.signer.jwk] } };
  if (url.pathname === '/frame') return { body: frame };
  if (kept.down) throw new Refusal(503, 'hub-unavailable', 'The hub is unavailable');
  let body = '';
  for await (const piece of request.setEncoding('utf8')) body += String(piece);
  if (url.pathname === '/frame/save') return savedFromFrame(kept, url, body);
  const who = caller(kept, request.headers.authorization);
  if (kept.refusing) throw kept.refusing;
  for (const [method, path, call] of CALLS) {
    const [found, id = '', further = ''] = path.exec(url.pathname) ?? [];
    if (found !== undefined && method === request.method) return call({ kept, who, id, further, body, url, headers: request.headers });
  }
  throw new Refusal(404, 'not-found', 'The kit for JavaScript has nothing at this path');
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
