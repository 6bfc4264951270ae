import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { EmbedError, type EmbedEvents, embedNotebook, type EmbedOptions, type NotebookEmbed } from '../src/index.js';
import { PROTOCOL } from '../src/protocol.js';
import { FakeFrame, FakeService, mountPoint, problem, SEAT, SERVICE, settled, until } from './page.js';

const OPEN = 'POST /v1/sessions';
const MINT = 'POST /v1/sessions/s1/iframe-url';

const embeds: NotebookEmbed[] = [];
const frames: FakeFrame[] = [];
afterEach(() => {
  for (const embed of embeds.splice(0)) embed.destroy();
  for (const frame of frames.splice(0)) frame.close();
});

/** A notebook on a page, opened as far as the events say. */
function embed(options: Partial<EmbedOptions> = {}) {
  const service = new FakeService();
  const mount = mountPoint();
  const notebook = embedNotebook({ mountPoint: mount, serviceUrl: SERVICE, notebookId: 'n1', fetchToken: () => 't', ...options });
  embeds.push(notebook);
  const told: { event: keyof EmbedEvents; detail: unknown }[] = [];
  for (const event of ['ready', 'dirty', 'saving', 'saved', 'saveFailed', 'conflict', 'ended', 'failed'] as const) {
    notebook.on(event, (detail) => told.push({ event, detail }));
  }
  /** The frame that is shown, once there is one that the test did not see before. */
  const frame = async () => {
    const element = await until(() => mount.querySelector('iframe:not([seen])'));
    element.setAttribute('seen', '');
    const fake = new FakeFrame(element as HTMLIFrameElement);
    frames.push(fake);
    return fake;
  };
  const start = async () => {
    await until(() => service.streams);
    service.send('ready', { embeddable: true, version: 1 });
    return frame();
  };
  return { service, mount, notebook, told, frame, start, text: () => mount.textContent };
}

test('a notebook opens: session, progress, frame, handshake', async () => {
  const { service, mount, notebook, told, frame, text } = embed({ title: 'Exercise 3' });
  await until(() => service.streams);
  service.send('progress', { percent: 40, message: 'Starting the server', state: 'starting' });
  await until(() => text().includes('Starting the notebook server'));
  assert.equal(mount.querySelector('progress')?.getAttribute('aria-label'), 'Opening the notebook');
  assert.equal(mount.querySelector('.inset-progress [role=status]')?.textContent, 'Starting the notebook server');

  service.send('ready', { embeddable: true, version: 1 });
  const shown = await frame();
  await shown.open();
  await notebook.ready;

  assert.deepEqual(shown.connects, [SEAT]);
  assert.equal(mount.querySelector('iframe')?.title, 'Exercise 3');
  assert.equal(mount.querySelector('.inset-progress'), null);
  assert.equal(mount.querySelector('[role=status]')?.textContent, 'Saved');
  assert.equal(notebook.sessionId, 's1');
  assert.equal(notebook.mode, 'partitioned');
  assert.deepEqual(told, [{ event: 'ready', detail: { sessionId: 's1', mode: 'partitioned', may: ['edit', 'run', 'download', 'terminals'] } }]);
});

test('what the page is made of is fetched ahead, until the notebook comes', async () => {
  const { service, mount, start } = embed();
  service.warmUpUrl = 'https://assets.nb.test/warm-up';
  const ahead = await until(() => mount.querySelector('iframe'));
  assert.deepEqual([ahead.src, ahead.hidden], [service.warmUpUrl, true]);
  ahead.setAttribute('seen', '');

  const shown = await start();
  await shown.open();

  assert.equal(mount.contains(ahead), false);
  assert.equal(mount.querySelectorAll('iframe').length, 1);
});

test('nothing is fetched ahead for JupyterLab, nor where the user saves data', async () => {
  const saving = { value: { saveData: true }, configurable: true };
  for (const options of [{ interface: 'lab' }, {}] as const) {
    if (!('interface' in options)) Object.defineProperty(navigator, 'connection', saving);
    const { service, mount } = embed(options);
    service.warmUpUrl = 'https://assets.nb.test/warm-up';

    await until(() => service.streams);

    assert.equal(mount.querySelector('iframe'), null);
  }
  Reflect.deleteProperty(navigator, 'connection');
});

test('a way in that ends soon is renewed in place', async () => {
  const { service, mount, start } = embed();
  const shown = await start();
  await shown.open();

  shown.say({ type: 'expiring' });

  assert.deepEqual(await until(() => shown.heard.at(-1)), { protocol: PROTOCOL, type: 'renew', ticket: 't' });
  assert.equal(service.count(MINT), 2);
  assert.equal(mount.querySelectorAll('iframe[seen]').length, 1);
});

test('a ticket for another server is not given to this one', async () => {
  const { service, start } = embed();
  const shown = await start();
  await shown.open();
  service.answerOnce(MINT, () => Response.json({ url: 'https://seat-002.nb.test/user/seat-002/inset/enter#ticket=t' }));

  shown.say({ type: 'expiring' });
  await until(() => service.count(MINT) === 2);
  await settled();

  assert.deepEqual(shown.heard, []);
});

test('a notebook goes on where its way in could not be renewed', async () => {
  const { service, notebook, start, told } = embed();
  const shown = await start();
  await shown.open();
  service.answerOnce(MINT, () => problem(410, 'session-over'));

  shown.say({ type: 'expiring' });
  await until(() => service.count(MINT) === 2);
  await settled();
  shown.say({ type: 'expiring' });

  assert.equal((await until(() => shown.heard.at(-1))).type, 'renew');
  assert.deepEqual(told.map(({ event }) => event), ['ready']);
  assert.equal(notebook.sessionId, 's1');
});

test('listeners may come with the options', async () => {
  let ready = 0;
  const { start } = embed({ onReady: () => ready++ });
  await (await start()).open();
  assert.equal(ready, 1);
});

test('a listener that throws stops nobody else', async () => {
  const errors: unknown[] = [];
  const { start, told } = embed({ onReady: () => { throw new Error('of the host'); } });
  const shown = await start();
  Object.assign(globalThis, { reportError: (error: unknown) => errors.push(error) });
  await shown.open();
  assert.equal(told.length, 1);
  assert.equal(errors.length, 1);
});

test('a hello is believed only from the frame, its origin, and in its shape', async () => {
  const { start } = embed();
  const shown = await start();
  const hello = { type: 'hello', min: 1, max: 1, capabilities: ['save'], document: 'd1' };
  shown.post(hello, { source: globalThis.window });
  shown.post(hello, { source: null });
  shown.post(hello, { origin: 'https://seat-002.nb.test' });
  shown.post(hello, { origin: `${SEAT}.evil.test` });
  shown.post(hello, { origin: 'null' });
  shown.post({ ...hello, capabilities: 'save' });
  shown.post({ ...hello, protocol: 'notebook-embed/9' });
  assert.deepEqual(shown.connects, []);
  shown.post(hello);
  assert.deepEqual(shown.connects, [SEAT]);
});

test('a repeated hello is not answered again, one of a reloaded page is', async () => {
  const { start, told } = embed();
  const shown = await start();
  await shown.open('d1');
  shown.hello('d1');
  assert.equal(shown.connects.length, 1);
  await shown.open('d2');
  assert.equal(shown.connects.length, 2);
  assert.deepEqual(told.map(({ event }) => event), ['ready', 'ready']);
});

test('save() gives the version that the database holds', async () => {
  const { start, notebook, told } = embed();
  const shown = await start();
  await shown.open();
  const saving = notebook.save();
  const { request } = await until(() => shown.heard.find(({ type }) => type === 'save'));
  shown.say({ type: 'saved', version: 2, sha256: 'ab', origin: 'save', request });
  assert.deepEqual(await saving, { version: 2, sha256: 'ab' });
  assert.deepEqual(told.slice(1), [
    { event: 'saving', detail: {} },
    { event: 'saved', detail: { version: 2, sha256: 'ab', origin: 'save' } },
  ]);
});

test('what save() gives holds the receipt of a version that was sent', async () => {
  const { notebook, start } = embed();
  const shown = await start();
  await shown.open();

  const saved = notebook.save();
  const { request } = await until(() => shown.heard.at(-1)) as { request: string };
  shown.say({ type: 'saved', version: 2, sha256: 'ab', origin: 'save', receipt: 'r', request });

  assert.deepEqual(await saved, { version: 2, sha256: 'ab', receipt: 'r' });
});

test('a version is told once, whether the frame or the service is first', async () => {
  const { start, service, told } = embed();
  const shown = await start();
  await shown.open();
  shown.say({ type: 'saved', version: 2, sha256: 'ab', origin: 'autosave' });
  await until(() => told.length === 2);
  service.send('saved', { version: 2, sha256: 'ab', origin: 'autosave' });
  service.send('saved', { version: 3, sha256: 'cd', origin: 'save' });
  await until(() => told.length === 3);
  shown.say({ type: 'saved', version: 3, sha256: 'cd', origin: 'save' });
  await settled();
  assert.equal(told.length, 3);
});

test('a save with nothing new is told too, so that saving has an end', async () => {
  const { start, notebook, told } = embed();
  const shown = await start();
  await shown.open();
  for (const n of [1, 2]) {
    const saving = notebook.save();
    const { request } = await until(() => shown.heard[n - 1]);
    shown.say({ type: 'saved', version: 2, sha256: 'ab', origin: 'save', request });
    await saving;
  }
  assert.deepEqual(told.map(({ event }) => event), ['ready', 'saving', 'saved', 'saving', 'saved']);
});

test('the versions of a session that is joined are history', async () => {
  const { service, notebook, told, frame } = embed();
  service.version = 5;
  await until(() => service.streams);
  service.send('saved', { version: 4, sha256: 'ab', origin: 'save' });
  service.send('conflict', { current_version: 3, kept_version: 5 });
  service.send('ready', { embeddable: true, version: 1 });
  await (await frame()).open();
  await notebook.ready;
  assert.deepEqual(told.map(({ event }) => event), ['ready']);
});

test('a conflict names the versions, and where to resolve it', async () => {
  const { service, start, told } = embed();
  await (await start()).open();
  const resolve = '/v1/notebooks/n1/versions/4/resolve';
  service.send('conflict', { base_version: 2, current_version: 3, kept_version: 4, resolve });
  const { detail } = await until(() => told.find(({ event }) => event === 'conflict'));
  assert.deepEqual(detail, { baseVersion: 2, currentVersion: 3, keptVersion: 4, resolve });
});

test('save() says why it did not work', async () => {
  const { start, notebook, told } = embed({ timeouts: { save: 1_000 } });
  await assert.rejects(notebook.save(), { code: 'not-ready' });
  const shown = await start();
  await assert.rejects(notebook.save(), { code: 'not-ready' });
  await shown.open();

  await assert.rejects(notebook.save(), { code: 'timeout' });
  for (const [code, expected] of [['conflict', 'conflict'], ['not-allowed', 'not-allowed'], ['service-unavailable', 'save-failed']] as const) {
    const saving = assert.rejects(notebook.save(), { name: 'EmbedError', code: expected, message: 'why' });
    const count = shown.heard.length;
    const { request } = await until(() => shown.heard[count]);
    shown.say({ type: 'save-failed', code, message: 'why', request });
    await saving;
  }
  const saving = assert.rejects(notebook.save(), { code: 'not-ready' });
  shown.hello('reloaded');
  await saving;
  assert.equal(told.filter(({ event }) => event === 'saving').length, 5);
  assert.equal(told.filter(({ event }) => event === 'saveFailed').length, 5);
});

test('the host hears what the user may do, as far as it knows the words', async () => {
  const { start, notebook } = embed();
  const shown = await start();
  await shown.open('d1', { may: ['run', 'fly'] });
  await notebook.ready;
  assert.deepEqual(notebook.may, ['run']);

  await shown.open('d2', { may: [] });
  await until(() => notebook.may?.length === 0);
});

test('the host hears of unsaved edits, and of a save of the user that failed', async () => {
  const { start, told } = embed();
  const shown = await start();
  await shown.open();
  shown.say({ type: 'dirty', dirty: true });
  shown.say({ type: 'dirty', dirty: true });
  shown.say({ type: 'save-failed', code: 'service-unavailable', message: 'away' });
  shown.say({ type: 'dirty', dirty: 'very' });
  await until(() => told.length === 3);
  await settled();
  assert.deepEqual(told.slice(1), [
    { event: 'dirty', detail: { dirty: true } },
    { event: 'saveFailed', detail: { code: 'service-unavailable', message: 'away' } },
  ]);
});

test('a refused URL is replaced by a new one, in a new frame', async () => {
  const { start, frame, service, notebook } = embed();
  const first = await start();
  first.post({ type: 'entry-failed', reason: 'ticket-expired' });
  const second = await frame();
  await second.open();
  await notebook.ready;
  assert.equal(service.count(MINT), 2);
  first.hello('late');
  assert.deepEqual(first.connects, []);
});

test('after two new URLs in a row there is no third', async () => {
  const { start, frame, service, notebook, told } = embed();
  (await start()).post({ type: 'entry-failed', reason: 'ticket-used' });
  (await frame()).post({ type: 'entry-failed', reason: 'ticket-expired' });
  (await frame()).post({ type: 'entry-failed', reason: 'ticket-used' });
  await assert.rejects(notebook.ready, { code: 'ticket-used' });
  assert.equal(service.count(MINT), 3);
  assert.deepEqual(told.map(({ event }) => event), ['failed']);
});

test('a browser that lets the frame store nothing is not asked again', async () => {
  const { start, service, notebook, text } = embed();
  (await start()).post({ type: 'entry-failed', reason: 'cookies-blocked' });
  await assert.rejects(notebook.ready, { code: 'cookies-blocked' });
  assert.equal(service.count(MINT), 1);
  assert.match(text(), /Allow cookies for this page/);
});

test('a frame that says nothing is replaced once', async () => {
  const { start, frame, service, notebook } = embed({ timeouts: { frame: 20 } });
  await start();
  await frame();
  await assert.rejects(notebook.ready, { code: 'frame-unresponsive' });
  assert.equal(service.count(MINT), 2);
});

test('a frame that says hello and then shows no notebook is replaced too', async () => {
  const { start, frame } = embed({ timeouts: { frame: 30 } });
  (await start()).hello();
  assert.ok(await frame());
});

test('a frame that went to a page of another kind is replaced', async () => {
  const { start, frame, notebook } = embed({ timeouts: { frame: 30 } });
  const shown = await start();
  await shown.open();
  shown.load();
  const { request } = await until(() => shown.heard.find(({ type }) => type === 'ping'));
  shown.say({ type: 'pong', request });
  await settled();

  shown.load();
  const next = await frame();
  await next.open();
  assert.equal(notebook.sessionId, 's1');
});

test('a page without a notebook need not become ready', async () => {
  const { start, told } = embed({ timeouts: { frame: 20 } });
  (await start()).hello('tree', { capabilities: [] });
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.deepEqual(told, []);
});

test('a server without the bridge can not be embedded', async () => {
  const { service, notebook } = embed();
  await until(() => service.streams);
  service.send('ready', { embeddable: false, version: 1 });
  await assert.rejects(notebook.ready, { code: 'not-embeddable' });
  assert.equal(service.count(MINT), 0);
});

test('a session that fails is said, and can be tried again', async () => {
  const { start, frame, service, mount, told, text } = embed();
  await (await start()).open();
  service.send('failed', { code: 'server-died', title: 'Gone', detail: 'The server has stopped.' });
  const button = await until(() => mount.querySelector<HTMLButtonElement>('[role=alert] button'));
  assert.deepEqual(told.at(-1), { event: 'failed', detail: { code: 'server-died', message: 'The server has stopped.' } });
  assert.match(text(), /The server has stopped\./);
  assert.equal(mount.querySelector('iframe'), null);

  button.click();
  await until(() => service.count(OPEN) === 2 && service.streams);
  service.send('ready', { embeddable: true, version: 1 });
  await (await frame()).open();
  assert.equal(told.at(-1)?.event, 'ready');
});

test('a refusal of the service is the reason, an outage is tried again', async () => {
  const service = embed();
  service.service.answerOnce(OPEN, () => problem(503, 'hub-unavailable'), () => problem(404, 'notebook-not-found', 'No such notebook.'));
  await assert.rejects(service.notebook.ready, (error) => {
    assert.ok(error instanceof EmbedError);
    assert.deepEqual([error.code, error.message], ['notebook-not-found', 'No such notebook.']);
    return true;
  });
});

test('close() ends the session and waits for its end', async () => {
  const { start, service, notebook, told, mount } = embed();
  await (await start()).open();
  let closed = false;
  const closing = notebook.close().then(() => (closed = true));
  await until(() => service.count('DELETE /v1/sessions/s1'));
  service.send('ending', { reason: 'closed' });
  await settled();
  assert.equal(closed, false);
  assert.ok(mount.querySelector('iframe'), 'the frame is needed for its unsaved edits');

  service.send('ended', { reason: 'closed' });
  await closing;
  await settled();
  assert.deepEqual(told.at(-1), { event: 'ended', detail: { reason: 'closed' } });
  assert.equal(mount.querySelector('iframe'), null);
});

test('a frame that is locked out by the end of its session is no failure', async () => {
  const { start, service, told } = embed();
  const shown = await start();
  await shown.open();
  service.send('ending', { reason: 'idle', in: 4 });
  await settled();
  shown.post({ type: 'entry-failed', reason: 'session-over' });
  await settled();
  service.send('ended', { reason: 'idle' });
  await until(() => told.length === 2);
  assert.equal(service.count(MINT), 1);
  assert.equal(told.at(-1)?.event, 'ended');
});

test('close() of a session that is gone is done', async () => {
  const { start, service, notebook } = embed();
  await (await start()).open();
  service.answerOnce('DELETE /v1/sessions/s1', () => problem(404, 'session-not-found'));
  const closing = notebook.close();
  await settled();
  service.send('ended', { reason: 'idle' });
  await closing;
});

test('close() does not wait for ever', async () => {
  const { start, notebook } = embed({ timeouts: { close: 20 } });
  await (await start()).open();
  await assert.rejects(notebook.close(), { code: 'timeout' });
});

test('destroy() leaves nothing behind, and can be called twice', async () => {
  const { start, service, notebook, mount, told } = embed();
  const shown = await start();
  await shown.open();
  const saving = assert.rejects(notebook.save(), { code: 'destroyed' });

  notebook.destroy();
  notebook.destroy();
  await saving;
  await settled();
  const calls = service.calls.length;
  shown.hello('again');
  await settled();

  assert.equal(mount.children.length, 0);
  assert.equal(service.streams, 0);
  assert.equal(service.calls.length, calls);
  assert.equal(service.count('DELETE /v1/sessions/s1'), 0);
  assert.deepEqual(told.map(({ event }) => event), ['ready', 'saving']);
  await assert.rejects(notebook.save(), { code: 'destroyed' });
});

test('destroy() before anything has come settles `ready`', async () => {
  const { notebook, service } = embed();
  service.answerOnce(OPEN, () => new Promise(() => undefined));
  notebook.destroy();
  await assert.rejects(notebook.ready, { code: 'destroyed' });
  await assert.rejects(notebook.close(), { code: 'destroyed' });
});
