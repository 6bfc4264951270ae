/** How the fake answers calls on webhooks. */
import { page, type Answer, type Asked, type Call } from './asking.js';
import { Refusal } from './refusals.js';
import { needBackend } from './tokens.js';
import { shown } from './webhooks.js';

export const WEBHOOK_CALLS: Call[] = [
  ['GET', /^\/v1\/webhooks\/deliveries$/, list],
  ['POST', /^\/v1\/webhooks\/deliveries\/(\d+)\/resend$/, resend],
];

function list(asked: Asked): Answer {
  needBackend(asked.who);
  const state = asked.url.searchParams.get('state');
  const wanted = asked.kept.hooks.deliveries.filter((each) => state === null || each.state === state);
  return page(asked, wanted.reverse().map(shown));
}

function resend({ kept, who, id }: Asked): Answer {
  needBackend(who);
  const found = kept.hooks.deliveries.find((each) => each.id === Number(id));
  if (!found) throw new Refusal(404, 'delivery-not-found', 'Delivery not found');
  if (found.to.off) throw new Refusal(409, 'endpoint-off', 'Endpoint is off');
  kept.hooks.again(found);
  return { status: 202, body: shown(found) };
}
