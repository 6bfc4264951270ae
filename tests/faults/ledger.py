"""What clients were told is stored, to be held against what is there in the end."""

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from inset.documents import parsed_document
from tests.service.conftest import document, problem

_NOT_NOW = (502, 503)


@dataclass
class Ledger:
    """Every version that some answer acknowledged, with the hash of what was sent."""

    acknowledged: dict[tuple[str, int], str] = field(default_factory=dict)
    sent: dict[str, set[str]] = field(default_factory=dict)
    """By notebook: the hashes of all that was ever sent of it."""
    sent_again: int = 0

    def figures(self) -> str:
        return f"{len(self.acknowledged)} versions acknowledged, {self.sent_again} calls sent again"


class Writer:
    """A client with a notebook of its own: it saves again and again, and sends what got no answer once more."""

    def __init__(self, ledger: Ledger, urls: Sequence[str], bearer: Callable[[], dict[str, str]], seed: int) -> None:
        self._ledger = ledger
        self._urls = urls
        self._bearer = bearer
        self._random = random.Random(seed)
        self.notebook_id = ""

    async def create(self, http: httpx.AsyncClient) -> None:
        """Make the notebook. The key makes a repeated call one notebook."""
        key = f"writer-{self._random.random()}"
        content = document("0")
        answer = await self._insist(http, "POST", "/v1/notebooks", headers={"Idempotency-Key": key}, json={
            "name": key, "content": content,
        })  # fmt: skip
        assert answer.status_code == 201, answer.text
        made = answer.json()
        self.notebook_id = made["id"]
        self._ledger.acknowledged[self.notebook_id, made["version"]] = made["sha256"]
        self._ledger.sent[self.notebook_id] = {made["sha256"]}

    async def save(self, http: httpx.AsyncClient, times: int) -> None:
        """Save so many contents, one after the other, each based on the one before."""
        base = 1
        for count in range(times):
            content = exact(document(f"{count}: " + "x" * self._random.choice([10, 1_000, 100_000])))
            self._ledger.sent[self.notebook_id].add(hashlib.sha256(content).hexdigest())
            headers = {"If-Match": f'"{base}"'}
            path = f"/v1/notebooks/{self.notebook_id}/content"
            answer = await self._insist(http, "PUT", path, headers=headers, content=content)
            assert answer.status_code == 200, answer.text
            stored = answer.json()
            assert stored["version"] == base + 1, "a call that was sent again made another version"
            assert stored["sha256"] == hashlib.sha256(content).hexdigest()
            base = stored["version"]
            self._ledger.acknowledged[self.notebook_id, base] = stored["sha256"]

    async def _insist(self, http: httpx.AsyncClient, method: str, path: str, **call: Any) -> httpx.Response:
        headers = call.pop("headers")
        async with asyncio.timeout(300):
            while True:
                url = self._random.choice(self._urls) + path
                try:
                    answer = await http.request(method, url, headers={**headers, **self._bearer()}, **call)
                    if answer.status_code not in _NOT_NOW:
                        return answer
                    assert problem(answer) == "database-unavailable"
                except httpx.TransportError:
                    pass  # whether it was stored nobody knows
                self._ledger.sent_again += 1
                await asyncio.sleep(0.05)


def exact(notebook: dict[str, Any]) -> bytes:
    """Write a document as the store keeps it, so that its hash is known before it is sent."""
    return parsed_document(notebook).content


async def audit(http: httpx.AsyncClient, url: str, ledger: Ledger, bearer: dict[str, str]) -> int:
    """Check that all that was acknowledged is there byte for byte, and that nothing is there that nobody sent.

    Gives the number of versions that were looked at.
    """
    looked_at = 0
    for notebook_id, sent in ledger.sent.items():
        path = f"{url}/v1/notebooks/{notebook_id}/versions"
        history: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await http.get(path, params={"cursor": cursor} if cursor else {}, headers=bearer)).json()
            history, cursor = history + page["items"], page["next_cursor"]
        numbers = sorted(version["number"] for version in history)
        assert numbers == list(range(1, len(numbers) + 1)), "a number was given to nothing"
        for version in history:
            content = (await http.get(f"{path}/{version['number']}/content", headers=bearer)).content
            digest = hashlib.sha256(content).hexdigest()
            assert digest == version["sha256"]
            assert digest in sent, "something is stored that nobody sent whole"
            told = ledger.acknowledged.pop((notebook_id, version["number"]), None)
            assert told in (None, digest), "another content than the acknowledged one"
            looked_at += 1
    assert ledger.acknowledged == {}, "acknowledged and lost"
    return looked_at
