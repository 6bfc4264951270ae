/** How the fake answers calls on notebooks. */
import { createHash } from 'node:crypto';
import { editable, named, notebook, numbered, once, page, parsed, tagged, version, type Answer, type Asked, type Call } from './asking.js';
import { compared } from './diffs.js';
import { Refusal } from './refusals.js';
import { current, written, type Notebook, type Version } from './state.js';
import { need } from './tokens.js';

export const NOTEBOOK_CALLS: Call[] = [
  ['POST', /^\/v1\/notebooks$/, create],
  ['GET', /^\/v1\/notebooks$/, list],
  ['GET', /^\/v1\/notebooks\/(\w+)$/, (asked) => ({ body: shown(notebook(asked)) })],
  ['PATCH', /^\/v1\/notebooks\/(\w+)$/, rename],
  ['DELETE', /^\/v1\/notebooks\/(\w+)$/, remove],
  ['POST', /^\/v1\/notebooks\/(\w+)\/undelete$/, undelete],
  ['GET', /^\/v1\/notebooks\/(\w+)(?:\/versions\/(\d+))?\/content$/, content],
  ['PUT', /^\/v1\/notebooks\/(\w+)\/content$/, replace],
  ['GET', /^\/v1\/notebooks\/(\w+)(?:\/versions\/(\d+))?\/preview$/, preview],
  ['GET', /^\/v1\/notebooks\/(\w+)\/diff$/, diff],
];

function create(asked: Asked): Answer {
  const { kept, who, body } = asked;
  need(who, 'edit');
  const { name, content: document } = parsed(body) as { name?: unknown; content?: object };
  const given = named(name);
  if (document) needNotebook(document);
  return once(asked, () => {
    const made = kept.add(who.user, given, document ?? undefined);
    return stored(asked, made, 201, { Location: `/v1/notebooks/${made.id}` });
  });
}

function list(asked: Asked): Answer {
  const query = asked.url.searchParams.get('q')?.toLowerCase() ?? '';
  const mine = [...asked.kept.notebooks.values()].filter(({ owner, deleted }) => owner === asked.who.user && !deleted);
  const found = mine.filter(({ name }) => name.toLowerCase().includes(query)).map(shown);
  const place = ({ created_at: at, id }: (typeof found)[number]): string => `${at} ${id}`;
  return page(asked, found.sort((one, other) => (place(one) < place(other) ? 1 : -1)));
}

function rename(asked: Asked): Answer {
  const found = editable(asked);
  found.name = named((parsed(asked.body) as { name?: unknown }).name);
  return { body: shown(found) };
}

function remove(asked: Asked): Answer {
  const found = editable(asked);
  const [live] = asked.kept.live(found);
  if (live) throw new Refusal(409, 'notebook-in-use', 'Notebook is open', { session_id: live.id });
  found.deleted = true;
  return { status: 204 };
}

function undelete(asked: Asked): Answer {
  const found = editable(asked, { deleted: true });
  found.deleted = false;
  return { body: shown(found) };
}

function content(asked: Asked): Answer {
  need(asked.who, 'download');
  const { number, content: text } = version(asked, notebook(asked));
  return tagged(asked, String(number), { body: text, type: 'application/x-ipynb+json' });
}

function replace(asked: Asked): Answer {
  const { kept, headers } = asked;
  const found = editable(asked);
  const base = Number(/^(?:W\/)?"?([1-9]\d{0,8})"?$/.exec(headers['if-match'] ?? '')?.[1] ?? 0);
  if (!base) throw new Refusal(428, 'base-version-required', 'If-Match required');
  const document = parsed(asked.body);
  needNotebook(document);
  numbered(found, base);
  const text = written(document);
  if (text !== current(found).content) {
    if (base !== current(found).number) {
      const aside = kept.keepOnTheSide(found, text, base, 'api');
      throw new Refusal(409, 'version-conflict', 'Notebook has changed', kept.conflict(found, aside));
    }
    kept.keep(found, text, 'api');
  }
  return stored(asked, found, 200, { ETag: `"${String(current(found).number)}"` });
}

function preview(asked: Asked): Answer {
  const { number, sha256 } = version(asked, notebook(asked));
  const policy = `default-src 'none'; frame-ancestors ${asked.kept.origin}; sandbox allow-popups allow-popups-to-escape-sandbox`;
  const headers = { 'Content-Security-Policy': policy, 'Referrer-Policy': 'no-referrer' };
  return tagged(asked, sha256, { body: `<p>Preview of version ${String(number)}`, headers });
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

function stored({ kept }: Asked, found: Notebook, status: number, headers: Record<string, string>): Answer {
  return { status, body: { ...shown(found), receipt: kept.receipt(found, current(found)) }, headers };
}

function needNotebook(document: { cells?: unknown; nbformat?: unknown }): void {
  if (!Array.isArray(document.cells) || document.nbformat !== 4) {
    const detail = 'The content is not a valid notebook: it has no cells of nbformat 4.';
    throw new Refusal(422, 'not-a-notebook', 'Content is not a notebook', { detail });
  }
}

function shown(found: Notebook) {
  const { number, content: text, sha256, createdAt } = current(found);
  const { id, name, versions } = found;
  const size = Buffer.byteLength(text);
  return { id, name, version: number, size, sha256, created_at: versions[0]?.createdAt ?? '', updated_at: createdAt };
}
