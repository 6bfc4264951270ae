"""The small pages that a frame can show in place of a notebook, each whole in one answer."""

import json
import secrets
from dataclasses import asdict, dataclass
from string import Template

from tornado.web import RequestHandler

from inset_bridge.entry_script import ENTER
from inset_bridge.notebook_page import NotebookPage

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notebook</title>
<style nonce="$nonce" id="entry-style">
  :root { color-scheme: light dark }
  body { margin: 0; min-height: 100vh; display: grid; place-content: center; font: 15px/1.5 system-ui, sans-serif }
  main { max-width: 26rem; padding: 1.5rem; text-align: center }
  h1 { font-size: 1.1rem; font-weight: 600; margin: 0 0 .5rem }
  p { margin: 0; opacity: .75 }
</style>
</head>
<body>
<script id="jupyter-config-data" type="application/json">$config</script>
<main role="status"><h1 id="title">Opening the notebook…</h1><p id="text"></p></main>
<noscript><main><h1>JavaScript is off</h1><p>A notebook needs it.</p></main></noscript>
<script nonce="$nonce" id="entry">
'use strict';
const origins = $origins;
const notebook = $notebook;
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


@dataclass(frozen=True)
class Page:
    html: str
    nonce: str


def enter(origins: tuple[str, ...], notebook: NotebookPage | None) -> Page:
    """Takes the ticket from the fragment, trades it for a cookie, and becomes the notebook's page or goes on to it."""
    return _page(origins, ENTER, notebook)


def failed(reason: str, origins: tuple[str, ...]) -> Page:
    """Says why there is no notebook, and tells the host's page."""
    return _page(origins, f"fail({_to_script(reason)});")


def set_headers(handler: RequestHandler, page: Page, *, only_its_own: bool = True) -> None:
    """Only what is in the page runs, unless it is to become a notebook's, whose policy it then has from the start.

    Who may frame it is said for all pages alike, in `framing`.
    """
    handler.set_header("Content-Type", "text/html; charset=utf-8")
    handler.set_header("Cache-Control", "no-store")
    if only_its_own:
        handler.set_header("Referrer-Policy", "no-referrer")
        handler.set_header(
            "Content-Security-Policy",
            f"default-src 'none'; script-src 'nonce-{page.nonce}'; style-src 'nonce-{page.nonce}'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'",
        )


def _page(origins: tuple[str, ...], script: str, notebook: NotebookPage | None = None) -> Page:
    nonce = secrets.token_urlsafe(16)
    told = {
        "origins": _to_script(origins),
        "notebook": _to_script(notebook and asdict(notebook)),
        "config": _to_script(notebook.config if notebook else {}),
    }
    return Page(_PAGE.substitute(told, nonce=nonce, script=script), nonce)


def _to_script(value: object) -> str:
    return json.dumps(value).replace("<", "\\\\u003c")
