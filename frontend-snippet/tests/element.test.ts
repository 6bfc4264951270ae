import './page.js';
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import '../src/element.js';
import { FakeFrame, FakeService, SERVICE, settled, until } from './page.js';

afterEach(async () => {
  document.body.replaceChildren();
  await settled();
});

function element(attributes: Record<string, string> = {}) {
  const service = new FakeService();
  const made = document.createElement('inset-notebook');
  for (const [name, value] of Object.entries({ 'service-url': SERVICE, 'notebook-id': 'n1', ...attributes })) made.setAttribute(name, value);
  const heard: { type: string; detail: unknown }[] = [];
  for (const name of ['inset-ready', 'inset-save-state']) {
    made.addEventListener(name, (event) => heard.push({ type: name, detail: (event as CustomEvent<unknown>).detail }));
  }
  return { service, made, heard };
}

test('an element opens its notebook, and what happens is an event of it', async () => {
  const { service, made, heard } = element({ 'token-url': 'https://host.test/inset-token' });
  service.answerOnce('POST /inset-token', () => new Response('of the host'));
  document.body.append(made);
  await until(() => service.streams);
  service.send('ready', { embeddable: true, version: 1 });
  const frame = new FakeFrame(await until(() => made.querySelector<HTMLIFrameElement>('.inset-frame')));
  await frame.open();
  frame.say({ type: 'dirty', dirty: true });

  await until(() => heard.length === 2);
  frame.close();
  assert.deepEqual(heard[1], { type: 'inset-save-state', detail: { state: 'unsaved' } });
  assert.equal(heard[0]?.type, 'inset-ready');
  assert.equal(service.calls.find(({ path }) => path === '/v1/sessions')?.headers.get('Authorization'), 'Bearer of the host');
});

test('an element without what it needs waits for it', async () => {
  const { service, made } = element();
  document.body.append(made);
  await settled();
  assert.equal(service.calls.length, 0);

  made.fetchToken = () => 't';
  made.setAttribute('notebook-id', 'n2');
  await until(() => service.streams);
});

test('another id opens another notebook, and an element that is removed leaves nothing', async () => {
  const { service, made } = element();
  made.fetchToken = () => 't';
  document.body.append(made);
  await until(() => service.streams);
  made.setAttribute('notebook-id', 'n2');
  await until(() => service.count('POST /v1/sessions') === 2);
  assert.equal(made.querySelectorAll('.inset-notebook').length, 1);

  made.remove();
  await until(() => service.streams === 0);
  assert.equal(made.childElementCount, 0);
  assert.equal(made.notebook, undefined);
});
