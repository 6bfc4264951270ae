"""What the edge is told: which requests a browser may send to a notebook server, by what its user may do."""

import re

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from inset.db import open_database
from inset.edge import require
from inset.errors import Forbidden, NotAllowed
from inset.models import EVERY_CAPABILITY
from tests.service.conftest import execute, problem, running_service, until

TOKEN = "the edge's own secret of the tests"
OWN = "5f0c7a8a4d0b4c9f9f6d1c2b3a495867"
FILE = f"work/{OWN}/A%20plan.ipynb"
ID = "694008fe-5a43-463f-8e78-38cec0b55261"

NOTHING = frozenset[str]()
ALL_BUT = {missing: frozenset(EVERY_CAPABILITY) - {missing} for missing in EVERY_CAPABILITY}


def refused(method: str, path: str, may: frozenset[str]) -> str | None:
    """The capability that is missing, "never" if no capability helps, None if it may pass."""
    try:
        require(method, path, may=may, notebooks=[OWN])
    except NotAllowed as exc:
        return exc.members["needs"]
    except Forbidden:
        return "never"
    return None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "inset/enter"),
        ("POST", "inset/enter"),
        ("GET", "inset/probe"),
        ("POST", "inset/api/flush"),
        ("POST", "inset/api/absent"),
        ("GET", f"notebooks/{FILE}"),
        ("HEAD", f"notebooks/{FILE}"),
        ("GET", f"lab/workspaces/0c1d/tree/{FILE}"),
        ("GET", "static/notebook/main.js"),
        ("GET", "custom/custom.css"),
        ("GET", "lab/extensions/@jupyter-notebook/lab-extension/static/232.e5496ffb26186f51.js"),
        ("GET", "lab/api/settings"),
        ("GET", "lab/api/settings/@jupyterlab/codemirror-extension:plugin"),
        ("PUT", "lab/api/workspaces/0c1d"),
        ("GET", "kernelspecs/python3/logo-64x64.png"),
        ("GET", "api/me"),
        ("GET", "api/kernels"),
        ("GET", "api/sessions"),
        ("GET", "api/events/subscribe"),
        ("GET", "api/contents"),
        ("GET", "api/contents/"),
        ("GET", f"api/contents/work/{OWN}"),
        ("GET", f"api/contents/{FILE}"),
        ("GET", f"api/contents/{FILE}/checkpoints"),
    ],
)
def test_what_a_page_is_made_of_may_pass_whatever_its_user_may_do(method, path):
    assert refused(method, path, NOTHING) is None


@pytest.mark.parametrize(
    ("method", "path", "needs"),
    [
        ("PUT", f"api/contents/{FILE}", "edit"),
        ("PATCH", f"api/contents/{FILE}", "edit"),
        ("POST", f"api/contents/{FILE}/checkpoints", "edit"),
        ("POST", f"api/contents/{FILE}/checkpoints/checkpoint", "edit"),
        ("POST", "api/sessions", "run"),
        ("DELETE", f"api/sessions/{ID}", "run"),
        ("POST", "api/kernels", "run"),
        ("POST", f"api/kernels/{ID}/restart", "run"),
        ("GET", f"api/kernels/{ID}/channels", "run"),
        ("GET", "files/data.csv", "download"),
        ("GET", f"files/{FILE}", "download"),
        ("GET", f"nbconvert/html/{FILE}", "download"),
        ("POST", "nbconvert/html", "download"),
        ("GET", f"view/{FILE}", "download"),
        ("GET", "api/contents/data.csv", "download"),
        ("GET", f"api/contents/work/{OWN}/data.csv", "download"),
        ("GET", "api/contents/work/somebody-elses/plan.ipynb", "download"),
        ("GET", "api/terminals", "terminals"),
        ("GET", "terminals/websocket/1", "terminals"),
        ("POST", "api/terminals", "terminals"),
    ],
)
def test_what_takes_a_capability_is_refused_without_it_and_passes_with_it(method, path, needs):
    assert refused(method, path, NOTHING) == needs
    assert refused(method, path, ALL_BUT[needs]) == needs
    assert refused(method, path, frozenset(EVERY_CAPABILITY)) is None


@pytest.mark.parametrize("path", ["work", f"work/{OWN}", "data.csv", f"{FILE}/../data.csv"])
@pytest.mark.parametrize("missing", ["edit", "download"])
def test_a_copy_of_another_file_takes_both_to_edit_and_to_download(path, missing):
    assert refused("POST", f"api/contents/{path}", ALL_BUT[missing]) in (missing, "never")


@pytest.mark.parametrize(
    "path",
    ["", "tree", "edit/data.csv", "proxy/8888/", "lab/api/extensions", "metrics", "api/shutdown", "archive/work"],
)
def test_what_no_page_asks_for_is_for_those_who_may_do_everything(path):
    for missing in EVERY_CAPABILITY:
        assert refused("GET", path, ALL_BUT[missing]) == missing
    assert refused("GET", path, frozenset(EVERY_CAPABILITY)) is None


@pytest.mark.parametrize(
    "path",
    [
        "static/../files/data.csv",
        "static/%2e%2e/files/data.csv",
        "static/.%2E/files/data.csv",
        "static/..%2ffiles/data.csv",
        "static/..%5cfiles/data.csv",
        "static/%252e%252e/files/data.csv",
        "static//files/data.csv",
        "static/main.js;/../files/data.csv",
        "Files/data.csv",
        "fil%65s/data.csv",
        "%66iles/data.csv",
        "/files/data.csv",
        "static/%00",
        "static/%ff",
        f"api/contents/work/{OWN}%2f..%2fdata.csv",
        f"api/contents/work/{OWN}/data.csv%3f.ipynb",
        f"api/contents/work/{OWN}/data.csv%23.ipynb",
        f"api/contents/work/{OWN}/data.csv;.ipynb",
        f"api/contents/work/{OWN}/data.csv%0a.ipynb",
        f"api/contents/WORK/{OWN}/plan.ipynb",
    ],
)
def test_no_way_of_writing_an_address_leads_around_the_table(path):
    assert refused("GET", path, ALL_BUT["download"]) in ("download", "never")


@pytest.mark.parametrize("path", ["../seat-002/files/x", "%2e%2e/seat-002/", "a/..%2f..", "a/..\\..", "a%5c..%5cb"])
def test_even_who_may_do_everything_stays_below_his_own_server(path):
    assert refused("GET", path, frozenset(EVERY_CAPABILITY)) == "never"


_PARTS = st.sampled_from(
    [
        "api",
        "contents",
        "files",
        "static",
        "work",
        OWN,
        "plan.ipynb",
        "x.csv",
        "..",
        ".",
        "",
        "%2e",
        "%2F",
        ";",
        "kernels",
    ]
)
_PATHS = st.lists(_PARTS, max_size=7).map("/".join) | st.text(max_size=40)
_MAY = st.frozensets(st.sampled_from(EVERY_CAPABILITY))
_METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "BREW", ""])


@given(_METHODS, _PATHS, _MAY, st.data())
def test_what_is_refused_stays_refused_however_it_is_encoded(method, path, may, data):
    def encode(part: str) -> str:
        try:
            raw = part.encode()
        except UnicodeEncodeError:
            return part
        form = data.draw(st.sampled_from(["{}", "%{:02x}", "%{:02X}"]))
        return part if form == "{}" else "".join(form.format(byte) for byte in raw)

    if refused(method, path, may) is not None:
        # What is an escape already is another text if it is escaped once more.
        parts = re.findall(r"%[0-9A-Fa-f]{2}|.", path, re.DOTALL)
        written = "".join(part if len(part) > 1 else encode(part) for part in parts)
        assert refused(method, written, may) is not None


# -- the endpoint --------------------------------------------------------------------------------


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"edge_token": type(settings.hub.token)(TOKEN)})


def asking(uri: str, *, method: str = "GET", host: str, token: str = TOKEN) -> dict[str, str | bytes]:
    return {
        "Inset-Edge-Token": token,
        "X-Original-Method": method,
        "X-Original-Host": host,
        "X-Original-URI": uri.encode(),
    }


async def opened(client, host, new_notebook, may=EVERY_CAPABILITY):
    """A ready session's notebook, and its server's host and prefix."""
    notebook = await new_notebook()
    bearer = host.bearer("ada", may=list(may))
    session = (await client.post("/v1/sessions", json={"notebook_id": notebook["id"]}, headers=bearer)).json()
    await until(client, session["id"], "ready")
    minted = await client.post(f"/v1/sessions/{session['id']}/iframe-url", headers=bearer)
    url = httpx.URL(minted.json()["url"])
    return notebook["id"], url.netloc.decode(), url.path.removesuffix("inset/enter")


async def test_the_edge_is_told_by_204_and_403(client, host, new_notebook):
    notebook_id, at, prefix = await opened(client, host, new_notebook, may=["edit", "run"])

    passed = await client.get("/edge/check", headers=asking(f"{prefix}api/me?1", host=at.upper()))
    mine = await client.get("/edge/check", headers=asking(f"{prefix}api/contents/work/{notebook_id}/a.ipynb", host=at))
    held = await client.get("/edge/check", headers=asking(f"{prefix}files/data.csv", host=at))

    assert (passed.status_code, mine.status_code) == (204, 204)
    assert (held.status_code, problem(held), held.json()["needs"]) == (403, "not-allowed", "download")


@pytest.mark.parametrize("query", ["token=x", "a=1&token=", "%74oken=x", "a=1;Token=x", "tok%65n"])
async def test_a_token_in_the_address_is_refused_to_everybody(client, host, new_notebook, query):
    _, at, prefix = await opened(client, host, new_notebook)

    assert (await client.get("/edge/check", headers=asking(f"{prefix}api/me?mytoken=x", host=at))).status_code == 204
    refusal = await client.get("/edge/check", headers=asking(f"{prefix}api/me?{query}", host=at))

    assert (refusal.status_code, problem(refusal)) == (403, "forbidden")


async def test_a_seats_host_and_its_path_must_agree(client, host, new_notebook):
    _, at, prefix = await opened(client, host, new_notebook)
    other = prefix.replace("001", "002")
    elsewhere = at.replace("001", "002")

    for uri, name in [(other, at), (prefix, elsewhere), (other, elsewhere), (prefix, ""), (f"/{prefix}", at)]:
        refusal = await client.get("/edge/check", headers=asking(f"{uri}api/me", host=name))
        assert (refusal.status_code, problem(refusal)) == (403, "forbidden"), (uri, name)
    for uri in (
        "",
        "/",
        "*",
        "/hub/home",
        "/user/",
        f"http://{at}{prefix}",
        "é" + prefix,
        prefix.replace("seat", "se%61t"),
    ):
        refusal = await client.get("/edge/check", headers=asking(uri, host=at))
        assert (refusal.status_code, problem(refusal)) == (403, "forbidden"), uri


async def test_a_server_that_has_stopped_is_asked_nothing(client, host, new_notebook, settings):
    _, at, prefix = await opened(client, host, new_notebook)
    [session] = (await client.get("/v1/sessions")).json()["items"]

    await client.delete(f"/v1/sessions/{session['id']}")
    await until(client, session["id"], "ended")
    await execute(settings, "UPDATE servers SET state = 'stopped'")

    refusal = await client.get("/edge/check", headers=asking(f"{prefix}api/me", host=at))
    assert (refusal.status_code, problem(refusal)) == (403, "forbidden")


async def test_nobody_but_the_edge_is_answered(client, host, new_notebook, settings, hub):
    _, at, prefix = await opened(client, host, new_notebook)
    uri = f"{prefix}api/me"

    assert (await client.get("/edge/check", headers=asking(uri, host=at))).status_code == 204
    for headers in ({}, asking(uri, host=at, token=""), asking(uri, host=at, token=TOKEN[:-1])):
        refusal = await client.get("/edge/check", headers=headers)
        assert (refusal.status_code, problem(refusal)) in [(404, "not-found"), (422, "invalid-request")]
    without = settings.model_copy(update={"edge_token": None})
    async with running_service(without, hub) as edgeless:
        for token in (TOKEN, ""):
            assert (await edgeless.get("/edge/check", headers=asking(uri, host=at, token=token))).status_code == 404


async def test_the_check_reads_the_servers_by_an_index(settings):
    async with open_database(settings.database_url) as database, database.transaction(read_only=True) as db:
        plan = await db.exec(
            text("EXPLAIN QUERY PLAN SELECT * FROM servers WHERE seat = 'seat-001' AND state != 'stopped'")
        )
        assert "one_server_a_seat" in str(plan.all())
