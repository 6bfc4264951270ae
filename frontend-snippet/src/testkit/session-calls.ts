/** How the fake answers calls on sessions and users, and what the frame sends. */
import { notebook, once, page, parsed, session, type Answer, type Asked, type Call } from './asking.js';
import { missing, Refusal } from './refusals.js';
import { current, written, type Kept, type Session } from './state.js';
import { need, needBackend } from './tokens.js';

export const SESSION_CALLS: Call[] = [
  ['POST', /^\/v1\/sessions$/, open],
  ['GET', /^\/v1\/sessions$/, list],
  ['GET', /^\/v1\/sessions\/(\w+)$/, (asked) => ({ body: told(session(asked)) })],
  ['DELETE', /^\/v1\/sessions\/(\w+)$/, close],
  ['GET', /^\/v1\/sessions\/(\w+)\/events$/, (asked) => ({ follow: session(asked) })],
  ['PUT', /^\/v1\/sessions\/(\w+)\/credentials$/, putCredentials],
  ['POST', /^\/v1\/sessions\/(\w+)\/iframe-url$/, frameUrl],
  ['POST', /^\/v1\/sessions\/(\w+)\/save$/, save],
  ['POST', /^\/v1\/users\/(.+)\/revoke$/, revoke],
];

type Credentials = Record<string, { expires_at?: string | null }>;

function open(asked: Asked): Answer {
  const { kept, who, body } = asked;
  const { notebook_id: id, credentials } = parsed(body) as { notebook_id?: string; credentials?: Credentials | null };
  if (credentials && Object.keys(credentials).length) needBackend(who);
  const found = notebook({ ...asked, id: id ?? '' });
  return once(asked, () => {
    const before = kept.sessions.size;
    const opened = kept.open(found, who.may);
    const isNew = kept.sessions.size > before;
    if (isNew) opened.credentials = times(credentials ?? {});
    return { status: isNew ? 202 : 200, body: told(opened), headers: { Location: `/v1/sessions/${opened.id}` } };
  });
}

function list(asked: Asked): Answer {
  const mine = [...asked.kept.sessions.values()].filter((each) => each.notebook.owner === asked.who.user);
  for (const each of mine) each.advance();
  return page(asked, mine.filter((each) => !asked.url.searchParams.has('state') || !each.over).reverse().map(told));
}

function close(asked: Asked): Answer {
  const found = session(asked);
  found.end('closed');
  return { status: 202, body: told(found) };
}

function putCredentials(asked: Asked): Answer {
  needBackend(asked.who);
  const found = session(asked);
  needLive(found);
  found.credentials = times((parsed(asked.body) as { credentials?: Credentials }).credentials ?? {});
  found.tell('credentials', { names: Object.keys(found.credentials).sort() });
  return { body: { expires_at: found.credentials } };
}

function frameUrl(asked: Asked): Answer {
  const { id } = ready(session(asked));
  const query = new URLSearchParams({ session: id, host: asked.kept.origin });
  const url = `${asked.kept.url}/frame?${String(query)}#ticket=t`;
  return { status: 201, body: { url, expires_at: new Date(Date.now() + 60_000).toISOString() } };
}

function save(asked: Asked): Answer {
  need(asked.who, 'edit');
  const found = ready(session(asked)).notebook;
  const { number, sha256 } = current(found);
  const receipt = asked.kept.receipt(found, current(found));
  return { body: { version: number, sha256, created: false, flushed: true, receipt } };
}

function revoke({ kept, who, id }: Asked): Answer {
  needBackend(who);
  const user = decodeURIComponent(id);
  const now = new Date();
  kept.revoked.set(user, Math.floor(now.getTime() / 1000));
  const live = [...kept.sessions.values()].filter((each) => each.notebook.owner === user && !each.over);
  for (const each of live) each.end('revoked');
  return { body: { user, revoked_at: now.toISOString(), sessions_ended: live.length } };
}

/** It is believed, since only the browser of a test knows the session. */
export function savedFromFrame(kept: Kept, url: URL, body: string): Answer {
  const found = kept.sessions.get(url.searchParams.get('session') ?? '');
  if (!found) throw missing('Session');
  const text = written(parsed(body));
  const newest = current(found.notebook);
  // What is as it was makes no version.
  const made = newest.content === text ? newest : kept.keep(found.notebook, text, 'save');
  return { body: { version: made.number, sha256: made.sha256, receipt: kept.receipt(found.notebook, made) } };
}

function needLive({ over, state }: Session): void {
  if (over || state === 'ending') throw new Refusal(410, 'session-over', 'Session is over', { state });
}

function ready(found: Session): Session {
  needLive(found);
  if (found.opening) throw new Refusal(409, 'session-not-ready', 'Session is not ready', { state: found.state });
  return found;
}

function times(given: Credentials): Record<string, string | null> {
  return Object.fromEntries(Object.entries(given).map(([name, { expires_at: until }]) => [name, until ?? null]));
}

function told(of: Session): object {
  const { id, state, may, version, percent, message } = of;
  return {
    id, state, may, version,
    notebook_id: of.notebook.id,
    progress: { percent, message, waits_for: of.opening ? of.waitsFor : null },
    failure: state === 'failed' ? of.failure : null,
    ending_reason: of.reason,
    profile: 'default',
    embeddable: of.readyAt === null ? null : true,
    position: state === 'queued' ? of.place : null,
    estimated_wait: of.estimatedWait,
    warm_up_url: null,
    created_at: of.createdAt,
    ready_at: of.readyAt,
    expires_at: null,
    ended_at: of.endedAt,
  };
}
