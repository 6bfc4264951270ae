import './page.js';
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { act, createElement, createRef, StrictMode } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { renderToString } from 'react-dom/server';
import type { NotebookEmbed } from '../src/index.js';
import { InsetNotebook, type InsetNotebookProps } from '../src/react.js';
import { FakeFrame, FakeService, mountPoint, SERVICE, settled, until } from './page.js';

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

const roots: Root[] = [];
const frames: FakeFrame[] = [];
afterEach(async () => {
  for (const root of roots.splice(0)) act(() => { root.unmount(); });
  for (const frame of frames.splice(0)) frame.close();
  await settled();
});

function page() {
  const service = new FakeService();
  const mount = mountPoint();
  const root = createRoot(mount);
  roots.push(root);
  const handle = createRef<NotebookEmbed>();
  const given: InsetNotebookProps = { serviceUrl: SERVICE, notebookId: 'n1', fetchToken: () => 't', className: 'work' };
  const render = (props: Partial<InsetNotebookProps> = {}) => {
    act(() => { root.render(createElement(StrictMode, null, createElement(InsetNotebook, { ...given, ...props, ref: handle }))); });
  };
  const open = async () => {
    await until(() => service.streams);
    service.send('ready', { embeddable: true, version: 1 });
    const frame = new FakeFrame(await until(() => mount.querySelector<HTMLIFrameElement>('.inset-frame')));
    frames.push(frame);
    await frame.open();
    return frame;
  };
  return { service, mount, root, handle, render, open };
}

test('a component shows a notebook, and its ref is the handle', async () => {
  const { mount, handle, render, open } = page();
  render();
  await open();
  await handle.current?.ready;
  assert.equal(handle.current?.sessionId, 's1');
  assert.ok(mount.querySelector('.work > .inset-notebook > iframe'));
  assert.equal(mount.querySelectorAll('.inset-notebook').length, 1, 'strict mode mounts twice');
});

test('a new render changes the listeners and keeps the notebook', async () => {
  const { service, render, open } = page();
  const heard: string[] = [];
  render({ onDirty: () => heard.push('old') });
  const frame = await open();
  const calls = service.calls.length;

  render({ onDirty: () => heard.push('new') });
  frame.say({ type: 'dirty', dirty: true });
  await until(() => heard.length);

  assert.deepEqual(heard, ['new']);
  assert.equal(service.calls.length, calls);
});

test('another notebook takes the place of the first', async () => {
  const { service, mount, render } = page();
  render();
  await until(() => service.streams);
  render({ notebookId: 'n2' });
  await settled();
  assert.equal(mount.querySelectorAll('.inset-notebook').length, 1);
  assert.ok(service.count('GET /v1/notebooks/n2/preview'));
});

test('a component that goes saves first, and leaves nothing', async () => {
  const { service, mount, root, render, open } = page();
  render();
  const frame = await open();
  frame.say({ type: 'dirty', dirty: true });
  await until(() => mount.querySelector('[data-inset-save=unsaved]'));

  act(() => { root.unmount(); });
  const { request } = await until(() => frame.heard.find(({ type }) => type === 'save'));
  frame.say({ type: 'saved', version: 2, sha256: 'ab', origin: 'save', request });

  await until(() => service.streams === 0);
  assert.equal(document.querySelector('.inset-notebook'), null);
});

test('a server renders the place for it', () => {
  const html = renderToString(createElement(InsetNotebook, { serviceUrl: SERVICE, notebookId: 'n1', fetchToken: () => 't', className: 'work' }));
  assert.equal(html, '<div class="work"></div>');
});
