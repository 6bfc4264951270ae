/** The other side of the protocol: what the notebook's page makes of hosts' SDKs, old and new. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PageAround } from '../../singleuser/labextension/src/page-around.js';
import { PROTOCOL } from '../src/protocol.js';
import { happen, settled } from './page.js';

const HOST = 'https://host.example';

/** A notebook's page, framed by a page whose part the test plays. */
function framed() {
  const greetings: Record<string, unknown>[] = [];
  const parent = { postMessage: (message: Record<string, unknown>) => greetings.push(message) };
  const before = Object.getOwnPropertyDescriptor(window, 'parent');
  Object.defineProperty(window, 'parent', { value: parent, configurable: true });
  Object.assign(globalThis, { location: { ancestorOrigins: [HOST] } });
  const heard: unknown[] = [];
  const page = new PageAround({ origins: [HOST], capabilities: ['save'], connected: () => undefined, heard: (message) => heard.push(message) });
  const { port1, port2 } = new MessageChannel();
  const said: { type: string }[] = [];
  port1.onmessage = ({ data }: MessageEvent<{ type: string }>) => said.push(data);
  const connect = (version: unknown) => {
    const event = { source: parent, origin: HOST, data: { protocol: PROTOCOL, type: 'connect', version }, ports: [port2] };
    happen('message', { dispatchEvent: (made: never) => window.dispatchEvent(Object.assign(made, event)) });
  };
  const close = () => {
    port1.close();
    if (before) Object.defineProperty(window, 'parent', before);
  };
  return { greetings, page, said, connect, close, port: port1 };
}

test('a hello offers every version that the page can speak', () => {
  const { greetings, connect, close } = framed();
  assert.deepEqual([greetings[0]?.min, greetings[0]?.max], [1, 3]);
  connect(1);
  close();
});

for (const [version, told] of [[1, ['dirty']], [2, ['dirty', 'saving', 'kernel']], [3, ['dirty', 'saving', 'kernel', 'loaded']], [4, []], ['2', []]] as const) {
  test(`an SDK that chooses version ${JSON.stringify(version)} is told ${told.join(', ') || 'nothing'}`, async () => {
    const { page, said, connect, close } = framed();
    connect(version);
    page.say({ type: 'dirty', dirty: true });
    page.say({ type: 'saving' });
    page.say({ type: 'kernel', state: 'idle' });
    page.say({ type: 'loaded', dirty: false });
    await settled();
    assert.deepEqual(said.map(({ type }) => type), told);
    if (told.length === 0) connect(1);
    close();
  });
}
