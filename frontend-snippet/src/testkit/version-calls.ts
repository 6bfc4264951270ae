/** How the fake answers calls on a notebook's versions. */
import { editable, named, notebook, once, page, parsed, version, type Answer, type Asked, type Call } from './asking.js';
import { Refusal } from './refusals.js';
import { current, type Notebook, type Version } from './state.js';

const ONE = '^/v1/notebooks/(\\w+)/versions/(\\d+)';

export const VERSION_CALLS: Call[] = [
  ['GET', /^\/v1\/notebooks\/(\w+)\/versions$/, list],
  ['GET', new RegExp(`${ONE}$`), (asked) => ({ body: shown(version(asked, notebook(asked))) })],
  ['PATCH', new RegExp(`${ONE}$`), label],
  ['GET', new RegExp(`${ONE}/receipt$`), receipt],
  ['POST', new RegExp(`${ONE}/restore$`), restore],
  ['POST', new RegExp(`${ONE}/resolve$`), resolve],
];

function list(asked: Asked): Answer {
  return page(asked, [...notebook(asked).versions].reverse().map(shown));
}

function label(asked: Asked): Answer {
  const found = version(asked, editable(asked));
  const { label: given } = parsed(asked.body) as { label?: unknown };
  found.label = given == null ? null : named(given);
  return { body: shown(found) };
}

function receipt(asked: Asked): Answer {
  const found = notebook(asked);
  return { body: { receipt: asked.kept.receipt(found, version(asked, found)) } };
}

function restore(asked: Asked): Answer {
  const found = editable(asked);
  const old = version(asked, found);
  return once(asked, () => made(asked, found, asked.kept.keep(found, old.content, 'restore')));
}

function resolve(asked: Asked): Answer {
  const { kept } = asked;
  const found = editable(asked);
  const aside = version(asked, found);
  const { take } = parsed(asked.body) as { take?: unknown };
  if (take !== 'mine' && take !== 'theirs' && take !== 'merge') {
    throw new Refusal(422, 'invalid-request', 'Request not valid', { errors: [] });
  }
  if (aside.aside === null) throw new Refusal(409, 'not-on-the-side', 'Nothing to resolve');
  return once(asked, () => {
    if (aside.aside === 'open' && take === 'merge' && kept.unsettled.length) {
      const numbers = { current_version: current(found).number, kept_version: aside.number };
      throw new Refusal(409, 'merge-conflict', 'Both sides changed the same', { unsettled: kept.unsettled, ...numbers });
    }
    if (aside.aside === 'open' && take !== 'theirs') {
      kept.keep(found, aside.content, take === 'mine' ? 'restore' : 'merge', { merged: aside.number });
    }
    aside.aside = 'settled';
    return made(asked, found, current(found));
  });
}

function made({ kept }: Asked, found: Notebook, stored: Version): Answer {
  return { status: 201, body: { ...shown(stored), receipt: kept.receipt(found, stored) } };
}

function shown({ number, origin, author, parent, aside, merged, label: said, sha256, content, createdAt }: Version): object {
  const facts = { number, origin, author, parent, aside, merged, label: said };
  return { ...facts, sha256, size: Buffer.byteLength(content), valid: true, created_at: createdAt };
}
