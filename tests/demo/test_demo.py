"""The demo's backend, through its pages."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jose import jwt
from standardwebhooks.webhooks import Webhook

from inset_client.testkit import FakeInset, FakeProblem
from tests.demo.conftest import HOST, KEY, SERVICE
from tests.support.webhooks import NEW_SECRET, SECRET


async def log_in(browser: Any, user: str = "ada") -> httpx.AsyncClient:
    page: httpx.AsyncClient = browser()
    answer = await page.post("/login", data={"user": user, "password": "fieldnotes"})
    assert answer.url.path == "/"
    return page


async def create(page: httpx.AsyncClient, title: str, start: str = "empty") -> str:
    """Create an analysis and give the address of its page."""
    answer = await page.post("/analyses", data={"title": title, "start": start})
    assert answer.status_code == 200, answer.text
    return str(answer.url.path)


async def test_a_stranger_is_sent_to_the_login_page_which_shows_how_to_log_in(browser):
    answer = await browser().get("/analyses/whatever")
    assert answer.url.path == "/login"
    assert "ada" in answer.text
    assert "grace" in answer.text
    assert "fieldnotes" in answer.text


async def test_a_wrong_password_is_refused_and_the_name_typed_is_kept(browser):
    page = browser()
    answer = await page.post("/login", data={"user": "ada", "password": "guess"})
    assert answer.status_code == 401
    assert 'value="ada"' in answer.text
    assert not page.cookies


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_of_other_sites(browser):
    answer = await browser().post("/login", data={"user": "ada", "password": "fieldnotes"}, follow_redirects=False)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


async def test_a_forged_cookie_logs_nobody_in(browser):
    page = browser()
    page.cookies["fieldnotes"] = jwt.encode({"sub": "ada", "exp": time.time() + 60}, "another key", algorithm="HS256")
    assert (await page.get("/")).url.path == "/login"


async def test_a_token_made_for_inset_is_no_session_cookie(browser):
    token = (await (await log_in(browser)).get("/token")).json()["token"]
    page = browser()
    page.cookies["fieldnotes"] = token
    assert (await page.get("/")).url.path == "/login"


async def test_creating_an_analysis_makes_a_notebook_for_the_user_and_opens_it(browser, inset: FakeInset):
    page = await log_in(browser)
    path = await create(page, "Malaria  grants\t2024")

    [notebook] = inset.notebooks.values()
    assert (notebook.name, notebook.owner) == ("Malaria grants 2024", "ada")
    assert {"iss": "demo", "aud": SERVICE, "sub": "demo", "act_for": "ada"}.items() <= inset.seen[-1].items()
    shown = (await page.get(path)).text
    assert f'content="{notebook.id}"' in shown
    assert "Malaria grants 2024</h1>" in shown


async def test_an_analysis_can_start_from_the_example(browser, inset: FakeInset):
    await create(await log_in(browser), "Who funds what", start="example")
    [notebook] = inset.notebooks.values()
    assert b"Wellmore Trust" in notebook.versions[0].content


async def test_a_title_is_required_and_shown_as_text(browser, inset: FakeInset):
    page = await log_in(browser)
    answer = await page.post("/analyses", data={"title": "  "})
    assert answer.status_code == 422
    assert "Please give the analysis a title" in answer.text
    assert not inset.notebooks

    await create(page, "<script>alert(1)</script>")
    assert "<script>alert(1)" not in (await page.get("/")).text


async def test_renaming_renames_the_notebook_too(browser, inset: FakeInset):
    page = await log_in(browser)
    path = await create(page, "First title")
    answer = await page.post(f"{path}/rename", data={"title": "Second title"})
    assert "Second title" in answer.text
    assert "First title" not in answer.text
    assert [n.name for n in inset.notebooks.values()] == ["Second title"]


async def test_deleting_can_be_undone(browser, inset: FakeInset):
    page = await log_in(browser)
    path = await create(page, "Kept after all")
    [notebook] = inset.notebooks.values()

    answer = await page.post(f"{path}/delete")
    assert "“Kept after all” was deleted." in answer.text
    assert notebook.deleted
    assert (await page.get(path)).status_code == 404

    answer = await page.post(f"{path}/undelete")
    assert "was deleted" not in answer.text
    assert not notebook.deleted
    assert (await page.get(path)).status_code == 200


async def test_deleting_what_is_open_closes_it_first(browser, inset: FakeInset):
    page = await log_in(browser)
    path = await create(page, "Open elsewhere")
    [notebook] = inset.notebooks.values()
    session = inset.open(notebook.id)
    answer = await page.post(f"{path}/delete")
    assert "“Open elsewhere” was deleted." in answer.text
    assert session.state == "ended"
    assert notebook.deleted


async def test_someone_elses_analysis_and_no_analysis_are_the_same_404(browser, inset: FakeInset):
    path = await create(await log_in(browser), "Ada's own")
    grace = await log_in(browser, "grace")

    theirs, none = await grace.get(path), await grace.get("/analyses/none")
    assert theirs.status_code == none.status_code == 404
    assert theirs.text == none.text
    assert "Ada" not in (await grace.get("/")).text
    for change in ("rename", "delete", "undelete"):
        assert (await grace.post(f"{path}/{change}", data={"title": "Mine now"})).status_code == 404
    assert [(n.name, n.deleted) for n in inset.notebooks.values()] == [("Ada's own", False)]


async def test_the_token_names_the_user_and_lives_five_minutes(browser):
    answer = await (await log_in(browser, "grace")).get("/token")
    token = answer.json()["token"]
    assert answer.headers["cache-control"] == "no-store"
    assert jwt.get_unverified_header(token)["kid"] == "demo-1"
    claims = jwt.decode(token, KEY, algorithms=["HS256"], audience=SERVICE, issuer="demo")
    assert claims["sub"] == "grace"
    assert claims["exp"] - claims["iat"] == 300
    assert "act_for" not in claims


async def test_a_script_of_nobody_gets_no_token(browser):
    answer = await browser().get("/token", headers={"Accept": "*/*"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_inset_refuses_is_told_in_its_own_words_and_changes_nothing_here(browser, inset: FakeInset):
    page = await log_in(browser)
    path = await create(page, "As it was")
    inset.refusing = FakeProblem(409, "name-taken", "The name is taken", "Another notebook has it.")

    answer = await page.post(f"{path}/rename", data={"title": "Taken"})
    assert answer.status_code == 409
    assert "The name is taken" in answer.text
    assert "Another notebook has it." in answer.text
    script = await page.post(f"{path}/rename", data={"title": "Taken"}, headers={"Accept": "*/*"})
    assert script.json() == {"title": "The name is taken", "detail": "Another notebook has it.", "status": 409}
    inset.refusing = None
    assert "As it was" in (await page.get("/")).text


async def test_while_inset_is_down_the_list_is_there_and_creating_says_why_not(browser, inset: FakeInset):
    page = await log_in(browser)
    await create(page, "Still listed")
    inset.down = True
    answer = await page.post("/analyses", data={"title": "Not now"})
    assert answer.status_code == 502
    assert "The hub is unavailable" in answer.text
    listed = (await page.get("/")).text
    assert "Still listed" in listed
    assert "Not now" not in listed


async def test_logging_out_ends_the_users_sessions_and_nobody_elses(browser, inset: FakeInset):
    ada = await log_in(browser)
    await create(ada, "One")
    await create(await log_in(browser, "grace"), "Two")
    for notebook in inset.notebooks.values():
        inset.open(notebook.id)

    answer = await ada.post("/logout")
    assert answer.url.path == "/login"
    assert (await ada.get("/")).url.path == "/login"
    assert {s.owner: s.state for s in inset.sessions.values()} == {"ada": "ending", "grace": "starting"}


async def test_logging_out_works_while_inset_is_down(browser, inset: FakeInset):
    ada = await log_in(browser)
    inset.down = True
    await ada.post("/logout")
    assert (await ada.get("/")).url.path == "/login"


async def test_another_sites_form_is_refused(browser, inset: FakeInset):
    page = await log_in(browser)
    for origin in ("http://seat-001.nb.localhost:8000", "http://localhost:8091", "null"):
        answer = await page.post("/analyses", data={"title": "Forged"}, headers={"Origin": origin})
        assert answer.status_code == 403
    assert not inset.notebooks


async def test_every_answer_carries_a_strict_content_security_policy(browser):
    page = await log_in(browser)
    for path in ("/", "/login", "/nowhere", "/static/fieldnotes.css", "/sdk/inset-notebook.js"):
        policy = (await page.get(path)).headers["content-security-policy"]
        directives = dict(part.split(" ", 1) for part in policy.split("; "))
        assert directives["default-src"] == "'none'"
        assert directives["script-src"] == "'self'"
        assert directives["connect-src"] == f"'self' {SERVICE}"
        assert directives["frame-src"] == "'self' http://*.nb.localhost:8000"
        assert directives["frame-ancestors"] == "'none'"


async def test_no_page_holds_a_secret_or_a_script_of_its_own(browser):
    page = await log_in(browser)
    path = await create(page, "Ordinary")
    for shown in ((await page.get("/")).text, (await page.get(path)).text):
        assert KEY not in shown
        assert not re.search(r"eyJ|<style|\sstyle=|\son[a-z]+=|<script(?! type=\"module\" src=\"/static/)", shown)
        assert not re.search(rf"https?://(?!{HOST.split('//')[1]}|{SERVICE.split('//')[1]})", shown)


def test_with_es256_inset_needs_the_public_half_only(tmp_path: Path):
    from demo.settings import Settings
    from demo.tokens import Tokens

    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    tokens = Tokens(Settings(secret=pem, algorithm="ES256", data=tmp_path, service_url=SERVICE))
    claims = jwt.decode(tokens.for_browser("ada"), public, algorithms=["ES256"], audience=SERVICE)
    assert claims["sub"] == "ada"
    assert tokens.logged_in(tokens.login("ada")) == "ada"


def _told(notebook_id: str, version: int, *, secret: str = SECRET, at: datetime | None = None) -> dict[str, Any]:
    """Make out what Inset posts when a version was stored."""
    at = at or datetime.now(UTC)
    data = {"notebook_id": notebook_id, "version": version, "stored_at": "2026-11-27T08:14:03.212345Z"}
    body = json.dumps({"type": "notebook.saved", "timestamp": data["stored_at"], "data": data})
    signed = {"webhook-id": f"evt_{version}", "webhook-timestamp": str(int(at.timestamp()))}
    signed["webhook-signature"] = Webhook(secret).sign(signed["webhook-id"], at, body)
    return {"content": body, "headers": signed}


async def test_the_list_says_which_version_inset_has_told_of_last(browser, inset: FakeInset):
    page = await log_in(browser)
    await create(page, "Told")
    await page.get("/")
    [notebook_id] = inset.notebooks

    for version in (2, 4, 3, 4):
        answer = await page.post("/inset-events", **_told(notebook_id, version))
        assert answer.status_code == 204

    assert "Version 4, saved 27 November 2026" in (await page.get("/")).text


async def test_what_inset_has_not_signed_is_not_believed(browser, inset: FakeInset):
    page = await log_in(browser)
    await create(page, "Told")
    [notebook_id] = inset.notebooks
    old = datetime.now(UTC) - timedelta(minutes=6)
    changed = {**_told(notebook_id, 5), "content": _told(notebook_id, 6)["content"]}

    for told, status in (
        (_told(notebook_id, 5, secret=NEW_SECRET), 401),
        (changed, 401),
        (_told(notebook_id, 5, at=old), 400),
        ({"content": "{}"}, 400),
    ):
        assert (await page.post("/inset-events", **told)).status_code == status

    assert "Version" not in (await page.get("/")).text
