import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isConnect, isFrameMessage, isKnownTo, isPageMessage, isWindowMessage, negotiate, PROTOCOL, toCapabilities } from '../src/protocol.js';

const hello = { protocol: PROTOCOL, type: 'hello', min: 1, max: 1, capabilities: ['save'], document: 'd' };
const refused = { protocol: PROTOCOL, type: 'entry-failed', reason: 'ticket-used' };
const connect = { protocol: PROTOCOL, type: 'connect', version: 1 };
const ready = { protocol: PROTOCOL, type: 'ready', path: 'a.ipynb', dirty: false, mode: 'plain' };
const dirty = { protocol: PROTOCOL, type: 'dirty', dirty: true };
const saved = { protocol: PROTOCOL, type: 'saved', version: 2, sha256: 'ab', origin: 'save', request: '1' };
const saveFailed = { protocol: PROTOCOL, type: 'save-failed', code: 'conflict', message: 'm' };
const pong = { protocol: PROTOCOL, type: 'pong', request: '1' };
const expiring = { protocol: PROTOCOL, type: 'expiring' };
const renew = { protocol: PROTOCOL, type: 'renew', ticket: 't' };
const save = { protocol: PROTOCOL, type: 'save', request: '1' };
const saving = { protocol: PROTOCOL, type: 'saving' };
const done = { protocol: PROTOCOL, type: 'done', request: '1' };
const commandFailed = { protocol: PROTOCOL, type: 'command-failed', code: 'c', message: 'm', request: '1' };
const kernel = { protocol: PROTOCOL, type: 'kernel', state: 'idle' };
const executed = { protocol: PROTOCOL, type: 'executed', cell: 1, seconds: 0.5, failed: false };
const loaded = { protocol: PROTOCOL, type: 'loaded', dirty: false };
const command = { protocol: PROTOCOL, type: 'command', command: 'go-to', value: 1, request: '1' };

interface Family {
  guard: (data: unknown) => boolean;
  messages: { type: string }[];
}

const families: Family[] = [
  { guard: isWindowMessage, messages: [hello, refused] },
  { guard: isConnect, messages: [connect] },
  { guard: isFrameMessage, messages: [ready, dirty, saved, saveFailed, pong, expiring, saving, done, commandFailed, kernel, executed, loaded] },
  { guard: isPageMessage, messages: [save, { ...save, type: 'ping' }, renew, command] },
];
const all = families.flatMap(({ messages }) => messages);

for (const { guard, messages } of families) {
  test(`${guard.name} takes its own messages and no other`, () => {
    for (const message of all) {
      assert.equal(guard(message), messages.includes(message), JSON.stringify(message));
    }
  });

  test(`${guard.name} takes no message with a field that is missing or of another kind`, () => {
    for (const message of messages) {
      for (const field of Object.keys(message)) {
        assert.equal(guard({ ...message, [field]: { toString: () => 'x' } }), false, `${message.type} ${field}`);
        if ((field !== 'request' || message.type !== 'saved') && field !== 'value') {
          assert.equal(guard({ ...message, [field]: undefined }), false, `${message.type} ${field}`);
        }
      }
    }
  });

  test(`${guard.name} takes nothing that is no message`, () => {
    for (const data of [null, undefined, 'pleaseSave', 7, [], {}, { ...pong, protocol: 'notebook-embed/2' }, { ...pong, type: 'ring' }, { ...pong, type: 'constructor' }]) {
      assert.equal(guard(data), false);
    }
  });
}

test('an entry page can not make up a reason', () => {
  assert.equal(isWindowMessage({ ...refused, reason: 'because' }), false);
});

test('a page says what its user may do, or is older than that, or newer', () => {
  for (const may of [undefined, [], ['edit', 'run'], ['fly']]) assert.equal(isFrameMessage({ ...ready, may }), true);
  for (const may of ['edit', [1], {}, null]) assert.equal(isFrameMessage({ ...ready, may }), false);
  assert.deepEqual(toCapabilities(undefined), ['edit', 'run', 'download', 'terminals']);
  assert.deepEqual(toCapabilities(['fly', 'run']), ['run']);
});

test('a frame can not make up a cookie mode', () => {
  assert.equal(isFrameMessage({ ...ready, mode: 'stolen' }), false);
});

test('two sides speak the newest version that both know', () => {
  assert.equal(negotiate({ min: 1, max: 1 }), 1);
  assert.equal(negotiate({ min: 1, max: 2 }), 2);
  assert.equal(negotiate({ min: 2, max: 9 }), 3);
  assert.equal(negotiate({ min: 4, max: 9 }), undefined);
  assert.equal(negotiate({ min: 0, max: 0 }), undefined);
});

test('a side of version 1 is told nothing that is younger', () => {
  for (const type of ['ready', 'dirty', 'saved', 'save-failed', 'pong', 'expiring'] as const) assert.equal(isKnownTo(1, type), true);
  for (const type of ['saving', 'done', 'command-failed', 'kernel', 'executed'] as const) {
    assert.equal(isKnownTo(1, type), false);
    assert.equal(isKnownTo(2, type), true);
  }
  for (const type of ['loaded'] as const) assert.deepEqual([1, 2, 3].map((version) => isKnownTo(version, type)), [false, false, true]);
});
