"""What the entry page runs: trades the ticket for a cookie, and goes on to the notebook."""

ENTER = """
// Frames of one page enter one after the other: two at once would each be given a cookie, and one of them keep it.
// Each may take as long as the service waits for a hub that is away.
async function inTurn(work) {
  let begun = false;
  const begin = () => { begun = true; return work(); };
  try {
    return await navigator.locks.request('inset-enter', { signal: AbortSignal.timeout(25_000) }, begin);
  } catch (error) {
    // A browser that has no locks here, or another frame that keeps them.
    if (begun) throw error;
    return work();
  }
}

// Whether this frame's cookies are kept in a partition: what nothing in them says.
async function partitioned() {
  // A frame without access to its ordinary cookies keeps no others. Else the browser shows by two of one name.
  if (!await document.hasStorageAccess()) return true;
  const twice = ['inset-probe=1; Partitioned', 'inset-probe=2'].map((one) => one + '; Secure; SameSite=None');
  for (const one of twice) document.cookie = one + '; Max-Age=30';
  const kept = document.cookie.split('; ').filter((one) => one.startsWith('inset-probe='));
  for (const one of twice) document.cookie = one + '; Max-Age=0';
  return kept.length === 2;
}

function storageDenied() {
  try {
    return !window.localStorage;
  } catch {
    return true;
  }
}

// Whether the ticket leads to JupyterLab: a hint, read without its signature.
function leadsToLab(ticket) {
  try {
    return JSON.parse(atob(ticket.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).ui === 'lab';
  } catch {
    return false;
  }
}

// Notebook's scripts come and run while the ticket is redeemed. It starts on the window's load, which is kept from it
// until this page has become the notebook's. Gives whether the scripts are here.
function comeAhead() {
  return new Promise((resolve) => {
    window.addEventListener('load', (event) => {
      if (!event.isTrusted) return;
      event.stopImmediatePropagation();
      resolve(true);
    }, true);
    handOver();
    for (const href of notebook.extensions) {
      document.head.append(Object.assign(document.createElement('link'), { rel: 'preload', as: 'script', href }));
    }
    const script = document.createElement('script');
    script.addEventListener('error', () => resolve(false));
    script.src = notebook.script;
    document.head.append(script);
  });
}

// What Notebook asks for first, one after the other, is asked for at once, and handed to it when it asks: each once,
// and not when it has grown old or something was changed since.
const ahead = new Map();
function askAhead(next, asked) {
  const path = next.pathname.slice(notebook.pages.length).split('/').map(decodeURIComponent).map(encodeURIComponent);
  const content = `${notebook.contents}${path.join('/')}?type=notebook&content=1&hash=1&contentProviderId=undefined`;
  for (const url of [...notebook.ahead, content]) ahead.set(new URL(url, location.origin).href, fetch(url, asked));
  setTimeout(() => ahead.clear(), 20_000);
}

// Before Notebook's scripts, which keep the `fetch` that they find. Its addresses end in the time.
function handOver() {
  const ask = window.fetch;
  window.fetch = (input, ...options) => {
    if (!(input instanceof Request)) return ask(input, ...options);
    if (input.method !== 'GET') ahead.clear();
    const url = input.url.replace(/[?&][0-9]+$/, '');
    const answer = ahead.get(url) ?? ask(input, ...options);
    ahead.delete(url);
    return answer;
  };
}

// Ask for the page that is at `next`, and for what it asks first. The page comes first: browsers open six connections,
// and the server needs some time for settings.
function askForPage(next, xsrf) {
  const asked = { headers: { 'X-XSRFToken': xsrf } };
  const page = fetch(next, asked).then((answer) => answer.text());
  page.catch(() => {});
  askAhead(next, asked);
  return page;
}

// Make of this page the one that is at `next`, whose text was asked for. Gives false where that is not possible.
async function become(next, text, scripts, mode) {
  const [html, here] = await Promise.all([text, scripts]);
  const page = new DOMParser().parseFromString(html, 'text/html');
  const element = page.getElementById('jupyter-config-data');
  if (!element || !here) return false;
  const config = JSON.parse(element.textContent);
  if (!isAsTold(config)) return false;
  // Asked for before the server was told.
  config.insetMode = mode;
  document.getElementById('jupyter-config-data').textContent = JSON.stringify(config);
  // What Notebook's scripts have read there before they keep; what was not there they look for here.
  for (const [name, value] of Object.entries(config)) {
    document.body.dataset[name] = encodeURIComponent(typeof value === 'string' ? value : JSON.stringify(value));
  }
  document.querySelectorAll('main, noscript, #entry, #entry-style').forEach((element) => element.remove());
  document.head.append(...page.querySelectorAll('link'));
  document.body.className = page.body.className;
  Object.assign(document.body.dataset, page.body.dataset);
  document.title = page.title;
  history.replaceState(null, '', next);
  window.dispatchEvent(new Event('load'));
  return true;
}

// Whether the page has what its scripts were told before, and nothing that can't be handed to them.
function isAsTold(config) {
  const plain = (value) => JSON.stringify(Array.isArray(value) ? [...value].sort() : value ?? []);
  const told = ['disabledExtensions', 'deferredExtensions'];
  // No attribute can have such a name.
  if (Object.keys(config).some((name) => /-[a-z]/.test(name))) return false;
  return told.every((name) => plain(config[name]) === plain(notebook.config[name]));
}

async function enter() {
  const ticket = new URLSearchParams(location.hash.slice(1)).get('ticket');
  history.replaceState(null, '', location.pathname);
  if (!ticket) return fail('ticket-invalid');
  const scripts = notebook && !leadsToLab(ticket) ? comeAhead() : undefined;
  const entered = await inTurn(async () => {
    const answer = await fetch('enter', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ ticket }),
    });
    const body = await answer.json();
    if (!answer.ok) return fail(body.code);
    if (body.needs_storage && storageDenied()) return fail('cookies-blocked');
    const next = new URL(body.next, location.origin);
    const apart = await partitioned();
    const probing = fetch('probe?' + new URLSearchParams({ n: body.code, partitioned: apart }), { cache: 'no-store' });
    // Beside the probe, where it will say that the entry's cookie was kept: the one that came with it is here.
    const xsrf = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1];
    const page = xsrf && scripts && next.pathname.startsWith(notebook.pages) ? askForPage(next, xsrf) : undefined;
    const probe = await probing;
    if (!probe.ok && body.needs_cookies) return fail('cookies-blocked');
    if (!probe.ok) next.searchParams.set('entry_code', body.code);
    return { next, page: probe.ok ? page : undefined, mode: apart ? 'partitioned' : 'plain' };
  });
  if (!entered) return;
  const { next, page, mode } = entered;
  if (page && await become(next, page, scripts, mode)) return;
  location.replace(next);
}
enter().catch(() => fail('service-unavailable'));
"""
