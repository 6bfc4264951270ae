"""What the entry page runs: trades the ticket for a cookie, and goes on to the notebook."""

ENTER = """
// Frames of one page enter one after the other: two at once would each be given a cookie, and one of them keep it.
async function inTurn(work) {
  let begun = false;
  const begin = () => { begun = true; return work(); };
  try {
    return await navigator.locks.request('inset-enter', { signal: AbortSignal.timeout(5000) }, begin);
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

// Make of this page the one that is at `next`. Gives false where that is not possible.
async function become(next, scripts) {
  const xsrf = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/);
  const asked = { headers: { 'X-XSRFToken': xsrf ? xsrf[1] : '' } };
  askAhead(next, asked);
  const [html, here] = await Promise.all([fetch(next, asked).then((answer) => answer.text()), scripts]);
  const page = new DOMParser().parseFromString(html, 'text/html');
  const element = page.getElementById('jupyter-config-data');
  if (!element || !here) return false;
  const config = JSON.parse(element.textContent);
  if (!isAsTold(config)) return false;
  document.getElementById('jupyter-config-data').textContent = element.textContent;
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
    const asked = new URLSearchParams({ n: body.code, partitioned: await partitioned() });
    const probe = await fetch('probe?' + asked, { cache: 'no-store' });
    if (!probe.ok && body.needs_cookies) return fail('cookies-blocked');
    const next = new URL(body.next, location.origin);
    if (!probe.ok) next.searchParams.set('entry_code', body.code);
    return { next, byCookie: probe.ok };
  });
  if (!entered) return;
  const { next, byCookie } = entered;
  if (byCookie && scripts && next.pathname.startsWith(notebook.pages) && await become(next, scripts)) return;
  location.replace(next);
}
enter().catch(() => fail('service-unavailable'));
"""
