"""The page around a preview: our style sheet, and a policy that runs nothing and loads nothing."""

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
STYLE_HASH = "'sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode() + "'"

_POLICY = f"default-src 'none'; img-src data:; style-src {STYLE_HASH}; base-uri 'none'; form-action 'none'"
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
"""No scripts, no origin, no forms, no leading the host's page away. A link that is clicked opens a tab of its own."""

# Which language it is in nobody has said.
_PAGE = """<!doctype html>
<html lang="und">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Notebook</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def whole_page(body: str) -> str:
    """Put a sanitised body into its page, which is safe also where it is shown without its headers."""
    return _PAGE.format(policy=_POLICY, style=STYLE, body=body)


def page_policy(framed_by: Iterable[str]) -> str:
    """Write the policy that the page is served under: that of the page itself, a sandbox, and who may frame it."""
    ancestors = " ".join(framed_by) or "'none'"
    return f"{_POLICY}; frame-ancestors {ancestors}; sandbox {SANDBOX}"
