import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Progress } from '../src/progress.js';

/** A browser's memory, and a clock in the test's hand. */
function browser(context: TestContext, storage: Partial<Storage> = memory()) {
  Object.defineProperty(globalThis, 'localStorage', { value: storage, configurable: true });
  context.mock.timers.enable({ apis: ['Date'] });
  return (ms: number) => { context.mock.timers.tick(ms); };
}

function memory(): Partial<Storage> {
  const kept = new Map<string, string>();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) };
}

/** Open once: how far it seemed to be after so many seconds, all of them waiting for the server. */
function start(wait: (ms: number) => void, seconds: number): number[] {
  const progress = new Progress('https://inset.test');
  progress.enter('starting');
  const seen = Array.from({ length: seconds }, () => {
    wait(1000);
    return progress.far;
  });
  progress.enter('connecting');
  wait(1000);
  progress.arrived();
  return seen;
}

test('it goes on for as long as something is waited for, never back, and never arrives by itself', (context) => {
  const wait = browser(context);
  const progress = new Progress('https://inset.test');
  let last = -1;
  for (const phase of ['queued', 'starting', 'starting', 'restoring', 'queued', 'connecting'] as const) {
    progress.enter(phase);
    for (let n = 0; n < 30; n++) {
      wait(1000);
      assert.ok(progress.far >= last && progress.far < 100);
      last = progress.far;
    }
  }
  assert.equal(progress.stage, 'connecting');
});

test('a place where starts take long is learnt to be one', (context) => {
  const wait = browser(context);
  const first = start(wait, 60);
  for (let n = 0; n < 6; n++) start(wait, 60);
  const last = start(wait, 60);

  // The first believed to be nearly there after ten seconds, and then stood still.
  assert.ok((first[9] ?? 0) > 40);
  assert.ok((last[9] ?? 0) < 30);
  assert.ok((last[59] ?? 0) - (last[29] ?? 0) > (first[59] ?? 0) - (first[29] ?? 0));
});

test('a page that may keep nothing opens all the same', (context) => {
  const refuse = () => { throw new Error('SecurityError'); };
  const wait = browser(context, { getItem: refuse, setItem: refuse });
  assert.equal(start(wait, 3).length, 3);
});

test('what others have kept there does no harm', (context) => {
  const wait = browser(context);
  for (const text of ['{}', '[1]', '[0,0,0,0]', '["a",1,1,1]', 'null', '1']) {
    localStorage.setItem('inset-notebook:starts:https://inset.test', text);
    assert.ok(start(wait, 3).every((percent) => percent >= 0 && percent < 100), text);
  }
});
