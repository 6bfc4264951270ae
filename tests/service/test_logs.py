"""The log: a line a request with the ids by which it is found again, as text or as JSON, and nothing secret in it."""

import io
import json
import logging
import re

import pytest

from inset.logs import JsonLines, TextLines
from tests.service.conftest import document, problem, until


@pytest.fixture
def logged():
    """Have everything logged as JSON; gives what reads the lines."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("inset")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.mark.parametrize("sent", ["host-app-4711", "a.b:c_d-e", "x" * 64])
async def test_a_sane_request_id_is_taken_over(client, sent):
    answer = await client.get("/v1/notebooks/none", headers={"X-Request-Id": sent})

    assert answer.headers["X-Request-Id"] == sent
    assert answer.json()["instance"] == f"urn:inset:request:{sent}"


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", '"quoted"', "caf\xe9", "a/b", "{}"])
async def test_any_other_is_replaced(client, sent):
    answer = await client.get("/v1/notebooks", headers={"X-Request-Id": sent.encode("latin-1")})

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])


async def test_every_answer_names_its_request_a_refused_one_and_a_preflight_too(anonymous, host):
    page = {"Origin": host.origins[0], "Access-Control-Request-Method": "GET"}
    answers = [
        await anonymous.get("/healthz"),
        await anonymous.get("/v1/notebooks"),
        await anonymous.get("/nowhere"),
        await anonymous.options("/v1/notebooks", headers=page),
        await anonymous.post("/v1/notebooks", content=b"{", headers=host.bearer("ada")),
    ]

    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == len(answers)
    assert problem(answers[1]) == "token-missing"
    listed = await anonymous.get("/v1/notebooks", headers={"Origin": host.origins[0], **host.bearer("ada")})
    assert "X-Request-Id" in listed.headers["Access-Control-Expose-Headers"]


async def test_a_requests_line_has_its_ids_and_a_sessions_steps_have_the_sessions(client, logged, hub, new_notebook):
    notebook = await new_notebook()
    opened = await client.post(
        "/v1/sessions", json={"notebook_id": notebook["id"]}, headers={"X-Request-Id": "opens-it"}
    )
    session = opened.json()
    await until(client, session["id"], "ready")

    [line] = [line for line in logged() if line.get("request_id") == "opens-it"]
    assert line["message"] == "POST /v1/sessions"
    assert (line["status"], line["session_id"], line["host_id"]) == (202, session["id"], "demo")
    assert line["ms"] >= 0

    hub.spawns_fail = hub.trouble = None
    hub.trouble = "error"
    await client.delete(f"/v1/sessions/{session['id']}")
    hub.trouble = None
    await until(client, session["id"], "ended")
    assert not [line for line in logged() if line["message"] in ("GET /healthz", "GET /readyz")]


async def test_no_token_and_nothing_of_a_notebook_is_in_the_log(client, logged, hub, host, new_notebook, ready_session):
    notebook = await new_notebook(content=document("what nobody else may read"))
    session = await ready_session(notebook)
    signed = (await client.post(f"/v1/sessions/{session['id']}/iframe-url")).json()["url"]
    path = hub.server().documents[notebook["id"]]["path"]
    await hub.save_in_jupyter(path, json.dumps(document("what nobody else may read, changed")))
    hub.trouble = "error"
    await client.get("/readyz")
    await client.post(f"/v1/sessions/{session['id']}/save")
    text = json.dumps(logged())

    assert "POST /v1/sessions/{id}/iframe-url" in text
    for secret in (
        client.headers["Authorization"].split()[1],
        signed.partition("ticket=")[2],
        hub.server().own_token,
        *hub.tokens,
        "nobody else",
        "secret-of-the-hub",
    ):
        assert secret not in text


def test_a_line_for_people_stays_one_line_whatever_is_in_an_address():
    record = logging.LogRecord("inset.x", logging.WARNING, "", 0, "GET /a\nb\x1b[2J: %s", ("gone",), None)

    line = TextLines().format(record)

    assert line.endswith(r"warning inset.x: GET /a\nb\x1b[2J: gone")


def test_a_traceback_is_part_of_its_json_line():
    try:
        raise ValueError("what went wrong")
    except ValueError as exc:
        info = (type(exc), exc, exc.__traceback__)
    record = logging.LogRecord("inset.x", logging.ERROR, "", 0, "It failed", (), info)

    [line] = JsonLines().format(record).splitlines()

    assert "what went wrong" in json.loads(line)["exception"]
