/** What a call of the fake is given, what it gives, and what all of them look up in the same way. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { missing, Refusal } from './refusals.js';
import { current, type Kept, type Notebook, type Session, type Version } from './state.js';
import { need, type Caller } from './tokens.js';

export interface Asked {
  kept: Kept;
  who: Caller;
  id: string;
  /** What stands behind the id in the path. */
  further: string;
  body: string;
  url: URL;
  headers: IncomingMessage['headers'];
}

export interface Answer {
  status?: number;
  body?: string | object;
  type?: string;
  headers?: Record<string, string>;
  /** Answer with a session's events instead, from this one on. */
  follow?: Session;
}

export type Call = [method: string, path: RegExp, call: (asked: Asked) => Answer];

export function notebook({ kept, who, id }: Asked, { deleted = false } = {}): Notebook {
  const found = kept.notebooks.get(id);
  if (found?.owner !== who.user || found.deleted !== deleted) throw missing('Notebook');
  return found;
}

/** A notebook, for who may change it. */
export function editable(asked: Asked, which?: { deleted: boolean }): Notebook {
  need(asked.who, 'edit');
  return notebook(asked, which);
}

export function session({ kept, who, id }: Asked): Session {
  const found = kept.sessions.get(id);
  if (found?.notebook.owner !== who.user) throw missing('Session');
  found.advance();
  return found;
}

export function numbered({ versions }: Notebook, number: number): Version {
  const found = versions[number - 1];
  if (!found) throw missing('Version');
  return found;
}

/** The version that the path names, or the current one. */
export function version(asked: Asked, of: Notebook): Version {
  return asked.further ? numbered(of, Number(asked.further)) : current(of);
}

export function parsed(body: string): object {
  try {
    return JSON.parse(body) as object;
  } catch {
    throw new Refusal(422, 'not-json', 'Content is not JSON');
  }
}

export function named(given: unknown): string {
  const name = typeof given === 'string' ? given.trim() : '';
  if (!name || name.length > 200) throw new Refusal(422, 'invalid-request', 'Request not valid', { errors: [] });
  return name;
}

export function tagged({ headers }: Asked, tag: string, answer: Answer): Answer {
  const all = { ...answer.headers, ETag: `"${tag}"` };
  return headers['if-none-match'] === all.ETag ? { status: 304, headers: all } : { ...answer, headers: all };
}

/** Do what an `Idempotency-Key` names, unless it was done before; the answer is the same. */
export function once({ kept, who, url, headers, body }: Asked, make: () => Answer): Answer {
  const key = headers['idempotency-key'];
  if (key === undefined) return make();
  const name = `${who.user} ${url.pathname} ${String(key)}`;
  const asked = createHash('sha256').update(body).digest('hex');
  const known = kept.answered.get(name) ?? { asked, answer: make() };
  if (known.asked !== asked) throw new Refusal(422, 'idempotency-key-reused', 'Idempotency-Key reused');
  kept.answered.set(name, known);
  return known.answer;
}

/** A part of a list, and where the next one begins. */
export function page({ url }: Asked, items: object[]): Answer {
  const [from, limit] = [Number(url.searchParams.get('cursor') ?? 0), Number(url.searchParams.get('limit') ?? 50)];
  if (!Number.isInteger(from)) throw new Refusal(422, 'invalid-cursor', 'Cursor not valid');
  if (!(limit > 0 && limit <= 100)) throw new Refusal(422, 'invalid-request', 'Request not valid', { errors: [] });
  const end = from + limit;
  return { body: { items: items.slice(from, end), next_cursor: end < items.length ? String(end) : null } };
}
