"""The service is upgraded under a real hub and a server that goes on working: nothing is lost or told twice."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from jose import jws

from tests.faults.ledger import exact
from tests.faults.replica import Replica
from tests.service.conftest import document, events, until
from tests.support.real_hub import RealHub, real_hub
from tests.upgrade import previous
from tests.upgrade.tables import everything, missing

pytestmark = pytest.mark.each_database


@pytest.fixture
async def hub(tmp_path: Path, port: int, previous_release: dict[str, str]) -> AsyncIterator[RealHub]:
    """The previous release's hub and, in its servers, its save bridge. They are not upgraded."""
    settings = {"INSET_SERVICE_URL": f"http://127.0.0.1:{port}", **previous_release}
    async with real_hub(tmp_path / "hub", settings, config=previous.HUB_CONFIG) as hub:
        yield hub


@pytest.fixture
def hub_settings(hub: RealHub) -> dict[str, str]:
    return {
        "INSET_HUB__TOKEN": hub.token,
        "INSET_HUB__API_URL": hub.api_url,
        "INSET_HUB__PROXY_URL": hub.bind_url,
        "INSET_HUB__SEATS": "7",
    }


class Ada:
    """A host application's user who has used most of what there is, and notes each answer."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.notebook: dict[str, Any] = {}
        self.sent: dict[int, bytes] = {}
        """Of her notebook, what each version is."""
        self.answers: list[tuple[str, str, dict[str, Any], int, Any]] = []
        """Calls that change nothing when they are made again, and how they were answered."""

    async def work(self) -> None:
        """Make a notebook with versions, one of them on the side, and others that are deleted or labelled."""
        content = exact(document("0"))
        make = {"headers": {"Idempotency-Key": "one"}, "json": {"name": "Analysis", "content": document("0")}}
        self.notebook = await self._noted("POST", "/v1/notebooks", **make)
        self.sent[1] = content
        path = f"/v1/notebooks/{self.notebook['id']}"
        for base in (1, 2):
            await self._put(f"{path}/content", base, f"saved on {base}")
        aside = {"headers": {"If-Match": '"1"'}, "content": exact(document("from another place"))}
        refused = await self._noted("PUT", f"{path}/content", **aside)
        self.sent[refused["kept_version"]] = aside["content"]  # type: ignore[assignment]
        labelled = await self._client.patch(f"{path}/versions/2", json={"label": "Handed in"})
        assert labelled.status_code == 200, labelled.text
        other = (await self._client.post("/v1/notebooks", json={"name": "Gone"})).json()["id"]
        assert (await self._client.delete(f"/v1/notebooks/{other}")).is_success

    async def _put(self, path: str, base: int, text: str) -> None:
        content = exact(document(text))
        answer = await self._client.put(path, headers={"If-Match": f'"{base}"'}, content=content)
        assert answer.status_code == 200, answer.text
        self.sent[answer.json()["version"]] = content
        self.receipt = answer.json()["receipt"]

    async def _noted(self, method: str, path: str, **call: Any) -> dict[str, Any]:
        answer = await self._client.request(method, path, **call)
        self.answers.append((method, path, call, answer.status_code, _steady(answer)))
        told: dict[str, Any] = answer.json()
        return told

    async def same_again(self) -> None:
        """Check that all of it is there byte for byte, and that the same calls get the same answers."""
        for method, path, call, status, told in self.answers:
            answer = await self._client.request(method, path, **call)
            assert (answer.status_code, _steady(answer)) == (status, told)
        for number, content in self.sent.items():
            answer = await self._client.get(f"/v1/notebooks/{self.notebook['id']}/versions/{number}/content")
            assert answer.content == content


def _steady(answer: httpx.Response) -> dict[str, Any]:
    """Leave out what is another with each answer, or after each save."""
    return {name: value for name, value in answer.json().items() if name not in ("instance", "current_version")}


async def test_what_runs_and_what_is_stored_survives_an_upgrade_of_the_service(
    hub: RealHub, old: Replica, environment: dict[str, str], client: httpx.AsyncClient, port: int, tmp_path: Path,
    host: Any,
) -> None:  # fmt: skip
    ada = Ada(client)
    await ada.work()
    opening = {"notebook_id": ada.notebook["id"], "credentials": {"data": {"value": "secret"}}}
    opened = await client.post("/v1/sessions", json=opening, headers=host.backend_bearer("ada"))
    assert opened.status_code == 202, opened.text
    session = await until(client, opened.json()["id"], "ready")
    [seat] = await _seats(hub)
    async with hub.seat(seat, token=await hub.mint_token(seat)) as jupyter:
        save = _saver(jupyter, f"work/{ada.notebook['id']}/Analysis.ipynb")
        ada.sent[5] = await save("in Jupyter")
        heard = await _heard(client, session["id"], "saved")
        url = (await client.post(f"/v1/sessions/{session['id']}/iframe-url", json={})).json()["url"]

        await old.stop()
        before = await everything(environment["INSET_DATABASE_URL"])
        await save("while nobody is there")
        ada.sent[6] = await save("and once more")
        await previous.inset(environment, "db upgrade")
        assert missing(before, await everything(environment["INSET_DATABASE_URL"])) == []
        new = Replica(environment, port, tmp_path / "new.log")
        await new.start()
        try:
            # What was saved while nobody was there comes by itself, and is told on the stream, which goes on.
            told = await _heard(client, session["id"], "saved", after=heard["id"])
            assert (told["version"], told["sha256"]) == (6, hashlib.sha256(ada.sent[6]).hexdigest())
            assert told["id"] > heard["id"]
            await ada.same_again()
            keys = (await client.get("/.well-known/jwks.json")).json()
            assert json.loads(jws.verify(ada.receipt, keys, "ES256"))["version"] == 3
            # A URL that the previous release has signed still opens the page, once.
            enter = {"json": {"ticket": url.partition("#ticket=")[2]}, "headers": {"Sec-Fetch-Site": "same-origin"}}
            async with hub.seat(seat) as browser:
                assert (await browser.post("inset/enter", **enter)).status_code == 200
            # The server goes on saving, and is asked to; another notebook opens in it.
            ada.sent[7] = await save("after the upgrade")
            saved = (await client.post(f"/v1/sessions/{session['id']}/save")).json()
            assert (saved["version"], saved["sha256"]) == (7, hashlib.sha256(ada.sent[7]).hexdigest())
            second = (await client.post("/v1/notebooks", json={"name": "Second"})).json()
            joined = (await client.post("/v1/sessions", json={"notebook_id": second["id"]})).json()
            await until(client, joined["id"], "ready")
            assert await _seats(hub) == [seat]
            for id in (session["id"], joined["id"]):
                await client.delete(f"/v1/sessions/{id}")
                await until(client, id, "ended")
            await ada.same_again()
            assert "All is as it should be." in await previous.inset(environment, "db check")
        finally:
            await new.stop()


def _saver(jupyter: httpx.AsyncClient, path: str) -> Callable[[str], Any]:
    async def save(text: str) -> bytes:
        body = {"type": "notebook", "format": "json", "content": document(text)}
        (await jupyter.put(f"api/contents/{path}", json=body)).raise_for_status()
        return exact(document(text))

    return save


async def _heard(client: httpx.AsyncClient, session_id: str, wanted: str, *, after: int = 0) -> dict[str, Any]:
    async with asyncio.timeout(60):
        async for kind, data in events(client, session_id, after=after):
            assert kind not in ("failed", "conflict"), data
            if kind == wanted:
                return data
    raise AssertionError(f"the stream ended without {wanted}")


async def _seats(hub: RealHub) -> list[str]:
    """Name the seats in which a server runs."""
    async with hub.api() as api:
        seats = [f"seat-{number:03}" for number in range(1, 8)]
        return [seat for seat in seats if (await api.get(f"/users/{seat}/servers/")).json().get("ready")]
