"""What the whole run has sent and logged, searched for what must never be there. Runs last, as its name makes it."""

import json
import sqlite3
from contextlib import closing

import pytest

from inset.calls import CallKeys

pytestmark = pytest.mark.browser


def test_no_hub_token_key_or_host_jwt_is_in_any_page_url_answer_or_log(stack, heard):
    made = json.loads((stack.folder / "secrets.json").read_text())
    signing_key = (stack.folder / "signing.pem").read_text().splitlines()[1]
    tokens = [answer for url, answer in heard.answers if url.endswith("/token") and '"token":' in answer]
    jwts = {json.loads(answer[answer.rindex("{") :])["token"] for answer in tokens}
    assert len(heard.answers) > 500, "the tests before this one were not run, so this one would show nothing"
    assert jwts
    with closing(sqlite3.connect(stack.folder / "inset.db")) as database:
        servers = [id for (id,) in database.execute("SELECT id FROM servers")]
    keys = CallKeys((stack.folder / "signing.pem").read_bytes())
    call_keys = [keys.of(id) for id in servers]
    assert call_keys

    logs = {log.name: log.read_text(errors="replace") for log in (stack.folder / "logs").iterdir()}
    assert "seat-001" in logs["jupyterhub.log"]
    for secret in (made["hub_token"], made["demo_key"], signing_key, *call_keys, *jwts):
        for name, text in logs.items():
            assert secret not in text, f"in {name}"
        assert not [url for url in heard.urls if secret in url]
        told = [url for url, answer in heard.answers if secret in answer]
        # The demo hands its own user his own token; that is what it is for.
        assert all(secret in jwts and url == f"{stack.demo_url}/token" for url in told), told


def test_no_ticket_is_in_any_log(stack, heard):
    tickets = {json.loads(answer[answer.rindex("{") :])["url"].partition("#ticket=")[2]
               for url, answer in heard.answers if url.endswith("/iframe-url") and '"url"' in answer}  # fmt: skip
    assert tickets
    for log in (stack.folder / "logs").iterdir():
        assert not [ticket for ticket in tickets if ticket in log.read_text(errors="replace")], log.name
