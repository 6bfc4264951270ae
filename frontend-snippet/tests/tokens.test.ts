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
