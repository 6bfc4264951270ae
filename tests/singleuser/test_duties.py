"""What has no end goes on, whatever it meets."""

import asyncio
import logging
from pathlib import Path

import httpx
import pytest

from inset_bridge import duties
from inset_bridge.files import Files
from inset_bridge.journal import Document, Journal
from inset_bridge.sender import Sender
from inset_bridge.service import Service

LOG = logging.getLogger(__name__)


async def test_a_duty_that_something_unforeseen_has_ended_begins_anew(monkeypatch, caplog):
    monkeypatch.setattr(duties, "AGAIN", 0.01)
    begun, again = 0, asyncio.Event()

    async def duty():
        nonlocal begun
        begun += 1
        if begun == 1:
            raise RuntimeError("of nobody's making")
        again.set()
        await asyncio.Event().wait()

    going_on = asyncio.create_task(duties.kept_up(duty, of="Something", log=LOG))
    await asyncio.wait_for(again.wait(), 5)
    going_on.cancel()
    await asyncio.wait([going_on])

    assert going_on.cancelled(), "it ends when it is told to"
    [record] = caplog.records
    assert record.getMessage() == "Something: something unforeseen; it goes on"
    assert record.exc_info


@pytest.fixture
def sent() -> list[str]:
    """The names of the notebooks that the service was given."""
    return []


@pytest.fixture
async def service(sent: list[str]):
    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/credentials"):
            return httpx.Response(201, json={"access_token": "t", "expires_in": 600})
        sent.append(request.headers["Inset-Name"])
        return httpx.Response(201, json={"notebook_id": "n", "version": 1, "sha256": "0" * 64})

    async with httpx.AsyncClient(base_url="http://service", transport=httpx.MockTransport(answer)) as http:
        yield Service(http, hub_token="h", server_id="s")


async def test_a_file_that_cannot_be_sent_keeps_no_other_one(tmp_path: Path, service: Service, sent: list[str]):
    """A name that is no UTF-8, as a kernel may give one: no request can carry it."""
    journal = Journal(tmp_path / "journal.json", log=LOG)
    for path in ("caf\udce9.ipynb", "fine.ipynb"):
        (tmp_path / path).write_bytes(b"{}")
        journal.add(Document(path=path, saved=True))
    sender = Sender(service, journal, Files(tmp_path), log=LOG)

    sending = asyncio.create_task(sender.run())
    sender.wake()
    async with asyncio.timeout(5):
        while sent != ["fine"]:
            await asyncio.sleep(0.01)

    assert not sending.done()
    assert [document.path for document in journal.owed()] == ["caf\udce9.ipynb"]
    sending.cancel()
