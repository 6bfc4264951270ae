/** What a person sees while a notebook opens, is worked in, and is left. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { type EmbedEvents, embedNotebook, type EmbedOptions, type NotebookEmbed } from '../src/index.js';
import { FakeFrame, FakeService, happen, mountPoint, problem, SEAT, SERVICE, setOnline, settled, until } from './page.js';

const PREVIEW = 'GET /v1/notebooks/n1/preview';
const OPEN = 'POST /v1/sessions';

const embeds: NotebookEmbed[] = [];
const frames: FakeFrame[] = [];
afterEach(() => {
  setOnline(true);
  for (const embed of embeds.splice(0)) embed.destroy();
  for (const frame of frames.splice(0)) frame.close();
});

function embed(options: Partial<EmbedOptions> = {}, service = new FakeService()) {
  const mount = mountPoint();
  let fetched = 0;
  const notebook = embedNotebook({
    mountPoint: mount, serviceUrl: SERVICE, notebookId: 'n1', fetchToken: () => `t${String(++fetched)}`, ...options,
  });
  embeds.push(notebook);
  const told: { event: keyof EmbedEvents; detail: unknown }[] = [];
  for (const event of ['preview', 'progress', 'saveState', 'saved', 'kernel', 'executed', 'selection', 'failed', 'ended'] as const) {
    notebook.on(event, (detail) => told.push({ event, detail }));
  }
  const states = () => told.filter(({ event }) => event === 'saveState').map(({ detail }) => (detail as EmbedEvents['saveState']).state);
  const frame = async () => {
    const element = await until(() => mount.querySelector<HTMLIFrameElement>('.inset-frame:not([seen])'));
    element.setAttribute('seen', '');
    const fake = new FakeFrame(element);
    frames.push(fake);
    return fake;
  };
  const start = async () => {
    await until(() => service.streams);
    service.send('ready', { embeddable: true, version: 1 });
    return frame();
  };
  const preview = () => mount.querySelector<HTMLIFrameElement>('.inset-preview');
  const root = () => mount.firstElementChild as HTMLElement;
  return { service, mount, root, notebook, told, states, frame, start, preview, fetched: () => fetched, text: () => mount.textContent };
}

function withPreview(html = '<style>p{}</style><p>saved'): FakeService {
  const service = new FakeService();
  service.answerOnce(PREVIEW, () => new Response(html));
  return service;
}

test('the last saved version is there before any server is, in a frame that may run nothing', async () => {
  const { preview, told, start, root } = embed({ nonce: 'abc' }, withPreview());
  const frame = await until(preview);
  assert.equal(frame.srcdoc, '<style nonce="abc">p{}</style><p>saved');
  assert.ok(!frame.getAttribute('sandbox')?.includes('scripts'));
  assert.equal(frame.title, 'Last saved version');
  happen('load', frame);
  assert.equal(frame.hidden, false);
  assert.ok(told.some(({ event }) => event === 'preview'));
  assert.equal(root().dataset.insetPreview, '');

  const shown = await start();
  assert.equal(preview(), frame, 'until there is something better');
  await shown.open();
  assert.equal(preview(), null);
  assert.equal(root().dataset.insetPreview, undefined);
});

test('a preview can come from the host, and need not be', async () => {
  const { preview, service } = embed({ preview: '/notebooks/1/preview' });
  assert.equal((await until(preview)).getAttribute('src'), '/notebooks/1/preview');
  const without = embed({ preview: false });
  await until(() => without.service.streams);
  assert.equal(without.preview(), null);
  assert.equal(service.count(PREVIEW) + without.service.count(PREVIEW), 0);
});

test('where there is no place the saved version stays, says so, and can be tried again', async () => {
  const service = withPreview();
  service.answerOnce(OPEN, () => problem(409, 'session-limit', 'End one of them first.'));
  const { mount, preview, start, notebook, text } = embed({}, service);
  await assert.rejects(notebook.ready, { code: 'session-limit' });
  await until(preview);
  assert.match(text(), /End one of them first\..*session-limit/s);

  (await until(() => mount.querySelector<HTMLButtonElement>('[role=alert] button'))).click();
  await (await start()).open();
  assert.equal(preview(), null);
  assert.equal(service.count(PREVIEW), 1);
});

test('a notebook that was closed can still be read, one whose access was withdrawn can not', async () => {
  for (const [reason, readable] of [['idle', true], ['revoked', false]] as const) {
    const { service, start, preview, told } = embed();
    await (await start()).open();
    service.answerOnce(PREVIEW, () => new Response('saved'));
    service.send('ended', { reason });
    await until(() => told.some(({ event }) => event === 'ended'));
    await settled();
    assert.equal(preview() !== null, readable, reason);
  }
});

test('the notebook takes the place of the preview at the cell that its reader has scrolled to', async () => {
  const { start, preview, notebook } = embed({}, withPreview());
  const frame = await until(preview);
  const cells = [-40, -3, 90, 300].map((bottom) => ({ getBoundingClientRect: () => ({ bottom }) }));
  Object.defineProperty(frame, 'contentDocument', { value: { querySelectorAll: () => cells } });
  const shown = await start();
  shown.hello('d', { max: 2, capabilities: ['save', 'go-to'] });
  shown.say({ type: 'ready', path: 'a.ipynb', dirty: false, mode: 'plain' });

  const asked = await until(() => shown.heard.find(({ type }) => type === 'command'));
  assert.deepEqual([asked.command, asked.value], ['go-to', 2]);
  assert.ok(preview());
  await notebook.ready;
  shown.say({ type: 'done', request: asked.request });
  await until(() => !preview());
});

test('edits are followed in words, as an event and as an attribute', async () => {
  const { root, text, start, states, notebook } = embed();
  const shown = await start();
  await shown.open();
  assert.equal(root().dataset.insetSave, 'saved');

  shown.say({ type: 'dirty', dirty: true });
  await until(() => root().dataset.insetSave === 'unsaved');
  assert.match(text(), /Unsaved changes/);
  shown.say({ type: 'saving' });
  shown.say({ type: 'saved', version: 2, sha256: 'ab', origin: 'autosave', dirty: false });
  await until(() => notebook.saveState === 'saved');
  shown.say({ type: 'save-failed', code: 'save-failed', message: 'disk' });
  await until(() => notebook.saveState === 'failed');
  shown.say({ type: 'save-failed', code: 'conflict', message: 'newer' });
  await until(() => notebook.saveState === 'conflict');
  shown.say({ type: 'saved', version: 4, sha256: 'ab', origin: 'save', dirty: false });
  await until(() => notebook.saveState === 'saved');
  shown.say({ type: 'save-failed', code: 'service-unavailable', message: 'away' });
  await until(() => notebook.saveState === 'offline');
  assert.deepEqual(states(), ['unsaved', 'saving', 'saved', 'failed', 'conflict', 'saved', 'offline']);
});

test('what the service says of a save ends a trouble, and what it keeps aside is one', async () => {
  const { service, start, notebook } = embed();
  const shown = await start();
  await shown.open();
  service.send('conflict', { base_version: 1, current_version: 2, kept_version: 3, resolve: '/r' });
  await until(() => notebook.saveState === 'conflict');
  service.send('saved', { version: 4, sha256: 'ab', origin: 'merge' });
  await until(() => notebook.saveState === 'saved');
});

test('edits made offline are kept, and delivered when the page is online again', async () => {
  const { start, notebook, fetched } = embed();
  const shown = await start();
  await shown.open();
  setOnline(false);
  shown.say({ type: 'dirty', dirty: true });
  await until(() => notebook.saveState === 'offline');
  const before = fetched();

  setOnline(true);
  happen('online');
  const { request } = await until(() => shown.heard.find(({ type }) => type === 'save'));
  shown.say({ type: 'saved', version: 2, sha256: 'ab', origin: 'save', dirty: false, request });

  await until(() => notebook.saveState === 'saved');
  await until(() => fetched() === before + 1);
});

test('a page that is back asks for one new token, and takes up the stream with it', async () => {
  const { start, service, fetched } = embed();
  await (await start()).open();
  const before = fetched();
  happen('online');
  await until(() => service.count('GET /v1/sessions/s1/events') === 2);
  assert.equal(service.calls.at(-1)?.headers.get('Authorization'), `Bearer t${String(before + 1)}`);
  assert.equal(fetched(), before + 1);
});

test('who turns away, or is about to leave the page, has saved', async () => {
  for (const turn of [() => happen('focus'), () => happen('beforeunload')]) {
    const { start, notebook } = embed();
    const shown = await start();
    await shown.open();
    assert.equal(turn().defaultPrevented, false);
    assert.equal(shown.heard.length, 0);
    shown.say({ type: 'dirty', dirty: true });
    await until(() => notebook.saveState === 'unsaved');

    const { type, defaultPrevented } = turn();

    assert.equal(defaultPrevented, type === 'beforeunload');
    await until(() => shown.heard.some(({ type }) => type === 'save'));
    notebook.destroy();
  }
});

test('leave() saves, then takes the notebook away; it waits for a while, and not for ever', async () => {
  const { start, mount, notebook } = embed();
  const shown = await start();
  await shown.open();
  shown.say({ type: 'dirty', dirty: true });
  await until(() => notebook.saveState === 'unsaved');
  const leaving = notebook.leave();
  const { request } = await until(() => shown.heard.find(({ type }) => type === 'save'));
  shown.say({ type: 'saved', version: 2, sha256: 'ab', origin: 'save', dirty: false, request });
  await leaving;
  assert.equal(mount.childElementCount, 0);

  const other = embed({ timeouts: { leave: 20 } });
  const silent = await other.start();
  await silent.open();
  silent.say({ type: 'dirty', dirty: true });
  await until(() => other.notebook.saveState === 'unsaved');
  await other.notebook.leave();
  assert.equal(other.mount.childElementCount, 0);
});

test('an opening says what it waits for, in the host’s own words', async () => {
  const { service, told, text } = embed({ messages: { position: 'Platz {n} in der Schlange', wait: ', noch {minutes} Minuten', starting: 'Der Server startet' } });
  await until(() => service.streams);
  service.send('progress', { percent: 0, message: 'Waiting', state: 'queued', position: 3, estimated_wait: 130 });
  await until(() => text().includes('Platz 3 in der Schlange'));
  service.send('progress', { percent: 0, message: 'Waiting', state: 'queued', position: 3, estimated_wait: 130, waits_for: 'hub' });
  await until(() => text().includes('The notebook server does not answer yet'));
  service.send('progress', { percent: 10, message: 'Fetching', state: 'starting', waits_for: 'image' });
  await until(() => text().includes('Downloading the notebook server'));
  // What a newer service waits for is none of today's words.
  service.send('progress', { percent: 10, message: 'Starting', state: 'starting', waits_for: 'spring' });
  await until(() => text().includes('Der Server startet'));
  const phases = told.filter(({ event }) => event === 'progress').map(({ detail }) => detail as EmbedEvents['progress']);
  assert.ok(phases.some(({ phase, position, estimatedWait }) => phase === 'queued' && position === 3 && estimatedWait === 130));
  assert.deepEqual([...new Set(phases.map(({ waitsFor }) => waitsFor ?? ''))], ['', 'hub', 'image', 'spring']);
  assert.equal(phases.at(-1)?.phase, 'starting');
});

test('an opening can be given up, and taken up again', async () => {
  const { service, mount, notebook, text, start } = embed();
  await until(() => service.streams);
  mount.querySelector<HTMLButtonElement>('.inset-cancel')?.click();
  await assert.rejects(notebook.ready, { code: 'cancelled' });
  assert.match(text(), /The notebook was not opened/);
  await until(() => service.count('DELETE /v1/sessions/s1'));

  mount.querySelector<HTMLButtonElement>('[role=alert] button')?.click();
  await (await start()).open();
  notebook.cancel();
  await settled();
  assert.equal(service.count('DELETE /v1/sessions/s1'), 1);
});

test('an old page and a new SDK speak what the page knows, a new page what both know', async () => {
  for (const [max, spoken] of [[1, 1], [2, 2], [7, 3]] as const) {
    const { start, notebook } = embed();
    const shown = await start();
    shown.hello('d', { max });
    assert.equal(shown.version, spoken);
    shown.say({ type: 'ready', path: 'a.ipynb', dirty: false, mode: 'plain' });
    await notebook.ready;
    await assert.rejects(notebook.command('run-all'), { code: 'not-supported' });
  }
});

test('a page that speaks nothing we know is named as that', async () => {
  const { start, notebook, told } = embed();
  (await start()).post({ type: 'hello', min: 4, max: 5, capabilities: ['save'], document: 'd' });
  await assert.rejects(notebook.ready, { code: 'protocol-mismatch' });
  assert.equal(told.filter(({ event }) => event === 'failed').length, 1);
});

test('a host commands, and hears of the kernel and of cells that ran', async () => {
  const { start, notebook, told } = embed({ timeouts: { command: 1_000 } });
  await assert.rejects(notebook.command('run-all'), { code: 'not-ready' });
  const shown = await start();
  shown.hello('d', { max: 2, capabilities: ['save', 'theme', 'run-all'] });
  shown.say({ type: 'ready', path: 'a.ipynb', dirty: false, mode: 'plain' });
  await notebook.ready;

  const done = notebook.command('theme', 'dark');
  const asked = await until(() => shown.heard.at(-1));
  assert.deepEqual({ ...asked, protocol: 0 }, { protocol: 0, type: 'command', command: 'theme', value: 'dark', request: '1' });
  shown.say({ type: 'done', request: asked.request });
  await done;
  for (const [code, expected] of [['not-allowed', 'not-allowed'], ['read-only', 'read-only'], ['odd', 'command-failed']] as const) {
    const refused = assert.rejects(notebook.command('run-all'), { code: expected, message: 'why' });
    const count = shown.heard.length;
    const { request } = await until(() => shown.heard[count]);
    shown.say({ type: 'command-failed', code, message: 'why', request });
    await refused;
  }
  await assert.rejects(notebook.command('run-all'), { code: 'timeout' });

  shown.say({ type: 'kernel', state: 'busy' });
  shown.say({ type: 'executed', cell: 2, seconds: 0.5, failed: true });
  await until(() => told.at(-1)?.event === 'executed');
  assert.deepEqual(told.slice(-2).map(({ detail }) => detail), [{ state: 'busy' }, { cell: 2, seconds: 0.5, failed: true }]);
});

test('nothing is believed of another frame, a preview included', async () => {
  const { start, preview } = embed({}, withPreview());
  await until(preview);
  const shown = await start();
  shown.post({ type: 'hello', min: 1, max: 2, capabilities: ['save'], document: 'd' }, { source: preview()?.contentWindow, origin: SEAT });
  assert.deepEqual(shown.connects, []);
});

test('a conflict is over when the notebook shows what was chosen', async () => {
  const { start, notebook, states } = embed();
  const shown = await start();
  shown.hello('d', { max: 3 });
  shown.say({ type: 'ready', path: 'a.ipynb', dirty: false, mode: 'plain' });
  shown.say({ type: 'dirty', dirty: true });
  shown.say({ type: 'save-failed', code: 'conflict', message: 'newer' });
  await until(() => notebook.saveState === 'conflict');

  shown.say({ type: 'loaded', dirty: false });

  await until(() => notebook.saveState === 'saved');
  assert.deepEqual(states(), ['unsaved', 'conflict', 'saved']);
});

test('a host makes cells, hides parts, hears of the selection, and is told why not', async () => {
  const { start, notebook, told, root } = embed({ hide: ['toolbar'], height: 'auto', minHeight: 200, maxHeight: 900 });
  const shown = await start();
  shown.hello('d', { max: 3, capabilities: ['save', 'hide', 'insert-cell', 'replace-cell', 'tell-height'] });
  shown.say({ type: 'ready', path: 'a.ipynb', dirty: false, mode: 'plain' });
  await notebook.ready;
  await until(() => shown.heard.some(({ command, value }) => command === 'tell-height' && value === true));
  assert.deepEqual(shown.heard.find(({ command }) => command === 'hide')?.value, ['toolbar']);
  for (const [height, becomes] of [[90, '200px'], [500, '500px'], [4000, '900px']] as const) {
    shown.say({ type: 'height', height });
    await until(() => root().style.height === becomes);
  }

  const made = notebook.command('insert-cell', { kind: 'markdown', source: '# One', at: 0 });
  const asked = await until(() => shown.heard.find(({ command }) => command === 'insert-cell'));
  shown.say({ type: 'done', request: asked.request, result: 'c1' });
  assert.equal(await made, 'c1');
  const refused = notebook.command('replace-cell', { id: 'c9', source: 'x' });
  const { request } = await until(() => shown.heard.find(({ command }) => command === 'replace-cell'));
  shown.say({ type: 'command-failed', request, code: 'no-such-cell', message: 'm' });
  await assert.rejects(refused, { code: 'no-such-cell' });

  shown.say({ type: 'selection', cell: 2, selected: 3 });
  await until(() => told.some(({ event, detail }) => event === 'selection' && JSON.stringify(detail) === '{"cell":2,"selected":3}'));
});

test('a version is restored by the service, once', async () => {
  const { service, notebook } = embed();
  const restore = 'POST /v1/notebooks/n1/versions/2/restore';
  service.answerOnce(restore, () => Response.json({ number: 7, sha256: 'ab' }, { status: 201 }), () => problem(404, 'version-not-found'));
  assert.equal((await notebook.restore(2)).version, 7);
  await assert.rejects(notebook.restore(2), { code: 'version-not-found' });
  assert.equal(service.count(restore), 2);
});
