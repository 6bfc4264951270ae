import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onWake } from '../src/wake.js';
import { happen } from './page.js';

test('a machine that slept, and a page that is online again, are back', (context) => {
  context.mock.timers.enable({ apis: ['setInterval', 'Date'] });
  const ended = new AbortController();
  let back = 0;
  onWake(ended.signal, () => back++);

  for (let n = 0; n < 20; n++) context.mock.timers.tick(20_000);
  assert.equal(back, 0);
  // What a sleeping machine does: its clock goes on, its timers don't.
  context.mock.timers.setTime(Date.now() + 3_600_000);
  context.mock.timers.tick(20_000);
  assert.equal(back, 1);
  happen('online');
  assert.equal(back, 2);

  ended.abort();
  happen('online');
  context.mock.timers.setTime(Date.now() + 3_600_000);
  context.mock.timers.tick(20_000);
  assert.equal(back, 2);
});
