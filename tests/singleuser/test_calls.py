"""The service is known by what it has signed, without the hub; and so is nobody else."""

import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from inset.calls import signed
from tests.singleuser.conftest import SEAT, Seat, notebook

pytestmark = pytest.mark.asyncio(loop_scope="session")

BASE = f"/user/{SEAT}/"


def by(key: str | None, method: str, path: str) -> dict[str, str]:
    return {"Authorization": signed(key or "", method, BASE + path)}


async def put(seat: Seat, notebook_id: str, headers: Mapping[str, Any]) -> httpx.Response:
    body = {"path": f"work/{notebook_id}/a.ipynb", "version": 1, "sha256": "", "content": notebook("1").decode()}
    return await seat.anonymous.put(f"inset/api/documents/{notebook_id}", json=body, headers=headers)


async def test_what_the_service_has_signed_is_done(seat: Seat):
    id = seat.service.add_notebook(notebook("1"))
    key, document = seat.service.call_key, f"inset/api/documents/{id}"

    loaded = await put(seat, id, by(key, "PUT", document))
    path = loaded.json()["path"]
    flushed = await seat.anonymous.post(
        "inset/api/flush", json={"path": path}, headers=by(key, "POST", "inset/api/flush")
    )
    detached = await seat.anonymous.delete(document, params={"ask_page": False}, headers=by(key, "DELETE", document))

    assert [answer.status_code for answer in (loaded, flushed, detached)] == [200, 200, 200]
    assert (await seat.text(path)).encode() == notebook("1")


async def test_what_somebody_else_has_signed_or_for_another_call_is_refused(seat: Seat, monkeypatch):
    id = seat.service.add_notebook(notebook("1"))
    key, document = seat.service.call_key, f"inset/api/documents/{id}"
    good = by(key, "PUT", document)["Authorization"]
    until, _, signature = good.partition(".")
    later = f"Inset {int(until.removeprefix('Inset ')) + 1}.{signature}"
    past = time.time() - 61
    monkeypatch.setattr(time, "time", lambda: past)
    late = by(key, "PUT", document)["Authorization"]
    monkeypatch.undo()
    future = time.time() + 70
    monkeypatch.setattr(time, "time", lambda: future)
    early = by(key, "PUT", document)["Authorization"]
    monkeypatch.undo()
    bad = [
        by("another server's", "PUT", document)["Authorization"],
        by("", "PUT", document)["Authorization"],
        by(key, "DELETE", document)["Authorization"],
        by(key, "PUT", "inset/api/documents/another")["Authorization"],
        late,
        early,
        later,
        good.replace("Inset", "Bearer"),
        good.replace("Inset", "token"),
        *("Inset", "Inset .", until, f"{until}.½", "Inset ½.x", f"Inset {'9' * 5000}.x", f"Inset -1.{signature}"),
    ]

    refused = [await put(seat, id, {"Authorization": one.encode()}) for one in bad]

    assert {answer.status_code for answer in refused} == {403}
    assert (await put(seat, id, {"Authorization": good})).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "api/contents"),
        ("GET", "api/kernels"),
        ("POST", "api/kernels"),
        ("POST", "inset/api/keep"),
        ("POST", "inset/api/leave"),
        ("POST", "inset/api/absent"),
        ("GET", "tree"),
    ],
)
async def test_a_signature_opens_nothing_but_what_the_service_calls(seat: Seat, method, path):
    answer = await seat.anonymous.request(method, path, json={}, headers=by(seat.service.call_key, method, path))

    assert answer.status_code in (401, 403)


async def test_the_server_of_a_service_that_signs_nothing_believes_no_signature(seat: Seat, monkeypatch):
    id = seat.service.add_notebook(notebook("1"))
    monkeypatch.setattr(seat.service, "call_key", None)
    seat.service.forget_credentials()
    await seat.load("2")
    await seat.save((await seat.load("2"))[1], "3")  # which asks for a new credential

    answers = [await put(seat, id, by(key, "PUT", f"inset/api/documents/{id}")) for key in ("", "None", "key")]

    assert {answer.status_code for answer in answers} == {403}
    monkeypatch.undo()
    seat.service.forget_credentials()
    await seat.save((await seat.load("2"))[1], "3")
    assert (await put(seat, id, by(seat.service.call_key, "PUT", f"inset/api/documents/{id}"))).status_code == 200
