"""People who work while parts of the deployment fail: they save again and again, and note what was acknowledged."""

import asyncio
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from tests.docker.deployment import Deployment
from tests.faults.ledger import Ledger, audit, exact
from tests.service.conftest import document, problem
from tests.support.hosts import TestHost

LONGEST_ANSWER = 60.0
"""Seconds within which every call is answered, whatever is gone; the client gives up after that, and the test fails."""
_PAUSE = 0.15
_AGAIN = 0.3


@dataclass
class Answers:
    """What those who called were told while something was gone."""

    refused: dict[str, int] = field(default_factory=dict)
    """How often each refusal came, as `503 database-unavailable`."""
    unanswered: int = 0
    """Calls whose connection ended without an answer."""
    slowest: float = 0.0

    def figures(self) -> str:
        told = ", ".join(f"{count} x {name}" for name, count in sorted(self.refused.items())) or "none"
        return f"refusals: {told}; unanswered: {self.unanswered}; slowest answer: {self.slowest:.1f} s"


class Caller:
    """Calls by the edge, and takes no refusal that a program could not read."""

    def __init__(self, running: Deployment, answers: Answers, *, reuse: bool = True) -> None:
        self._port = running.port
        self._answers = answers
        limits = httpx.Limits(keepalive_expiry=2, max_keepalive_connections=None if reuse else 0)
        self._http = httpx.AsyncClient(verify=running.front.trust(), timeout=LONGEST_ANSWER, limits=limits)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def call(self, name: str, method: str, path: str, **call: Any) -> httpx.Response | None:
        """Send a request to a name of the edge's; None if its connection ended without an answer."""
        headers = {**call.pop("headers", {}), "Host": f"{name}:{self._port}"}
        began = time.monotonic()
        try:
            # Python does not resolve such a name.
            url, extensions = f"https://127.0.0.1:{self._port}{path}", {"sni_hostname": name}
            sending = asyncio.create_task(
                self._http.request(method, url, headers=headers, extensions=extensions, **call)
            )
            try:
                answer = await asyncio.shield(sending)
            except asyncio.CancelledError:
                # httpx closes no connection on which it is stopped while TLS begins.
                await asyncio.gather(sending, return_exceptions=True)
                raise
        except httpx.TimeoutException as exc:
            raise AssertionError(f"no answer within {LONGEST_ANSWER} s: {method} {path}") from exc
        except httpx.TransportError:
            self._answers.unanswered += 1
            return None
        finally:
            self._answers.slowest = max(self._answers.slowest, time.monotonic() - began)
        if answer.status_code >= 500:
            told = _refusal(answer)
            self._answers.refused[told] = self._answers.refused.get(told, 0) + 1
        return answer


def _refusal(answer: httpx.Response) -> str:
    """Name a refusal, having checked that it is no proxy's page."""
    kind = answer.headers.get("Content-Type", "")
    if "/inset/" in answer.request.url.path and "html" in kind:
        return f"{answer.status_code} to the entry page"
    assert "json" in kind, f"{answer.request.url} was answered {answer.status_code} by {kind}: {answer.text[:300]}"
    assert "Traceback" not in answer.text, answer.text
    if not kind.startswith("application/problem+json"):
        return f"{answer.status_code} by the notebook server"
    told = f"{answer.status_code} {problem(answer)}"
    if answer.status_code == 503:
        assert answer.headers.get("Retry-After"), f"{told} does not say when to come again"
    return told


class Author:
    """Saves by the host's API: each notebook by `Idempotency-Key`, each version on top of the one before."""

    def __init__(self, name: str, caller: Caller, running: Deployment, host: TestHost) -> None:
        self.name = name
        self._caller = caller
        self._service = urlsplit(running.service_url).hostname or ""
        self._host = host
        self.ledger = Ledger()
        self.saves = self.begun = 0

    async def call(self, method: str, path: str, **call: Any) -> httpx.Response | None:
        """Call the service once, as this user."""
        headers = {**call.pop("headers", {}), **self._host.bearer(self.name)}
        return await self._caller.call(self._service, method, path, headers=headers, **call)

    async def insist(self, method: str, path: str, **call: Any) -> httpx.Response:
        """Call the service again and again until it neither fails nor is away; any other refusal is a failure."""
        while True:
            answer = await self.call(method, path, **call)
            if answer is not None and answer.status_code < 500:
                assert answer.is_success, f"{method} {path}: {answer.text}"
                return answer
            self.ledger.sent_again += 1
            await asyncio.sleep(_AGAIN)

    async def work(self) -> None:
        """Make notebooks and save them, for as long as this task lives."""
        while True:
            await self._one_notebook()

    async def _one_notebook(self) -> None:
        content = exact(document(f"{self.name} 0"))
        call: dict[str, Any] = {
            "headers": {"Idempotency-Key": uuid4().hex},
            "json": {"name": f"{self.name} {self.begun}", "content": json.loads(content)},
        }
        made = (await self.insist("POST", "/v1/notebooks", **call)).json()
        again = (await self.insist("POST", "/v1/notebooks", **call)).json()
        assert again["id"] == made["id"], "one key made two notebooks"
        self.ledger.sent[made["id"]] = {made["sha256"]}
        self.ledger.acknowledged[made["id"], 1] = made["sha256"]
        path = f"/v1/notebooks/{made['id']}/content"
        for base in range(1, 8):
            self.begun += 1
            mine = self.begun
            content = exact(document(f"{self.name} {mine} " + "x" * (mine % 7) * 3_000))
            digest = hashlib.sha256(content).hexdigest()
            self.ledger.sent[made["id"]].add(digest)
            stored = (await self.insist("PUT", path, headers={"If-Match": f'"{base}"'}, content=content)).json()
            assert (stored["version"], stored["sha256"]) == (base + 1, digest), "another version than this save's"
            self.ledger.acknowledged[made["id"], base + 1] = digest
            assert (await self.insist("GET", path)).content == content, "loaded is not what was saved"
            self.saves = mine
            await asyncio.sleep(_PAUSE)

    async def landed(self) -> None:
        """Return when a save that begins from now on is acknowledged."""
        goal = self.begun + 1
        while self.saves < goal:
            await asyncio.sleep(0.05)


class Typist:
    """Saves inside Jupyter, in a session, by the edge and with a frame's cookies, as a page does.

    Each content says which save it is. A session that has failed is opened again, and goes on from what it finds.
    """

    def __init__(self, author: Author, caller: Caller, *, profile: str | None = None) -> None:
        self._author = author
        self._profile = {"profile": profile} if profile else {}
        self._caller = caller
        self.notebook_id = self.session_id = ""
        self.begun = self.written = 0
        self.failures: list[str] = []
        """Why sessions failed."""
        self._seat = self._prefix = ""
        self._frame: dict[str, str] = {}

    async def open(self) -> None:
        """Make a notebook, open it, and enter it."""
        content = json.loads(exact(document("0")))
        call = {"headers": {"Idempotency-Key": uuid4().hex}, "json": {"name": "Plan", "content": content}}
        self.notebook_id = (await self._author.insist("POST", "/v1/notebooks", **call)).json()["id"]
        await self._enter()

    async def work(self) -> None:
        """Save, for as long as this task lives."""
        while True:
            self.begun += 1
            while not await self._save(_as_model(document(str(self.begun)))):
                if await self._reopened():
                    break  # what it goes on from says whether this one was written
                await asyncio.sleep(_AGAIN)
            await asyncio.sleep(_PAUSE)

    async def landed(self) -> None:
        """Return when a save that begins from now on is in the database."""
        goal = self.begun + 1
        while self.written < goal or await self.stored() < goal:
            await asyncio.sleep(0.1)

    async def stored(self) -> int:
        """Which save the notebook's current version is."""
        answer = await self._author.insist("GET", f"/v1/notebooks/{self.notebook_id}/content")
        number = int("".join(answer.json()["cells"][0]["source"]))
        assert answer.content == exact(document(str(number))), "something is stored that nobody sent whole"
        return number

    async def history(self) -> list[int]:
        """Which saves the notebook's versions are, in their order; checks that none was kept on the side."""
        path, found, cursor = f"/v1/notebooks/{self.notebook_id}/versions", [], ""
        while cursor is not None:
            page = (await self._author.insist("GET", path, params={"cursor": cursor} if cursor else {})).json()
            found, cursor = found + page["items"], page["next_cursor"]
        assert not [version for version in found if version["aside"]], "nobody else has saved"
        numbers = []
        for version in sorted(found, key=lambda one: int(one["number"])):
            content = (await self._author.insist("GET", f"{path}/{version['number']}/content")).json()
            numbers.append(int("".join(content["cells"][0]["source"])))
        return numbers

    async def close(self) -> None:
        """End the session, which saves a last time."""
        await self._author.insist("DELETE", f"/v1/sessions/{self.session_id}")
        await self._state("ended", "failed")

    @property
    def _file(self) -> str:
        return f"{self._prefix}api/contents/work/{self.notebook_id}/Plan.ipynb"

    async def _save(self, body: dict[str, Any]) -> bool:
        answer = await self._caller.call(self._seat, "PUT", self._file, headers=self._frame, json=body)
        if answer is None or not answer.is_success:
            return False
        self.written = self.begun
        return True

    async def _reopened(self) -> bool:
        """Look at the session; tells whether it had failed, and was opened again."""
        answer = await self._author.call("GET", f"/v1/sessions/{self.session_id}")
        if answer is None or answer.status_code >= 500:
            return False
        session = answer.json()
        if session["state"] == "failed":
            assert session["failure"]["code"]
            assert session["failure"]["detail"]
            self.failures.append(session["failure"]["code"])
            await self._enter()
            found = await self.found()
            assert self.written <= found <= self.begun, "a server took with it what Jupyter had acknowledged"
            self.begun = self.written = found
            return True
        assert session["state"] == "ready", session
        return False

    async def put(self, content: dict[str, Any]) -> httpx.Response:
        """Save once, as a page does; whatever the server answers."""
        answer = await self._caller.call(self._seat, "PUT", self._file, headers=self._frame, json=_as_model(content))
        assert answer is not None
        return answer

    async def found(self) -> int:
        """Which save the notebook is, as the server shows it."""
        while True:
            answer = await self._caller.call(self._seat, "GET", self._file, headers=self._frame)
            if answer is not None and answer.is_success:
                return int("".join(answer.json()["content"]["cells"][0]["source"]))
            await asyncio.sleep(_AGAIN)

    async def _enter(self) -> None:
        """Open a session, and trade its ticket for cookies as the entry page does; as often as it fails."""
        while True:
            call = {"json": {"notebook_id": self.notebook_id, **self._profile}}
            self.session_id = (await self._author.insist("POST", "/v1/sessions", **call)).json()["id"]
            if await self._state("ready", "failed", "ended") != "ready":
                await asyncio.sleep(_AGAIN)
                continue
            signed = await self._author.insist("POST", f"/v1/sessions/{self.session_id}/iframe-url")
            url = urlsplit(signed.json()["url"])
            self._seat, self._prefix = url.hostname or "", url.path.removesuffix("inset/enter")
            ticket = {"ticket": url.fragment.removeprefix("ticket=")}
            entered = await self._caller.call(self._seat, "POST", url.path, json=ticket)
            if entered is not None and entered.status_code == 200:
                cookies = dict(one.partition(";")[0].split("=", 1) for one in entered.headers.get_list("Set-Cookie"))
                cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
                self._frame = {"Cookie": cookie, "X-XSRFToken": cookies["_xsrf"]}
                return
            await asyncio.sleep(_AGAIN)

    async def _state(self, *states: str) -> str:
        while True:
            session = (await self._author.insist("GET", f"/v1/sessions/{self.session_id}")).json()
            if session["state"] in states:
                return str(session["state"])
            await asyncio.sleep(_AGAIN)


def _as_model(content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "notebook", "format": "json", "content": content}


@dataclass
class Traffic:
    """Everybody who works, as one."""

    authors: Sequence[Author]
    typists: Sequence[Typist]
    answers: Answers
    callers: Sequence[Caller]
    _working: list[asyncio.Task[None]] = field(default_factory=list)

    async def begin(self) -> None:
        """Have everybody open what they work on, and work."""
        await asyncio.gather(*[typist.open() for typist in self.typists])
        self._working = [asyncio.create_task(one.work()) for one in (*self.authors, *self.typists)]

    async def landed(self, *, within: float) -> float:
        """Wait until everybody's next save is acknowledged and in the database; gives the seconds that it took."""
        began = time.monotonic()
        next_ones = [asyncio.create_task(one.landed()) for one in (*self.authors, *self.typists)]
        try:
            async with asyncio.timeout(within):
                pending: set[asyncio.Task[None]] = set(next_ones)
                while pending:
                    done, _ = await asyncio.wait([*pending, *self._working], return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()  # whoever works ends by failing alone
                    pending -= done
        finally:
            for task in next_ones:
                task.cancel()
            await asyncio.gather(*next_ones, return_exceptions=True)
        return time.monotonic() - began

    async def end(self) -> None:
        """Have everybody stop in the middle of what they do."""
        failed = [one for one in await self.stop() if isinstance(one, Exception)]
        assert not failed, failed

    async def stop(self) -> list[BaseException | None]:
        """Stop everybody; gives how each has ended."""
        for task in self._working:
            task.cancel()
        return await asyncio.gather(*self._working, return_exceptions=True)

    async def audit(self, http: httpx.AsyncClient, host: TestHost) -> int:
        """Hold all that was acknowledged against what is stored; gives the number of versions that were looked at."""
        looked_at = 0
        for author in self.authors:
            looked_at += await audit(http, "", author.ledger, host.bearer(author.name))
        for typist in self.typists:
            numbers = await typist.history()
            assert numbers == sorted(set(numbers)), "a save was stored twice, or after a later one"
            assert numbers[-1] >= typist.written
            looked_at += len(numbers)
        return looked_at

    async def aclose(self) -> None:
        await asyncio.gather(*[caller.aclose() for caller in self.callers])


def traffic(
    running: Deployment, host: TestHost, typists: Sequence[str], authors: Sequence[str], *, reuse: bool = True
) -> Traffic:
    """Put people together: who works in a session, and who by the host's API alone.

    Whoever reuses a connection sends again what meets its end, as browsers do and these don't: without `reuse` each
    call has a connection of its own.
    """
    answers = Answers()
    callers = [Caller(running, answers, reuse=reuse) for _ in (*typists, *authors)]
    sitting = [
        Typist(Author(name, caller, running, host), caller) for name, caller in zip(typists, callers, strict=False)
    ]
    calling = [
        Author(name, caller, running, host) for name, caller in zip(authors, callers[len(typists) :], strict=True)
    ]
    return Traffic(calling, sitting, answers, callers)
