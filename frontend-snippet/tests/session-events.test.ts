import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Service } from '../src/service.js';
import { followSession, type SessionEvent } from '../src/session-events.js';
import { Tokens } from '../src/tokens.js';
import { FakeService, problem, SERVICE, until } from './page.js';

const EVENTS = 'GET /v1/sessions/s1/events';

function follow(silence?: number) {
  const host = { down: false };
  const wire = new FakeService();
  const leave = new AbortController();
  const heard: SessionEvent[] = [];
  let fetches = 0;
  const tokens = new Tokens(() => {
    if (host.down) throw new Error('away');
    return `token-${String(++fetches)}`;
  });
  const service = new Service(`${SERVICE}/`, tokens, 1_000);
  const over = (async () => {
    for await (const event of followSession(service, 's1', leave.signal, silence)) heard.push(event);
  })();
  over.catch(() => undefined);
  return { host, wire, heard, over, leave, names: () => heard.map(({ event }) => event) };
}

test('a broken stream is taken up after the last event', async () => {
  const { wire, over, names } = follow();
  await until(() => wire.streams);
  wire.send('progress', { percent: 1, message: '' });
  wire.send('renamed', { name: 'a' });
  await until(() => names().length === 2);

  wire.breakStreams();
  await until(() => wire.streams);
  wire.send('ended', { reason: 'closed' });
  await over;

  assert.deepEqual(names(), ['progress', 'renamed', 'ended']);
  assert.deepEqual(wire.calls.map(({ headers }) => headers.get('Last-Event-ID')), [null, '2']);
});

test('an expired token is replaced on the way', async () => {
  const { wire, over } = follow();
  wire.answerOnce(EVENTS, () => problem(401, 'unauthorized'));
  await until(() => wire.streams);
  wire.send('ended', { reason: 'closed' });
  await over;
  assert.deepEqual(wire.calls.map(({ headers }) => headers.get('Authorization')), ['Bearer token-1', 'Bearer token-2']);
});

test('a service that does not even take a fresh token is not asked for ever', async () => {
  const { wire, over } = follow();
  wire.answerOnce(EVENTS, () => problem(401, 'unauthorized'), () => problem(401, 'unauthorized'));
  await assert.rejects(over, { code: 'unauthorized' });
});

test('an outage is waited out', async () => {
  const { wire, over } = follow();
  wire.answerOnce(EVENTS, () => Promise.reject(new TypeError('Failed to fetch')), () => problem(503, 'busy'));
  await until(() => wire.streams);
  wire.send('failed', { code: 'server-died', title: '' });
  await over;
  assert.equal(wire.calls.length, 3);
});

test('a host without tokens for a while is waited for', async () => {
  const { host, wire, over } = follow();
  await until(() => wire.streams);
  host.down = true;
  wire.answerOnce(EVENTS, () => problem(401, 'unauthorized'));
  wire.breakStreams();
  await until(() => wire.count(EVENTS) === 2);
  host.down = false;
  await until(() => wire.streams);
  wire.send('ended', { reason: 'closed' });
  await over;
});

test('a session that is not there any more is an error', async () => {
  const { wire, over } = follow();
  wire.answerOnce(EVENTS, () => problem(404, 'session-not-found', 'No such session.'));
  await assert.rejects(over, { code: 'session-not-found', message: 'No such session.' });
});

test('a stream without keep-alives is given up, one with them is not', async () => {
  const { wire, over } = follow(60);
  await until(() => wire.streams);
  for (let n = 0; n < 5; n++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    wire.sendText(': keep-alive\n\n');
  }
  assert.equal(wire.count(EVENTS), 1);

  await until(() => wire.count(EVENTS) === 2);
  await until(() => wire.streams);
  wire.send('ended', { reason: 'closed' });
  await over;
});

test('streams that end with their tokens are followed on without growing pauses', async () => {
  const { wire, over } = follow();
  const begun = Date.now();
  for (let n = 0; n < 4; n++) {
    await until(() => wire.streams);
    wire.sendText(': keep-alive\n\n');
    await new Promise((resolve) => setTimeout(resolve, 25));
    wire.breakStreams();
  }
  await until(() => wire.streams);
  wire.send('ended', { reason: 'closed' });
  await over;
  assert.ok(Date.now() - begun < 3_000);
});

test('leaving ends the stream at once', async () => {
  const { wire, over, leave } = follow();
  await until(() => wire.streams);
  leave.abort(new Error('left'));
  await assert.rejects(over, { message: 'left' });
  assert.equal(wire.streams, 0);
});
