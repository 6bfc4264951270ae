"""The small pages that a frame can show in place of a notebook, each whole in one answer."""

import json
import secrets
from dataclasses import dataclass
from string import Template

from tornado.web import RequestHandler

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Notebook</title>
<style nonce="$nonce">
  :root { color-scheme: light dark }
  body { margin: 0; min-height: 100vh; display: grid; place-content: center; font: 15px/1.5 system-ui, sans-serif }
  main { max-width: 26rem; padding: 1.5rem; text-align: center }
  h1 { font-size: 1.1rem; font-weight: 600; margin: 0 0 .5rem }
  p { margin: 0; opacity: .75 }
</style>
</head>
<body>
<main role="status"><h1 id="title">Opening the notebook…</h1><p id="text"></p></main>
<noscript><main><h1>JavaScript is off</h1><p>A notebook needs it.</p></main></noscript>
<script nonce="$nonce">
'use strict';
const origins = $origins;
const texts = {
  'ticket-expired': ['This address has expired', 'Open the notebook again.'],
  'ticket-used': ['This address was used before', 'Open the notebook again.'],
  'ticket-invalid': ['This address is not valid', 'Open the notebook again.'],
  'ticket-for-another-server': ['This address is not valid', 'Open the notebook again.'],
  'session-over': ['This session is over', 'Open the notebook again.'],
  'service-unavailable': ['The notebook can’t be opened just now', 'Try again in a moment.'],
  'cookies-blocked': ['The notebook can’t start here', 'The browser stores nothing. Allow cookies for this page.'],
};
function fail(code) {
  const reason = code in texts ? code : 'service-unavailable';
  [document.getElementById('title').textContent, document.getElementById('text').textContent] = texts[reason];
  if (window.parent === window) return;
  const parents = location.ancestorOrigins ? origins.filter((o) => o === location.ancestorOrigins[0]) : origins;
  for (const origin of parents) {
    window.parent.postMessage({ protocol: 'notebook-embed/1', type: 'entry-failed', reason }, origin);
  }
}
$script
</script>
</body>
</html>
""")

_ENTER = """
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

async function enter() {
  const ticket = new URLSearchParams(location.hash.slice(1)).get('ticket');
  history.replaceState(null, '', location.pathname);
  if (!ticket) return fail('ticket-invalid');
  await inTurn(async () => {
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
    location.replace(next);
  });
}
enter().catch(() => fail('service-unavailable'));
"""


@dataclass(frozen=True)
class Page:
    html: str
    nonce: str


def enter(origins: tuple[str, ...]) -> Page:
    """Takes the ticket from the fragment, trades it for a cookie, and goes on."""
    return _page(origins, _ENTER)


def failed(reason: str, origins: tuple[str, ...]) -> Page:
    """Says why there is no notebook, and tells the host's page."""
    return _page(origins, f"fail({_to_script(reason)});")


def set_headers(handler: RequestHandler, page: Page) -> None:
    """Only what is in the page runs. Who may frame it is said for all pages alike, in `framing`."""
    handler.set_header("Content-Type", "text/html; charset=utf-8")
    handler.set_header("Cache-Control", "no-store")
    handler.set_header("Referrer-Policy", "no-referrer")
    handler.set_header(
        "Content-Security-Policy",
        f"default-src 'none'; script-src 'nonce-{page.nonce}'; style-src 'nonce-{page.nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'",
    )


def _page(origins: tuple[str, ...], script: str) -> Page:
    nonce = secrets.token_urlsafe(16)
    return Page(_PAGE.substitute(nonce=nonce, origins=_to_script(origins), script=script), nonce)


def _to_script(value: object) -> str:
    return json.dumps(value).replace("<", "\\\\u003c")
