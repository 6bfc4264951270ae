import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isConnect, isFrameMessage, isKnownTo, isPageMessage, isValueOf, isWindowMessage, negotiate, PROTOCOL, toCapabilities } from '../src/protocol.js';

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
const selection = { protocol: PROTOCOL, type: 'selection', cell: 1, selected: 2 };
const height = { protocol: PROTOCOL, type: 'height', height: 400 };
const command = { protocol: PROTOCOL, type: 'command', command: 'go-to', value: 1, request: '1' };

interface Family {
  guard: (data: unknown) => boolean;
  messages: { type: string }[];
}

const families: Family[] = [
  { guard: isWindowMessage, messages: [hello, refused] },
  { guard: isConnect, messages: [connect] },
  { guard: isFrameMessage, messages: [ready, dirty, saved, saveFailed, pong, expiring, saving, done, commandFailed, kernel, executed, loaded, selection, height] },
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
      // What a command is told is looked at when it is known which.
      for (const field of Object.keys(message).filter((name) => name !== 'value')) {
        assert.equal(guard({ ...message, [field]: { toString: () => 'x' } }), false, `${message.type} ${field}`);
        if (field !== 'request' || message.type !== 'saved') {
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
  for (const type of ['loaded', 'selection', 'height'] as const) assert.deepEqual([1, 2, 3].map((version) => isKnownTo(version, type)), [false, false, true]);
});

test('a command is told what it needs, and nothing else', () => {
  const good = [
    ['go-to', 3], ['run-all', undefined], ['read-only', false], ['theme', 'dark'], ['colors', { text: 'red' }], ['colors', {}], ['hide', ['menu']], ['hide', []],
    ['insert-cell', { kind: 'code', source: 'x' }], ['insert-cell', { kind: 'raw', source: '', at: 0 }], ['replace-cell', { id: 'a', source: 'x' }], ['tell-height', true],
  ] as const;
  const bad = [
    ['go-to', '3'], ['run-all', 1], ['read-only', 'yes'], ['theme', 'blue'], ['colors', { font: 'red' }], ['colors', { text: 1 }], ['colors', null], ['hide', ['kernel']],
    ['hide', 'menu'], ['insert-cell', { kind: 'code' }], ['insert-cell', { kind: 'heading', source: '' }], ['insert-cell', { kind: 'code', source: '', at: '1' }],
    ['insert-cell', undefined], ['replace-cell', { source: 'x' }], ['replace-cell', null], ['tell-height', 1],
  ] as const;
  for (const [name, value] of good) assert.equal(isValueOf(name, value), true, name);
  for (const [name, value] of bad) assert.equal(isValueOf(name, value), false, name);
});
