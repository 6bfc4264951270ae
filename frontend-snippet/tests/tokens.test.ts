import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EmbedError } from '../src/errors.js';
import { Tokens } from '../src/tokens.js';

test('many askers share one fetch, and its token', async () => {
  let fetches = 0;
  const tokens = new Tokens(async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return `token-${String(++fetches)}`;
  });
  assert.deepEqual(await Promise.all([tokens.get(), tokens.get(), tokens.get()]), ['token-1', 'token-1', 'token-1']);
  assert.equal(await tokens.get(), 'token-1');
});

test('a refused token is replaced once, however many were refused it', async () => {
  let fetches = 0;
  const tokens = new Tokens(() => `token-${String(++fetches)}`);
  await tokens.get();
  await Promise.all([tokens.discard('token-1'), tokens.discard('token-1')]);
  assert.equal(await tokens.get(), 'token-2');
  await tokens.discard('token-1');
  assert.equal(await tokens.get(), 'token-2');
});

test('a host that can not give a token is asked again the next time', async () => {
  let down = true;
  const cause = new Error('503');
  const tokens = new Tokens(() => {
    if (down) throw cause;
    return 'token';
  });
  await assert.rejects(tokens.get(), (error) => error instanceof EmbedError && error.code === 'token-failed' && error.cause === cause);
  down = false;
  assert.equal(await tokens.get(), 'token');
});

function jwt(lifetime: number): string {
  const iat = 1_000;
  return `x.${btoa(JSON.stringify({ iat, exp: iat + lifetime }))}.x`;
}

test('a token that is about to expire is replaced before it is used', async (context) => {
  context.mock.timers.enable({ apis: ['Date'] });
  let fetches = 0;
  const tokens = new Tokens(() => (fetches++, jwt(100)));
  await tokens.get();
  context.mock.timers.tick(85_000);
  await tokens.get();
  assert.equal(fetches, 1);
  context.mock.timers.tick(10_000);
  await tokens.get();
  assert.equal(fetches, 2);
});

test('after a return the next who asks is given a new token, and one fetch is enough', async () => {
  let fetches = 0;
  const tokens = new Tokens(async () => {
    await Promise.resolve();
    return `token-${String(++fetches)}`;
  });
  await tokens.get();
  tokens.renew();
  const both = [tokens.get(), tokens.get()];
  tokens.renew();
  assert.deepEqual(await Promise.all([...both, tokens.get()]), ['token-2', 'token-2', 'token-2']);
});

test('a fetch that never ends is given up, and asked for again', async () => {
  const answers = [new Promise<string>(() => undefined), 'token'];
  const tokens = new Tokens(() => answers.shift() ?? '', 10);
  await assert.rejects(tokens.get(), { code: 'token-failed' });
  assert.equal(await tokens.get(), 'token');
});
