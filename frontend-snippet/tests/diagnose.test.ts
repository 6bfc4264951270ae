import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { diagnose, type DiagnoseOptions, type Finding } from '../src/diagnose.js';
import { FakeFrame, FakeService, problem, SEAT, SERVICE, until } from './page.js';

let service: FakeService;

function token(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'HS256' })}.${part(claims)}.signature`;
}

const now = () => Math.floor(Date.now() / 1000);
const fresh = () => token({ exp: now() + 300, iat: now() });

async function examine(options: Partial<DiagnoseOptions> = {}): Promise<Record<string, Finding>> {
  const findings = await diagnose({ serviceUrl: SERVICE, fetchToken: fresh, timeout: 100, ...options });
  for (const { code, level, fix } of findings) {
    assert.equal(fix !== undefined, level === 'warning' || level === 'error', `${code} says what helps, if anything is wrong`);
  }
  return Object.fromEntries(findings.map((finding) => [finding.code, finding]));
}

function wrong(found: Record<string, Finding>): string[] {
  return Object.values(found).filter(({ level }) => level === 'warning' || level === 'error').map(({ code }) => code);
}

function healthy(date = new Date()): Response {
  return Response.json({ status: 'ok' }, { headers: { Date: date.toUTCString() } });
}

/** Have the user's session be open in the service. */
function open(notebookId = 'n1'): void {
  service.answerOnce('GET /v1/sessions', () => Response.json({ items: [{ id: 's1', notebook_id: notebookId, state: 'ready' }] }));
}

function violate(effectiveDirective: string): void {
  const event = new (window as unknown as { Event: typeof Event }).Event('securitypolicyviolation');
  document.dispatchEvent(Object.assign(event, { effectiveDirective, disposition: 'enforce' }));
}

beforeEach(() => {
  document.body.replaceChildren();
  service = new FakeService();
  service.answerOnce('GET /healthz', () => healthy());
  service.answerOnce('GET /v1/notebooks', () => Response.json({ items: [] }));
});

test('a good set-up is found good, and the frame is not checked while no notebook is open', async () => {
  service.answerOnce('GET /v1/sessions', () => Response.json({ items: [{ id: 's1', notebook_id: 'n1', state: 'starting' }] }));
  const found = await examine({ notebook: { mode: 'partitioned' } });
  assert.deepEqual(Object.keys(found), ['service', 'token', 'frame', 'cookies']);
  assert.deepEqual(wrong(found), []);
  assert.equal(found.frame?.level, 'skipped');
});

test('a frame that speaks is alive, and what it was opened with holds no ticket', async () => {
  open();
  const examined = examine({ timeout: 5_000 });
  const element = await until(() => document.querySelector('iframe'));
  assert.equal(element.src, `${SEAT}/user/seat-001/inset/enter`);
  new FakeFrame(element).post({ type: 'entry-failed', reason: 'ticket-invalid' });
  assert.equal((await examined).frame?.level, 'ok');
  assert.equal(document.querySelector('iframe'), null);
});

test('a frame that the page’s own policy blocks', async () => {
  open();
  const examined = examine({ timeout: 5_000 });
  await until(() => document.querySelector('iframe'));
  violate('frame-src');
  const found = (await examined)['frame-src-blocked'];
  assert.match(found?.fix ?? '', /https:\/\/\*\.nb\.test, to frame-src/);
});

test('a frame that stays silent, where its server answers and where not', async () => {
  open();
  service.answerOnce('GET /user/seat-001/inset/enter', () => new Response('a page'));
  assert.match((await examine())['framing-refused']?.fix ?? '', /X-Frame-Options/);

  service.answerOnce('GET /healthz', () => healthy());
  service.answerOnce('GET /v1/notebooks', () => Response.json({ items: [] }));
  open();
  service.answerOnce('GET /user/seat-001/inset/enter', () => Promise.reject(new TypeError('no such name')));
  assert.match((await examine())['frame-silent']?.fix ?? '', /inset doctor/);
});

test('an origin that is not registered', async () => {
  service.answers.clear();
  service.answerOnce('GET /healthz', () => Promise.reject(new TypeError('CORS')), () => new Response());
  const found = await examine();
  assert.deepEqual(Object.keys(found), ['origin-not-registered']);
  assert.match(found['origin-not-registered']?.fix ?? '', /exactly https:\/\/host\.test in `origins`/);
});

test('a service that is away, or none', async () => {
  service.answers.clear();
  service.answerOnce('GET /healthz', () => Promise.reject(new TypeError('down')), () => Promise.reject(new TypeError('down')));
  assert.match((await examine())['service-unreachable']?.message ?? '', /does not answer/);
  assert.match((await examine())['service-unreachable']?.message ?? '', /answers 404/);
});

test('a page whose own policy forbids the service', async () => {
  service.answers.clear();
  service.answerOnce('GET /healthz', () => {
    setTimeout(violate, 5, 'connect-src');
    return Promise.reject(new TypeError('blocked'));
  });
  assert.match((await examine())['connect-src-blocked']?.fix ?? '', /https:\/\/inset\.test to connect-src/);
});

test('an https page and a plain http service', async () => {
  assert.match((await examine({ serviceUrl: 'http://inset.test' }))['mixed-content']?.fix ?? '', /INSET_PUBLIC_URL/);
  assert.deepEqual(service.calls, []);
});

test('a host that gives no token, no JWT, an old one or one of tomorrow', async () => {
  const cases: [string, () => string][] = [
    ['token-failed', () => { throw new Error('503'); }],
    ['token-malformed', () => '<!doctype html>'],
    ['token-expired', () => token({ exp: now() - 90 })],
    ['token-too-early', () => token({ exp: now() + 900, iat: now() + 600 })],
  ];
  for (const [code, fetchToken] of cases) {
    service.answerOnce('GET /healthz', () => healthy());
    assert.deepEqual(wrong(await examine({ fetchToken })), [code]);
  }
  assert.equal(service.count('GET /v1/notebooks'), 0);
});

test('a browser whose clock is wrong, which does not make a good token bad', async () => {
  service.answers.set('GET /healthz', [() => healthy(new Date(Date.now() + 3_600_000))]);
  service.answerOnce('GET /v1/sessions', () => Response.json({ items: [] }));
  const found = await examine({ fetchToken: () => token({ exp: now() + 3_900, iat: now() + 3_600 }) });
  assert.deepEqual(wrong(found), ['clock-skew']);
  assert.match(found['clock-skew']?.message ?? '', /3[56]\d\d seconds apart/);
});

test('a token that the service refuses', async () => {
  service.answers.set('GET /v1/notebooks', [() => problem(401, 'token-audience', 'The token’s `aud` must be x.')]);
  assert.match((await examine())['token-refused']?.message ?? '', /`aud` must be x/);
});

test('a token of another host application than the page’s', async () => {
  service.answers.set('GET /v1/notebooks', [() => problem(403, 'origin-not-allowed')]);
  assert.deepEqual(wrong(await examine()), ['origin-of-another-host']);
});

test('a notebook that is not this user’s', async () => {
  assert.deepEqual(wrong(await examine({ notebookId: 'n9' })), ['notebook-not-found']);
});

test('a frame without cookies', async () => {
  service.answerOnce('GET /v1/sessions', () => Response.json({ items: [] }));
  assert.equal((await examine({ notebook: { mode: 'cookieless' } })).cookieless?.level, 'warning');
});

test('an answer that nobody foresaw is a finding too', async () => {
  service.answerOnce('GET /v1/sessions', () => new Response('nonsense'));
  const { error } = console;
  console.error = () => undefined;
  try {
    assert.deepEqual(wrong(await examine()), ['check-crashed']);
  } finally {
    console.error = error;
  }
});
